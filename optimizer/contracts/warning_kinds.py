"""
Every code of a warning or an alert, with its sentences and fields.

The sentences are the messages of the catalogues: ``pybabel`` finds them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How a value is said: a whole number; words as they are; a share as a percentage;
#: several names; codes of ``CODES``, each perhaps with its number; places in brackets;
#: capacity rows between semicolons; a word of ``PHRASES``.
FieldKind = Literal[
    "count", "text", "share", "names", "codes", "places", "rows", "word"
]

#: Names that a sentence gives where there are more of them.
NUM_NAMED = 5


def N_(phrase: str) -> str:
    """Mark a phrase for catalogues: the name is one that extractors know."""
    return phrase


#: Words of lists and places that catalogues translate beside the sentences.
PHRASES = (
    *(N_(", "), N_("; "), N_("{names} and {num_more} more"), N_("({place})")),
    *(
        N_("{what} {name}"),
        N_("carrier"),
        N_("region"),
        N_("outlet"),
        N_("day"),
        N_("category"),
    ),
    *(N_("service_date"), N_("all parcels"), N_("merchant"), N_("complaint")),
    *(N_("return"), N_("randomised"), N_("observational"), N_("prior")),
)


#: What a code is called within a sentence: decisions as in the report, and why an
#: outbox does not take a parcel.
CODES = {
    "NO_SAVING": N_("Not worth the fee"),
    "CAP_ZERO": N_("Merchant has no slot"),
    "CAP_FULL": N_("Merchant's slots are taken"),
    "CAPACITY_FULL": N_("Carrier's slots are taken"),
    "CAP_AND_CAPACITY": N_("Cap and capacity together"),
    "INELIGIBLE": N_("Not eligible"),
    "CARRIER_INACTIVE": N_("No carrier offers it"),
    "NO_OPTION": N_("No carrier is given"),
    "NOT_DELIVERABLE": N_("No platform takes it"),
    "PINNED_OUT": N_("Kept out by hand"),
    "BUDGET": N_("Budget is used up"),
    "HELD_OUT": N_("Kept back at random"),
    "CARRIER_NOT_SUPPORTED": N_("It does not know the carrier"),
    "ID_NOT_SAFE_IN_CSV": N_("A spreadsheet would take the id for a formula"),
}


@dataclass(frozen=True, slots=True)
class WarningKind:
    """
    The meaning of a code of ``WARNINGS``.

    Attributes
    ----------
    one, many
        The English sentence about one thing and about several, with ``{field}`` where
        a value goes.
    fields
        How each value is said, by name.
    counted
        The field that says how many things the sentence is about, and so chooses its
        form; lists shorter than this say how many more there are.
    """

    one: str
    many: str
    fields: Mapping[str, FieldKind]
    counted: str | None = None


def _about(sentence: str, **fields: FieldKind) -> WarningKind:
    """A sentence that has one form."""
    return WarningKind(sentence, sentence, fields)


def _counted(one: str, many: str, **fields: FieldKind) -> WarningKind:
    """A sentence about as many things as the first field says."""
    return WarningKind(one, many, fields, counted=next(iter(fields)))


#: Of nights, by code.
_NIGHT: dict[str, WarningKind] = {
    "STATUS_UNKNOWN": _counted(
        "{num_parcels} parcel of deliveries has a status that is not known, and keeps "
        "its slot: {words}",
        "{num_parcels} parcels of deliveries have a status that is not known, and keep "
        "their slots: {words}",
        num_parcels="count",
        words="names",
    ),
    "IDS_ROUNDED": _counted(
        "{num_ids} of {num_looked} {column} values has more than 15 digits and is a "
        "rounded number, as spreadsheets and floats keep it; two ids may have become "
        "one: {ids}",
        "{num_ids} of {num_looked} {column} values have more than 15 digits and are "
        "rounded numbers, as spreadsheets and floats keep them; two ids may have "
        "become one: {ids}",
        num_ids="count",
        num_looked="count",
        column="text",
        ids="names",
    ),
    "IDS_LIKE_DATES": _counted(
        "{num_ids} of {num_looked} {column} values is a date, as spreadsheets make of "
        "ids such as 1-2; two ids may have become one: {ids}",
        "{num_ids} of {num_looked} {column} values are dates, as spreadsheets make of "
        "ids such as 1-2; two ids may have become one: {ids}",
        num_ids="count",
        num_looked="count",
        column="text",
        ids="names",
    ),
    "IDS_AS_SHOWN": _counted(
        "{num_ids} of {num_looked} {column} values is written as spreadsheets show a "
        "cell (TRUE, 6,923,456, ####, quotes); if that is not its id, export ids as "
        "text: {ids}",
        "{num_ids} of {num_looked} {column} values are written as spreadsheets show "
        "cells (TRUE, 6,923,456, ####, quotes); if these are not their ids, export ids "
        "as text: {ids}",
        num_ids="count",
        num_looked="count",
        column="text",
        ids="names",
    ),
    "IDS_ALIKE": _counted(
        "{num_pairs} pair of {column} values differs only in leading zeros, which "
        "spreadsheets cut off; one may have become two: {pairs}",
        "{num_pairs} pairs of {column} values differ only in leading zeros, which "
        "spreadsheets cut off; one may have become two: {pairs}",
        num_pairs="count",
        column="text",
        pairs="names",
    ),
    "ALLOWED_IN_NO_TABLE": _counted(
        "{num_columns} column of privacy.allow is in none of the night's tables "
        "({tables}): {columns}",
        "{num_columns} columns of privacy.allow are in none of the night's tables "
        "({tables}): {columns}",
        num_columns="count",
        tables="names",
        columns="names",
    ),
    "CSV_SEPARATOR": _about(
        "cells of {table} are separated by {separator}: read so",
        table="text",
        separator="text",
    ),
    "CSV_HEADER_SPELLING": _counted(
        "{num_columns} column of {table} is spelled otherwise in the header, and is "
        "read: {columns}",
        "{num_columns} columns of {table} are spelled otherwise in the header, and are "
        "read: {columns}",
        num_columns="count",
        table="text",
        columns="names",
    ),
    "CSV_UNNAMED_COLUMNS": _counted(
        "{num_columns} column of {table} has no name, and is left out",
        "{num_columns} columns of {table} have no name, and are left out",
        num_columns="count",
        table="text",
    ),
    "CSV_EMPTY_ROWS": _counted(
        "{num_rows} row of {table} has empty cells alone, and is left out",
        "{num_rows} rows of {table} have empty cells alone, and are left out",
        num_rows="count",
        table="text",
    ),
    "CSV_LINE_BREAKS": _counted(
        "{num_breaks} line break inside of quotes in {table} is read as part of its "
        "cell",
        "{num_breaks} line breaks inside of quotes in {table} are read as parts of "
        "their cells",
        num_breaks="count",
        table="text",
    ),
    "DELETED_ROWS_COUNT": _counted(
        "{num_columns} column of {table} marks deleted rows, and no rule reads it, so "
        "that they count: leave them out of the export, or name it in "
        "policy.eligibility where they are orders: {columns}",
        "{num_columns} columns of {table} mark deleted rows, and no rule reads them, "
        "so that they count: leave them out of the export, or name them in "
        "policy.eligibility where they are orders: {columns}",
        num_columns="count",
        table="text",
        columns="names",
    ),
    "EMPTY_PARTS": _counted(
        "{num_files} file of {table} without a byte, beside _SUCCESS, is left out",
        "{num_files} files of {table} without a byte, beside _SUCCESS, are left out",
        num_files="count",
        table="text",
    ),
    "MIDNIGHTS_IN_UTC": _counted(
        "{num_cells} time in column {column} of {table} is midnight in UTC, not in "
        "{zone}: if it was a date, export it as a date; here it is the day of {zone}",
        "{num_cells} times in column {column} of {table} are midnight in UTC, not in "
        "{zone}: if they were dates, export them as dates; here they are days of "
        "{zone}",
        num_cells="count",
        table="text",
        column="text",
        zone="text",
    ),
    "MIDNIGHTS_WITHOUT_ZONE": _counted(
        "{num_cells} time in column {column} of {table} has no zone, and is midnight "
        "in {zone} if it is in UTC: its day would be another; export it with its zone",
        "{num_cells} times in column {column} of {table} have no zone, and are "
        "midnight in {zone} if they are in UTC: their days would be others; export "
        "them with their zone",
        num_cells="count",
        table="text",
        column="text",
        zone="text",
    ),
    "UNCOVERED_LANES_CLOSED": _counted(
        "{num_lanes} lane has orders but no capacity row, so it takes none of them "
        "(capacity.uncovered_lanes: closed): {lanes}",
        "{num_lanes} lanes have orders but no capacity row, so they take none of them "
        "(capacity.uncovered_lanes: closed): {lanes}",
        num_lanes="count",
        lanes="places",
    ),
    "UNCOVERED_LANES_OPEN": _counted(
        "{num_lanes} lane has orders but no capacity row, so it has room for all of "
        "them (capacity.uncovered_lanes: open): {lanes}",
        "{num_lanes} lanes have orders but no capacity row, so they have room for all "
        "of them (capacity.uncovered_lanes: open): {lanes}",
        num_lanes="count",
        lanes="places",
    ),
    "UNKNOWN_CARRIERS": _counted(
        "carrier {carriers} is not in the policy's roster on this date: no parcel is "
        "recommended with it",
        "carriers {carriers} are not in the policy's roster on this date: no parcel is "
        "recommended with them",
        num_carriers="count",
        carriers="names",
    ),
    "BUDGETS_BELOW_FEE": _counted(
        "{num_merchants} merchant with a daily_budget_cny below the fee of one parcel "
        "({fee_cny} CNY), which buys none: {merchants}",
        "{num_merchants} merchants with a daily_budget_cny below the fee of one parcel "
        "({fee_cny} CNY), which buys none: {merchants}",
        num_merchants="count",
        fee_cny="text",
        merchants="names",
    ),
    "IDLE_CAPACITY_ROWS": _counted(
        "{num_rows} capacity row with a date or an attribute matches no parcel; is it "
        "spelled as in the orders table: {rows}",
        "{num_rows} capacity rows with a date or an attribute match no parcel; are "
        "they spelled as in the orders table: {rows}",
        num_rows="count",
        rows="rows",
    ),
    "UNKNOWN_IN_RESOURCE_ROWS": _counted(
        "{num_rows} capacity row of a resource limits nothing, as it names a carrier, "
        "region or outlet of no order and of no row of slots; is it spelled as there: "
        "{rows}; not known: {names}",
        "{num_rows} capacity rows of a resource limit nothing, as they name a carrier, "
        "region or outlet of no order and of no row of slots; are they spelled as "
        "there: {rows}; not known: {names}",
        num_rows="count",
        rows="rows",
        names="names",
    ),
    "FEW_NAMES_FOUND": _counted(
        "{num_names} of {num_all} {column} names in the {table} table is of no order, "
        "so its rows select nothing; is it spelled as in the orders table: {names}",
        "{num_names} of {num_all} {column} names in the {table} table are of no order, "
        "so their rows select nothing; are they spelled as in the orders table: "
        "{names}",
        num_names="count",
        num_all="count",
        table="text",
        column="text",
        names="names",
    ),
    "FEW_PARCELS_FOUND": _counted(
        "{num_parcels} of {num_all} order_id names in the deliveries table is of no "
        "parcel that nights before have in flight, so it frees no slot; is it spelled "
        "as in the orders table: {names}",
        "{num_parcels} of {num_all} order_id names in the deliveries table are of no "
        "parcel that nights before have in flight, so they free no slot; are they "
        "spelled as in the orders table: {names}",
        num_parcels="count",
        num_all="count",
        names="names",
    ),
    "RULES_FIND_NOTHING": _counted(
        "{num_rules} rule of the configuration names nothing of the night or its "
        "tables; is it spelled as there: {rules}",
        "{num_rules} rules of the configuration name nothing of the night or its "
        "tables; are they spelled as there: {rules}",
        num_rules="count",
        rules="names",
    ),
    "LOADS_ABOVE_SLOTS": _counted(
        "{num_parcels} parcel cannot be chosen, as the load is above the slots of "
        "every row that could take it; first in row {first_row} of the orders table",
        "{num_parcels} parcels cannot be chosen, as the load is above the slots of "
        "every row that could take it; first in row {first_row} of the orders table",
        num_parcels="count",
        first_row="count",
    ),
    "KEEP_PREVIOUS_UNUSED": _about(
        "solver.keep_previous is not used: it decides between equal optima of network "
        "nights alone"
    ),
    "MEMORY_LIMIT_LOW": _about(
        "solver.memory_gb is {limit}, less than the {least} GB that libraries and the "
        "rows at hand may take of any night: orders beyond it go into files, but the "
        "process may take more memory than it says; give {least} or more",
        limit="text",
        least="text",
    ),
    "MODEL_BEFORE_RULES": _about(
        "new rules are in force since {rules_since}, and the model was learned from "
        "nights until {last_night}: what it says may not hold any more; learn it again",
        rules_since="text",
        last_night="text",
    ),
    "MODEL_IS_PRIOR": _about(
        "a stated prior: no premium parcel that was left to chance is measured yet, "
        "and the saving is what learning.prior says; let parcels explore "
        "(holdout.explore_share, or objective.explore: thompson), and measure"
    ),
    "BENEFIT_OF_DOUBT": _about(
        "{outcome}: premium is not known to be worth its fee, nor known not to be, and "
        "a plan that stops finds out nothing: kept promises were measured to remove "
        "{measured} of the harm of the parcels compared (standard error {error}), "
        "and {taken} is taken, the least at which the plan goes on; the saving of "
        "these nights is less sure than usual",
        outcome="word",
        measured="share",
        error="share",
        taken="share",
    ),
    "TOO_LITTLE_KNOWN": _counted(
        "few are chosen for want of knowledge: by what was learned {num_worth} are "
        "worth premium, and {num_parcels} more is if it removes as much harm as it may "
        "(95 %); what teaches is parcels that explore blind (holdout.explore_share, "
        "objective.explore: blind)",
        "few are chosen for want of knowledge: by what was learned {num_worth} are "
        "worth premium, and {num_parcels} more are if it removes as much harm as it "
        "may (95 %); what teaches is parcels that explore blind "
        "(holdout.explore_share, objective.explore: blind)",
        num_parcels="count",
        num_worth="count",
    ),
    "RISK_IS_STATED": _about(
        "no history: every order has the stated risk, so who is chosen is chosen by lot"
    ),
    "TABLE_SUBSTITUTED": _about(
        "the {table} table was late; {path} of the day before stands in for it",
        table="text",
        path="text",
    ),
    "AFTER_LATER_NIGHTS": _about(
        "later nights are published already, so this one takes nothing from the cap "
        "bank and puts nothing into it: fractions are cut off"
    ),
}
#: What a night takes for true, by code.
_ASSUMPTIONS: dict[str, WarningKind] = {
    "PROBABILITIES_GIVEN": _about(
        "the probabilities on premium service are those of the night's tables; nothing "
        "here has measured them"
    ),
    "EFFECT_STATED": _about(
        "premium removes {share} of the harm ({harm}; {low} to {high} at 95 %): stated "
        "in learning.prior, and no premium parcel has measured it",
        harm="word",
        share="share",
        low="share",
        high="share",
    ),
    "EFFECT_UNKNOWN": _about(
        "what premium removes of the harm ({harm}) is not known and counts as nothing: "
        "no parcel has measured it, and learning.prior states nothing",
        harm="word",
    ),
    "EFFECT_MEASURED": _counted(
        "a kept promise removes {share} of the harm ({harm}; {low} to {high} at 95 %), "
        "as {num_parcels} parcel shows that got premium at random",
        "a kept promise removes {share} of the harm ({harm}; {low} to {high} at 95 %), "
        "as {num_parcels} parcels show that got premium at random",
        num_parcels="count",
        harm="word",
        share="share",
        low="share",
        high="share",
    ),
    "EFFECT_WEIGHED": _counted(
        "a kept promise removes {share} of the harm ({harm}; {low} to {high} at 95 %): "
        "{weight} of that is what learning.prior states, the rest what {num_parcels} "
        "parcel shows that got premium at random",
        "a kept promise removes {share} of the harm ({harm}; {low} to {high} at 95 %): "
        "{weight} of that is what learning.prior states, the rest what {num_parcels} "
        "parcels show that got premium at random",
        num_parcels="count",
        harm="word",
        share="share",
        low="share",
        high="share",
        weight="share",
    ),
    "EFFECT_NOT_RANDOMISED": _counted(
        "a kept promise removes {share} of the harm ({harm}; {low} to {high} at 95 %), "
        "from {num_parcels} premium parcel, none of which was chosen at random: size "
        "and sign may be wrong",
        "a kept promise removes {share} of the harm ({harm}; {low} to {high} at 95 %), "
        "from {num_parcels} premium parcels, none of which was chosen at random: size "
        "and sign may be wrong",
        num_parcels="count",
        harm="word",
        share="share",
        low="share",
        high="share",
    ),
    "EFFECT_ON_CARD": _about(
        "what a kept promise removes of the harm ({harm}) is on the model's card "
        "({kind})",
        harm="word",
        kind="word",
    ),
    "EFFECT_RAISED": _about(
        "of the harm of the parcels compared ({harm}) {taken} is taken to be removed "
        "where the learner in force measured {measured}, the benefit of doubt: that "
        "premium is not worth its fee is not known yet",
        measured="share",
        taken="share",
        harm="word",
    ),
    "PROMISED_BEFORE": _counted(
        "plans of the history promised {promised_cny} CNY of harm avoided on "
        "{num_parcels} parcel that was left to chance, and {realised_cny} CNY came of "
        "it ({low} to {high} at 95 %)",
        "plans of the history promised {promised_cny} CNY of harm avoided on "
        "{num_parcels} parcels that were left to chance, and {realised_cny} CNY came "
        "of it ({low} to {high} at 95 %)",
        num_parcels="count",
        promised_cny="text",
        realised_cny="text",
        low="text",
        high="text",
    ),
    "EFFECT_BY_ORDER": _about(
        "of which orders it removes more, the learner {learner} says; no other has "
        "been surely worth more on parcels that it had not seen",
        learner="text",
    ),
    "EFFECT_UNTRIED": _about(
        "of which orders it removes more, the learner {learner} says; the model has "
        "no record of another that was held against it",
        learner="text",
    ),
    "RISK_TAKEN": _about(
        "the risk of every order is {share} ({harm}): no history tells orders apart",
        harm="word",
        share="share",
    ),
    "NEW_NAMES": _counted(
        "{num_names} name is new to the model and has the estimate of all ({column}; "
        "orders or options that rest on it: {num_rows}): {names}",
        "{num_names} names are new to the model and have the estimate of all "
        "({column}; orders or options that rest on it: {num_rows}): {names}",
        num_names="count",
        num_rows="count",
        column="word",
        names="names",
    ),
    "EFFECT_OF_OTHERS": _counted(
        "{num_rows} of {num_orders} orders is of a merchant of whose past parcels none "
        "was left to chance: the effect on it is taken to be that on other merchants' "
        "parcels",
        "{num_rows} of {num_orders} orders are of merchants of whose past parcels none "
        "was left to chance: the effect on them is taken to be that on other "
        "merchants' parcels",
        num_rows="count",
        num_orders="count",
    ),
    "KEPT_STATED": _about(
        "promises are kept as objective.fulfilment states: {carriers}",
        carriers="names",
    ),
    "KEPT_ALL": _about(
        "every promise is kept, or the premium probabilities have that in them: "
        "{carriers}",
        carriers="names",
    ),
    "KEPT_MEASURED": _about(
        "promises are kept as scans of past parcels show: {carriers}",
        carriers="names",
    ),
    "KEPT_AS_POOL": _about(
        "{share} of promises are kept, as by all carriers together, since no scan says "
        "it of {carriers}",
        share="share",
        carriers="names",
    ),
    "KEPT_AS_DELIVERED": _about(
        "the effect is that of premium parcels as they are delivered, since nothing "
        "says how many promises are kept"
    ),
    "KEPT_TAKEN": _about(
        "{share} of promises are kept: stated in learning.prior, and no scan has "
        "measured it",
        share="share",
    ),
    "MODEL_AGE": _counted(
        "nothing has changed since {last_night}, the last night that the model has "
        "seen, {num_days} day before this one",
        "nothing has changed since {last_night}, the last night that the model has "
        "seen, {num_days} days before this one",
        num_days="count",
        last_night="text",
    ),
    "ROWS_WAITED": _counted(
        "{num_rows} parcel of the history was too young to count when the model was "
        "learned; the others are like it",
        "{num_rows} parcels of the history were too young to count when the model was "
        "learned; the others are like them",
        num_rows="count",
    ),
    "YOUNG_COUNTED": _counted(
        "{num_rows} of {num_parcels} parcels of the history, at most {num_days} days "
        "old when it was learned from, counts, although nothing says whether its "
        "outcome was known by then ({harm}): the true risk may be higher",
        "{num_rows} of {num_parcels} parcels of the history, at most {num_days} days "
        "old when it was learned from, count, although nothing says whether their "
        "outcome was known by then ({harm}): the true risk may be higher",
        num_rows="count",
        num_parcels="count",
        num_days="count",
        harm="word",
    ),
    "HISTORY_LEAKS": _about(
        "LEAK: in the history {column} told of nearly every parcel whether it happened "
        "({harm}; {share} of all pairs in the right order), so it was written after "
        "the outcome: risks that rest on it are not those of tonight's orders, until "
        "the history is mended and learned from again",
        column="text",
        harm="word",
        share="share",
    ),
    "LEAK_LEFT_OUT": _about(
        "nothing was learned from {column}: in the history it told of nearly every "
        "parcel whether it happened ({harm}; {share} of all pairs in the right order), "
        "so it was written after the outcome",
        column="text",
        harm="word",
        share="share",
    ),
    "SOME_AT_RANDOM": _about(
        "{explored} of slots go to parcels at random and {held} of the plan is kept "
        "back at random (holdout), so that the effect is measured",
        explored="share",
        held="share",
    ),
    "COINS_AT_RANDOM": _about(
        "{explored} of chosen parcels toss a coin with one beside the plan and {held} "
        "of the plan is kept back at random (holdout), so that the effect is measured",
        explored="share",
        held="share",
    ),
    "DRAW_AT_RANDOM": _about(
        "savings are one draw of what the model knows and does not know, and {held} of "
        "the plan is kept back at random (holdout), so that the effect is measured",
        held="share",
    ),
    "HELD_AT_RANDOM": _about(
        "{held} of the plan is kept back at random (holdout), so that the effect is "
        "measured; no exploration",
        held="share",
    ),
    "EXPLORED_AT_RANDOM": _about(
        "{explored} of slots go to parcels at random (holdout), so that the effect is "
        "measured",
        explored="share",
    ),
    "COINS_ALONE": _about(
        "{explored} of chosen parcels toss a coin with one beside the plan (holdout), "
        "so that the effect is measured",
        explored="share",
    ),
    "DRAW_ALONE": _about(
        "savings are one draw of what the model knows and does not know, so that the "
        "effect is measured; nothing of the plan is kept back"
    ),
    "NONE_AT_RANDOM": _about(
        "no parcel is left to chance (holdout), so this night will not show whether "
        "the effect is true"
    ),
    "SAVING_IF_LOW": _about(
        "were the effect at the lower end of its interval (95 %), {lost_cny} CNY of "
        "what the plan saves would go: {low_cny} CNY instead of {saving_cny} CNY, fees "
        "counted; parcels of the plan that are kept back count, explored ones do not",
        lost_cny="text",
        low_cny="text",
        saving_cny="text",
    ),
}
#: Of plans in which nobody is, by code.
_NOBODY: dict[str, WarningKind] = {
    "UNITS_TOO_FINE": _counted(
        "{num_rows} capacity row counts units so small that the gap may be that of its "
        "price, which is in whole millionths of a CNY for a unit; give its slots and "
        "loads in larger units: {rows}",
        "{num_rows} capacity rows count units so small that the gap may be that of "
        "their prices, which are in whole millionths of a CNY for a unit; give their "
        "slots and loads in larger units: {rows}",
        num_rows="count",
        rows="names",
    ),
    "NOBODY_CHOSEN": _about("the plan has no order: {reasons}", reasons="codes"),
    "NONE_AVOIDS_HARM": _about(
        "no order is worth its fee, and none would be at any fee: premium avoids no "
        "harm of any order that may be chosen"
    ),
    "NONE_WORTH_FEE": _about(
        "no order is worth its fee of {fee_cny} CNY: the best one avoids {avoided_cny} "
        "CNY of harm, and would have to avoid {times} times as much",
        fee_cny="text",
        avoided_cny="text",
        times="text",
    ),
    "NONE_HAS_PLACE": _about(
        "no order that may be chosen has a slot of its carrier and a slot of its "
        "merchant's cap, so no fee, no cost of harm and no effect would change that"
    ),
    "FIRST_CHOSEN_AT": _about(
        "the first order would be chosen at a fee that counts of {fee_cny} CNY or "
        "less, or where harm costs {times} times as much (a complaint {complaint_cny} "
        "CNY, a return {return_cny} CNY), or where premium avoids {times} times as "
        "much of it",
        fee_cny="text",
        complaint_cny="text",
        return_cny="text",
        times="text",
    ),
    "BREAK_EVEN": _about(
        "premium pays where an order's risk times the share of it that premium removes "
        "is at least, by carrier: {shares} (complaints of {cost_cny} CNY alone, "
        "promises kept counted)",
        shares="names",
        cost_cny="text",
    ),
}
#: Of histories that are learned from or measured, by code.
_HISTORY: dict[str, WarningKind] = {
    "CUSTOMERS_LIMITED": _counted(
        "{num_parcels} parcel beyond {limit} of one customer does not count, drawn "
        "whatever happened to it (learning.max_complaints_per_customer)",
        "{num_parcels} parcels beyond {limit} of one customer do not count, drawn "
        "whatever happened to them (learning.max_complaints_per_customer)",
        num_parcels="count",
        limit="count",
    ),
    "ROWS_WAIT": _counted(
        "{num_rows} of {num_parcels} parcels waits: whether {outcome} is true is known "
        "only {num_days} days after the decision "
        "(learning.maturity_days); the next is ripe on {first_ripe}",
        "{num_rows} of {num_parcels} parcels wait: whether {outcome} is true is known "
        "only {num_days} days after the decision "
        "(learning.maturity_days); the next are ripe on {first_ripe}",
        num_rows="count",
        num_parcels="count",
        outcome="text",
        num_days="count",
        first_ripe="text",
    ),
    "ROWS_WAIT_AS_LEARNED": _counted(
        "{num_rows} of {num_parcels} parcels waits: whether {outcome} is true is known "
        "only {num_days} days after the decision "
        "(learned from the delays in the table); the next is ripe on {first_ripe}",
        "{num_rows} of {num_parcels} parcels wait: whether {outcome} is true is known "
        "only {num_days} days after the decision "
        "(learned from the delays in the table); the next are ripe on {first_ripe}",
        num_rows="count",
        num_parcels="count",
        outcome="text",
        num_days="count",
        first_ripe="text",
    ),
    "ROWS_WAIT_AS_ASSUMED": _counted(
        "{num_rows} of {num_parcels} parcels waits: whether {outcome} is true is known "
        "only {num_days} days after the decision "
        "(assumed: the table does not show the delays well "
        "enough; state learning.maturity_days); the next is ripe on {first_ripe}",
        "{num_rows} of {num_parcels} parcels wait: whether {outcome} is true is known "
        "only {num_days} days after the decision "
        "(assumed: the table does not show the delays well "
        "enough; state learning.maturity_days); the next are ripe on {first_ripe}",
        num_rows="count",
        num_parcels="count",
        outcome="text",
        num_days="count",
        first_ripe="text",
    ),
    "MISSING_ROWS_WAIT": _counted(
        "what is missing waits: {num_rows} parcel of it ({num_premium} premium) is not "
        "ripe; the first counts from {first_ripe} on, the last from {last_ripe}: read "
        "the outcomes again then",
        "what is missing waits: {num_rows} parcels of it ({num_premium} premium) are "
        "not ripe; the first counts from {first_ripe} on, the last from {last_ripe}: "
        "read the outcomes again then",
        num_rows="count",
        num_premium="count",
        first_ripe="text",
        last_ripe="text",
    ),
    "MATURITY_NOT_KNOWN": _counted(
        "{num_rows} of {num_parcels} parcels, at most {num_days} days old, counts, "
        "although nothing says whether {outcome} is known by now: give the column "
        "observed_until or the day of each event, or state learning.maturity_days",
        "{num_rows} of {num_parcels} parcels, at most {num_days} days old, count, "
        "although nothing says whether {outcome} is known by now: give the column "
        "observed_until or the day of each event, or state learning.maturity_days",
        num_rows="count",
        num_parcels="count",
        outcome="text",
        num_days="count",
    ),
    "SAMPLE_RATIO": _about(
        "SAMPLE RATIO: {num_premium} of {num_parcels} parcels of the arm {arm} got "
        "premium, where their propensities expect {expected}, which is no chance: "
        "rows are missing, or propensities are of other decisions; no interval holds "
        "until that is found",
        num_premium="count",
        num_parcels="count",
        arm="text",
        expected="text",
    ),
    "SCORE_LEAKS": _about(
        "LEAK: {score} tells {outcome} for nearly every parcel ({share} of all pairs "
        "in the right order), so it was written after the outcome, and nothing is "
        "learned from it; give it as it was on the night of the decision",
        score="text",
        outcome="text",
        share="share",
    ),
    "HISTORY_IS_STALE": _counted(
        "the history ends on {last_date}, {num_days} day before the day of learning: "
        "what was true then need not be true now; add later nights",
        "the history ends on {last_date}, {num_days} days before the day of learning: "
        "what was true then need not be true now; add later nights",
        num_days="count",
        last_date="text",
    ),
    "STATIONS_WERE_FULL": _about(
        "{share} of the compared parcels were where no slot was left: a premium parcel "
        "may take time from standard ones there, and then the effect looks larger than "
        "it is; keep back whole stations (holdout.unit: station-day)",
        share="share",
    ),
    "PROMISED_IS_NOT_REALISED": _about(
        "the plans promised {promised_cny} CNY of harm avoided and realised "
        "{realised_cny} (95 %: {low} to {high}): the largest predictions are the most "
        "overestimated ones, or the model no longer holds; learn again",
        promised_cny="text",
        realised_cny="text",
        low="text",
        high="text",
    ),
    "UNKNOWN_COMPLAINT_REASONS": _about(
        "complaint reasons {reasons} are not known here and count for no benefit; "
        "known are {known}",
        reasons="names",
        known="names",
    ),
    "NOT_RANDOMISED": _about(
        "NOT RANDOMISED: no parcel's service was left to chance, so who got premium "
        "may differ from who did not in ways that nobody recorded, and the effect may "
        "be wrong in size and sign; set holdout.share and measure"
    ),
    "OVERLAP": _about(
        "overlap: propensities of premium parcels are about {premium_low} to "
        "{premium_high}, of standard ones {standard_low} to {standard_high} (5 % to "
        "95 %); {share_alone} of the premium parcels have no counterpart (outside "
        "{lowest} to {highest}): left out",
        premium_low="text",
        premium_high="text",
        standard_low="text",
        standard_high="text",
        share_alone="share",
        lowest="text",
        highest="text",
    ),
    "NO_PREDICTIONS": _about(
        "{outcome} is true for {num_happened} of {num_parcels} parcels on standard "
        "service, from which its risk cannot be learned; its effect is estimated "
        "without predictions",
        outcome="text",
        num_happened="count",
        num_parcels="count",
    ),
    "SERVICE_IS_NOT_TOLD": _about(
        "{num_parcels} parcels of {source} are later than {last_date}, when some got "
        "premium by the model in {model}, and no column says which of these did: all "
        "are taken for standard ones; join what the nights decided (--runs FOLDER), or "
        "add the column is_premium",
        num_parcels="count",
        source="text",
        last_date="text",
        model="text",
    ),
    "ALWAYS_HAPPENED": _about(
        "{outcome} is true for all {num_parcels} parcels: of a list of those to which "
        "it happened no effect can be measured; give a row for every parcel of these "
        "nights, with {outcome} false where it did not",
        outcome="text",
        num_parcels="count",
    ),
    "RULES_NOT_COMPARED": _about(
        "rules are not compared: they need {num_needed} parcels of either service that "
        "any rule could have chosen; let some explore (holdout.explore_share)",
        num_needed="count",
    ),
    "OUTCOMES_LACK": _about(
        "the outcomes do not record {columns}: nothing is said of it",
        columns="names",
    ),
    "SAVINGS_ARE_NOT_KNOWN": _about(
        "savings count {columns}, which the outcomes do not record: what was promised "
        "is not held against what came, and rules are not compared; name the column "
        "that has it, or let it cost nothing (objective)",
        columns="names",
    ),
    "DECISIONS_WITHOUT_OUTCOME": _about(
        "the outcomes lack {num_parcels} of {num_all} parcels that were given premium "
        "or left to chance: if they are not lost by chance, what is measured is of the "
        "others alone",
        num_parcels="count",
        num_all="count",
    ),
    "HARM_IS_ABSENT": _about(
        "the history does not record {outcome}: every order has the stated risk of it "
        "(learning.prior)",
        outcome="text",
    ),
    "EFFECT_IS_PRIOR": _about(
        "no premium parcel counts yet: the effect is the configured prior "
        "(learning.prior), nothing of it was measured"
    ),
    "PRIOR_DECIDES": _counted(
        "{num_parcels} premium parcel, not left to chance: the effect is what is "
        "stated (learning.prior), and nothing of it was measured; let some explore "
        "(holdout.explore_share) and hold some out (holdout.share), which teaches it",
        "{num_parcels} premium parcels, none of them left to chance: the effect is "
        "what is stated (learning.prior), and nothing of it was measured; let some "
        "explore (holdout.explore_share) and hold some out (holdout.share), which "
        "teaches it",
        num_parcels="count",
    ),
    "UNDRAWN_SEEM": _about(
        "{outcome}: parcels that nobody left to chance make it look as if a kept "
        "promise removed a share of {seen} of the harm (standard error {error}), and "
        "{stated} is stated (standard deviation {spread}), which decided",
        outcome="text",
        seen="text",
        error="text",
        stated="text",
        spread="text",
    ),
    "UNDRAWN_CONTRADICT": _about(
        "{outcome}: parcels that nobody left to chance make it look as if a kept "
        "promise removed a share of {seen} of the harm (standard error {error}), and "
        "{stated} is stated (standard deviation {spread}): that is no chance; the "
        "likely cause is hidden selection: parcels were chosen for something that the "
        "outcomes do not hold, such as a score; give it as a column "
        "(learning.features); what is stated decided, and only parcels left to chance "
        "(holdout.explore_share) can tell whether it is right",
        outcome="text",
        seen="text",
        error="text",
        stated="text",
        spread="text",
    ),
    "HARM_NOT_YET_SEEN": _counted(
        "{outcome} is true for none of {num_parcels} parcel on standard service, so "
        "its rate is below {high} (at 95 %): every order has the stated risk of it, "
        "{stated} (learning.prior); if there were some, mend the feed",
        "{outcome} is true for none of {num_parcels} parcels on standard service, so "
        "its rate is below {high} (at 95 %): every order has the stated risk of it, "
        "{stated} (learning.prior); if there were some, mend the feed",
        num_parcels="count",
        outcome="text",
        stated="text",
        high="text",
    ),
    "HARM_BELOW_STATED": _counted(
        "{outcome} is true for none of {num_parcels} parcel on standard service, which "
        "refutes the stated risk of {stated} (learning.prior): every order has the "
        "highest that is not refuted at 95 %, {high}; if there were some, mend the "
        "feed, and if none are recorded, leave the column out or give it in "
        "learning.history.constants",
        "{outcome} is true for none of {num_parcels} parcels on standard service, "
        "which refutes the stated risk of {stated} (learning.prior): every order has "
        "the highest that is not refuted at 95 %, {high}; if there were some, mend the "
        "feed, and if none are recorded, leave the column out or give it in "
        "learning.history.constants",
        num_parcels="count",
        outcome="text",
        stated="text",
        high="text",
    ),
    "HARM_NEVER_HAPPENED": _counted(
        "{outcome} is true for none of {num_parcels} parcel on standard service: every "
        "order has the risk {rate} of it (at 95 %: below {high}); if there were some, "
        "mend the feed",
        "{outcome} is true for none of {num_parcels} parcels on standard service: "
        "every order has the risk {rate} of it (at 95 %: below {high}); if there were "
        "some, mend the feed",
        num_parcels="count",
        outcome="text",
        rate="text",
        high="text",
    ),
    "TOO_FEW_FOR_A_RATE": _counted(
        "{num_parcels} parcel on standard service, {num_harms} with {outcome}: fewer "
        "than {least} teach no rate, so every order has the stated risk of it, "
        "{stated} (learning.prior)",
        "{num_parcels} parcels on standard service, {num_harms} with {outcome}: fewer "
        "than {least} teach no rate, so every order has the stated risk of it, "
        "{stated} (learning.prior)",
        num_parcels="count",
        num_harms="count",
        outcome="text",
        stated="text",
        least="count",
    ),
    "HARM_IS_RARE": _counted(
        "the risk of {outcome} rests on {num_harms} harm among {num_parcels} parcels "
        "on standard service: its rate lies between {low} and {high} (at 95 %)",
        "the risk of {outcome} rests on {num_harms} harms among {num_parcels} parcels "
        "on standard service: its rate lies between {low} and {high} (at 95 %)",
        num_harms="count",
        num_parcels="count",
        outcome="text",
        low="text",
        high="text",
    ),
    "SINGLE_DRAWS_ARE_TAKEN": _counted(
        "{num_parcels} parcel of a plan, of a night without a record, was left to "
        "chance: it is taken for a draw of its own, as holdout.unit has it now; if its "
        "whole station was drawn, intervals are too narrow: name the nights "
        "(--runs FOLDER)",
        "{num_parcels} parcels of plans, of nights without a record, were left to "
        "chance: each is taken for a draw of its own, as holdout.unit has it now; if "
        "whole stations were drawn, intervals are too narrow: name the nights "
        "(--runs FOLDER)",
        num_parcels="count",
    ),
    "STATIONS_ARE_TAKEN": _counted(
        "{num_parcels} parcel of a plan, of a night without a record, was left to "
        "chance: its station is taken to be drawn whole, as holdout.unit has it now; "
        "if it was not, intervals are too wide: name the nights (--runs FOLDER)",
        "{num_parcels} parcels of plans, of nights without a record, were left to "
        "chance: stations are taken to be drawn whole, as holdout.unit has it now; "
        "if they were not, intervals are too wide: name the nights (--runs FOLDER)",
        num_parcels="count",
    ),
    "EFFECT_WITHOUT_EVENT": _about(
        "{outcome} is true for none of the {num_parcels} parcels compared, at most "
        "{high} of such parcels (at 95 %; {num_premium} premium: {high_premium}): what "
        "premium does to it was not measured, and is what learning.prior states",
        outcome="text",
        num_parcels="count",
        num_premium="count",
        high="text",
        high_premium="text",
    ),
    "EFFECT_UNKNOWN_WITHOUT_EVENT": _about(
        "{outcome} is true for none of the {num_parcels} parcels compared, at most "
        "{high} of such parcels (at 95 %; {num_premium} premium: {high_premium}): what "
        "premium does to it is not known, and counts as nothing; state what you "
        "believe (learning.prior)",
        outcome="text",
        num_parcels="count",
        num_premium="count",
        high="text",
        high_premium="text",
    ),
    "OUTCOMES_REFUSED": _counted(
        "{num_rows} of {num_all} rows of {table} breaks a rule and does not count: "
        "{rules}; mend the export",
        "{num_rows} of {num_all} rows of {table} break a rule and do not count: "
        "{rules}; mend the export",
        num_rows="count",
        num_all="count",
        table="text",
        rules="names",
    ),
    "OUTCOMES_DRAWN": _counted(
        "{num_parcels} standard parcel that could not have got premium was drawn by "
        "hash, one in {times}, and stands for the others; all randomised parcels count",
        "{num_parcels} standard parcels that could not have got premium were drawn by "
        "hash, one in {times}, and stand for the others; all randomised parcels count",
        num_parcels="count",
        times="count",
    ),
    "HIDDEN_SELECTION": _about(
        "{outcome}: parcels that were not randomised make it look as if a kept promise "
        "removed a share of {believed} of the harm, and those that were say {measured} "
        "(standard error {error}); the likely cause is hidden selection: parcels were "
        "chosen for something that the outcomes do not hold, such as a score; give it "
        "as a column (learning.features); only randomised parcels decided",
        outcome="text",
        believed="text",
        measured="text",
        error="text",
    ),
    "LEARNER_NOT_KNOWN": _about(
        "the newest model of learning.models cannot be read, so the learner in force "
        "is not known, and {learner} is until another is better",
        learner="text",
    ),
    "HARM_IS_FREE": _about(
        "{outcome} is not known and costs nothing: nothing is learned of it",
        outcome="text",
    ),
    "CARRIERS_NOT_MEASURED": _about(
        "no premium history of {carriers}: effect and promise-keeping are the pool's "
        "until some parcels explore (holdout.explore_share, or objective.explore: "
        "thompson)",
        carriers="names",
    ),
    "CARRIERS_NOT_SCANNED": _counted(
        "{num_parcels} premium parcel of {carriers}, and no scan that says whether it "
        "came to the door (delivered_to_door): promise-keeping is the pool's until "
        "scans come with the history",
        "{num_parcels} premium parcels of {carriers}, and no scan that says whether "
        "they came to the door (delivered_to_door): promise-keeping is the pool's "
        "until scans come with the history",
        num_parcels="count",
        carriers="names",
    ),
    "CARRIER_BELOW_CONTRACT": _about(
        "{carrier} brings {share_kept} of its premium parcels to the door ({num_kept} "
        "of {num_premium} proved; at 95 %: {low} to {high}), below the contract's "
        "{contract}",
        carrier="text",
        share_kept="share",
        num_kept="count",
        num_premium="count",
        low="share",
        high="share",
        contract="share",
    ),
    "REGION_BELOW_CONTRACT": _about(
        "{carrier} in {region} brings {share_kept} of its premium parcels to the door "
        "({num_kept} of {num_premium} proved; at 95 %: {low} to {high}), below the "
        "contract's {contract}",
        carrier="text",
        region="text",
        share_kept="share",
        num_kept="count",
        num_premium="count",
        low="share",
        high="share",
        contract="share",
    ),
}
#: Alerts: of a night beside others, by code.
_ALERTS: dict[str, WarningKind] = {
    "QUARANTINE_SHARE": _counted(
        "{num_broken} of {num_rows} rows of {table} is in quarantine, above {allowed}: "
        "see rules and rows in quarantine.parquet, and tell whoever makes the table",
        "{num_broken} of {num_rows} rows of {table} are in quarantine, above "
        "{allowed}: see rules and rows in quarantine.parquet, and tell whoever makes "
        "the table",
        num_broken="count",
        num_rows="count",
        table="text",
        allowed="share",
    ),
    "INPUT_UNLIKE_LAST_WEEK": _counted(
        "{table} has {num_rows} row, on {day}: {num_usual}. See whether the table is "
        "complete; if it is not, run the date again with --force when it is",
        "{table} has {num_rows} rows, on {day}: {num_usual}. See whether the table is "
        "complete; if it is not, run the date again with --force when it is",
        num_rows="count",
        table="text",
        day="text",
        num_usual="count",
    ),
    "INPUT_UNLIKE_MEDIAN": _counted(
        "{table} has {num_rows} row, median of {num_nights} nights: {num_usual}. See "
        "whether the table is complete; if it is not, run the date again with --force "
        "when it is",
        "{table} has {num_rows} rows, median of {num_nights} nights: {num_usual}. See "
        "whether the table is complete; if it is not, run the date again with --force "
        "when it is",
        num_rows="count",
        table="text",
        num_nights="count",
        num_usual="count",
    ),
    "UNDELIVERED": _counted(
        "{num_left} of {num_recommended} recommendations is not for {platform}, whose "
        "outbox takes {num_taken} ({reasons}): see the refused orders beside it",
        "{num_left} of {num_recommended} recommendations are not for {platform}, whose "
        "outbox takes {num_taken} ({reasons}): see the refused orders beside it",
        num_left="count",
        num_recommended="count",
        num_taken="count",
        platform="text",
        reasons="codes",
    ),
    "DEAD_LANES": _counted(
        "{num_lanes} lane had slots and no parcel in any of {num_nights} nights "
        "({lanes}): see whether the names agree with the orders', or offer the slots "
        "elsewhere",
        "{num_lanes} lanes had slots and no parcel in any of {num_nights} nights "
        "({lanes}): see whether the names agree with the orders', or offer the slots "
        "elsewhere",
        num_lanes="count",
        num_nights="count",
        lanes="names",
    ),
    "LOST_SLOTS": _counted(
        "{num_merchants} merchant had slots on {day} and has none ({merchants}): see "
        "whether its orders are all there, and its cap and budget are as meant",
        "{num_merchants} merchants had slots on {day} and have none ({merchants}): see "
        "whether their orders are all there, and their caps and budgets are as meant",
        num_merchants="count",
        day="text",
        merchants="names",
    ),
    "SPLIT_ORDERS": _counted(
        "{num_merchants} merchant would have fewer slots if groups of {group_size} or "
        "more orders below {below_cny} CNY that agree in {columns} counted once "
        "({merchants}): look at these orders, and set cap_override where the base is "
        "not real",
        "{num_merchants} merchants would have fewer slots if groups of {group_size} or "
        "more orders below {below_cny} CNY that agree in {columns} counted once "
        "({merchants}): look at these orders, and set cap_override where the base is "
        "not real",
        num_merchants="count",
        group_size="count",
        below_cny="text",
        columns="names",
        merchants="names",
    ),
    "SPLITTING_NOT_SOUGHT": _about("not looked for, since {error}", error="text"),
}
#: Every code that a warning, an assumption or an alert can have.
WARNINGS: Mapping[str, WarningKind] = (
    _NIGHT | _ASSUMPTIONS | _NOBODY | _HISTORY | _ALERTS
)
