"""Rows on executors: check, encode and value them, batch by batch."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build import encode
from optimizer.build.changed_ids import IdSample
from optimizer.build.eligibility import apply_rules
from optimizer.build.learned_probabilities import (
    fill_orders,
    order_shares,
)
from optimizer.build.night_lookups import ColumnValues
from optimizer.build.order_day import order_days
from optimizer.build.sendable import without_unsendable
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
from optimizer.spark.packed import (
    CELL_ROWS,
    PACKED,
    in_schema,
    packed_rows,
    shaped,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from optimizer.build.encode import NightCodes
    from optimizer.build.learned_model import LearnedModel
    from optimizer.build.order_day import ServiceDay
    from optimizer.config import Config, Fulfilment, PolicyRow
    from optimizer.io.read import Source

#: What Spark sees of a checked table: good rows packed, the keys of orders' folded ids
#: beside them; and, for the driver, what broke a rule, or was noted of all rows.
CHECKED = (
    f"{PACKED}, folded_keys binary, order_id string, row bigint, "
    "broken_column string, broken_rule string"
)
#: The cell of ``CHECKED`` that has the bytes of a column of orders.
FOLDED = {"folded_keys": "folded_key"}
#: A checked order whose carrier comes from a table of options; shares are those of a
#: model, ``hoped_`` were its effect at the upper end, ``service_day`` (from 1970, in
#: days) where slots are counted by day.
ORDER_ROWS = (
    "order_id string, merchant_id string, region_id string, outlet_id string, "
    "key bigint, status int, ineligible_reason string, "
    "complaint_prob_standard double, return_prob_standard double, "
    "complaint_share double, return_share double, "
    "hoped_complaint_share double, hoped_return_share double, "
    "unseen string, service_day int"
)
#: A checked option; ``row`` of all of them.
OPTION_ROWS = (
    "order_id string, carrier_id string, outlet_id string, "
    "complaint_prob_premium double, return_prob_premium double, row bigint"
)
#: An order with one way to carry it, valued; whether its carrier is ``is_active``, and
#: ``is_option`` where it may be used; ``hoped`` what it would save if the model's
#: effect were at its upper end.
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
    Turn raw orders into ``CHECKED`` rows, which pack ``VALUED_ROWS``.

    Where carriers come from a table of options, they pack ``ORDER_ROWS``.

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
        more: dict[str, pl.Series] = {}
        if rules.counted is not None:
            more["service_day"] = order_days(frame, rules.counted).cast(pl.Int32)
        if not is_choice:
            roster, outboxes = rules.policy.carriers, rules.config.outbox
            orders = without_unsendable(frame, orders, roster, outboxes)
            orders, options = encode.encode_own_carrier(frame, orders, coder, 0)
            saving[options.order] = options.saving
            is_open = _series("", orders.status == encode.OPEN)
            more |= {"is_active": is_open, "is_option": is_open}
            if hopeful is not None:
                bare = frame.with_columns(given.select(*PREMIUM_PROBS))
                filled = fill_orders(bare, hopeful)
                _, options = encode.encode_own_carrier(filled, orders, coder, 0)
                most = np.zeros(len(frame), np.int64)
                most[options.order] = options.saving
                more["hoped"] = _series("", most)
        elif rules.model is not None:
            found = order_shares(frame, rules.model)
            more["complaint_share"] = _series("", found.complaint)
            more["return_share"] = _series("", found.logistics_return)
            found = order_shares(frame, hopeful)
            more["hoped_complaint_share"] = _series("", found.complaint)
            more["hoped_return_share"] = _series("", found.logistics_return)
        return frame.drop("row").with_columns(
            _series("key", orders.key.view(np.int64)),
            _series("folded_key", orders.folded_key.view(np.int64)),
            _series("status", orders.status.astype(np.int32)),
            _series("saving", saving),
            unseen=unseen_by_row(frame, known_names(rules.model)),
            **more,
        )

    values = values_asked(eligibility, is_choice=is_choice)
    schema = ORDER_ROWS if is_choice else VALUED_ROWS
    return _checked(frames, source, schema, encoded, values, beside=FOLDED)


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
    """Turn raw options into ``CHECKED`` rows, which pack ``OPTION_ROWS``."""

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
    beside: Mapping[str, str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """
    Good rows and broken ones; and for the driver what was noted of all, or refused.

    Executors raise nothing that a person caused.
    """
    import polars as pl

    noted, looked = QuarantineLog(), IdSample()
    waiting: list[pl.DataFrame] = []
    columns = ", ".join(
        [schema, *(f"{name} bigint" for name in (beside or {}).values())]
    )
    try:
        for raw in frames:
            log = QuarantineLog()
            kept = check_batch(raw, source, log)
            noted.take(log)
            values.note(kept)
            good = encoded(kept)
            if beside:
                looked.note(good["key"].to_numpy().view(np.uint64), good["order_id"])
            waiting.append(shaped(good, columns))
            broken = log.frame().select(
                pl.col("row") - 1, broken_column="column", broken_rule="rule"
            )
            names = raw.select("row", "order_id")
            named = broken.join(names, "row", how="left", maintain_order="left")
            yield from in_schema(named, CHECKED)
            if sum(map(len, waiting)) >= CELL_ROWS:
                yield from packed_rows(pl.concat(waiting), schema, CHECKED, beside)
                waiting.clear()
        if waiting:
            yield from packed_rows(pl.concat(waiting), schema, CHECKED, beside)
        yield from in_schema(messages(values, noted, looked), CHECKED)
    except OptimizerError as error:
        failed = {"broken_column": FAILED, "broken_rule": str(error)}
        yield from in_schema(pl.DataFrame(failed), CHECKED)


def _series(name: str, values: NDArray[Any]) -> pl.Series:
    import polars as pl

    return pl.Series(name, values)
