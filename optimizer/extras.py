"""Optional packages: each has an extra, which the error names when it is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from optimizer.errors import ConfigError

#: Package that is imported -> extra that installs it.
EXTRA_OF = {
    "adbc_driver_postgresql": "postgres",
    "psycopg": "postgres",
    "obstore": "s3",
    "deltalake": "delta",
    "pyiceberg": "iceberg",
    "duckdb": "duckdb",
    "fastexcel": "excel",
    "xlsxwriter": "excel",
    "sklearn": "outcomes",
    "scipy": "outcomes",
    "threadpoolctl": "outcomes",
    "pyspark": "spark",
    "py4j": "spark",
    "plotly": "plots",
    "starlette": "desk",
    "uvicorn": "desk",
    "itsdangerous": "desk",
}


def import_extra(module: str, *, needed_by: str) -> Any:
    """
    Import a module of a package that only an extra installs.

    Parameters
    ----------
    module
        Name of the module; its package is in :data:`EXTRA_OF`.
    needed_by
        What cannot be done without it, as the subject of the message.

    Raises
    ------
    ConfigError
        When the package, or one that it needs, is not installed.

    Examples
    --------
    >>> import_extra("scipy.stats", needed_by="learning").norm.ppf(0.5)
    np.float64(0.0)
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise missing(error.name or package, EXTRA_OF[package], needed_by) from error


def missing(package: str, extra: str, needed_by: str) -> ConfigError:
    """
    Make the error that names a missing package and the command that installs it.

    Examples
    --------
    >>> words = str(missing("duckdb", "duckdb", "inputs.orders")).split(": ")
    >>> words[:2]
    ['inputs.orders', 'needs duckdb, which cannot be imported here']
    >>> words[2]
    "pip install 'premium-delivery-optimizer[duckdb]'"
    """
    return ConfigError(
        f"{needed_by}: needs {package}, which cannot be imported here: "
        f"pip install 'premium-delivery-optimizer[{extra}]'"
    )
