"""
What plans promised on the platforms of all worlds, and how well it can be known.

Beside the promise stands what the platform's own experiment says of the plan: the
parcels that were held out by lot know no model, and twenty nights of them are all that
one platform has. What misses the truth by as much as the experiment itself cannot be
told better by anybody who learns from these nights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Worlds without an effect, with one that goes on changing, or with one that no
#: parcel's own outcome tells.
LEFT_OUT = ("null", "delayed-null", "drift", "spill-over")
#: What is asked of a promise, as a share of what was realised.
ASKED = (0.9, 1.1)
#: After so many nights of the twenty a promise is judged, too.
HALFWAY = "12"


def shares(
    rows: list[dict[str, Any]], costs: dict[str, float]
) -> dict[str, np.ndarray]:
    """
    What was said of each platform's plan, as a share of the truth.

    Parameters
    ----------
    rows
        Finished repetitions.
    costs
        By outcome, in CNY.

    Returns
    -------
    dict
        ``promised``: of the nights to come, by the model, over what they realise;
        ``measured``: of the nights that were, by the experiment, over the truth;
        ``both``: the mean of the two; ``halfway``: promised after twelve nights, of
        the platforms that were judged then. Each ``(n,) float64``.
    """
    promised, measured, halfway = [], [], []
    for row in rows:
        if row["world"] in LEFT_OUT:
            continue
        judged = row["judged"][str(row["nights"])]
        plan = [one for one in row["intervals"] if one["population"] == "policy"]
        told, true = (
            sum(costs[one["outcome"]] * one[name] for one in plan)
            for name in ("estimate", "true")
        )
        promised.append(judged["promised_cny"] / judged["realised_cny"])
        if then := row["judged"].get(HALFWAY):
            halfway.append(then["promised_cny"] / then["realised_cny"])
        measured.append(told / true)
    found = {"promised": np.array(promised), "measured": np.array(measured)}
    found["both"] = (found["promised"] + found["measured"]) / 2
    return found | {"halfway": np.array(halfway)}


def table(rows: list[dict[str, Any]], costs: dict[str, float]) -> Iterator[str]:
    """
    Markdown lines of how far promise and experiment are from the truth.

    Examples
    --------
    >>> row = {"world": "plain", "nights": 20,
    ...        "judged": {"20": {"promised_cny": 95.0, "realised_cny": 100.0}},
    ...        "intervals": [{"population": "policy", "outcome": "complaint",
    ...                       "estimate": 0.15, "true": 0.1}]}
    >>> print(*list(table([row], {"complaint": 30.0}))[2:], sep=chr(10))
    | promised by the model | 1/1 | 0.95 | 0.95 to 0.95 | 0.05 |
    | measured by the experiment | 0/1 | 1.50 | 1.50 to 1.50 | 0.50 |
    | the mean of both | 0/1 | 1.23 | 1.23 to 1.23 | 0.23 |
    """
    names = {
        "promised": "promised by the model",
        "measured": "measured by the experiment",
        "both": "the mean of both",
        "halfway": "promised by the model after 12 nights",
    }
    yield (
        "| of what the plan realises | between 0.9 and 1.1 | mean | least and most "
        "| root mean square error |"
    )
    yield "|---|--:|--:|--:|--:|"
    for name, found in shares(rows, costs).items():
        if not len(found):
            continue
        inside = int(((found >= ASKED[0]) & (found <= ASKED[1])).sum())
        error = np.sqrt(((found - 1) ** 2).mean())
        yield (
            f"| {names[name]} | {inside}/{len(found)} | {found.mean():.2f} "
            f"| {found.min():.2f} to {found.max():.2f} | {error:.2f} |"
        )
