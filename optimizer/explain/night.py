"""A solved and certified night, as callers get it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError
from optimizer.views import Shown

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    import polars as pl

    from optimizer.build.night import InputRecord
    from optimizer.certify.certificate import Certificate
    from optimizer.config import PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.explain.plots import Plots
    from optimizer.model.problem import ProblemClass
    from optimizer.model.solution import Termination
    from optimizer.report.page import Page
    from optimizer.views import View


@dataclass(frozen=True, slots=True, eq=False)
class FurtherTables:
    """
    What a night tells beside its orders; see :class:`Night`.

    Attributes
    ----------
    merchants, lanes, recommendations, record, churn, rows, conflicts, draws
        As of the night.
    """

    merchants: pl.DataFrame
    lanes: pl.DataFrame
    recommendations: pl.DataFrame
    record: Mapping[str, Any]
    churn: pl.DataFrame | None
    rows: pl.DataFrame | None
    conflicts: pl.DataFrame | None
    draws: pl.DataFrame | None


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """
    What a night tells of its orders; see :class:`Night`.

    Attributes
    ----------
    orders, warnings, summary, assumptions
        As of the night.
    """

    orders: pl.DataFrame
    warnings: tuple[CodedWarning, ...]
    summary: Mapping[str, Any]
    assumptions: tuple[CodedWarning, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Night(Shown):
    """
    A certified allocation.

    Attributes
    ----------
    orders
        One row for each order that was not quarantined, ascending by ``order_id``:
        ``order_id``, ``merchant_id``, ``is_premium``, ``carrier_id`` (of the chosen
        option, else null), ``saving_cny``, ``reason``, ``margin_cny``, ``has_room``
        (whether there is a slot at all where it could go), ``arm`` and ``propensity``
        (what was randomised). Saving, margin and room are null where the order never
        went to the solver.
    merchants
        ``merchant_id``, ``num_orders``, ``cap``, ``used``, ``slack``,
        ``shadow_price_cny`` (one more slot in the cap brings at most this, and one
        fewer costs at least this).
    lanes
        ``carrier_id``, ``region_id``, ``outlet_id`` (null: all), ``slots``,
        ``used``, ``slack``, ``shadow_price_cny`` (what one more slot would bring; in
        a nest of rows, one more slot in each row along a path brings their sum).
    recommendations
        The chosen orders with the tag and the service code that the platform expects.
    quarantine
        Refused rows: ``source``, ``row``, ``column``, ``rule``; never a value.
    certificate
        What is proved about the plan, in integer micro-CNY.
    termination
        Why the solver stopped; not the same as how good the plan is.
    seconds
        Wall seconds of each stage; a batch of a file is read and checked while the one
        before it is valued.
    peak_memory_bytes
        Peak resident memory of the process by the end of each stage.
    date
        The business date; ``None`` where none was given.
    record
        What the report is made of, as in ``run.json``.
    problem_class
        ``"network"``: the optimum is exact. ``"packing"``: with loads, rows that do
        not nest, floors or pins; the certificate says how good the plan is.
    policy
        The policy row that was in force.
    inputs
        The tables that went in.
    warnings
        What a person should look at: a code and values; ``str`` says it in English.
    summary
        The night in numbers, ready for JSON.
    assumptions
        What its estimates take for true, the saving at the effect's lower 95 % bound
        among them; ``str`` says each in English.
    churn
        With ``previous``: the parcels whose recommendation changed, as ``order_id``,
        ``change`` (``ADDED``, ``REMOVED``, ``MOVED``), ``carrier_id_before`` and
        ``carrier_id_after``; else ``None``.
    rows
        Limits other than caps and lanes, as in ``rows.parquet``; ``None`` without any.
    draws
        Where savings are drawn: ``order_id``, ``saving_cny`` as drawn,
        ``mean_saving_cny``, and ``num_plans``, the plans of all draws that choose it;
        else ``None``.
    conflicts
        Floors and pins that no plan keeps together: ``kind``, ``limit``, ``priority``,
        ``asked``, ``reached``, ``missing``; ``None`` where there are none.
    make_decided, make_further
        Make what is told of the orders; and the tables beside ``orders`` and
        ``quarantine``, and the record; each when one of them is first asked for.
    make_changed
        Makes the night of a change; see :meth:`change`.
    make_churn
        Makes ``churn`` where that takes less than all tables; ``None``: it is one of
        them.
    num_looked_at
        After a repair: merchants whose orders far from their prices were looked at;
        else ``None``.
    """

    quarantine: pl.DataFrame
    certificate: Certificate
    termination: Termination
    seconds: Mapping[str, float]
    peak_memory_bytes: Mapping[str, int]
    date: dt.date | None
    problem_class: ProblemClass
    policy: PolicyRow
    inputs: tuple[InputRecord, ...]
    make_decided: Callable[[], Decided] = field(repr=False)
    make_further: Callable[[], FurtherTables] = field(repr=False)
    make_changed: Callable[..., Night] = field(repr=False)
    make_churn: Callable[[], pl.DataFrame] | None = field(default=None, repr=False)
    num_looked_at: int | None = None

    @cached_property
    def _decided(self) -> Decided:
        return self.make_decided()

    @property
    def orders(self) -> pl.DataFrame:
        """Every order with its decision and its reason."""
        return self._decided.orders

    @property
    def warnings(self) -> tuple[CodedWarning, ...]:
        """What a person should look at."""
        return self._decided.warnings

    @property
    def summary(self) -> Mapping[str, Any]:
        """The night in numbers."""
        return self._decided.summary

    @property
    def assumptions(self) -> tuple[CodedWarning, ...]:
        """What its estimates take for true."""
        return self._decided.assumptions

    @cached_property
    def _further(self) -> FurtherTables:
        return self.make_further()

    @property
    def merchants(self) -> pl.DataFrame:
        """Caps, their use and their value."""
        return self._further.merchants

    @property
    def lanes(self) -> pl.DataFrame:
        """Slots, their use and their value."""
        return self._further.lanes

    @property
    def recommendations(self) -> pl.DataFrame:
        """The chosen orders, as the platform expects them."""
        return self._further.recommendations

    @property
    def record(self) -> Mapping[str, Any]:
        """What the report is made of."""
        return self._further.record

    @cached_property
    def churn(self) -> pl.DataFrame | None:
        """The parcels whose recommendation changed."""
        return self._further.churn if self.make_churn is None else self.make_churn()

    @property
    def rows(self) -> pl.DataFrame | None:
        """Limits other than caps and lanes."""
        return self._further.rows

    @property
    def conflicts(self) -> pl.DataFrame | None:
        """Floors and pins that no plan keeps together."""
        return self._further.conflicts

    @property
    def draws(self) -> pl.DataFrame | None:
        """Drawn savings beside their means."""
        return self._further.draws

    @property
    def decisions(self) -> pl.DataFrame:
        """The orders, by the name of the published table."""
        return self.orders

    @property
    def plot(self) -> Plots:
        """Charts: ``reasons()``, ``lanes()`` and ``margins()``; extra ``plots``."""
        from optimizer.explain.plots import Plots

        return Plots(self.orders.lazy(), self.lanes, self.date)

    def report(self) -> Page:
        """
        Make the report: a page that a notebook shows and ``.save(path)`` writes.

        Raises
        ------
        ConfigError
            When the night has no date.
        """
        from optimizer.contracts import tables
        from optimizer.explain.night_page import night_page

        given = {
            tables.LANE_RESULTS: self.lanes,
            tables.MERCHANT_RESULTS: self.merchants,
            tables.QUARANTINE: self.quarantine,
            tables.ROW_RESULTS: self.rows,
            tables.CONFLICTS: self.conflicts,
            tables.DRAWS: self.draws,
        }
        places = self.recommendations.select("order_id", "region_id")
        orders = self.orders.join(places, on="order_id", how="left")
        return night_page(self.record, given, orders)

    def change(
        self,
        *,
        capacity: Any = None,
        add: Any = None,
        options: Any = None,
        drop: Any = None,
        cancel: Any = None,
        progress: Callable[[str], None] | None = None,
    ) -> Night:
        """
        Solve the night again after a change, from where it stands.

        The result is that of :func:`optimizer.allocate` on the changed tables: the same
        optimum, plan, prices, certificate and reasons. On a night of caps and nested
        lanes only what the change can reach is touched; the certificate is nevertheless
        over all orders, and reasons and tables are made when they are asked for. Any
        other night (loads, pins, floors, draws, a learned model, capacity by day, a
        new place without a capacity row) is built again from the tables that it was
        made of, which must still be what they were.

        Parameters
        ----------
        capacity
            New slots of rows that the night has: a table with the columns of the
            capacity table, or a mapping of carrier, or of ``(carrier, region, outlet)``
            with the end or ``None`` for all, to slots. Other rows keep theirs.
        add
            New orders, a table like the orders table. A row that breaks a rule refuses
            the change.
        options
            The options of the new orders, where the night has an options table.
        drop
            Ids of orders that do not exist any more (a parcel that was recorded twice,
            or under another merchant): the night is as if they had never been in the
            table, so their merchants' caps are shares of fewer orders. A sequence or
            column of ids (a list, numpy, pandas, polars, pyarrow), or a table or path
            with a column ``order_id``. An order that is dropped and added in one change
            is replaced.
        cancel
            Ids, likewise, of orders that are not to be served (intercepted, refunded,
            lost): each stays a parcel of its merchant's day and counts for its cap
            (unless ``cap.base`` is ``eligible_orders``), and is ``INELIGIBLE`` with the
            reason "cancelled".
        progress
            Called with the name of each stage.

        Returns
        -------
        Night
            The changed night; ``churn`` names the parcels that are chosen now and were
            not, and the reverse. It can be changed again. The warnings about its tables
            are those of the night that was changed.

        Raises
        ------
        DataError
            When nothing changes; a part breaks its contract; a row of the capacity
            table or an order is not there, or is there already; an id is repeated.
        SolveError
            As :func:`optimizer.allocate`.

        Examples
        --------
        >>> import optimizer, optimizer.testing as made
        >>> rows = [("a", "m", "north", 5.0), ("b", "m", "north", 3.0)]
        >>> tables = made.make_tables(rows, {"yunda": 1})
        >>> night = optimizer.allocate(
        ...     tables.orders, tables.capacity, config=tables.config
        ... )
        >>> later = night.change(cancel=["a"])
        >>> later.recommendations["order_id"].to_list()
        ['b']
        >>> later.churn.select("order_id", "change").rows()
        [('a', 'REMOVED'), ('b', 'ADDED')]
        """
        return self.make_changed(
            self,
            {
                "capacity": capacity,
                "add": add,
                "options": options,
                "drop": drop,
                "cancel": cancel,
            },
            progress,
        )

    def _view(self) -> View:
        from optimizer.explain.night_view import night_view

        return night_view(
            self.date,
            record=self.record,
            proof=self.certificate,
            warnings=self.warnings,
            assumptions=self.assumptions,
            lanes=self.lanes,
            merchants=self.merchants,
        )

    def explain(self, order_id: str) -> str:
        """
        Say in a sentence what was decided for an order, and why.

        Raises
        ------
        DataError
            When there is no such order in the night, or it is no text.
        """
        from optimizer.explain.sentences import explain_order

        if not isinstance(order_id, str):
            kind = type(order_id).__name__
            raise DataError(f"an order_id is a text, got a value of type {kind}")

        return explain_order(order_id, self.decisions, self.merchants)
