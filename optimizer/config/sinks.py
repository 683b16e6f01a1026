"""Where copies of a published night go."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from optimizer.config.fields import ConfigModel, DatedPath, DatedSink
from optimizer.contracts.tables import COPIED

if TYPE_CHECKING:
    CopiedTable = str
else:  # type checkers take no Literal of what the registry says
    CopiedTable = Literal[COPIED]


class Output(ConfigModel):
    """Where a published table is copied to; a date's rows replace earlier ones."""

    table: CopiedTable = Field(description="Which published table.")
    to: DatedSink = Field(
        description="Address: postgresql, s3, delta, delta+s3, iceberg or duckdb; or a "
        "path with {date}: .csv, .xlsx or .parquet."
    )


class Outbox(ConfigModel):
    """A file of the recommendations in a platform's format."""

    platform: Literal["douyin", "kuaishou", "pinduoduo", "taobao", "jd"] = Field(
        description="Whose tags and service codes."
    )
    format: Literal["jsonl", "csv"] = Field(description="Kind of file.")
    to: DatedPath = Field(description="Path of the file.")
