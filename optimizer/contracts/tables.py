"""Every input and output column, once: name, kind, unit and meaning."""

from __future__ import annotations

from optimizer.contracts.columns import Column, Engine, Table

BOTH: tuple[Engine, ...] = ("local", "spark")

_ORDER_ID = Column("order_id", "id", "the parcel; no personal data", is_required=True)
_MERCHANT_ID = Column("merchant_id", "id", "the merchant", is_required=True)
_CARRIER_ID = Column("carrier_id", "id", "carrier code, such as zhongtong")

ORDERS = Table(
    "orders",
    "one row for each parcel of the day",
    (
        _ORDER_ID,
        _MERCHANT_ID,
        Column("carrier_id", "id", "carrier code; required without an options table"),
        Column("region_id", "id", "delivery region", is_required=True),
        Column("outlet_id", "id", "last-mile outlet"),
        Column("category_id", "id", "category of the goods, for a learned model"),
        Column("order_value_cny", "money", "value of the goods"),
        Column(
            "complaint_prob_standard",
            "probability",
            "probability of a complaint on standard service; required without a model",
        ),
        Column(
            "complaint_prob_premium",
            "probability",
            "likewise on premium service; required without options table or model",
        ),
        Column(
            "return_prob_standard",
            "probability",
            "probability of a logistics-reason return on standard service; likewise",
        ),
        Column(
            "return_prob_premium",
            "probability",
            "likewise on premium service; required without options table or model",
        ),
        Column("is_eligible", "flag", "whether it may be recommended", default=True),
        Column("ineligible_reason", "text", "why it may not"),
        Column("load", "count", "slots that it takes", default=1, minimum=1),
        Column("pin", "pin", '"never" keeps it out, "must" has it chosen if it can be'),
        Column("ship_date", "date", "day on which it is shipped"),
        Column("delivery_date", "date", "day on which it is to be delivered"),
    ),
    key=("order_id",),
)
OPTIONS = Table(
    "options",
    "one row for each carrier that an order may go with",
    (
        _ORDER_ID,
        Column("carrier_id", "id", "carrier code", is_required=True),
        Column("outlet_id", "id", "that carrier's outlet; the order's own if missing"),
        Column(
            "complaint_prob_premium",
            "probability",
            "probability of a complaint on premium service with this carrier; required "
            "without a model",
        ),
        Column(
            "return_prob_premium",
            "probability",
            "probability of a logistics-reason return likewise",
        ),
        Column(
            "load",
            "count",
            "slots that it takes with this carrier; the order's own if missing",
            minimum=1,
        ),
    ),
    key=("order_id", "carrier_id"),
    when="optional",
)
CAPACITY = Table(
    "capacity",
    "one row for each limit: parcels that a carrier takes, in total or in a place",
    (
        Column(
            "carrier_id",
            "id",
            "carrier code; null, or no such column: all carriers together",
            is_nullable=True,
        ),
        Column("region_id", "id", "region; null: all regions"),
        Column("outlet_id", "id", "outlet; null: all outlets"),
        Column(
            "slots",
            "count",
            "slots that it has in a day: parcels, or units of their load",
            is_required=True,
        ),
        Column("service_date", "date", "day of the slots; null: any day"),
        Column("min_parcels", "count", "least number of parcels"),
        Column(
            "penalty_cny",
            "money",
            "for each parcel below min_parcels, CNY; null: kept at any price",
        ),
        Column("priority", "count", "of min_parcels; lower is kept first; 10"),
    ),
    key=("carrier_id", "region_id", "outlet_id", "service_date"),
)
MERCHANTS = Table(
    "merchants",
    "one row for each merchant with settings of its own",
    (
        _MERCHANT_ID,
        Column("num_orders", "count", "parcels of the whole day", minimum=1),
        Column(
            "take_up", "probability", "share of recommendations bought", default=1.0
        ),
        Column("is_enrolled", "flag", "whether it takes part", default=True),
        Column("cap_override", "count", "parcels instead of the policy's cap"),
        Column(
            "daily_budget_cny", "money", "most that its share of the fees may add up to"
        ),
        Column("owner_id", "id", "who owns it; owners may share a cap"),
    ),
    key=("merchant_id",),
    when="optional",
)

DELIVERIES = Table(
    "deliveries",
    "delivery outcomes of parcels that earlier nights recommended",
    (
        _ORDER_ID,
        Column(
            "status",
            "text",
            '"delivered" or "cancelled" frees its slot, any other word does not',
            is_required=True,
        ),
        Column("date", "date", "since when", is_required=True),
    ),
    when="optional",
)

OUTCOMES = Table(
    "outcomes",
    "one row for each past decision, and what happened",
    (
        _ORDER_ID,
        Column("date", "date", "business date of the decision", is_required=True),
        _MERCHANT_ID,
        Column("carrier_id", "id", "who carried it", is_required=True),
        Column("region_id", "id", "delivery region", is_required=True),
        Column("category_id", "id", "category of the goods"),
        Column("customer_key", "id", "salted hash, to limit serial complainers"),
        Column("order_value_cny", "money", "value of the goods"),
        Column("complaint_prob_standard", "probability", "as the platform had it"),
        Column("return_prob_standard", "probability", "as the platform had it"),
        Column("take_up", "probability", "chance that it is bought", default=1.0),
        Column(
            "is_premium",
            "flag",
            "whether it was recommended; may be left out with learning.prior where "
            "no parcel was",
            default=False,
        ),
        Column("is_bought", "flag", "whether the merchant then bought it; null: yes"),
        Column("propensity", "probability", "probability of that, from the decisions"),
        Column("arm", "text", "policy, explore or margin, from the decisions"),
        Column("saving_cny", "number", "what it was to save, from the decisions"),
        Column(
            "mean_saving_cny",
            "number",
            "where savings were drawn: the mean of it, from the night's draws",
        ),
        Column("has_room", "flag", "whether a lane had a slot, from the decisions"),
        Column("delivered_to_door", "flag", "by the scans; null: no scan says"),
        Column("num_scans", "count", "scans on the way"),
        Column("complaint", "flag", "whether there was one", is_required=True),
        Column("complaint_reason", "text", "code, such as NO_DOORSTEP_DELIVERY"),
        Column(
            "logistics_return",
            "flag",
            "whether it came back for a logistics reason; other returns do not count; "
            "may be left out where return_cost_cny is 0 or learning.prior states "
            "return_prob",
            default=False,
        ),
        Column("claim_cny", "money", "compensation paid; never in the objective"),
        Column(
            "observed_until",
            "date",
            "last day whose complaints and returns are in this row; null: all are, or "
            "those up to the day before learning where learning.maturity_days is given",
        ),
        Column("complaint_date", "date", "day of the complaint"),
        Column("return_date", "date", "day on which it came back"),
    ),
    key=("order_id", "date"),
    when="for learning",
)

_SAVING = Column(
    "saving_cny", "money", "expected harm avoided less the fee; may be < 0"
)

DECISIONS = Table(
    "decisions",
    "every order: what was decided and why, by merchant_id and order_id",
    (
        _ORDER_ID,
        _MERCHANT_ID,
        Column("is_premium", "flag", "whether it is recommended", is_required=True),
        Column("carrier_id", "id", "carrier of a chosen or held-out order, else null"),
        _SAVING,
        Column("reason", "text", "why, in one word", is_required=True),
        Column(
            "margin_cny",
            "money",
            "exact: by how much its saving can fall while it stays chosen; below 0: by "
            "how much it must rise; null: not known exactly, or no saving would do",
        ),
        Column(
            "margin_low_cny", "money", "where it is not known exactly: at least this"
        ),
        Column(
            "margin_high_cny", "money", "where it is not known exactly: at most this"
        ),
        Column(
            "surplus_cny",
            "money",
            "saving less all prices; above 0: its part of the dual bound",
        ),
        Column("has_room", "flag", "whether any lane that it could take has a slot"),
        Column("ineligible_reason", "text", "why it was not considered"),
        Column(
            "arm",
            "text",
            "policy: chosen by the optimum; explore: at random; margin: by a coin; "
            "thompson: by savings that are drawn",
        ),
        Column("propensity", "probability", "probability of premium, given all else"),
    ),
    maker="decisions",
    engines=BOTH,
    is_copied=True,
)
RECOMMENDATIONS = Table(
    "recommendations",
    "the chosen orders, in the platform's format, by merchant_id and order_id",
    (
        _ORDER_ID,
        _MERCHANT_ID,
        _CARRIER_ID,
        Column("region_id", "id", "delivery region"),
        _SAVING,
        Column("order_tag", "text", "sug_home_deliver"),
        Column("service_code", "text", "SVC-WBHOMEDELIVERY"),
    ),
    maker="decisions",
    engines=BOTH,
    is_copied=True,
)
MERCHANT_INDEX = Table(
    "merchant_index",
    "where each merchant's rows of the decisions are",
    (
        _MERCHANT_ID,
        Column("first_row", "count", "its first row, from 0", is_required=True),
        Column("num_rows", "count", "its rows, one after the other", is_required=True),
    ),
    maker="rows",
)
ORDER_INDEX = Table(
    "order_index",
    "where each order's row of the decisions is, by key",
    (
        Column("order_key", "key", "64-bit key of its order_id", is_required=True),
        Column("row", "count", "its row, from 0", is_required=True),
    ),
    maker="rows",
)
MERCHANT_RESULTS = Table(
    "merchants",
    "every merchant's cap, its use and its price",
    (
        _MERCHANT_ID,
        Column("num_orders", "count", "parcels that the cap is a share of"),
        Column("cap", "count", "parcels that may be chosen"),
        Column("used", "count", "parcels that are chosen, held-out ones included"),
        Column("slack", "count", "cap less used"),
        Column("shadow_price_cny", "money", "price of the cap in the certificate"),
        Column("one_more_cny", "money", "value of one more place in the cap, exact"),
        Column(
            "one_fewer_cny", "money", "cost of one fewer, exact; null: the cap is 0"
        ),
    ),
    maker="night",
    engines=BOTH,
    is_copied=True,
)
LANE_RESULTS = Table(
    "lanes",
    "capacity rows that nest, and places that no row takes: use and price",
    (
        _CARRIER_ID,
        Column("region_id", "id", "region; null: all"),
        Column("outlet_id", "id", "outlet; null: all"),
        Column("slots", "count", "slots, those in flight subtracted"),
        Column("used", "count", "slots of chosen parcels, held-out ones too"),
        Column("slack", "count", "slots less used"),
        Column("shadow_price_cny", "money", "price of this row in the certificate"),
        Column(
            "one_more_cny",
            "money",
            "value of one more slot in this row alone, exact",
        ),
        Column(
            "one_fewer_cny",
            "money",
            "cost of one fewer in this row alone, exact; null: no slot to lose",
        ),
        Column(
            "one_more_around_cny",
            "money",
            "value of one more in this row and in all its ancestors, exact",
        ),
        Column(
            "one_fewer_around_cny",
            "money",
            "cost of one fewer in all of them, exact; null: no slot to lose",
        ),
        Column("service_date", "date", "day of the slots; null: not counted by day"),
        Column("in_flight", "count", "slots that parcels of other nights take"),
    ),
    maker="night",
    engines=BOTH,
    is_copied=True,
)
ROW_RESULTS = Table(
    "rows",
    "side constraints: limits other than caps and lanes, their use and price",
    (
        Column("kind", "text", "capacity, min_parcels, fairness, owner_cap or subsidy"),
        Column("limit", "text", "name of the limit"),
        Column("low", "count", "at least; null: no floor"),
        Column("high", "count", "at most; null: no ceiling"),
        Column("used", "count", "use by the plan"),
        Column("slack", "count", "high less used; null without a ceiling"),
        Column("missing", "count", "low less used, or 0"),
        Column("penalty_cny", "money", "for each one missing; null: none may be"),
        Column(
            "shadow_price_cny",
            "money",
            "value of one more; below 0: cost of one parcel of the floor",
        ),
    ),
    maker="night",
    when="with side constraints",
)
CONFLICTS = Table(
    "conflicts",
    "floors and pins that are not kept",
    (
        Column("kind", "text", "min_parcels, fairness or pin"),
        Column("limit", "text", "the floor, or the order's id"),
        Column("priority", "count", "lower is kept first"),
        Column("asked", "count", "parcels that it asks for"),
        Column("reached", "count", "parcels that it has"),
        Column("missing", "count", "asked less reached"),
        Column(
            "stopped_by",
            "text",
            "its cause: INELIGIBLE, CARRIER_INACTIVE, NO_OPTION, "
            "NOT_DELIVERABLE, CAP_ZERO, "
            "NO_SLOTS, TOO_FEW_PARCELS, CAPS, SLOTS or OTHER_LIMITS",
        ),
    ),
    maker="night",
    when="with conflicts",
)
ORDER_PRICES = Table(
    "order_prices",
    "where the bound is by lanes: the price of choosing an order once",
    (
        _ORDER_ID,
        Column("price_cny", "money", "in the bound; orders without a row have 0"),
    ),
    maker="night",
    when="with order prices",
)
BRANCHES = Table(
    "branches",
    "where prices alone leave a gap: all plans, divided until prices bound each part",
    (
        Column("node", "count", "0: all plans"),
        Column("parent", "count", "the node that it is a part of; null for node 0"),
        Column("order_id", "id", "the order that the node is about; null for node 0"),
        Column("carrier_id", "id", "the carrier; null for node 0"),
        Column("is_in", "flag", "plans with this order on this carrier, or without"),
    ),
    maker="night",
    when="with branches",
)
BRANCH_PRICES = Table(
    "branch_prices",
    "prices that bound the plans of each node that is not divided",
    (
        Column("node", "count", "the node"),
        Column("table", "text", "lanes, merchants, rows or orders"),
        Column("row", "count", "row of that table, from 1; null for orders"),
        Column("order_id", "id", "the order; null for other tables"),
        Column("price_cny", "money", "in the bound; what has no row has 0"),
    ),
    maker="night",
    when="with branches",
)
DRAWS = Table(
    "draws",
    "orders that the solver decided on: drawn savings beside their means",
    (
        _ORDER_ID,
        Column("saving_cny", "money", "as it was drawn, and as the decisions have it"),
        Column(
            "mean_saving_cny",
            "money",
            "by the mean of the model: of the chosen carrier, or the best one",
        ),
        Column(
            "num_plans",
            "count",
            "plans that choose it, of those of the night's draw and the further ones",
        ),
    ),
    maker="night",
    when="with drawn savings",
    is_copied=True,
)
QUARANTINE = Table(
    "quarantine",
    "refused rows; never a value",
    (
        Column("source", "text", "the table"),
        Column("row", "count", "row of the table, from 1"),
        Column("column", "text", "the column that breaks a rule"),
        Column("rule", "text", "the rule"),
    ),
    maker="night",
    engines=BOTH,
    is_copied=True,
)


def load_column(resource: str) -> str:
    """
    Column of orders and options with what a parcel takes of a resource.

    Examples
    --------
    >>> load_column("kg")
    'load_kg'
    """
    return f"load_{resource}"


#: A place and a day on which parcels take slots.
_PLACE = (
    Column("carrier_id", "id", "carrier code", is_required=True),
    Column("region_id", "id", "region; null: all"),
    Column("outlet_id", "id", "outlet; null: all"),
    Column("service_date", "date", "day; null: not counted by day"),
)
COMMITMENTS = Table(
    "commitments",
    "the slots that each chosen order takes: the most specific lane, and the day",
    (_ORDER_ID, *_PLACE, Column("load", "count", "slots", is_required=True)),
    maker="decisions",
    engines=BOTH,
)
IN_FLIGHT = Table(
    "in_flight",
    "slots that parcels of other nights take, as tonight counted them",
    (*_PLACE, Column("num_slots", "count", "slots", is_required=True)),
    maker="night",
)
BANK = Table(
    "bank",
    "fractions of slots under carryover, in billionths of a parcel",
    (
        _MERCHANT_ID,
        Column("carried_in_nano", "count", "fraction from earlier nights"),
        Column(
            "room_nano",
            "count",
            "earned less granted in the window's earlier nights; may be < 0",
        ),
        Column("earned_nano", "count", "rate times orders of this night"),
        Column("granted", "count", "parcels that the cap allowed"),
        Column("carried_out_nano", "count", "fraction for later nights"),
    ),
    maker="night",
)

NIGHTS = Table(
    "nights",
    "this night and those of the four weeks before, as published at the time",
    (
        Column("date", "date", "business date"),
        Column("num_orders", "count", "parcels"),
        Column("num_chosen", "count", "recommended parcels"),
        Column("sum_of_caps", "count", "parcels that all caps allow"),
        Column(
            "saving_cny",
            "money",
            "expected harm avoided, fees counted; of drawn savings by their means",
        ),
        Column("fees_cny", "money", "fees, if all are bought"),
        Column("relative_gap", "number", "gap over the plan's own value"),
        Column("num_quarantined", "count", "refused rows of orders"),
        Column("num_warnings", "count", "warnings"),
        Column("run_id", "text", "of the earlier run; null: this night"),
    ),
    maker="record",
)
FIGURES = Table(
    "figures",
    "every number of report.html but those of its orders and their margins",
    (
        Column("section", "text", "part of the report"),
        Column("item", "text", "what the number is of; null: the night"),
        Column("figure", "text", "which number"),
        Column("value", "number", "exact; money in CNY, shares between 0 and 1"),
    ),
    maker="record",
)

#: Every table. A new published one is an entry here, and its maker in
#: ``explain.makers``; in ``night.record`` where it is made of the record.
TABLES = (
    ORDERS,
    CAPACITY,
    OPTIONS,
    MERCHANTS,
    DELIVERIES,
    OUTCOMES,
    DECISIONS,
    RECOMMENDATIONS,
    MERCHANT_INDEX,
    ORDER_INDEX,
    MERCHANT_RESULTS,
    LANE_RESULTS,
    ROW_RESULTS,
    CONFLICTS,
    ORDER_PRICES,
    BRANCHES,
    BRANCH_PRICES,
    DRAWS,
    QUARANTINE,
    COMMITMENTS,
    IN_FLIGHT,
    BANK,
    NIGHTS,
    FIGURES,
)
TABLES_IN = tuple(table for table in TABLES if table.is_input)
#: Those that a night may have; the others are for learning.
NIGHT_INPUTS = tuple(table for table in TABLES_IN if table.when != "for learning")
#: Tables of a published night by file name: all, those of every night, and the others.
PUBLISHED = {table.file: table for table in TABLES if not table.is_input}
EVERY_NIGHT = {f: table for f, table in PUBLISHED.items() if table.when == "always"}
SOME_NIGHTS = {f: table for f, table in PUBLISHED.items() if table.when != "always"}
#: Names of tables that may be copied elsewhere.
COPIED = tuple(table.name for table in TABLES if table.is_copied)
