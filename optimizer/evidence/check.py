"""A check of an order's evidence that needs nothing but the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.night.merkle import LEAF_OF, proved_root
from optimizer.night.row_leaves import proved_row_root
from optimizer.night.state.chain import Link, text_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What values and hashes of another kind raise.
_OF_SHAPE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


def check_evidence(found: Mapping[str, Any]) -> list[str]:
    """
    Check an order's evidence from itself alone, as a merchant who appeals can.

    Parameters
    ----------
    found
        What ``optimizer evidence --json`` prints.

    Returns
    -------
    list of str
        Descriptions of what does not hold; empty where everything does.
    """
    proof = found["proof"]
    links = [Link(e["number"], e["hash"], e["text"]) for e in proof["chain"]]
    said = links[0].body["decisions"]
    check = _false_leaf if said.get("leaf_of") == LEAF_OF else _false_row
    try:
        wrong = [*check(found, said)]
    except _OF_SHAPE:
        wrong = ["the proof is not one of this night"]
    # The part of the chain before the night says nothing about it.
    for before, link in zip([None, *links], links, strict=False):
        if text_hash(link.text) != link.hash:
            wrong.append(f"link {link.number} is not what its hash says")
        if before is not None and link.body.get("previous") != before.hash:
            wrong.append(f"link {link.number} does not follow from the one before it")
    if links[-1].hash != proof["head"]["hash"]:
        wrong.append("the chain does not lead to its head")
    return wrong


def _false_leaf(found: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    """What does not hold of a merchant's rows, and of the one that is shown."""
    leaf, columns = found["proof"]["leaf"], said["columns"]
    if proved_root(leaf, columns) != said["root"]:
        yield "the decision is not the one that the night's link stands for"
    rows = [dict(zip(columns, row, strict=True)) for row in leaf["rows"]]
    if any(row["merchant_id"] != leaf["merchant_id"] for row in rows):
        yield "a row is not of the merchant that the leaf is of"
    shown = _whole(found["decision"], columns)
    if rows[leaf["position"]] != shown or found["order_id"] != shown["order_id"]:
        yield "the decision that is shown is not the one that is proved"


def _whole(decision: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A decision with amounts and shares in whole millionths."""
    return {
        name: round(value * 1e6) if isinstance(value, float) else value
        for name, value in ((name, decision[name]) for name in columns)
    }


def _false_row(found: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    """The same of a night of an older format, where rows are hashed one by one."""
    proof, columns = found["proof"], said["columns"]
    if proved_row_root(proof["row"], proof["leaf"]) != said["root"]:
        yield "the decision is not the one that the night's link stands for"
    values = proof["row"].split("\t", len(columns) - 1)
    named = dict(zip(columns, values, strict=False))
    shown = (found["order_id"], found["decision"]["reason"])
    if (named.get("order_id"), named.get("reason")) != shown:
        yield "the decision that is shown is not the one that is proved"
