"""
The ledger between nights: the cap bank and the parcels in flight.

A night's part of both is in its published folder (``bank.parquet``,
``commitments.parquet``); the database holds the same rows, by date. All rows of a date
are replaced in one transaction, so that nothing counts twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.build.carryover import EarlierNights
from optimizer.build.lanes import PLACE
from optimizer.config.cap import NANO
from optimizer.contracts.columns import polars_type
from optimizer.contracts.delivery_words import CLOSING
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import IN_FLIGHT
from optimizer.io.published_tables import read_table
from optimizer.night.state.database import lock_transaction
from optimizer.night.state.links import extend

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from sqlalchemy import Connection, Select

    from optimizer.config import CapacityRules, Config, PolicyRow
    from optimizer.night.state.database import StateDatabase

#: Days of bank and commitments that are kept before the newest night: as long as the
#: longest window, and longer than a parcel is in flight.
KEPT_DAYS = 92


@dataclass(frozen=True, slots=True, eq=False)
class Carryover:
    """
    The carry-over of a night from the ledger.

    Attributes
    ----------
    history
        Bank and parcels in flight.
    is_late
        Whether later nights have already used the bank: then this night takes nothing
        from it and adds nothing.
    identity
        Digest of the carry-over from earlier nights; ``None`` where there can be none.
        Later nights do not enter it, so that a rerun of an old date is the same run.
    """

    history: EarlierNights
    is_late: bool
    identity: str | None

    @property
    def digest(self) -> str:
        """Digest of everything that affects the night, including later nights."""
        tables = (self.history.bank, self.history.in_flight)
        return _digest([str(self.is_late), *map(_text, tables)])


def needs_history(config: Config, policy: PolicyRow) -> bool:
    """Whether other nights can affect a night."""
    is_banked = policy.cap.rounding == "carryover"
    return is_banked or config.capacity.counted_on != "order"


def history_days(config: Config, policy: PolicyRow) -> int:
    """The number of days before a night that can affect it."""
    if not needs_history(config, policy):
        return 0
    return max(policy.cap.window_days, config.capacity.in_flight_days)


def load_before(
    state: StateDatabase,
    config: Config,
    policy: PolicyRow,
    day: dt.date,
    closed: pl.DataFrame | None,
) -> Carryover:
    """
    Read the carry-over of a date from other nights.

    Parameters
    ----------
    state
        In line with the published folders.
    config, policy
        Rules that say what is counted, and for how long.
    day
        The date; its own rows do not count.
    closed
        ``order_id`` and ``status`` of parcels that no longer take a slot, as known on
        the date; ``None`` where nothing is known.
    """
    if not needs_history(config, policy):
        return Carryover(EarlierNights(day), is_late=False, identity=None)
    with state.transaction() as connection:
        bank, is_late = None, False
        if policy.cap.rounding == "carryover":
            is_late = _is_late(connection, day)
            bank = _bank_before(connection, day, policy.cap.window_days, is_late)
        rows = None
        if config.capacity.counted_on != "order":
            rows = _commitments(connection, config.capacity, day, closed)
    earlier, others = (None, None) if rows is None else _in_flight(rows, day)
    identity = _digest([str(is_late), _text(bank), _text(earlier)])
    return Carryover(EarlierNights(day, others, bank), is_late, identity)


def parcels_before(state: StateDatabase, config: Config, day: dt.date) -> set[str]:
    """
    Order ids of parcels that nights before a date had in flight, or due of late.

    Parameters
    ----------
    state
        In line with the published folders.
    config
        Says for how long a parcel is in flight.
    day
        The date.
    """
    from sqlalchemy import select

    from optimizer.night.state.schema import COMMITMENTS as TABLE

    first = day - dt.timedelta(days=config.capacity.in_flight_days)
    query = select(TABLE.c.order_id).where(
        TABLE.c.service_date >= first, TABLE.c.date < day
    )
    with state.transaction() as connection:
        return {*connection.scalars(query)}


def refuse_if_relied_on(state: StateDatabase, day: dt.date, what: str) -> None:
    """
    Refuse to change a night whose fractions later nights have used.

    Raises
    ------
    ConfigError
        Naming the last of them.
    """
    from sqlalchemy import func, select

    from optimizer.errors import ConfigError
    from optimizer.night.state.schema import BANK

    newest = select(func.max(BANK.c.date))
    own = select(func.count()).select_from(BANK).where(BANK.c.date == day)
    with state.transaction() as connection:
        last, num_own = connection.scalar(newest), connection.scalar(own)
    if num_own and last is not None and last > day:
        raise ConfigError(
            f"{day} cannot be {what}: nights up to {last} have used what it carried "
            "over. Withdraw them first, the newest first (optimizer rollback DATE "
            "--withdraw), then run them again in order (optimizer backfill)"
        )


def settle(
    state: StateDatabase, day: dt.date, folder: Path | None, *, is_pruned: bool = True
) -> None:
    """
    Update a date's rows and the chain of evidence to match its published folder.

    A second call changes nothing.

    Parameters
    ----------
    state
        The database.
    day
        The date.
    folder
        Its published version; ``None``: it is not published any more.
    is_pruned
        Also remove rows that are too old to be needed.
    """
    from sqlalchemy import delete, insert

    from optimizer.night.state.schema import BANK, COMMITMENTS, NIGHTS

    rows = [] if folder is None else _rows_of(day, folder)
    with state.transaction() as connection:
        for table in (NIGHTS, COMMITMENTS, BANK):
            connection.execute(delete(table).where(table.c.date == day))
        for name, values in rows:
            if values:
                connection.execute(insert(name), values)
        if is_pruned:
            _forget_old(connection)
        if state.mirror is not None:
            if state.is_shared:
                lock_transaction(connection, "evidence")
            extend(connection, state.mirror, day, folder)


def _rows_of(day: dt.date, folder: Path) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Rows of each table that follow from a published night."""
    import polars as pl

    from optimizer.night.state.schema import BANK, COMMITMENTS, NIGHTS

    record, date = read_record(folder), pl.lit(day).alias("date")
    numbers = record["summary"]
    night = {
        "date": day,
        "version": folder.name,
        "published_at_utc": record["run_measurements"]["started_at_utc"],
        "config_sha256": record["identity"]["config_sha256"],
        "num_orders": numbers["num_orders"],
        "num_chosen": numbers["num_chosen"],
        "saving_micro_cny": record["certificate"]["primal_bound"],
    }
    slots = read_table(folder, "commitments.parquet").drop_nulls("service_date")
    bank = read_table(folder, "bank.parquet").drop("carried_in_nano", "room_nano")
    if record.get("is_late", False):
        bank = bank.clear()
    return [
        (NIGHTS, [night]),
        (COMMITMENTS, slots.select(date, pl.all()).to_dicts()),
        (BANK, bank.select(date, pl.all()).to_dicts()),
    ]


def published_history(folder: Path, day: dt.date) -> EarlierNights:
    """The carry-over of a night, as published with it."""
    tables = (read_table(folder, f"{name}.parquet") for name in ("in_flight", "bank"))
    return EarlierNights(day, *tables)


def _forget_old(connection: Connection) -> None:
    """Drop rows that no future night can need."""
    from sqlalchemy import delete, func, select

    from optimizer.night.state.schema import BANK, COMMITMENTS, NIGHTS

    newest = connection.scalar(select(func.max(NIGHTS.c.date)))
    if newest is None:
        return
    limit = newest - dt.timedelta(days=KEPT_DAYS)
    connection.execute(delete(BANK).where(BANK.c.date < limit))
    is_past = (COMMITMENTS.c.service_date < limit) & (COMMITMENTS.c.date < limit)
    connection.execute(delete(COMMITMENTS).where(is_past))


def _is_late(connection: Connection, day: dt.date) -> bool:
    """Whether the bank has later nights but not this one."""
    from sqlalchemy import func, select

    from optimizer.night.state.schema import BANK

    count = select(func.count()).select_from(BANK)
    later = connection.scalar(count.where(BANK.c.date > day))
    return bool(later) and not connection.scalar(count.where(BANK.c.date == day))


def _bank_before(
    connection: Connection, day: dt.date, window_days: int, is_late: bool
) -> pl.DataFrame:
    """Fraction carried, and room in the window, of each merchant with nights in it."""
    import polars as pl
    from sqlalchemy import select

    from optimizer.night.state.schema import BANK

    first = day - dt.timedelta(days=window_days - 1)
    columns = BANK.c.date, BANK.c.merchant_id, BANK.c.earned_nano, BANK.c.granted
    query = select(*columns, BANK.c.carried_out_nano).where(
        BANK.c.date >= first, BANK.c.date < day
    )
    types = {"date": pl.Date, "merchant_id": pl.String}
    counts = dict.fromkeys(("earned_nano", "granted", "carried_out_nano"), pl.Int64)
    rows = _frame(connection, query, types | counts).sort("merchant_id", "date")
    left = pl.col("earned_nano") - pl.col("granted") * NANO
    carried = pl.lit(0, pl.Int64) if is_late else pl.col("carried_out_nano").last()
    return (
        rows.group_by("merchant_id", maintain_order=True)
        .agg(carried_in_nano=carried, room_nano=left.sum())
        .sort("merchant_id")
    )


def _commitments(
    connection: Connection,
    rules: CapacityRules,
    day: dt.date,
    closed: pl.DataFrame | None,
) -> pl.DataFrame:
    """Slots of other nights' parcels from a date on; overdue ones on the date."""
    import polars as pl
    from sqlalchemy import select

    from optimizer.night.state.schema import COMMITMENTS as TABLE

    # Only where deliveries are told can a parcel be known to be late.
    is_told = closed is not None and rules.counted_on == "delivery"
    first = day - dt.timedelta(days=rules.in_flight_days * is_told)
    query = select(TABLE).where(TABLE.c.service_date >= first, TABLE.c.date != day)
    types = {name: polars_type(kind) for name, kind in PLACE.items()}
    names = {"date": pl.Date, "order_id": pl.String} | types | {"load": pl.Int64}
    rows = _frame(connection, query, names)
    if closed is not None:
        freed = closed.filter(pl.col("status").is_in(CLOSING[rules.counted_on]))
        rows = rows.join(freed, on="order_id", how="anti")
    return rows.with_columns(
        service_date=pl.max_horizontal("service_date", pl.lit(day)).cast(pl.Date)
    )


def _in_flight(rows: pl.DataFrame, day: dt.date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Slots by place and day: of earlier nights, and of all others."""
    import polars as pl

    schema = {c.name: polars_type(c.kind) for c in IN_FLIGHT.columns}

    def counted(part: pl.DataFrame) -> pl.DataFrame:
        sums = part.group_by(list(PLACE)).agg(num_slots=pl.col("load").sum())
        typed = sums.select(pl.col(name).cast(kind) for name, kind in schema.items())
        return typed.sort(list(PLACE), nulls_last=False)

    return counted(rows.filter(pl.col("date") < day)), counted(rows)


def _frame(
    connection: Connection, query: Select[Any], schema: dict[str, Any]
) -> pl.DataFrame:
    import polars as pl

    rows = [tuple(row) for row in connection.execute(query)]
    return pl.DataFrame(rows, schema, orient="row")


def _text(table: pl.DataFrame | None) -> str:
    return "" if table is None else table.write_csv()


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
