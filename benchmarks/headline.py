"""The few figures that the documentation shows, out of the same results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.instances import make_instance, size_name
from benchmarks.peers import OURS
from benchmarks.records import BUSY_CORES, is_stale
from benchmarks.report import nights_of, where_we_lose, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Record = dict[str, Any]

PAGE = Path(__file__).parents[1] / "docs/explanation/how-good-how-fast.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
#: Whole nights whose stages are shown, and solves that are told in a sentence.
NIGHT_ORDERS, SOLVED_ORDERS = 1_000_000, 10_000_000
#: What families of solves are called there.
WAYS = {"single": "one carrier each", "choice": "three carriers each"}
NAMES = {OURS: "this project", "ortools": "OR-Tools", "lemon": "LEMON"}


def write_headline(records: Sequence[Record], path: Path = PAGE) -> None:
    """Put the figures between their marks."""
    before, rest = path.read_text().split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{headline(records)}\n\n{END}{after}")


def headline(records: Sequence[Record]) -> str:
    """Stages of whole nights of a million orders, and seconds of the largest solves."""
    nights = [
        r
        for r in records
        if (r["peer"], r["num_orders"]) == ("run", NIGHT_ORDERS) and "seconds" in r
    ]
    nights.sort(key=lambda record: record["carriers"])
    stale = any(map(is_stale, records))
    parts = [_when(nights, stale), _stages(nights)] if nights else ["Not measured yet."]
    solved = nights_of(records)
    parts += [*_solves(records), where_we_lose(solved)] if solved else []
    return "\n\n".join(parts)


def _when(nights: Sequence[Record], stale: bool) -> str:
    dates = " and ".join(sorted({night["date"] for night in nights}))
    machine = nights[0]["machine"]
    warned = ""
    if stale:
        warned += " **Stale**: some are of other code than this."
    if max(night["cores_of_others"] for night in nights) > BUSY_CORES:
        warned += " Others kept the machine busy: seconds are too long."
    return (
        f"A million simulated orders, files in to published night out, {dates}, "
        f"{machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_gb']} GB; seconds, medians.{warned}"
    )


def _stages(nights: Sequence[Record]) -> str:
    """Lay out a row for each stage, a column for each night."""
    stages = dict.fromkeys(
        stage for night in nights for stage in night["stage_seconds"]
    )
    ways = [WAYS["single" if night["carriers"] == 1 else "choice"] for night in nights]
    lines = [f"| stage | {' | '.join(ways)} |", "|---|" + "---:|" * len(nights)]
    rows = {
        stage: [f"{night['stage_seconds'].get(stage, 0):.2f} s" for night in nights]
        for stage in stages
    }
    rows["`optimizer run`, in all"] = [f"{night['seconds']:.2f} s" for night in nights]
    rows["its peak memory"] = [
        f"{night['peak_memory_bytes'] / 1e6:,.0f} MB" for night in nights
    ]
    rows["`optimizer verify`"] = [
        f"{night['verify_seconds']:.2f} s" for night in nights
    ]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def _solves(records: Iterable[Record]) -> list[str]:
    """Tell the seconds of the largest solves, set-up counted for everyone."""
    told = []
    for family, ways in WAYS.items():
        name = make_instance(family, SOLVED_ORDERS).name
        found = {r["peer"]: r for r in records if r["name"] == name}
        if "seconds" in found.get(OURS, {}):
            each = [
                f"{NAMES[peer]} {whole(found[peer]):.2f} s"
                for peer in NAMES
                if "seconds" in found.get(peer, {})
            ]
            told.append(f"{ways}: {', '.join(each)}")
    if not told:
        return []
    size = size_name(SOLVED_ORDERS).replace("m", " million")
    return [
        f"The solve alone of {size} orders, from the arrays of the problem to a plan "
        f"with gap 0, set-up counted for everyone; {'; '.join(told)}."
    ]
