"""Nights on a cluster: their settings, and addresses of a cluster's file systems."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from optimizer.config.address import is_address
from optimizer.config.fields import (
    ConfigModel,
    check_dated_path,
    check_dated_source,
    no_flag,
)

#: File systems that Hadoop's clients know, as Spark names them.
_SCHEMES = (
    *("abfs", "abfss", "cosn", "dbfs", "file", "gs", "hdfs", "obs", "oss", "s3", "s3a"),
    *("viewfs", "wasbs"),
)


def _scheme(place: str) -> str:
    return place.partition("://")[0] if is_address(place) else ""


def _on_cluster(place: str) -> str:
    """Check the form of the address of a table or folder on a cluster."""
    rest = place.partition("://")[2]
    if re.search(r"[{}\0?]", rest.replace("{date}", "")) or not rest.strip("/"):
        raise ValueError("must be a path; {date} is the only placeholder")
    if re.search(r":[^/]*@", rest):
        raise ValueError("must not hold a password: give it to Spark's file system")
    return place


def check_input(place: str) -> str:
    """Refuse what is neither a path nor an address of a table."""
    scheme = _scheme(place)
    is_plain = scheme in _SCHEMES and scheme != "s3"
    return _on_cluster(place) if is_plain else check_dated_source(place)


def _dated_folder(place: str) -> str:
    is_there = _scheme(place) in _SCHEMES
    return _on_cluster(place) if is_there else check_dated_path(place)


#: A table: a path, or an address that the engine reads.
DatedInput = Annotated[str, AfterValidator(check_input)]
#: A folder of nights: a path, or on a cluster's file system.
DatedFolder = Annotated[str, AfterValidator(_dated_folder)]


class Spark(ConfigModel):
    """How nights are run on a Spark cluster, where ``engine`` is ``spark``."""

    table_format: Literal["parquet", "delta"] = Field(
        "parquet", description="Of orders, options and the published tables."
    )
    rows_per_block: Annotated[
        int, BeforeValidator(no_flag), Field(ge=1, le=20_000_000)
    ] = Field(
        1_000_000,
        description="Orders that an executor works on at a time. Same answer always.",
    )


def check_places(engine: str, places: Mapping[str, str | None]) -> None:
    """
    Refuse places that an engine cannot reach.

    Parameters
    ----------
    engine
        ``local`` or ``spark``.
    places
        Paths and addresses, by key of the configuration.

    Raises
    ------
    ValueError
        Naming the key, and what it may be.
    """
    for key, place in places.items():
        scheme = _scheme(place or "")
        if engine == "spark" and scheme and scheme not in _SCHEMES:
            raise ValueError(
                f"{key}: engine spark reads and writes files: give a path, or an "
                f"address of {', '.join(_SCHEMES)}"
            )
        is_local = scheme == "s3" and key != "output"
        if engine == "local" and scheme in _SCHEMES and not is_local:
            raise ValueError(
                f"{key}: {scheme}:// is for engine: spark; here give a path"
                + ("" if key == "output" else ", or an address such as s3://")
            )
