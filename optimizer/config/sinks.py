"""Where copies of a published night go."""

from typing import Literal

from pydantic import Field

from optimizer.config.fields import ConfigModel, DatedPath, DatedSink


class Output(ConfigModel):
    """Where a published table is copied to; a date's rows replace earlier ones."""

    table: Literal[
        "recommendations", "decisions", "merchants", "lanes", "quarantine"
    ] = Field(description="Which published table.")
    to: DatedSink = Field(
        description="Address: postgresql, s3, delta, delta+s3 or duckdb."
    )


class Outbox(ConfigModel):
    """A file of the recommendations as a platform's systems take them."""

    platform: Literal["douyin", "kuaishou", "pinduoduo", "taobao", "jd"] = Field(
        description="Whose tags and service codes."
    )
    format: Literal["jsonl", "csv"] = Field(description="Kind of file.")
    to: DatedPath = Field(description="Path of the file.")
