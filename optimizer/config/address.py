"""
Addresses of tables that are not local files: their forms and their parts.

``postgresql://HOST/DB?table=T``, ``s3://BUCKET/KEY``, ``delta:///PATH``,
``delta+s3://BUCKET/PATH``, ``iceberg://CATALOGUE?table=NAMESPACE.T``,
``duckdb:///PATH?table=T``. Of Delta and Iceberg tables ``partition=COLUMN=VALUE`` reads
the rows that have a value. Secrets come from the
environment only: ``${NAME}`` is filled in when the address is opened, and a
password written in the address is refused. No message repeats what was refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN = {
    "postgresql": ("table", "query", "sslmode", "sslrootcert", "connect_timeout"),
    "s3": (),
    "delta": ("version", "partition"),
    "delta+s3": ("version", "partition"),
    "duckdb": ("table", "query"),
    "iceberg": ("table", "snapshot", "partition"),
}
_SHAPE = re.compile(
    r"(?P<scheme>[a-z0-9+]+)://(?:(?P<login>[^@/?]*)@)?(?P<host>[^/?@]*)"
    r"(?P<path>/[^?]*)?(?:\?(?P<params>.*))?",
    re.DOTALL,
)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PARTITION = re.compile(r"[^\W\d]\w*=[\w.:-]+")
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)?")
_ENDINGS = (".parquet", ".pq", ".csv", ".csv.gz", ".csv.zst", ".arrow", ".feather")


#: How each kind of address is written, by the word that people begin it with.
_WRITTEN = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3://BUCKET/KEY"),
    **dict.fromkeys(
        ("postgresql", "postgres", "pg", "psql"),
        "postgresql://HOST/DATABASE?table=NAME",
    ),
    "delta": "delta:///PATH",
    "delta+s3": "delta+s3://BUCKET/PATH",
    "duckdb": "duckdb:///PATH?table=NAME",
    "iceberg": "iceberg://CATALOGUE?table=NAMESPACE.NAME",
}
_MISTYPED = re.compile(
    rf"\s*({'|'.join(map(re.escape, _WRITTEN))}|[a-z][a-z0-9+]*(?=:/))"
    r"\s*(?::(?!//)|//)",
    re.IGNORECASE,
)
#: Literals of a query that look like secrets; a UUID is an id.
_SECRETS = re.compile(
    r"""(?:passw(?:or)?d|pwd|secret|token|api_?key|access_?key|private_?key)["']?
        \s*(?:=>?|:|,|\()\s*\\?["']?[^\s"',;)&]
      | AKIA[0-9A-Z]{12} | -----BEGIN | \beyJ[\w-]{10,}\.
      | ://[^\s/@'"]*:[^\s/@'"]+@
      | '(?![0-9a-f]{8}-[0-9a-f]{4}-)(?=[^']*[0-9])(?=[^']*[A-Za-z])
        [A-Za-z0-9+/=_-]{32,}'
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """
    The parts of an address.

    Attributes
    ----------
    scheme
        ``postgresql``, ``s3``, ``delta``, ``delta+s3``, ``duckdb`` or ``iceberg``.
    user, password
        May hold ``${NAME}``; a password is nothing else until it is filled in.
    host
        Host and port, bucket, or catalogue.
    path
        Database, key, or path, from its slash on.
    params
        ``table``, ``query``, ``version``, ``partition`` and connection settings.
    label
        Its name in messages and records: no user, password or query.
    """

    scheme: str
    user: str
    password: str
    host: str
    path: str
    params: Mapping[str, str]
    label: str


def is_address(text: str) -> bool:
    """Whether a configured place is an address, not a path."""
    return "://" in text


def refuse_mistyped(text: str) -> None:
    """
    Refuse a path that was meant as an address and lacks its ``://``.

    Raises
    ------
    ValueError
        Saying how it is written, without repeating any of it.

    Examples
    --------
    >>> refuse_mistyped("nights/{date}/orders.parquet")
    >>> refuse_mistyped("s3:/bucket/orders.parquet")
    Traceback (most recent call last):
        ...
    ValueError: looks like an address without ://; write s3://BUCKET/KEY, or ./ before \
a path
    """
    found = _MISTYPED.match(text)
    if found is not None:
        written = _WRITTEN.get(found[1].lower(), "SCHEME://PLACE")
        raise ValueError(
            f"looks like an address without ://; write {written}, or ./ before a path"
        )


def parse_address(text: str) -> Address:
    """
    Parse an address, and check it against the rules of its scheme.

    Raises
    ------
    ValueError
        Saying what is wrong, without repeating any of it.

    Examples
    --------
    >>> found = parse_address("postgresql://${PGUSER}:${PGPASSWORD}@db/shop?table=orders")
    >>> found.host, found.path, found.params["table"], found.label
    ('db', '/shop', 'orders', 'postgresql://db/shop?table=orders')
    """
    match = _SHAPE.fullmatch(text)
    if match is None or match["scheme"] not in _KNOWN:
        raise ValueError(f"must be a path, or an address of {', '.join(_KNOWN)}")
    scheme, host, path = match["scheme"], match["host"], match["path"] or ""
    user, _, password = (match["login"] or "").partition(":")
    params = _params(scheme, match["params"])
    shown = f"?table={params['table']}" if "table" in params else ""
    shown = "?query" if "query" in params else shown
    label = f"{scheme}://{host}{path}{shown}"
    found = Address(
        scheme=scheme,
        user=unquote(user),
        password=password,
        host=host,
        path=path,
        params=params,
        label=label,
    )
    _check_login(found)
    _check_place(found)
    return found


def _params(scheme: str, text: str | None) -> dict[str, str]:
    """Read the parameters after the question mark; a query is the rest, unchanged."""
    found: dict[str, str] = {}
    while text:
        name, is_given, text = text.partition("=")
        if name not in _KNOWN[scheme] or not is_given or name in found:
            known = ", ".join(_KNOWN[scheme]) or "none"
            raise ValueError(f"has a setting after ? that is not one of: {known}")
        if name == "query":
            found[name], text = text, ""
        else:
            found[name], _, text = text.partition("&")
    return found


def _check_login(found: Address) -> None:
    if found.scheme != "postgresql" and (found.user or found.password):
        raise ValueError(
            "must not hold credentials: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment"
        )
    if found.password and not _VARIABLE.fullmatch(found.password):
        raise ValueError(
            "must not hold a password: set PGPASSWORD in the environment, or write "
            "${NAME} for a variable that holds it"
        )
    port = _VARIABLE.sub("", found.host).partition(":")[2]
    if (port and not port.isdigit()) or "@" in found.path:
        raise ValueError("must be HOST or HOST:PORT and then a path without @")


def _check_place(found: Address) -> None:
    scheme, params = found.scheme, found.params
    text = "".join((found.user, found.host, found.path, *params.values()))
    if "query" not in params and re.search(r"[{}]", _plain(text)):
        raise ValueError("may hold {date} and ${NAME}, and no other braces")
    if "\0" in text or ".." in found.path.split("/"):
        raise ValueError("must not hold .. or NUL")
    if scheme == "iceberg" and (not found.host or found.path or "table" not in params):
        raise ValueError("must be iceberg://CATALOGUE?table=NAMESPACE.NAME")
    if "query" in _KNOWN[scheme] and ("table" in params) == ("query" in params):
        raise ValueError("needs either ?table=NAME or ?query=SELECT ...")
    if "query" in params and _VARIABLE.search(params["query"]):
        raise ValueError("must not hold ${NAME} in its query")
    if _SECRETS.search(params.get("query", "")):
        raise ValueError(
            "must not hold what looks like a password, key or token in its query: each "
            "night would record it; make a view in the database, and name that"
        )
    if not _NAME.fullmatch(_plain(params.get("table", "t"), "d")):
        raise ValueError("must name a table as NAME or SCHEMA.NAME")
    for name in ("version", "snapshot"):
        if not _plain(params.get(name, "0"), "0").isdigit():
            raise ValueError(f"must give the {name} as a whole number")
    if not _PARTITION.fullmatch(_plain(params.get("partition", "a=b"), "d")):
        raise ValueError("must choose a partition as COLUMN=VALUE, such as ds={date}")
    if scheme in ("delta", "duckdb") and (found.host or len(found.path) < 2):
        raise ValueError(f"must be {scheme}:///PATH, with three slashes")
    if scheme in ("s3", "delta+s3") and (not found.host or len(found.path) < 2):
        raise ValueError(f"must be {scheme}://BUCKET/KEY")
    if scheme == "postgresql" and len(found.path) < 2:
        raise ValueError("must name the database: postgresql://HOST/DATABASE")


def _plain(text: str, filler: str = "") -> str:
    return _VARIABLE.sub(filler, text.replace("{date}", filler))


def check_source(text: str) -> str:
    """
    Accept the address of a table to read.

    Raises
    ------
    ValueError
        When it is none.
    """
    found = parse_address(text)
    if found.scheme == "s3" and not found.path.lower().endswith(_ENDINGS):
        raise ValueError(f"must end with one of {', '.join(_ENDINGS)}")
    return text


#: Files that copies of published tables may be.
COPY_FILES = (".csv", ".xlsx", ".parquet")


def check_sink(text: str) -> str:
    """
    Accept the address, or the file, of a table to write.

    Raises
    ------
    ValueError
        When it is neither, or a night could not be written there twice.
    """
    found = parse_address(text) if is_address(text) else None
    if found is None:
        if text.endswith(COPY_FILES) and "{date}" in text:
            return text
        raise ValueError(
            f"must be an address of {', '.join(_KNOWN)}, or a path with {{date}} that "
            f"ends with {', '.join(COPY_FILES)}"
        )
    if {*found.params} & {"query", "version", "snapshot", "partition"}:
        raise ValueError("is written to: it takes no query, version or partition")
    if found.scheme == "s3" and not (
        "{date}" in found.path and found.path.endswith(".parquet")
    ):
        raise ValueError(
            "must hold {date} in its key and end with .parquet, or a night would "
            "replace the one before"
        )
    return text


def fill_address(
    address: Address, environment: Mapping[str, str] | None = None
) -> Address:
    """
    Replace ``${NAME}`` by the environment's value.

    Raises
    ------
    ConfigError
        Naming a variable that is not set.

    Examples
    --------
    >>> found = parse_address("s3://${BUCKET}/orders.parquet")
    >>> fill_address(found, {"BUCKET": "nights"}).host
    'nights'
    """
    given = os.environ if environment is None else environment

    def fill(text: str) -> str:
        return _VARIABLE.sub(lambda m: _variable(m[1], given, address.label), text)

    return replace(
        address,
        user=fill(address.user),
        password=fill(address.password),
        host=fill(address.host),
        path=fill(address.path),
        params={
            name: text if name == "query" else fill(text)
            for name, text in address.params.items()
        },
    )


def _variable(name: str, given: Mapping[str, str], label: str) -> str:
    if not given.get(name):
        raise ConfigError(f"{label}: the environment has no {name}; set it")
    return given[name]
