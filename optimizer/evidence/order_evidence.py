"""Evidence for one order: the decision, its rule, its inputs, and the proof."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import LEAVES, RECORD, is_date, read_record
from optimizer.contracts.tables import DECISIONS
from optimizer.errors import ConfigError, DataError
from optimizer.evidence.check import check_evidence
from optimizer.explain.sentences import sentence
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.lookup import (
    has_indexes,
    merchant_decisions,
    merchant_number,
    merchant_row,
    order_row,
)
from optimizer.io.published_tables import as_of_today
from optimizer.night.folders import published_nights
from optimizer.night.merkle import (
    ROWS_IN_PIECE,
    path_to,
    piece_hashes,
    plain_rows,
)
from optimizer.night.publish import sha256_of
from optimizer.night.row_leaves import (
    ROWS_IN_LEAF,
    row_hashes,
    row_leaves,
    row_texts,
)
from optimizer.night.state.database import read_state
from optimizer.night.state.links import decision_groups, read_links, versions_in

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config
    from optimizer.night.state.chain import Link


def find_evidence(
    config: Config, order_id: str, day: dt.date | None = None
) -> dict[str, Any]:
    """
    Collect an order's evidence; reads the rows of its merchant.

    Parameters
    ----------
    config
        With ``output``.
    order_id
        The order.
    day
        The night; left out: the newest published one that has the order.

    Returns
    -------
    dict
        JSON-ready: ``decision`` and ``sentence``, ``rule`` (the policy in force and the
        merchant's cap), ``inputs``, ``history`` of the date, ``proof`` (the rows of its
        merchant, the path from their leaf to the root, the chain to its head), and
        ``findings``: what does not hold, empty where everything does. It shows nothing
        of other merchants but hashes.

    Raises
    ------
    ConfigError
        When the date is not published, or the chain does not know its night yet.
    DataError
        When no such night has the order.
    """
    if config.output is None:
        raise ConfigError("published nights need output in the configuration")
    with read_state(config) as state, state.transaction() as connection:
        links = read_links(connection)
    nights = published_nights(config.output)
    if day is not None and day not in nights:
        raise ConfigError(f"{day} is not published")
    for date in [day] if day else sorted(nights, reverse=True):
        found = _find_row(nights[date], order_id)
        if found is not None:
            return _evidence(nights[date], date, links, order_id, found)
    where = f"the night of {day}" if day else "any published night"
    if is_date(order_id):
        raise DataError(f"{order_id} is a date; name an order by its order_id")
    raise DataError(
        f"order {order_id!r} is not in {where}; it may be in quarantine, or not "
        "have come"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """
    An order's row, as the night has it, and its proof but the path to the root.

    Attributes
    ----------
    row
        The row.
    proof
        Entries of the proof; the leaf is one of them.
    number
        Number of its leaf.
    """

    row: pl.DataFrame
    proof: dict[str, Any]
    number: int


def _find_row(folder: Path, order_id: str) -> _Found | None:
    """Find an order in a night; ``None`` where it is not there."""
    if has_indexes(folder):
        return _of_merchant(folder, order_id)
    return _of_rows(folder, order_id)


def _of_merchant(folder: Path, order_id: str) -> _Found | None:
    """The row, and all rows of its merchant that are hashed with it."""
    row = order_row(folder, order_id)
    if row.height == 0:
        return None
    merchant_id = row["merchant_id"].item()
    mine = merchant_decisions(folder, merchant_id)
    at = mine["order_id"].index_of(order_id)
    number = merchant_number(folder, merchant_id)
    if at is None or number is None:
        raise DataError(
            f"{folder}: its indexes are not of its decisions; they were changed after "
            "it was published: optimizer verify says more"
        )
    piece, position = divmod(at, ROWS_IN_PIECE)
    begin = piece * ROWS_IN_PIECE
    leaf = {
        "merchant_id": merchant_id,
        "num_rows": len(mine),
        "rows": plain_rows(mine[begin : begin + ROWS_IN_PIECE]),
        "position": position,
        "piece": piece,
        "piece_hashes": [found.hex() for found in piece_hashes(mine)],
    }
    return _Found(row, {"leaf": leaf}, number)


def _of_rows(folder: Path, order_id: str) -> _Found | None:
    """The same of a night of an older format, where 128 rows make a leaf."""
    import polars as pl
    import pyarrow.parquet

    name = folder / DECISIONS.file
    with (
        damaged_is_data_error(str(name)),
        pyarrow.parquet.ParquetFile(name, page_checksum_verification=True) as file,
    ):
        first, column = 0, file.schema_arrow.get_field_index("order_id")
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            known = group.column(column).statistics
            if known is None or not known.has_min_max or known.max >= order_id:
                rows = pl.DataFrame(pl.from_arrow(file.read_row_group(number)))
                at = rows["order_id"].index_of(order_id)
                return None if at is None else _row_found(rows, at, first)
            first += group.num_rows
    return None


def _row_found(rows: pl.DataFrame, at: int, first: int) -> _Found:
    start = at - at % ROWS_IN_LEAF
    row, beside = rows[at : at + 1], rows[start : start + ROWS_IN_LEAF]
    columns = [name for name in DECISIONS.column_names if name in rows.columns]
    hashes = [found.hex() for found in row_hashes(beside, columns)]
    leaf = {"row_hashes": hashes, "position": at - start}
    proof = {"row": row_texts(row, columns).item(), "leaf": leaf}
    return _Found(row, proof, (first + start) // ROWS_IN_LEAF)


def _evidence(
    folder: Path, day: dt.date, links: Sequence[Link], order_id: str, own: _Found
) -> dict[str, Any]:
    """Put record, decision and proof together, and check the proof by itself."""
    chain, record = _chain_from(links, day, folder.name), read_record(folder)
    order = own.row.row(0, named=True)
    said = as_of_today(own.row, DECISIONS.file).row(0, named=True)
    merchant = merchant_row(folder, order["merchant_id"])
    leaf = own.proof["leaf"] | {"path": path_to(_leaves(folder), own.number)}
    found = {
        "order_id": order_id,
        "date": day.isoformat(),
        "version": folder.name,
        "decision": order,
        "sentence": sentence(said, merchant),
        "rule": {"policy": record["policy"], "merchant": merchant},
        "inputs": {
            name: [{"path": f["path"], "sha256": f["sha256"]} for f in used["files"]]
            for name, used in record["inputs"].items()
        },
        "history": _history(links, day),
        "proof": own.proof
        | {
            "leaf": leaf,
            "chain": [
                {"number": k.number, "hash": k.hash, "text": k.text} for k in chain
            ],
            "head": {"number": chain[-1].number, "hash": chain[-1].hash},
        },
    }
    return found | {"findings": [*check_evidence(found), *_false_record(folder, chain)]}


def _chain_from(links: Sequence[Link], day: dt.date, version: str) -> list[Link]:
    """The night's link and all that follow."""
    own = [k for k, link in enumerate(links) if versions_in([link]) == {day: version}]
    if not own or "decisions" not in links[own[-1]].body:
        raise ConfigError(
            f"the chain of evidence has no link for {day} ({version}): a run was cut "
            "off, or it is of before there was a chain; the next run adds it, and "
            "optimizer audit says what else is missing"
        )
    return list(links[own[-1] :])


def _leaves(folder: Path) -> list[bytes]:
    name = folder / LEAVES
    if name.is_file():
        try:
            return [bytes.fromhex(line) for line in name.read_text("ascii").split()]
        except ValueError:
            raise DataError(
                f"{name}: is damaged; take it from a copy of the night"
            ) from None
    return row_leaves(decision_groups(folder))[0]  # a night of an older program


def _history(links: Sequence[Link], day: dt.date) -> list[dict[str, Any]]:
    """What happened to a date, in order."""
    names = ("number", "event", "version", "recorded_at_utc")
    return [
        {name: link.body.get(name) for name in names}
        for link in links
        if day in versions_in([link])
    ]


def _false_record(folder: Path, chain: Sequence[Link]) -> list[str]:
    """A finding if the record, with rule and inputs, was changed since publishing."""
    if sha256_of(folder / RECORD) == chain[0].body["outputs"].get(RECORD):
        return []
    return [f"{folder / RECORD} was changed after the night was published"]


def evidence_text(found: dict[str, Any]) -> str:
    """Evidence in lines that a merchant can read."""
    rule, proof = found["rule"], found["proof"]
    policy, merchant, head = rule["policy"], rule["merchant"], proof["head"]
    share = f"{float(policy['cap']['rate']):.2%} of {merchant['num_orders']:,} orders"
    lines = [
        f"order {found['order_id']}, night of {found['date']}: {found['sentence']}",
        f"  reason   {found['decision']['reason']}",
        f"  rule     policy in force since {policy['valid_from']}: at most {share}, "
        f"{merchant['cap']:,} here, of which {merchant['used']:,} were given",
    ]
    lines += [
        f"  input    {name}: {file['path']} (sha256 {file['sha256'][:16]}…)"
        for name, files in found["inputs"].items()
        for file in files
    ]
    lines += [
        f"  event    link {event['number']}, {event['recorded_at_utc']}: "
        f"{event['event']} {event['version'] or ''}".rstrip()
        for event in found["history"]
    ]
    root = json.loads(proof["chain"][0]["text"])["decisions"]["root"]
    lines += [
        f"  proof    one of {_num_rows(proof['leaf']):,} rows of a leaf, "
        f"{len(proof['leaf']['path'])} steps to the root {root}",
        f"  chain    {len(proof['chain'])} of the links, to the head {head['number']}: "
        f"{head['hash']}",
        "  holds    all of it was computed again"
        if not found["findings"]
        else "  DOES NOT HOLD: " + "; ".join(found["findings"]),
    ]
    return "\n".join(lines)


def _num_rows(leaf: dict[str, Any]) -> int:
    return leaf["num_rows"] if "num_rows" in leaf else len(leaf["row_hashes"])
