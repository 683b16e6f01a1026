"""The page's tables of repetitions over worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import promises, uplift_peers
from benchmarks.visible_columns import COSTS, OUTCOME_OF

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Rules that learn from the same outcomes, of which the best is "the best peer".
PEERS = ("risk", "random", "ridge", "dr")
#: Worlds without an effect.
NULL = ("null", "delayed-null")
#: Nights that each plan is judged on.
NUM_JUDGED = 3


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown of all worlds, with 95 % intervals over repetitions."""
    lines = [
        "| world | n | of the oracle, 5 | of the oracle, 20 | of highest risk, 5 "
        "(least) | of highest risk, 20 | of the best peer, 20 | columns / truth "
        "| promised / realised | coverage | wrong sign | false alarms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    worlds = dict.fromkeys(row["world"] for row in rows)
    for world in worlds:
        own = [row for row in rows if row["world"] == world]
        lines.append(
            f"| `{world}` | {len(own)} | " + " | ".join(_cells(world, own)) + " |"
        )
    lines += ["", *_net_table(rows)]
    costs = {OUTCOME_OF[harm]: cost for harm, cost in COSTS.items()}
    lines += ["", *promises.table(rows, costs)]
    return "\n".join(lines)


def _cells(world: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    last = str(rows[0]["nights"])

    def net(after: str, name: str) -> np.ndarray:
        return np.array([row["judged"][after]["net_cny"][name] for row in rows])

    early = "5" if "5" in rows[0]["judged"] else last
    if world in NULL:
        yield from ("", "", "", "", "", "")
    else:
        for after in (early, last):
            yield _ratio(net(after, "learned"), net(after, "columns"))
        text = _ratio(net(early, "learned"), net(early, "risk"))
        if (net(early, "risk") > 0).all():
            by_seed = net(early, "learned") / net(early, "risk")
            text += f" ({by_seed.min():.2f})"
        else:
            more = (net(early, "learned") - net(early, "risk")).min() / NUM_JUDGED
            text += f" ({more:+.0f} CNY)"
        yield text
        yield _ratio(net(last, "learned"), net(last, "risk"))
        best = max(PEERS, key=lambda name: net(last, name).mean())
        yield f"{_ratio(net(last, 'learned'), net(last, best))} {best}"
        yield _ratio(net(last, "columns"), net(last, "truth"))
    promised, realised = (
        np.array([row["judged"][last][f"{name}_cny"] for row in rows])
        for name in ("promised", "realised")
    )
    yield "" if world in NULL else _ratio(promised, realised)
    every = [one for row in rows for one in row["intervals"]]
    holds = [one["low"] <= one["true"] <= one["high"] for one in every]
    yield _share(holds)
    signed = [one for one in every if abs(one["true"]) > 1e-12]
    wrong = [one["high"] < 0 if one["true"] > 0 else one["low"] > 0 for one in signed]
    yield _share(wrong) if signed else ""
    alarms = [not one["low"] <= 0 <= one["high"] for one in every]
    yield _share(alarms) if world in NULL else ""


def _ratio(above: np.ndarray, below: np.ndarray) -> str:
    """Ratio of sums, with a jackknifed 95 % interval over repetitions."""
    from scipy.stats import t

    n = len(above)
    if below.sum() <= 0:
        return "loss"
    whole = above.sum() / below.sum()
    if n < 2:
        return f"{whole:.2f}"
    if (below.sum() - below <= 0).any():
        return f"{whole:.2f}"
    left = (above.sum() - above) / (below.sum() - below)
    spread = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    half = float(t.ppf(0.975, n - 1)) * spread
    return f"{whole:.2f} ± {half:.2f}"


def _share(found: list[bool]) -> str:
    return f"{sum(found)}/{len(found)}"


def _net_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """CNY a night, net of fees, by rule; and of those beside libraries all of them."""
    names = ("learned", *PEERS, "columns", "truth")
    yield from _means_table("CNY a night net of fees", rows, names, NET)
    beside = [row for row in rows if set(uplift_peers.LEARNERS) <= {*_net_of(row)}]
    if not beside:
        return
    names = ("learned", *PEERS, *uplift_peers.LEARNERS, "columns", "truth")
    for title, form in (
        ("beside libraries, CNY a night net of fees", NET),
        ("Qini by true worth, CNY per 100 parcels", QINI),
        ("AUUC by true worth, CNY per 100 parcels", AUUC),
    ):
        yield ""
        yield from _means_table(title, beside, names, form)


#: How a measure is shown: its name, its format, and what it is divided by.
NET = ("net_cny", "{:.0f}", NUM_JUDGED)
QINI = ("qini_cny", "{:.1f}", 0.01)
AUUC = ("auuc_cny", "{:.1f}", 0.01)


def _means_table(
    title: str,
    rows: list[dict[str, Any]],
    names: tuple[str, ...],
    shown: tuple[str, str, float],
) -> Iterator[str]:
    """Means by world and rule, after the last night."""
    measure, form, parts = shown
    yield f"| world, {title} | n | " + " | ".join(names) + " |"
    yield "|---|" + "--:|" * (len(names) + 1)
    for world in dict.fromkeys(row["world"] for row in rows):
        if measure != "net_cny" and world in NULL:
            continue
        own = [_last(row)[measure] for row in rows if row["world"] == world]
        means = (np.mean([told[name] for told in own]) / parts for name in names)
        cells = " | ".join(map(form.format, means))
        yield f"| `{world}` | {len(own)} | {cells} |"


def _net_of(row: dict[str, Any]) -> dict[str, float]:
    return _last(row)["net_cny"]


def _last(row: dict[str, Any]) -> dict[str, Any]:
    """What was judged after the last night."""
    return row["judged"][str(row["nights"])]
