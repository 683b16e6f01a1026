"""Outcomes behind an address: copied for as long as they are read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optimizer.config.address import is_address, parse_address
from optimizer.contracts.tables import OUTCOMES
from optimizer.errors import ConfigError
from optimizer.io.fetch import fetched_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules


@contextmanager
def local_outcomes(data: Any, table: Table, rules: CellRules) -> Iterator[Any]:
    """
    Copy outcomes that are behind an address; whatever else is given is left as it is.

    Parameters
    ----------
    data
        A path, a glob, an address, or a table.
    table
        The contract, with the columns that the configuration asks for.
    rules
        How cells are read.

    Yields
    ------
    Any
        Paths of the copies, which are removed at the end; or what was given.

    Raises
    ------
    ConfigError
        When the address is none that is read, or a package or a variable is missing.
    DataError
        When there is no such table, or it breaks its contract.
    BusyError
        When a server does not answer.
    """
    if not (isinstance(data, str) and is_address(data)):
        yield data
        return
    try:
        parse_address(data)
    except ValueError as error:
        raise ConfigError(f"the address of the outcomes {error}") from None
    name = OUTCOMES.name
    with fetched_inputs({name: data}, None, rules, {name: table}) as fetched:
        yield fetched.paths[name]
