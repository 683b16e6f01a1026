"""Rows on executors: check, encode and value them, batch by batch."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build import encode
from optimizer.build.eligibility import apply_rules
from optimizer.build.learned_probabilities import (
    OrderShares,
    StandardRisks,
    fill_options,
    fill_orders,
    order_shares,
)
from optimizer.build.night_lookups import ColumnValues
from optimizer.build.order_day import order_days
from optimizer.build.sendable import is_sendable, without_unsendable
from optimizer.build.unseen_names import known_names, unseen_by_row
from optimizer.build.want_of_knowledge import hopeful_model
from optimizer.config import objective_on
from optimizer.errors import DataError, OptimizerError, counted
from optimizer.io.night_sources import PREMIUM_PROBS
from optimizer.io.plain_frame import plain_frame
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.validate import check_batch
from optimizer.spark.engine_keys import PACKING
from optimizer.spark.noted import FAILED, messages, values_asked

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from optimizer.build.encode import NightCodes
    from optimizer.build.learned_model import LearnedModel
    from optimizer.build.order_day import ServiceDay
    from optimizer.config import Config, Fulfilment, PolicyRow
    from optimizer.io.read import Source

#: What broke a rule, beside the columns of a good row; else null.
BROKEN = "row bigint, broken_column string, broken_rule string"
#: A checked order; ``saving`` where it names its own carrier, ``hoped`` what it would
#: be if the model's effect were at its upper end, ``service_day`` (from 1970, in days)
#: where slots are counted by day.
ORDER_ROWS = (
    "order_id string, merchant_id string, region_id string, carrier_id string, "
    "outlet_id string, key bigint, folded_key bigint, status int, saving bigint, "
    "ineligible_reason string, complaint_prob_standard double, "
    "return_prob_standard double, complaint_share double, return_share double, "
    "hoped bigint, hoped_complaint_share double, hoped_return_share double, "
    "unseen string, service_day int, "
    f"{BROKEN}"
)
#: A checked option; ``row`` of all of them.
OPTION_ROWS = (
    "order_id string, carrier_id string, outlet_id string, "
    f"complaint_prob_premium double, return_prob_premium double, {BROKEN}"
)
#: An order with one way to carry it, valued; whether its carrier is ``is_active``, and
#: ``is_option`` where it may be used.
VALUED_ROWS = (
    "order_id string, merchant_id string, region_id string, carrier_id string, "
    "outlet_id string, key bigint, status int, ineligible_reason string, "
    "saving bigint, is_active boolean, is_option boolean, unseen string, "
    "service_day int, hoped bigint"
)


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """
    Rules of a night for executors, sent with each task.

    Attributes
    ----------
    config, policy
        The rules of the night.
    merchants
        Checked merchants table, where there is one; a task gets it packed.
    day
        The business date, where it was given.
    salt
        Of the order keys.
    model
        The learned model that fills missing probabilities, where there is one.
    fulfilment
        Promise-keeping of the night; ``None``: as it is configured.
    counted
        Which day's slots orders take; ``None``: they are not counted by day. No saving
        depends on it.
    packed
        What rows need of the merchants table; see :meth:`for_rows`.
    """

    config: Config
    policy: PolicyRow
    merchants: pl.DataFrame | None
    day: dt.date | None
    salt: int
    model: LearnedModel | None = None
    fulfilment: Sequence[Fulfilment] | None = None
    counted: ServiceDay | None = None
    packed: bytes = b""

    def for_rows(self) -> Rules:
        """
        Give what tasks need that value rows: merchants unlike others, three columns.

        A task's rows may be of any merchant, and all tasks get the same: of a table
        of 100,000 merchants a tenth of its size.
        """
        import polars as pl

        if self.merchants is None:
            return self
        of_rows = self.merchants.select("merchant_id", "take_up", "is_enrolled")
        others = of_rows.filter((pl.col("take_up") != 1) | ~pl.col("is_enrolled"))
        packed = io.BytesIO()
        others.write_ipc(packed, compression="zstd")
        return replace(self, merchants=None, packed=packed.getvalue())

    def for_blocks(self) -> Rules:
        """Give what tasks need that build blocks: no merchant's settings."""
        return replace(self, merchants=None)

    def coder(self, columns: Iterable[str] = ()) -> NightCodes:
        """Start codes of a task; they never leave the executor."""
        import polars as pl

        from optimizer.build.costs import costs_of

        kept = self.fulfilment
        if kept is None:
            kept = objective_on(self.config, self.policy).fulfilment
        params = encode.CodeParams(
            worth=costs_of(self.config, self.policy),
            roster=self.policy.carriers,
            fulfilment=kept,
            merchants=pl.read_ipc(self.packed) if self.packed else self.merchants,
            columns=columns,
        )
        return encode.make_codes(params, self.salt)


def plain_frames(
    batches: Iterable[pa.RecordBatch], source: Source
) -> Iterator[pl.DataFrame]:
    """Rows of a Spark table, numbered, as frames in the contract's types."""
    for batch in batches:
        if batch.num_rows:
            raw = plain_frame(batch, source.table, source.rules.null_words)
            yield raw.select(*source.columns, "row")


def check_orders(
    frames: Iterator[pl.DataFrame], source: Source, rules: Rules, *, is_choice: bool
) -> Iterator[pa.RecordBatch]:
    """
    Turn raw orders into ``ORDER_ROWS``.

    Parameters
    ----------
    frames
        Rows of the orders table, numbered.
    source
        The columns of the table, and those that it must have.
    rules
        Rules of the night.
    is_choice
        Whether carriers come from an options table.
    """
    import polars as pl

    coder, eligibility = rules.coder(source.columns), rules.policy.eligibility
    hopeful = hopeful_model(rules.model)
    has_reasons = eligibility or {"is_eligible", "ineligible_reason"} & {
        *source.columns
    }

    def encoded(frame: pl.DataFrame) -> pl.DataFrame:
        if has_reasons:
            frame = apply_rules(frame, eligibility)
        given, frame = frame, fill_orders(frame, rules.model)
        orders = encode.encode_orders(frame, coder)
        refuse_packing(orders.load, orders.is_pinned)
        saving = np.zeros(len(frame), np.int64)
        shares, days = {}, {}
        hoped = {}
        if rules.counted is not None:
            days["service_day"] = order_days(frame, rules.counted).cast(pl.Int32)
        if not is_choice:
            roster, outboxes = rules.policy.carriers, rules.config.outbox
            orders = without_unsendable(frame, orders, roster, outboxes)
            orders, options = encode.encode_own_carrier(frame, orders, coder, 0)
            saving[options.order] = options.saving
            if hopeful is not None:
                bare = frame.with_columns(given.select(*PREMIUM_PROBS))
                filled = fill_orders(bare, hopeful)
                _, options = encode.encode_own_carrier(filled, orders, coder, 0)
                most = np.zeros(len(frame), np.int64)
                most[options.order] = options.saving
                hoped["hoped"] = _series("", most)
        elif rules.model is not None:
            found = order_shares(frame, rules.model)
            shares["complaint_share"] = _series("", found.complaint)
            shares["return_share"] = _series("", found.logistics_return)
            found = order_shares(frame, hopeful)
            shares["hoped_complaint_share"] = _series("", found.complaint)
            shares["hoped_return_share"] = _series("", found.logistics_return)
        return frame.drop("row").with_columns(
            _series("key", orders.key.view(np.int64)),
            _series("folded_key", orders.folded_key.view(np.int64)),
            _series("status", orders.status.astype(np.int32)),
            _series("saving", saving),
            unseen=unseen_by_row(frame, known_names(rules.model)),
            **shares,
            **days,
            **hoped,
        )

    values = values_asked(eligibility, is_choice=is_choice)
    return _checked(frames, source, ORDER_ROWS, encoded, values)


def refuse_packing(load: NDArray[np.int64], is_pinned: NDArray[np.bool_]) -> None:
    """
    Refuse loads and pins, which make a packing night.

    Raises
    ------
    DataError
        With how many there are in this batch.
    """
    for count, what in (
        (int(np.sum(load > 1)), "with a load above 1"),
        (int(np.sum(is_pinned)), 'pinned to "must"'),
    ):
        if count:
            raise DataError(f"{counted(count, 'parcel')} {what}: {PACKING}")


def check_options(
    frames: Iterator[pl.DataFrame], source: Source
) -> Iterator[pa.RecordBatch]:
    """Turn raw options into ``OPTION_ROWS``."""

    def plain(frame: pl.DataFrame) -> pl.DataFrame:
        if "load" in source.columns:
            load = frame["load"].fill_null(1).to_numpy()
            refuse_packing(load, np.zeros(0, np.bool_))
        return frame

    return _checked(frames, source, OPTION_ROWS, plain, ColumnValues(()))


def _checked(
    frames: Iterator[pl.DataFrame],
    source: Source,
    schema: str,
    encoded: Callable[[pl.DataFrame], pl.DataFrame],
    values: ColumnValues,
) -> Iterator[pa.RecordBatch]:
    """
    Good rows and broken ones; and for the driver what was noted of all, or refused.

    Executors raise nothing that a person caused.
    """
    import polars as pl

    noted = QuarantineLog()
    try:
        for raw in frames:
            log = QuarantineLog()
            kept = check_batch(raw, source, log)
            noted.take(log)
            values.note(kept)
            good = encoded(kept)
            broken = log.frame().select(
                pl.col("row") - 1, broken_column="column", broken_rule="rule"
            )
            names = raw.select("row", "order_id")
            named = broken.join(names, "row", how="left", maintain_order="left")
            for frame in (good, named):
                yield from in_schema(frame, schema)
        yield from in_schema(messages(values, noted), schema)
    except OptimizerError as error:
        failed = {"broken_column": FAILED, "broken_rule": str(error)}
        yield from in_schema(pl.DataFrame(failed), schema)


def value_options(
    batches: Iterable[pa.RecordBatch], rules: Rules
) -> Iterator[pa.RecordBatch]:
    """Turn orders joined with their options into ``VALUED_ROWS``."""
    import polars as pl

    coder, hopeful = rules.coder(), hopeful_model(rules.model)
    for batch in batches:
        frame = pl.DataFrame(pl.from_arrow(batch))
        if len(frame) == 0:
            continue
        saving, is_active = _values(frame, coder, rules.model, _SHARES)
        if hopeful is not None:
            hoped, _ = _values(frame, coder, hopeful, _HOPED_SHARES)
            frame = frame.with_columns(_series("hoped", hoped))
        is_option = is_active & (frame["status"].to_numpy() == encode.OPEN)
        ids = frame["order_id"], frame["merchant_id"], frame["carrier_id"]
        is_option &= is_sendable(rules.config.outbox, *ids)
        outlet = pl.coalesce("option_outlet_id", "outlet_id")
        valued = frame.with_columns(
            _series("saving", saving),
            _series("is_active", is_active),
            _series("is_option", is_option),
            outlet_id=outlet,
        )
        yield from in_schema(valued, VALUED_ROWS)


def _values(
    frame: pl.DataFrame,
    coder: NightCodes,
    model: LearnedModel | None,
    shares_in: tuple[str, str],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Saving of each row's option, and whether it has one that may be used."""
    saving, is_active = np.zeros(len(frame), np.int64), np.zeros(len(frame), np.bool_)
    has = frame["carrier_id"].is_not_null().to_numpy()
    with_option = frame.filter(has)
    orders = encode.OrderArrays(
        row=np.zeros(0, np.int64),
        key=np.zeros(0, np.uint64),
        folded_key=np.zeros(0, np.uint64),
        merchant=coder.merchants.encode(with_option["merchant_id"]),
        status=with_option["status"].to_numpy().astype(np.uint8),
    )
    basis = encode.encode_basis(with_option, orders, coder)
    ways = with_option.with_columns(outlet_id="option_outlet_id")
    place = np.arange(len(ways))
    if model is not None:
        standard, shares = _of_orders(with_option, shares_in)
        ways = fill_options(ways, place, standard, shares, model)
    options, active = encode.encode_options(ways, place, basis, coder)
    saving[has], is_active[has] = options.saving, active
    return saving, is_active


def _of_orders(
    frame: pl.DataFrame, shares_in: tuple[str, str]
) -> tuple[StandardRisks, OrderShares]:
    """What executors found of the orders before their options came."""
    found = {name: frame[name].to_numpy() for name in shares_in + _STANDARD}
    return (
        StandardRisks(*(found[name] for name in _STANDARD)),
        OrderShares(*(found[name] for name in shares_in)),
    )


_STANDARD = ("complaint_prob_standard", "return_prob_standard")
_SHARES = ("complaint_share", "return_share")
_HOPED_SHARES = ("hoped_complaint_share", "hoped_return_share")


def in_schema(frame: pl.DataFrame, schema: str) -> Iterator[pa.RecordBatch]:
    """Give a frame the columns of a Spark schema, with nulls for missing ones."""
    import pyarrow as pa

    fields = [part.split() for part in schema.split(", ")]
    table = frame.to_arrow()
    columns = [
        table[name].cast(_arrow_type(kind))
        if name in table.column_names
        else pa.nulls(len(frame), _arrow_type(kind))
        for name, kind in fields
    ]
    yield from pa.table(columns, names=[f[0] for f in fields]).to_batches()


def _arrow_type(kind: str) -> pa.DataType:
    import pyarrow as pa

    return {
        "string": pa.string(),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "binary": pa.binary(),
    }[kind]


def _series(name: str, values: NDArray[Any]) -> pl.Series:
    import polars as pl

    return pl.Series(name, values)
