"""What a first configuration is made of: told to people, and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from optimizer.recognize.propose import Proposal
    from optimizer.recognize.write import Terms

#: What is assumed where nobody says: amounts in CNY, shares.
COMPLAINT_COST, RETURN_COST, FEE = "30.00", "18.00", "0.80"
EFFECT, COMPLAINT_PROB, RETURN_PROB = "0.3", "0.01", "0.02"
SHOP = "my-shop"


class Begun(NamedTuple):
    """What was written: of which tables, on which terms, where."""

    proposals: Mapping[str, Proposal]
    terms: Terms
    folder: Path
    files: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """The files."""
        return [str(self.folder / name) for name in self.files]


def result_of(begun: Begun) -> dict[str, Any]:
    """What was begun, for programs."""
    from optimizer.recognize.write import further_of, next_commands, ripening_of

    tables = begun.proposals
    young = ripening_of(tables, begun.terms)
    further = further_of(tables)
    return {
        "files": begun.paths,
        "tables": {name: _as_json(proposal) for name, proposal in tables.items()},
        "maturity_days": dict(young.num_days) if young.is_waited_for else {},
        "further_columns": {
            "features": [*further.numbers],
            "categories": [*further.names],
        },
        "next": [*next_commands(tables, begun.folder, begun.terms.slots)],
    }


def lines_of(begun: Begun, *, are_costs_assumed: bool) -> list[str]:
    """What was begun, for people."""
    from optimizer.recognize.further import further_told
    from optimizer.recognize.limits import resources_in, resources_told
    from optimizer.recognize.ripening import ripening_told
    from optimizer.recognize.write import (
        CONFIG,
        SLOTS,
        carriers_told,
        demand_told,
        further_of,
        next_commands,
        ripening_of,
    )

    tables, terms, folder = begun.proposals, begun.terms, begun.folder
    orders, config = tables["orders"], str(folder / CONFIG)
    sorts = ("orders", "outcomes", "capacity", "merchants")
    shown = sorted(tables.values(), key=lambda p: sorts.index(p.table))
    lines = [line for p in shown for line in _told(p, terms)]
    lines += carriers_told(orders)
    lines += [_costs_told(terms, config)] if are_costs_assumed else []
    lines += _assumed(tables, terms)
    lines += ripening_told(ripening_of(tables, terms), config)
    lines += resources_told(resources_in(tables))
    lines += further_told(further_of(tables), config)
    lines += [f"wrote {name}" for name in begun.paths]
    lines += demand_told(orders) if SLOTS in begun.files else []
    commands = next_commands(tables, folder, terms.slots)
    return [*lines, "next:", *(f"  {command}" for command in commands)]


def _costs_told(terms: Terms, config: str) -> str:
    """Say what is assumed that things cost, and where one's own go."""
    costs = "a return nothing, as the history has none"
    if terms.counts_returns:
        costs = f"a return {RETURN_COST}"
    return (
        f"assumed: a complaint costs {COMPLAINT_COST} CNY, {costs}, the fee is {FEE}: "
        f"yours go into {config}, or here as --complaint-cost, --return-cost and --fee"
    )


def _told(proposal: Proposal, terms: Terms) -> list[str]:
    """A proposal for people: each column with three of its values."""
    from optimizer.recognize.write import stand_ins

    sample, constants = proposal.sample, stand_ins(proposal, terms)
    num_seen, num_rows = len(sample.rows), proposal.whole.num_rows
    rows = f"{num_rows:,} rows"
    if not sample.is_whole:
        first = f"the first {num_seen:,}"
        rows = f"{rows}; columns, ids, dates and amounts are looked at in {first}"
        rows = rows if proposal.whole.is_whole else f"{first} rows"
    form = "" if sample.encoding == "utf-8" else f", {sample.encoding}"
    lines = [f"{sample.label}: {proposal.table} ({rows}{form})"]
    named = [*(c.column for c in proposal.choices), *constants]
    width = max(map(len, named), default=0)
    lines += [
        f"  {c.column:<{width}}  {c.written}: {', '.join(c.shown) or 'empty'}"
        for c in proposal.choices
    ]
    lines += [
        f"  {name:<{width}}  (no column): {_instead(name, value, terms)}"
        for name, value in constants.items()
    ]
    return lines + [f"  note: {note}" for note in proposal.notes]


def _assumed(proposals: Mapping[str, Proposal], terms: Terms) -> list[str]:
    """What is stated until it is measured, and with which options."""
    from optimizer.recognize.write import lacks_risks

    if not lacks_risks(proposals["orders"]):
        return []
    history = proposals.get("outcomes")
    stated = {
        "complaint": f"{terms.complaint_prob} complaints a parcel (--complaint-prob)",
    }
    if terms.counts_returns:
        stated["logistics_return"] = (
            f"{terms.return_prob} returns a parcel (--return-prob)"
        )
    told = [
        text
        for column, text in stated.items()
        if history is None or column in history.missing
    ]
    if history is None or "is_premium" in history.missing:
        told.append(f"premium removes {terms.effect} of the harm (--effect)")
    return [f"assumed, until it is measured: {', '.join(told)}"] if told else []


def _instead(column: str, value: str, terms: Terms) -> str:
    """Say what stands for a column."""
    if column == "logistics_return" and not terms.counts_returns:
        return "not needed, since a return costs nothing"
    if column in ("complaint", "logistics_return"):
        return "its risk is stated, not learned"
    if column == "is_premium":
        return "none of them was premium"
    return f"{value} in every row"


def _as_json(proposal: Proposal) -> dict[str, Any]:
    from optimizer.recognize.write import words_of

    return {
        "path": proposal.sample.label,
        "num_rows": proposal.whole.num_rows,
        "is_counted_whole": proposal.whole.is_whole,
        "num_rows_looked_at": len(proposal.sample.rows),
        "columns": {c.column: c.written for c in proposal.choices},
        "missing": list(proposal.missing),
        "values": words_of(proposal),
        "units": dict(proposal.units),
        "notes": list(proposal.notes),
    }
