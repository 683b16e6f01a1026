"""Proposals as a configuration and a capacity table to fill in."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from optimizer.contracts.carrier_names import SPELLINGS, known_carriers
from optimizer.contracts.platforms import PLATFORMS
from optimizer.contracts.tables import load_column
from optimizer.errors import DataError
from optimizer.recognize.further import further_columns, further_yaml
from optimizer.recognize.limits import asking_in, further_in, resources_in
from optimizer.recognize.propose import days_in
from optimizer.recognize.ripening import Ripening, ripening, ripening_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optimizer.recognize.further import Further
    from optimizer.recognize.propose import Proposal

_CAP_RATE, _ZONE = 0.03, "Asia/Shanghai"
CONFIG, SLOTS = "premium.yaml", "capacity.csv"
#: Columns of outcomes without which a history still teaches, and what they then are.
_ASSUMED = {"is_premium": "false", "complaint": "false", "logistics_return": "false"}
_PROBABILITIES = {
    f"{harm}_prob_{service}"
    for harm in ("complaint", "return")
    for service in ("standard", "premium")
}
_DAY = re.compile(r"(?<!\d)20\d\d-[01]\d-[0-3]\d(?!\d)")


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What no table says: costs, the fee, the shop and slots.

    Attributes
    ----------
    complaint_cost_cny, return_cost_cny, fee_cny
        As in the configuration.
    shop
        Merchant of a table that names none.
    slots
        Of each carrier and region; ``None``: to be filled in.
    effect, complaint_prob, return_prob
        The stated prior.
    """

    complaint_cost_cny: str
    return_cost_cny: str
    fee_cny: str
    shop: str
    slots: int | None
    effect: str
    complaint_prob: str
    return_prob: str

    @property
    def counts_returns(self) -> bool:
        """Whether a return costs something."""
        try:
            return float(self.return_cost_cny) != 0
        except ValueError:  # the configuration's own rules will say so
            return True


def written(
    proposals: Mapping[str, Proposal], terms: Terms, folder: Path
) -> dict[str, str]:
    """
    Write the files of a first configuration, by name.

    Parameters
    ----------
    proposals
        The tables, by our names.
    terms
        What they do not say.
    folder
        Where the files will be; paths are relative to the working folder.

    Raises
    ------
    DataError
        When there is no table of orders, or it lacks what nothing can stand for.
    """
    if "orders" not in proposals:
        raise DataError(_no_orders(proposals))
    files = {CONFIG: _config(proposals, terms, folder)}
    if "capacity" not in proposals:
        files[SLOTS] = _capacity(proposals["orders"], terms.slots)
    return files


def _no_orders(proposals: Mapping[str, Proposal]) -> str:
    """Say which tables are there instead of the orders, and what is wanted."""
    wanted = "name the orders too, a row for each parcel of the day"
    if "outcomes" in proposals:
        history = proposals["outcomes"]
        told = [
            c.written
            for c in history.choices
            if c.column in ("complaint", "logistics_return")
        ]
        return (
            f"{history.sample.label}: is a history of past parcels, for it has "
            f"{' and '.join(told)}, which nobody knows of tonight's; {wanted}"
        )
    named = ", ".join(f"{p.sample.label} ({kind})" for kind, p in proposals.items())
    return f"none of the tables is one of orders: {named}; {wanted}"


def _config(proposals: Mapping[str, Proposal], terms: Terms, folder: Path) -> str:
    orders, history = proposals["orders"], proposals.get("outcomes")
    inputs: dict[str, Any] = {"orders": _input(orders, terms)}
    if "capacity" in proposals:
        inputs["capacity"] = _input(proposals["capacity"], terms)
    else:
        inputs["capacity"] = str(folder / SLOTS)
    if "merchants" in proposals:
        inputs["merchants"] = _input(proposals["merchants"], terms)
    has_risk, stated = not lacks_risks(orders), stated_terms(proposals, terms)
    learning: dict[str, Any] = {}
    if not has_risk:
        learning["models"] = str(folder / "models")
        learning["prior"] = {"effect": float(terms.effect), "spread": 0.5}
        for name in ("complaint_prob", "return_prob"):
            if name in stated:
                learning["prior"][name] = float(getattr(terms, name))
    if history is not None:
        learning["history"] = _input(history, terms)
    formats = sorted({f for p in proposals.values() for f in p.date_formats})
    of_young = ripening_yaml(ripening_of(proposals, terms))
    units = resources_in(proposals)
    further = further_yaml(further_of(proposals))

    roster = ", ".join(_carriers(orders))
    lost = history is not None and "logistics_return" in history.missing
    free = _FREE if lost and not terms.counts_returns else ""
    parts = [
        _HEAD.format(roster=roster, terms=terms, free=free),
        _block({"inputs": inputs}),
        f"output: {folder / 'runs'}\n",
        _block({"date_formats": formats}) if formats else "",
        "" if has_risk else _MODEL + f"model: {folder / 'models' / 'latest'}\n",
        _PRIOR if "prior" in learning else "",
        _block({"learning": learning})
        if learning
        else "learning:\n"
        if of_young
        else "",
        of_young,
        further,
        _block({"capacity": {"resources": [*units.listed]}}) if units.listed else "",
        _holdout(proposals),
    ]
    return "".join(parts)


_HEAD = """\
# Made by optimizer init out of your tables. configs/nightly.yaml of the project has
# every key with its meaning.
version: 1
policy:
  - valid_from: 2022-01-12
    cap: {{rate: 0.03}}             # at most 3 % of a merchant's parcels
    fee: {{amount_cny: {terms.fee_cny}}}       # for each premium parcel
    carriers: [{roster}]  # who offers it, of those in the table
objective:                        # yours to set: what each of them costs you
  complaint_cost_cny: {terms.complaint_cost_cny}
  return_cost_cny: {terms.return_cost_cny}{free}
"""
_FREE = """\
           # the history has no returns. Once it has: what one costs"""
_MODEL = "# The orders have no probabilities: optimizer learn makes a model of them.\n"
_PRIOR = """\
# A belief to begin with, until premium has been measured: a premium parcel removes this
# share of the harm. Each night says that it rests on it.
"""
_HOLDOUT = """\
holdout:                          # left to chance, so that premium can be measured
  share: {kept_back}                      # of the chosen parcels, kept back: by these
                                  # is known what came of what plans promised
  explore_share: {explored}              # of slots, to parcels of any kind: what
                                  # premium does where no plan would choose; with
                                  # objective.explore: thompson it has to be 0
"""
_NO_EXPLORING = """\
holdout:                          # left to chance, so that premium can be measured
  share: {kept_back:<23}  # of the chosen parcels, kept back: by these
                                  # is known what came of what plans promised
  explore_share: 0                # what explores takes its slots from caps and nesting
                                  # rows alone, and your tables have
                                  # {further}
"""
_NO_HOLDOUT = """\
holdout:                          # nothing is left to chance, as your tables have
  share: 0                        # {asking}, which ask for their parcels
  explore_share: 0
"""
#: Shares of the chosen parcels and of slots that are left to chance, where a night has
#: many; where it has few, as much as makes some parcels, so that it measures something.
_KEPT_BACK, _EXPLORED = 0.2, 0.1
_LEAST_PARCELS, _MOST_SHARE = 5, 0.5


def _holdout(proposals: Mapping[str, Proposal]) -> str:
    """What is left to chance: as much as a night with these tables can leave to it."""
    orders = proposals["orders"]
    kept_back = _share_of_caps(orders, _KEPT_BACK)
    if asking := asking_in(proposals):
        return _NO_HOLDOUT.format(asking=asking)
    if further := further_in(proposals):
        return _NO_EXPLORING.format(kept_back=kept_back, further=further)
    explored = _share_of_caps(orders, _EXPLORED)
    return _HOLDOUT.format(kept_back=kept_back, explored=explored)


def _share_of_caps(orders: Proposal, least: float) -> float:
    """The least share, or as much as makes some parcels where there are few."""
    sizes = [orders.whole.num_rows]
    if orders.series("merchant_id") is not None:
        sizes = [*orders.whole.counts("merchant_id").values()]
    caps = sum(int(_CAP_RATE * size) for size in sizes)
    needed = _LEAST_PARCELS / caps if caps else 1.0
    return round(min(_MOST_SHARE, max(least, needed)), 2)


def _block(value: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(
        value, allow_unicode=True, sort_keys=False, default_flow_style=False
    )
    return text


def _input(proposal: Proposal, terms: Terms) -> Any:
    """An input as the configuration has it; the path alone where that is enough."""
    path = proposal.sample.path
    found: dict[str, Any] = {"path": _DAY.sub("{date}", path)}
    if proposal.table == "outcomes":
        found["path"] = path
    if proposal.sample.encoding != "utf-8":
        found["encoding"] = proposal.sample.encoding
    columns = {c.column: c.written for c in proposal.choices if c.column != c.written}
    for key, value in (
        ("columns", columns),
        (
            "values",
            {
                n: v if isinstance(v, str) else dict(v)
                for n, v in proposal.values.items()
            },
        ),
        ("constants", stand_ins(proposal, terms)),
        ("units", dict(proposal.units)),
    ):
        if value:
            found[key] = value
    if proposal.wrapped:
        found["wrapped"] = list(proposal.wrapped)
    if proposal.decimal != ".":
        found["decimal"] = proposal.decimal
    return found if len(found) > 1 else found["path"]


def ripening_of(proposals: Mapping[str, Proposal], terms: Terms) -> Ripening:
    """Until when past parcels wait, seen from the first night."""
    night, history = first_night(proposals["orders"]), proposals.get("outcomes")
    return ripening(history, night, counts_returns=terms.counts_returns)


def further_of(proposals: Mapping[str, Proposal]) -> Further:
    """Columns that may tell parcels apart, without those that are read as loads."""
    loads = [load_column(name) for name in resources_in(proposals).listed]
    return further_columns(proposals["orders"], proposals.get("outcomes"), loads)


def lacking_harms(history: Proposal, terms: Terms) -> set[str]:
    """Harms that cost something, and of which the history has no column."""
    harms = {"complaint", *(["logistics_return"] if terms.counts_returns else [])}
    return harms & {*history.missing}


def words_of(proposal: Proposal) -> dict[str, Any]:
    """What words mean, as the configuration has it."""
    return {n: v if isinstance(v, str) else dict(v) for n, v in proposal.values.items()}


def stand_ins(proposal: Proposal, terms: Terms) -> dict[str, str]:
    """
    Say what stands for columns that a table lacks.

    Raises
    ------
    DataError
        Naming columns that nothing can stand for.
    """
    able = {"merchant_id": terms.shop, "region_id": "all"}
    if proposal.table == "outcomes":
        able |= _ASSUMED
    lost = [name for name in proposal.missing if name not in able]
    if lost:
        raise DataError(
            f"{proposal.sample.label}: has no column that is recognised as "
            f"{', '.join(lost)}; say which it is: --column {lost[0]}=NAME (it has "
            f"{', '.join(proposal.sample.rows.columns)})"
        )
    return {name: able[name] for name in proposal.missing}


def stated_terms(proposals: Mapping[str, Proposal], terms: Terms) -> set[str]:
    """Terms that the configuration states, because no table says them."""
    found = {"slots"} if "capacity" not in proposals else set()
    if any("merchant_id" in one.missing for one in proposals.values()):
        found.add("shop")
    if not lacks_risks(proposals["orders"]):
        return found
    found.add("effect")
    history = proposals.get("outcomes")
    if history is None or lacking_harms(history, terms):
        found.add("complaint_prob")
        if terms.counts_returns:
            found.add("return_prob")
    return found


def lacks_risks(orders: Proposal) -> bool:
    """Whether orders lack a probability of harm, so that a model is made."""
    there = {choice.column for choice in orders.choices}
    return len(_PROBABILITIES & there) < len(_PROBABILITIES)


def carriers_told(orders: Proposal) -> list[str]:
    """Say which carriers of the table offer premium, and which are taken not to."""
    offered, known = _carriers(orders), spelled(orders)
    if orders.series("carrier_id") is None:
        return []
    seen = {known.get(word, word) for word in orders.whole.counts("carrier_id")}
    others = sorted(seen & {*SPELLINGS} - {*offered})
    also = f"; not with {', '.join(others)}, as on Douyin" if others else ""
    return [f"premium is offered with {', '.join(offered)}{also} (policy.carriers)"]


def spelled(orders: Proposal) -> dict[str, str]:
    """Words of a table that are carriers, and their codes."""
    own = orders.values.get("carrier_id")
    said = {} if own is None or isinstance(own, str) else own
    return known_carriers() | {w: c for w, c in said.items() if isinstance(c, str)}


def _carriers(orders: Proposal) -> list[str]:
    """Carriers of the table that offer the service, by code."""
    known = spelled(orders)
    seen = {known.get(word, word) for word in orders.whole.counts("carrier_id")}
    offered = [code for code in PLATFORMS["douyin"].carriers if code in seen]
    return offered or sorted(seen & set(known.values())) or sorted(seen)


def _capacity(orders: Proposal, slots: int | None) -> str:
    """Carriers and regions with their demand; slots as given, or to be filled in."""
    import polars as pl

    lanes = orders.whole.lanes.with_columns(
        pl.col("carrier_id").replace(spelled(orders))
    )
    if orders.series("region_id") is not None:
        # A row without a region would hold in all of them.
        lanes = lanes.drop_nulls("region_id")
    counts = (
        lanes.filter(pl.col("carrier_id").is_in(_carriers(orders)))
        .group_by("carrier_id", "region_id")
        .agg(demand=pl.col("num_rows").sum())
        .sort("carrier_id", "region_id")
        .with_columns(slots=pl.lit(slots, pl.Int64))
        .select("carrier_id", "region_id", "slots", "demand")
    )
    return counts.write_csv()


def demand_told(orders: Proposal) -> list[str]:
    """Say that demand was not counted to the end, where it was not."""
    if orders.whole.is_whole:
        return []
    return [
        f"demand in {SLOTS} is that of the first {orders.whole.num_rows:,} rows; add "
        "carriers and regions that come later"
    ]


def next_commands(
    proposals: Mapping[str, Proposal], folder: Path, slots: int | None
) -> Sequence[str]:
    """What to do next, a command in each line."""
    config, date = folder / CONFIG, first_night(proposals["orders"])
    found = []
    if "capacity" not in proposals and slots is None:
        found.append(
            f"# fill in the column slots of {folder / SLOTS}, or begin again with "
            "--slots 20 --replace; then:"
        )
    if lacks_risks(proposals["orders"]):
        found.append(f"optimizer learn --config {config}")
    found += [
        f"optimizer {command} --config {config} --date {date}"
        for command in ("validate", "run")
    ]
    return [*found, f"optimizer verify {folder / 'runs' / date}"]


def first_night(orders: Proposal) -> str:
    """The night: as the path has it, or the times of its orders, or yesterday."""
    day = _DAY.search(orders.sample.path)
    if day is not None:
        return day[0]
    _, days = days_in(orders)
    yesterday = dt.datetime.now(ZoneInfo(_ZONE)).date() - dt.timedelta(1)
    return (days[-1] if days else yesterday).isoformat()
