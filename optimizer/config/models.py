"""The configuration as frozen models; unknown keys are refused."""

import datetime as dt
from decimal import Decimal
from statistics import NormalDist
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from optimizer.config.cluster import DatedFolder, Spark, check_places
from optimizer.config.fairness import FairnessRule
from optimizer.config.fields import (
    MAX_WINDOW_DAYS,
    Budget,
    Confidence,
    ConfigModel,
    DatedPath,
    DateSpelling,
    Gap,
    Money,
    Name,
    Positive,
    Priority,
    Quantile,
    Share,
    exact,
    known_zone,
    limits_schema,
    no_flag,
)
from optimizer.config.files import Files
from optimizer.config.learning import Holdout, Learning
from optimizer.config.limits import Limits
from optimizer.config.lookups import Lookups
from optimizer.config.mapping import InputTable, TableOrPath, check_mapping
from optimizer.config.operations import Operations
from optimizer.config.origin import Origin
from optimizer.config.privacy import Privacy
from optimizer.config.report import Report
from optimizer.config.rules import (
    AcceptanceRule,
    EligibilityRule,
    Fulfilment,
    ObjectiveChange,
    Peak,
    State,
)
from optimizer.config.sinks import Outbox, Output
from optimizer.contracts.tables import (
    CAPACITY,
    NIGHT_INPUTS,
    ORDERS,
    OUTCOMES,
    load_column,
)
from optimizer.views import View, listed


class Cap(ConfigModel):
    """How many of a merchant's parcels may be recommended in a day."""

    rate: Share = Field(description="Largest share of a merchant's parcels of the day.")
    base: Literal["all_orders", "eligible_orders"] = Field(
        "all_orders", description="Which of the merchant's orders the share is of."
    )
    rounding: Literal["floor", "carryover", "pooled"] = Field(
        "floor",
        description="Fractions of a parcel: cut off, banked for later nights, or "
        "pooled so that the platform as a whole keeps the rate.",
    )
    window_days: Annotated[int, Field(strict=True, ge=1, le=MAX_WINDOW_DAYS)] = Field(
        30, description="With carryover: days over which the rate holds."
    )
    group: Literal["merchant", "owner"] = Field(
        "merchant",
        description="owner: it also holds for all merchants of an owner together.",
    )


class Payer(ConfigModel):
    """Who bears the fee; the shares add up to 1."""

    merchant: Share = Field(Decimal(1), description="The merchant's share of the fee.")
    platform: Share = Field(Decimal(0), description="The platform's share of the fee.")
    consumer: Share = Field(Decimal(0), description="The buyer's share of the fee.")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.merchant + self.platform + self.consumer != 1:
            raise ValueError("merchant, platform and consumer must add up to 1")
        return self


class Fee(ConfigModel):
    """What the service costs for a parcel."""

    amount_cny: Money = Field(description="Fee for one parcel, CNY; 0 is legal.")
    payer: Payer = Field(default_factory=Payer, description="Who bears the fee.")


class Compensation(ConfigModel):
    """What the carrier pays when it breaks its promise; never in the objective."""

    amount_cny: Money = Field(Decimal(0), description="Paid for one parcel, CNY.")
    payee: Literal["merchant", "recipient"] = Field(
        "merchant", description="Who receives it."
    )


class PolicyRow(ConfigModel):
    """The rules from a date on, until the next row's date."""

    valid_from: dt.date = Field(description="First business date of these rules.")
    cap: Cap = Field(description="Cap on recommended parcels.")
    fee: Fee = Field(description="Fee of the service.")
    compensation: Compensation = Field(
        default_factory=Compensation, description="Claims, for the money report."
    )
    carriers: tuple[Name, ...] = Field(
        min_length=1, description="Codes of the carriers that offer the service."
    )
    subsidy_budget_cny: Budget | None = Field(
        None,
        description="Most that the platform's share of the fees may add up to, CNY.",
    )
    objective: ObjectiveChange = Field(
        default_factory=ObjectiveChange, description="What changes of the objective."
    )
    eligibility: tuple[EligibilityRule, ...] = Field(
        (),
        description="Orders not to recommend; the first match gives the reason.",
    )

    @model_validator(mode="after")
    def _subsidy_is_paid(self) -> Self:
        paid = self.fee.amount_cny * self.fee.payer.platform
        if self.subsidy_budget_cny is not None and paid == 0:
            raise ValueError(
                "subsidy_budget_cny limits nothing where the platform pays no fee: set "
                "fee.payer.platform, or drop the budget"
            )
        return self

    @model_validator(mode="after")
    def _distinct_carriers(self) -> Self:
        if len({name.casefold() for name in self.carriers}) < len(self.carriers):
            raise ValueError("carriers must not name a carrier twice")
        return self


#: Draws from which propensities are counted: steps of one in a hundred.
NUM_DRAWS = 100
NumDraws = Annotated[int, Field(strict=True, ge=10, le=10_000)]


class Objective(ConfigModel):
    """What harm costs. There is no honest default."""

    complaint_cost_cny: Money = Field(description="Harm of one complaint, CNY.")
    return_cost_cny: Money = Field(
        description="Harm of one logistics-reason return, CNY."
    )
    fee_share: Share = Field(
        Decimal(1), description="Share of the fee that counts against the saving."
    )
    fulfilment: tuple[Fulfilment, ...] = Field(
        (), description="Promise-keeping; the most specific row wins, no row means 1."
    )

    explore: Literal["blind", "margin", "thompson", "none"] = Field(
        "blind",
        description="How holdout.explore_share is used: blind, slots for parcels drawn "
        "blind to their saving; margin, coins between parcels just inside and just "
        "outside the plan; none, not at all. Or thompson, without a share: savings are "
        "one draw of what the model knows and does not know.",
    )
    num_draws: NumDraws = Field(
        NUM_DRAWS,
        description="thompson: further draws, from which propensities are counted.",
    )
    relative_error: Share = Field(
        Decimal(0), description="Standard error of harm avoided, as a share of it."
    )
    confidence: Confidence | None = Field(
        None, description="Count harm avoided at this lower bound; left out: the mean."
    )

    @model_serializer(mode="wrap")
    def _without_unstated(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what nights of before did not have."""
        found = handler(self)
        if self.explore == "blind":
            found.pop("explore", None)
        if self.explore != "thompson":
            found.pop("num_draws", None)
        return found

    @model_validator(mode="after")
    def _draws_are_used(self) -> Self:
        if self.num_draws != NUM_DRAWS and self.explore != "thompson":
            raise ValueError(
                "num_draws counts draws of savings, and there are none: set explore to "
                "thompson, or drop num_draws"
            )
        return self

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.confidence is not None and not 0 < self.caution < 1:
            raise ValueError(
                "confidence needs a relative_error above 0, and small enough that "
                "something is left of the harm avoided"
            )
        return self

    @property
    def caution(self) -> float:
        """Share of the harm avoided that is subtracted for the confidence."""
        if self.confidence is None:
            return 0.0
        return NormalDist().inv_cdf(float(self.confidence)) * float(self.relative_error)

    @model_validator(mode="after")
    def _distinct_rows(self) -> Self:
        rows = [(row.carrier_id, row.region_id) for row in self.fulfilment]
        if len(set(rows)) < len(rows):
            raise ValueError("fulfilment must not give a carrier and region twice")
        return self


class Inputs(ConfigModel):
    """Where the tables are: paths or addresses; ``{date}`` is the business date."""

    orders: TableOrPath = Field(
        description="Orders: Parquet, CSV or Arrow; a glob is fine."
    )
    capacity: TableOrPath = Field(description="Capacity rows.")
    options: TableOrPath | None = Field(
        None, description="Carriers that each order may go with."
    )
    merchants: TableOrPath | None = Field(None, description="Facts about merchants.")
    deliveries: TableOrPath | None = Field(
        None, description="What became of parcels of earlier nights."
    )
    wait_minutes: Annotated[
        Decimal, BeforeValidator(exact), Field(ge=0, le=1440), limits_schema(0, 1440)
    ] = Field(Decimal(0), description="Minutes to wait for an input that is late.")
    when_capacity_is_late: Literal["refuse", "yesterdays_capacity"] = Field(
        "refuse",
        description="After the wait: exit with 75, or use the day before's capacity.",
    )

    @property
    def tables(self) -> dict[str, InputTable]:
        """The tables that there are, by name."""
        given = ((table.name, getattr(self, table.name)) for table in NIGHT_INPUTS)
        return {name: table for name, table in given if table is not None}

    @property
    def paths(self) -> dict[str, str]:
        """Where the tables are, by name."""
        return {name: table.path for name, table in self.tables.items()}


class CapacityRules(ConfigModel):
    """How capacity rows are read."""

    uncovered_lanes: Literal["closed", "open"] = Field(
        "closed", description="Lanes without a row: no room, or room for everything."
    )
    attributes: tuple[Name, ...] = Field(
        (),
        description="Further columns of orders and capacity that rows match, such as "
        "vehicle.",
    )
    resources: tuple[Name, ...] = Field(
        (),
        description="What capacity rows count beside slots, such as kg or minutes: a "
        "row names it in the column resource, and orders have a column load_kg, whole "
        "units that a parcel takes.",
    )
    count: Literal["recommendations", "expected", "quantile"] = Field(
        "recommendations",
        description="What a slot counts: all recommendations, the purchases expected "
        "of them, or the purchases that are exceeded with probability 1 - quantile.",
    )
    quantile: Quantile = Field(
        Decimal("0.95"), description="Share of nights in which purchases fit the slots."
    )
    counted_on: Literal["order", "ship", "delivery"] = Field(
        "order", description="Which day's slot a parcel takes."
    )
    lead_days: Annotated[int, Field(strict=True, ge=0, le=60)] = Field(
        0, description="Days until that day, where an order has no date of its own."
    )
    in_flight_days: Annotated[int, Field(strict=True, ge=1, le=60)] = Field(
        7, description="Days after which an undelivered parcel takes no slot any more."
    )
    peaks: tuple[Peak, ...] = Field(
        (), description="Days with more or fewer slots; factors of several multiply."
    )

    @model_validator(mode="after")
    def _new_columns(self) -> Self:
        known = {*ORDERS.column_names, *CAPACITY.column_names}
        for name in self.attributes:
            is_pattern = name == "*" or (name[0], name[-1]) == ("^", "$")
            if is_pattern or name in known or self.attributes.count(name) > 1:
                raise ValueError(
                    f"attributes must name further columns, each once; got {name!r}"
                )
        return self

    @model_validator(mode="after")
    def _resources_are_new(self) -> Self:
        for name in self.resources:
            column = load_column(name)
            is_taken = column in self.attributes or "resource" in self.attributes
            if is_taken or name == "parcels" or self.resources.count(name) > 1:
                raise ValueError(
                    "resources must name units of their own, each once, and no "
                    f"attribute may be called {column} or resource; got {name!r} (rows "
                    "without a resource count the column load)"
                )
        if self.resources and self.counted_on != "order":
            raise ValueError(
                "resources need counted_on: order: what parcels of other nights take "
                "of them is not kept"
            )
        return self

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.counted_on == "order" and self.lead_days:
            raise ValueError("lead_days needs counted_on: ship or delivery")
        return self


class Quarantine(ConfigModel):
    """How many broken rows a night may have."""

    max_share: Share = Field(
        Decimal("0.001"), description="Above this share of broken rows, refuse."
    )


class Solver(ConfigModel):
    """How to solve."""

    method: Literal["auto", "flow", "greedy", "packing", "pricing"] = Field(
        "auto", description="auto picks the fastest exact method."
    )
    time_limit_seconds: Positive = Field(
        Decimal(600),
        description="Wall seconds for the solve; compiling kernels, once on a machine, "
        "is not counted.",
    )
    relative_gap: Gap = Field(
        Decimal(0), description="Stop once the proved gap is at most this; 0: optimum."
    )
    num_threads: Annotated[int, Field(strict=True, ge=1, le=1024)] | None = Field(
        None, description="Threads; left out: one for each core. Same answer always."
    )
    keep_previous: bool = Field(
        False, description="Of equal optima take the one nearest to the previous run."
    )
    memory_gb: Positive | None = Field(
        None,
        description="Memory for a night's arrays, about; what is more is kept in "
        "files in TMPDIR and solved in blocks. Libraries and the rows at hand take up "
        "to 1 GB of any night: less is warned of. Left out: any. Same answer always.",
    )

    @model_validator(mode="after")
    def _takes_blocks(self) -> Self:
        if self.memory_gb is not None and self.method not in ("auto", "pricing"):
            raise ValueError(
                f"memory_gb needs method: auto or pricing; got {self.method}"
            )
        return self


class Publish(ConfigModel):
    """When a plan is good enough."""

    max_relative_gap: Gap = Field(
        Decimal("0.001"), description="A plan proved no better than this is refused."
    )


class Keep(ConfigModel):
    """What of published nights is kept; the rest goes with ``optimizer prune``."""

    versions: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = Field(
        None, description="Versions of a date, the published one counted; none: all."
    )
    days: Annotated[int, Field(strict=True, ge=100, le=100_000)] | None = Field(
        None,
        description="Days before the newest night; older ones are removed. none: all.",
    )


class Config(ConfigModel):
    """Everything that a night is run by."""

    version: Annotated[Literal[1], BeforeValidator(no_flag)] = Field(
        description="Version of this format."
    )
    timezone: Annotated[str, AfterValidator(known_zone)] = Field(
        "Asia/Shanghai", description="Time zone of the business date."
    )
    null_words: tuple[Name, ...] = Field(
        (),
        description="Texts in inputs that mean no value, such as NULL; others of "
        "their kind are refused, and never a name.",
    )
    not_null_words: tuple[Name, ...] = Field(
        (),
        description="Texts that look like no value, or like all, and are names, such "
        "as NA of Namibia.",
    )
    date_formats: tuple[DateSpelling, ...] = Field(
        (), description="Spellings of dates that are read in addition to 2026-11-22."
    )
    privacy: Privacy = Field(
        default_factory=Privacy, description="How personal data is kept out."
    )
    policy: tuple[PolicyRow, ...] = Field(
        min_length=1, description="Dated rules; the row in force on the date applies."
    )
    objective: Objective = Field(description="What is minimised.")
    inputs: Inputs | None = Field(None, description="Tables, for nightly runs.")
    output: DatedFolder | None = Field(
        None, description="Folder of published nights, for nightly runs."
    )
    capacity: CapacityRules = Field(
        default_factory=CapacityRules, description="How capacity rows are read."
    )
    quarantine: Quarantine = Field(
        default_factory=Quarantine, description="Broken rows."
    )
    files: Files = Field(
        default_factory=Files, description="Rights of published files."
    )
    report: Report = Field(
        default_factory=Report, description="How much the report shows."
    )
    limits: Limits = Field(
        default_factory=Limits, description="Sizes beyond which an input is refused."
    )
    lookups: Lookups = Field(
        default_factory=Lookups, description="Names that find nothing."
    )
    solver: Solver = Field(default_factory=Solver, description="How to solve.")
    engine: Literal["local", "spark"] = Field(
        "local", description="Where nightly runs happen: this machine, or a cluster."
    )
    spark: Spark = Field(
        default_factory=Spark, description="Settings of engine: spark."
    )
    publish: Publish = Field(
        default_factory=Publish, description="When a plan is good enough."
    )
    state: State = Field(default_factory=State, description="State that nights share.")
    keep: Keep = Field(
        default_factory=Keep, description="What `optimizer prune` keeps."
    )
    operations: Operations = Field(
        default_factory=Operations, description="Monitoring."
    )
    fairness: tuple[FairnessRule, ...] = Field(
        (), description="Floors and ceilings for groups of merchants or orders."
    )
    pin_priority: Priority = Field(
        0, description="Of orders pinned to must; those of floors are 10."
    )
    on_conflict: Literal["relax", "refuse"] = Field(
        "relax",
        description="Floors and pins that cannot all be kept: keep those of lowest "
        "priority number and list the others, or publish nothing.",
    )

    _origin: Origin = PrivateAttr(default_factory=Origin)

    def model_post_init(self, context: Any, /) -> None:
        """
        Keep where it was read from.

        Parameters
        ----------
        context
            An :class:`Origin` where it is from a file.
        """
        if isinstance(context, Origin):
            self._origin = context

    @property
    def origin(self) -> Origin:
        """Where it was read from."""
        return self._origin

    def __repr__(self) -> str:
        return self._view().text()

    def __str__(self) -> str:
        return self._view().text()

    def _repr_html_(self) -> str:
        return self._view().html()

    def _view(self) -> View:
        row = max(self.policy, key=lambda row: row.valid_from)
        earlier = [old for old in self.policy if old.valid_from != row.valid_from]
        costs = self.objective
        rows = [
            (
                "policy",
                f"from {row.valid_from}: cap {row.cap.rate} ({row.cap.rounding}), fee "
                f"{row.fee.amount_cny} CNY, {listed(row.carriers)}",
            ),
            (
                "harm",
                f"a complaint {costs.complaint_cost_cny} CNY, "
                f"a return {costs.return_cost_cny} CNY",
            ),
        ]
        if self.inputs is not None:
            rows.append(("inputs", listed(self.inputs.tables, 6)))
        if self.output is not None:
            rows.append(("output", str(self.output)))
        known = {"version", "policy", "objective", "inputs", "output"}
        fields = type(self).model_fields.items()
        others = sorted(
            name
            for name, field in fields
            if name not in known
            and getattr(self, name) != field.get_default(call_default_factory=True)
        )
        if others:
            rows.append(("set too", listed(others, 6)))
        more = (
            ("before", f"from {old.valid_from}: cap {old.cap.rate}") for old in earlier
        )
        name = self.origin.name if self.origin.lines else "a mapping"
        return View(f"Config of {name}", tuple(rows), tuple(more))

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        for column in dict.fromkeys(rule.column for rule in self.fairness):
            rules = [
                rule
                for rule in self.fairness
                if rule.column == column and rule.min_share is not None
            ]
            groups = [value for rule in rules for value in rule.group]
            total = sum((rule.min_share or 0 for rule in rules), Decimal(0))
            if total > 1 and len(set(groups)) == len(groups):
                raise ValueError(
                    f"fairness: the min_share of {column} add up to {total}, above 1"
                )
        return self

    acceptance: tuple[AcceptanceRule, ...] = Field(
        (), description="Rules that optimizer accept checks."
    )

    holdout: Holdout = Field(
        default_factory=Holdout,
        description="Randomisation, to measure the effect of premium.",
    )
    model: DatedPath | None = Field(
        None, description="Learned model, where orders have no probabilities."
    )
    learning: Learning = Field(
        default_factory=Learning, description="How outcomes are learned from."
    )

    @model_validator(mode="after")
    def _margin_has_a_share(self) -> Self:
        if self.objective.explore == "margin" and not self.holdout.explore_share:
            raise ValueError(
                "objective.explore: margin needs holdout.explore_share above 0: the "
                "share of the chosen parcels that get a coin"
            )
        return self

    @model_validator(mode="after")
    def _thompson_has_a_model(self) -> Self:
        if self.objective.explore != "thompson":
            return self
        if self.model is None:
            raise ValueError(
                "objective.explore: thompson draws savings from a learned model, and "
                "none is named: set model (optimizer learn makes one), or another way "
                "to explore"
            )
        if self.holdout.explore_share:
            raise ValueError(
                "objective.explore: thompson takes no slots for random parcels: write "
                f"explore_share: 0 under holdout, where {self.holdout.explore_share} "
                "stands (share may stay as it is)"
            )
        return self

    outputs: tuple[Output, ...] = Field(
        (), description="Copies of published tables elsewhere."
    )
    outbox: tuple[Outbox, ...] = Field((), description="Files for platforms.")

    @model_validator(mode="after")
    def _distinct_targets(self) -> Self:
        places = [item.to for item in self.outputs] + [item.to for item in self.outbox]
        if len(set(places)) < len(places):
            raise ValueError("outputs and outbox must not write to one place twice")
        return self

    @model_validator(mode="after")
    def _places_fit_the_engine(self) -> Self:
        paths = {} if self.inputs is None else self.inputs.paths
        given = {f"inputs.{name}": path for name, path in paths.items()}
        check_places(self.engine, given | {"output": self.output})
        return self

    @property
    def mappings(self) -> dict[str, InputTable]:
        """Tables that have other names, words or units than the contract's."""
        tables = {} if self.inputs is None else self.inputs.tables
        if self.learning.history is not None:
            tables[OUTCOMES.name] = self.learning.history
        return {name: table for name, table in tables.items() if table.is_mapped}

    @model_validator(mode="after")
    def _mappings_fit_the_tables(self) -> Self:
        tables = {} if self.inputs is None else self.inputs.tables
        rules = [rule.column for row in self.policy for rule in row.eligibility]
        groups = [rule.column for rule in self.fairness]
        features = [*self.learning.features, *self.learning.categories]
        for name in {*self.learning.features} & {*self.capacity.attributes, *groups}:
            raise ValueError(
                f"learning.features names {name}, which is read as a name for "
                "capacity.attributes or fairness; list it under learning.categories"
            )
        loads = [load_column(name) for name in self.capacity.resources]
        for name in {*loads} & {*groups, *features}:
            raise ValueError(
                f"capacity.resources reads {name} as a load: fairness and learning "
                "cannot name it as well"
            )
        further = {
            "orders": [*rules, *self.capacity.attributes, *groups, *features],
            "capacity": [*self.capacity.attributes, *(["resource"] * bool(loads))],
            "merchants": groups,
        }
        for contract in NIGHT_INPUTS:
            if contract.name in tables:
                kinds = dict.fromkeys(further.get(contract.name, ()), "id")
                if contract.name in ("orders", "options"):
                    kinds |= dict.fromkeys(loads, "count")
                kinds |= {column.name: column.kind for column in contract.columns}
                where = f"inputs.{contract.name}"
                check_mapping(where, tables[contract.name], kinds)
        if self.learning.history is not None:
            kinds = dict.fromkeys(features, "id")
            kinds |= {column.name: column.kind for column in OUTCOMES.columns}
            check_mapping("learning.history", self.learning.history, kinds)
        return self

    @property
    def counts_returns(self) -> bool:
        """Whether a return costs something, on any date."""
        dated = [row.objective.return_cost_cny for row in self.policy]
        return any((self.objective.return_cost_cny, *dated))

    @model_validator(mode="after")
    def _stated_risks_cover_costs(self) -> Self:
        prior = self.learning.prior
        if (
            prior is not None
            and prior.complaint_prob is not None
            and prior.return_prob is None
            and self.counts_returns
        ):
            raise ValueError(
                "learning.prior must state both complaint_prob and return_prob, or "
                "neither: a return costs something (objective.return_cost_cny; with 0 "
                "no return_prob is needed)"
            )
        return self

    @model_validator(mode="after")
    def _words_mean_one_thing(self) -> Self:
        for word in {*self.null_words} & {*self.not_null_words}:
            raise ValueError(
                f"null_words and not_null_words both list {word!r}: drop it from one"
            )
        return self

    @model_validator(mode="after")
    def _one_day_a_date(self) -> Self:
        if {"DD/MM/YYYY", "MM/DD/YYYY"} <= {*self.date_formats}:
            raise ValueError(
                "date_formats must not have DD/MM/YYYY beside MM/DD/YYYY: 03/04/2026 "
                "would be two days"
            )
        return self

    @model_validator(mode="after")
    def _one_row_a_date(self) -> Self:
        dates = [row.valid_from for row in self.policy]
        if len(set(dates)) < len(dates):
            raise ValueError("policy must not have two rows from the same date")
        return self
