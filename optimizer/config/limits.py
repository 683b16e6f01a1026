"""Sizes beyond which an input is refused, before it takes memory or time."""

from typing import Annotated

from pydantic import Field

from optimizer.config.fields import ConfigModel


class Limits(ConfigModel):
    """
    Sizes that no table of a night comes near.

    They decide what is refused, and nothing of a night that is not.
    """

    num_rows: Annotated[int, Field(strict=True, ge=1, le=10**11)] = Field(
        1_000_000_000, description="Rows of a table."
    )
    num_columns: Annotated[int, Field(strict=True, ge=10, le=10**6)] = Field(
        2_000, description="Columns of a table."
    )
    line_bytes: Annotated[int, Field(strict=True, ge=1_024, le=2**30)] = Field(
        1 << 20, description="Bytes of a line of a CSV file, or of a cell."
    )
    unpacked_times: Annotated[int, Field(strict=True, ge=1, le=10**6)] = Field(
        200,
        description="How many times its own size a file may unpack to, beyond 64 MiB.",
    )
    broken_rows_in_a_row: Annotated[int, Field(strict=True, ge=1, le=10**9)] = Field(
        10_000,
        description="Rows one after the other that break a rule, after which reading "
        "stops.",
    )
