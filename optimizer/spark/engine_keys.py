"""
What each engine does with each key of the configuration and each column of an input.

The one list of it: refusals are made from it, and so is the page of the reference. A
key that is not in it is a bug, which a test finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.config import Config
from optimizer.config.fields import ConfigModel
from optimizer.contracts.tables import NIGHT_INPUTS, OUTCOMES
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from optimizer.config import PolicyRow

    _Entries = tuple["Refused | ByDriver | Irrelevant", ...]

#: What to do instead, where nothing nearer is known.
LOCAL = "run with engine: local"
ALONE = (
    "executors do not solve it; by `optimizer run` the driver decides it alone, or "
    f"{LOCAL}"
)
NO_STATE = "which only a state tells; name a database in state.url"
_PACKING_NIGHT = "that makes a packing night"
PACKING = f"{_PACKING_NIGHT}; {ALONE}"


@dataclass(frozen=True, slots=True)
class Refused:
    """
    A key or column, or a whole section of them, that a cluster refuses.

    Attributes
    ----------
    name
        Such as ``solver.method``; of a column ``orders.load``.
    instead
        Why, and what to do instead.
    takes
        Values that it takes all the same; the default value always.
    only_far
        Whether it is refused only where the driver does not see the night's files.
    by_state
        Whether far nights honour it, too, where ``state.url`` is configured.
    """

    name: str
    instead: str
    takes: tuple[str, ...] = ()
    only_far: bool = False
    by_state: bool = False

    @property
    def is_near(self) -> bool:
        """Whether nights whose files the driver sees honour it."""
        return self.only_far


@dataclass(frozen=True, slots=True)
class ByDriver:
    """
    A key or column with which the driver decides a night by itself.

    Attributes
    ----------
    name
        As of :class:`Refused`.
    what
        What it asks for.
    takes
        Values that executors take all the same; the default value always.
    """

    name: str
    what: str = _PACKING_NIGHT
    takes: tuple[str, ...] = ()

    @property
    def instead(self) -> str:
        """What is said of it where there are executors alone."""
        return f"{self.what}; {ALONE}"


@dataclass(frozen=True, slots=True)
class Irrelevant:
    """
    A key or column, or a whole section of them, that changes nothing on a cluster.

    Attributes
    ----------
    name
        As of :class:`Refused`.
    why
        Why that is right.
    only_far
        Whether it is honoured where the driver sees the night's files.
    by_state
        Whether far nights honour it, too, where ``state.url`` is configured.
    """

    name: str
    why: str
    only_far: bool = False
    by_state: bool = False

    @property
    def is_near(self) -> bool:
        """Whether nights whose files the driver sees honour it."""
        return self.only_far


_TABLES = ("orders", "capacity", "options", "merchants")
_MAPPED = ("path", "columns", "values", "constants", "units", "wrapped", "decimal")
_LEARN = "`optimizer learn` reads it, which runs on one machine whatever the engine"

#: What to do where a lakehouse's table has other names than the contract.
BY_VIEW = (
    "give a path without columns, values and the like, and let a view of the lakehouse "
    f"rename them, or {LOCAL}"
)
#: What is said of keys that are honoured; of a lakehouse's tables, of executors.
SAID_OF_HONOURED = {
    **{
        f"inputs.{table}.{name}": f"of a lakehouse's table refused: {BY_VIEW}"
        for table in ("orders", "options")
        for name in _MAPPED
        if name != "path"
    },
    **dict.fromkeys(
        ("limits.num_rows", "limits.line_bytes", "limits.unpacked_times"),
        "of files; tables of a lakehouse are not bounded by it",
    ),
    "solver.relative_gap": "executors stop at the optimum alone",
    "publish.max_relative_gap": "executors give the proved optimum, or nothing",
}

#: Keys that do on a cluster what they do on one machine.
HONOURED_KEYS = (
    *("version", "timezone", "null_words", "not_null_words", "date_formats"),
    *("privacy.allow.columns", "privacy.allow.reason", "policy.valid_from"),
    *("policy.cap.rate", "policy.cap.base", "policy.fee.amount_cny"),
    *(f"policy.fee.payer.{who}" for who in ("merchant", "platform", "consumer")),
    *("policy.compensation.amount_cny", "policy.compensation.payee"),
    "policy.carriers",
    *(
        f"{place}{name}"
        for place in ("policy.objective.", "objective.")
        for name in (
            *("complaint_cost_cny", "return_cost_cny", "fee_share"),
            *("fulfilment.carrier_id", "fulfilment.region_id"),
            "fulfilment.probability",
        )
    ),
    *("objective.relative_error", "objective.confidence"),
    *(
        f"policy.eligibility.{name}"
        for name in (
            *("column", "is", "is_not", "in", "not_in", "is_missing", "below"),
            *("above", "reason"),
        )
    ),
    *(f"inputs.{table}.{name}" for table in _TABLES for name in _MAPPED),
    *(
        f"inputs.{table}.{name}"
        for table in ("capacity", "merchants")
        for name in ("encoding", "sheet")
    ),
    *("output", "capacity.uncovered_lanes", "capacity.counted_on"),
    "capacity.lead_days",
    *(f"capacity.peaks.{name}" for name in ("from", "to", "factor", "carriers")),
    "quarantine.max_share",
    *(f"limits.{name}" for name in ("num_rows", "num_columns", "line_bytes")),
    *("limits.unpacked_times", "limits.broken_rows_in_a_row"),
    *("lookups.warn_below", "lookups.refuse_below"),
    *("solver.time_limit_seconds", "solver.num_threads"),
    *("engine", "spark.table_format", "spark.rows_per_block"),
    *("operations.logs", "operations.metrics", "operations.lineage"),
    "operations.alerts.quarantine_share",
    *("holdout.share", "holdout.explore_share", "holdout.seed", "holdout.unit"),
    *("model", "learning.features", "learning.categories"),
    *("report.max_orders", "state.url"),
    *("inputs.wait_minutes", "inputs.when_capacity_is_late", "solver.keep_previous"),
    *("operations.alerts.input_change", "operations.alerts.dead_lane_nights"),
    *(
        f"operations.alerts.splitting.{name}"
        for name in ("columns", "below_cny", "group_size")
    ),
    *("outputs.table", "outputs.to", "objective.num_draws", "capacity.quantile"),
    *("solver.relative_gap", "publish.max_relative_gap"),
    *("pin_priority", "on_conflict"),
    *(f"outbox.{name}" for name in ("platform", "format", "to")),
)
#: Keys that are refused, or some of whose values are.
REFUSED_KEYS = (
    Refused(
        "policy.cap.rounding",
        f"carryover counts on other nights, {NO_STATE}, let it be floor or pooled, or "
        f"{LOCAL}",
        ("floor", "pooled"),
        only_far=True,
        by_state=True,
    ),
    Refused(
        "inputs.deliveries",
        f"it frees slots of other nights, {NO_STATE}, or {LOCAL}",
        only_far=True,
        by_state=True,
    ),
    Refused(
        "files.mode",
        "the rights of what executors write are those of their file system; set them "
        "there (of a folder, a bucket, or by fs.permissions.umask-mode)",
        only_far=True,
    ),
    Refused(
        "solver.memory_gb",
        "what executors keep is bounded by spark.rows_per_block; leave it out",
    ),
)
#: Keys, or some values of them, that executors do not solve: the driver does, alone.
DRIVER_KEYS = (
    ByDriver("policy.cap.group", f"owner: {_PACKING_NIGHT}"),
    ByDriver("policy.subsidy_budget_cny"),
    ByDriver(
        "objective.explore",
        "thompson: savings that are drawn",
        ("blind", "margin", "none"),
    ),
    ByDriver("capacity.attributes"),
    ByDriver("capacity.resources"),
    ByDriver("capacity.count", f"expected and quantile: {_PACKING_NIGHT}"),
    ByDriver(
        "solver.method", "any but auto and pricing, by prices", ("auto", "pricing")
    ),
    ByDriver("fairness"),
)
#: Keys that change nothing.
IRRELEVANT_KEYS = (
    Irrelevant(
        "policy.cap.window_days",
        "of carryover, which is refused",
        only_far=True,
        by_state=True,
    ),
    *(
        Irrelevant(
            f"inputs.{table}.{name}",
            "orders and options are Parquet; of a lakehouse's table it is refused",
        )
        for table in ("orders", "options")
        for name in ("encoding", "sheet")
    ),
    Irrelevant(
        "capacity.in_flight_days",
        "such nights know no parcels of others",
        only_far=True,
        by_state=True,
    ),
    Irrelevant("keep", "`optimizer prune` removes nights that it sees alone", True),
    Irrelevant("acceptance", "`optimizer accept` reads nights that it sees", True),
    *(
        Irrelevant(f"learning.{name}", _LEARN)
        for name in (
            *("history", "models", "regime_breaks", "prior", "contract_kept_share"),
            *("max_complaints_per_customer", "maturity_days", "confidence", "days"),
        )
    ),
)
#: Columns of the inputs that a cluster refuses, or some of whose values it does.
REFUSED_COLUMNS = (
    Refused(
        "deliveries",
        "of inputs.deliveries, which is refused",
        only_far=True,
        by_state=True,
    ),
)
#: Columns, some of whose values executors do not solve: the driver does, alone.
DRIVER_COLUMNS = (
    ByDriver("orders.load", f"above 1: {_PACKING_NIGHT}"),
    ByDriver("orders.pin", f'"must": {_PACKING_NIGHT}'),
    ByDriver("options.load", f"above 1: {_PACKING_NIGHT}"),
    ByDriver("capacity.min_parcels", f"above 0: {_PACKING_NIGHT}"),
)
#: Columns that change nothing.
IRRELEVANT_COLUMNS = (Irrelevant("outcomes", _LEARN),)
#: Keys and columns that are not simply honoured.
OTHER_KEYS: _Entries = (*REFUSED_KEYS, *DRIVER_KEYS, *IRRELEVANT_KEYS)
OTHER_COLUMNS: _Entries = (*REFUSED_COLUMNS, *DRIVER_COLUMNS, *IRRELEVANT_COLUMNS)


def config_keys() -> tuple[str, ...]:
    """Every key of the configuration that holds no further keys, with its sections."""
    return tuple(dict.fromkeys(_keys(Config, "")))


def input_columns() -> tuple[str, ...]:
    """Every column of a table that is read, with its table."""
    tables = (*NIGHT_INPUTS, OUTCOMES)
    return tuple(f"{table.name}.{c.name}" for table in tables for c in table.columns)


def _keys(model: type[ConfigModel], place: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = list(_sections(field.annotation))
        where = f"{place}{field.alias or name}"
        if not inner:
            yield where
        for section in inner:
            yield from _keys(section, f"{where}.")


def _sections(annotation: Any) -> Iterator[type[ConfigModel]]:
    """Models that a key may hold."""
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def said_of(
    name: str, entries: Iterable[Refused | ByDriver | Irrelevant]
) -> Refused | ByDriver | Irrelevant | None:
    """
    What the lists say of a name.

    Parameters
    ----------
    name
        Of a key or a column.
    entries
        Of the lists.

    Returns
    -------
    Refused, ByDriver, Irrelevant or None
        Of it, or of a section around it; ``None``: it is honoured.
    """
    found = {entry.name: entry for entry in entries}
    parts = name.split(".")
    around = [".".join(parts[:num]) for num in range(len(parts), 0, -1)]
    return next((found[place] for place in around if place in found), None)


def refuse_keys(config: Config, policy: PolicyRow, *, is_near: bool = True) -> None:
    """
    Refuse rules that a cluster does not support: they would be silently ignored.

    Parameters
    ----------
    config
        Of the night.
    policy
        The row in force; others may ask for anything.
    is_near
        Whether the driver sees the inputs, and where the night is published.

    Raises
    ------
    ConfigError
        Naming each key, and what to do instead.
    """
    found = [
        entry
        for entry in REFUSED_KEYS
        if not (is_near and entry.is_near)
        and not (entry.by_state and config.state.url is not None)
        and _is_asked(entry, config, policy)
    ]
    _refuse(found)


def refuse_of_executors(config: Config, policy: PolicyRow) -> None:
    """
    Refuse what executors do not do, whoever sees the files.

    Parameters
    ----------
    config, policy
        Of the night.

    Raises
    ------
    ConfigError
        Naming each key, and what to do instead.
    """
    refuse_keys(config, policy)
    _refuse(of_driver(config, policy))


def of_driver(config: Config, policy: PolicyRow) -> list[ByDriver]:
    """
    Keys for which the driver decides a night by itself.

    Parameters
    ----------
    config, policy
        Of the night.
    """
    return [entry for entry in DRIVER_KEYS if _is_asked(entry, config, policy)]


def _refuse(found: Sequence[Refused | ByDriver]) -> None:
    if found:
        said = "; ".join(f"{entry.name}: {entry.instead}" for entry in found)
        raise ConfigError(f"engine: spark does not take {said}")


def _is_asked(entry: Refused | ByDriver, config: Config, policy: PolicyRow) -> bool:
    """Whether a key has another value than those that a cluster takes."""
    first, *rest = entry.name.split(".")
    of_policy = first == "policy"
    around: Any = policy if of_policy else config
    *sections, name = rest if of_policy else (first, *rest)
    for section in sections:
        around = getattr(around, section)
        if around is None:
            return False
    usual = type(around).model_fields[name].get_default(call_default_factory=True)
    value = getattr(around, name)
    return value != usual and value not in entry.takes


def engines_markdown() -> str:
    """The lists for docs/reference/engines.md; a test keeps the two equal."""
    keys = _rows(config_keys(), OTHER_KEYS)
    columns = _rows(input_columns(), OTHER_COLUMNS)
    return "\n\n".join(
        f"## {title}\n\n| {what} | one machine | Spark | |\n|---|---|---|---|\n"
        + "\n".join(rows)
        for title, what, rows in (
            ("Keys of the configuration", "key", keys),
            ("Columns of the inputs", "column", columns),
        )
    )


def _rows(names: tuple[str, ...], entries: _Entries) -> Iterator[str]:
    """A row for each name, or for the section that is treated as one."""
    rows: dict[str, str] = {}
    for name in names:
        entry = said_of(name, entries)
        shown = name if entry is None else entry.name
        alone = "irrelevant" if name.startswith("spark.") else "honoured"
        rows[shown] = f"| `{shown}` | {alone} | {_told(entry, shown)} |"
    yield from rows.values()


def _told(entry: Refused | ByDriver | Irrelevant | None, name: str) -> str:
    if entry is None:
        return f"honoured | {SAID_OF_HONOURED.get(name, '')}"
    if isinstance(entry, ByDriver):
        return f"honoured | by the driver alone ({entry.what})"
    near = "honoured near; far " if entry.is_near else ""
    if entry.by_state:
        near = "honoured near, and far with `state.url`; far without it "
    if isinstance(entry, Irrelevant):
        return f"{near}irrelevant | {entry.why}"
    takes = f", but for {', '.join(entry.takes)}" if entry.takes else ""
    return f"{near}refused{takes} | {entry.instead}"
