"""A check of an order's evidence that needs nothing but the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.night.merkle import proved_root
from optimizer.night.state.chain import Link, text_hash

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    proof, wrong = found["proof"], []
    links = [Link(e["number"], e["hash"], e["text"]) for e in proof["chain"]]
    first = links[0].body
    if proved_root(proof["row"], proof["leaf"]) != first["decisions"]["root"]:
        wrong.append("the decision is not the one that the night's link stands for")
    values = proof["row"].split("\t", len(first["decisions"]["columns"]) - 1)
    named = dict(zip(first["decisions"]["columns"], values, strict=False))
    if (named.get("order_id"), named.get("reason")) != (
        found["order_id"],
        found["decision"]["reason"],
    ):
        wrong.append("the decision that is shown is not the one that is proved")
    # The part of the chain before the night says nothing about it.
    for before, link in zip([None, *links], links, strict=False):
        if text_hash(link.text) != link.hash:
            wrong.append(f"link {link.number} is not what its hash says")
        if before is not None and link.body.get("previous") != before.hash:
            wrong.append(f"link {link.number} does not follow from the one before it")
    if links[-1].hash != proof["head"]["hash"]:
        wrong.append("the chain does not lead to its head")
    return wrong
