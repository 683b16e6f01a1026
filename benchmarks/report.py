"""
Tables and plot of what was measured, into README.md and results.svg beside this file,
and the few figures that the documentation shows.

    python -m benchmarks.report
    python -m benchmarks.report --check    # exits with 1 where a result is stale
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.instances import FAMILIES, size_name
from benchmarks.peers import OURS, PEERS
from benchmarks.records import BUSY_CORES, is_stale, read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    Record = dict[str, Any]
    Nights = dict[str, list[Record]]

README = Path(__file__).with_name("README.md")
RESULTS = README.with_name("results.json")
PLOT = README.with_name("results.svg")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
#: What is aimed at: passes over all options for a solve, memory against the leanest
#: exact peer, and seconds per order against a night a tenth as large.
MOST_PASSES, MOST_MEMORY, MOST_GROWTH = 25.0, 0.5, 1.1
#: Of a whole night, scans of its files, by orders.
MOST_SCANS = {1_000_000: 20.0, 10_000_000: 15.0}
#: Of one call of ``allocate`` in a loop, by orders.
MOST_CALL_MS = {2_000: 5.0, 20_000: 30.0}
#: And seconds against the fastest exact method of another project; of a whole night,
#: against a script that proves and explains nothing.
MOST_RATIO, MOST_PLAIN = 1.0, 1.0
#: Families and least size of the table of growth.
GROWTH_FAMILIES, GROWTH_ORDERS = ("single", "choice"), 1_000_000
MISSED = " ✗"


def main(words: list[str] | None = None) -> None:
    """Write both anew from ``results.json``, or say which results are stale."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="fail on a stale result")
    records = read_records(RESULTS)
    if not parser.parse_args(words).check:
        write_report(records)
        return
    stale = [f"{r['name']} {r['peer']}" for r in records if is_stale(r)]
    if stale:
        raise SystemExit(
            f"{len(stale)} of {len(records)} results are of other code than this; "
            f"measure them again with python -m benchmarks.compare: {', '.join(stale)}"
        )


def write_report(records: list[Record]) -> None:
    """Put the tables between the marks of both pages, and draw the plot."""
    from benchmarks.headline import write_headline
    from benchmarks.plot import draw

    write_headline(records)
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n\n{tables(records)}\n\n{END}{after}")
    draw(records, PLOT)


def tables(records: list[Record]) -> str:
    """Lay out the page's tables as Markdown; ``benchmarks.details`` has all nights."""
    solved = [r for r in records if r["peer"] in PEERS]
    nights = nights_of(records)
    whole = [r for r in records if r["peer"] == "run"]
    calls = [r for r in records if r["peer"] == "allocate"]
    parts = [
        _measured_on(records),
        f"Missed aims are marked{MISSED}. † Others kept more than {BUSY_CORES} cores "
        "busy meanwhile: seconds are too long. ‡ Stale: measured with other code than "
        f"this commit's, {sum(map(is_stale, records))} of {len(records)} results. "
        "Seconds are medians.",
        "### This project against the best of the others",
        "The largest night of each family, and every night that is lost.",
        *_ours(nights),
        "### Every method",
        "Seconds from the arrays of the problem to the answer, on the nights that most "
        "methods were given; the fastest exact one is bold.",
        _every_method(nights),
        "### Growth",
        *_growth(solved),
        "### Whole nights, from files to files",
        *_whole_nights(whole),
        "### Small nights in memory, decided again and again",
        *_loops(calls),
        "### Families of nights",
        "\n".join(f"- `{name}`: {what}" for name, what in FAMILIES.items()),
    ]
    return "\n\n".join(parts)


def nights_of(records: Sequence[Record]) -> Nights:
    """Group results of methods by their night, small nights first."""
    nights: Nights = {}
    for record in sorted(records, key=lambda r: (r["num_orders"], r["name"])):
        if record["peer"] in PEERS:
            nights.setdefault(record["name"], []).append(record)
    return nights


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table; the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _measured_on(records: list[Record]) -> str:
    """Say when and on what, once for each machine and set of libraries."""
    lines: dict[str, set[str]] = {}
    for record in records:
        machine = record["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        text = (
            f"{machine['cores']} cores of {machine['processor']}, "
            f"{machine['memory_gb']} GB; Python {machine['python']}, {versions}"
        )
        lines.setdefault(text, set()).add(machine["commit"])
    dates = sorted({r["date"] for r in records})
    span = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "never"
    return "\n".join(
        f"Measured {span} on {text}; this project at {', '.join(sorted(commits))}."
        for text, commits in sorted(lines.items())
    )


def _ours(nights: Nights) -> list[str]:
    """Compare this project with the fastest and the leanest exact peer, and a pass."""
    rows = []
    for name in [name for name in nights if name in _shown(nights)]:
        night = nights[name]
        ours = record_of(night, OURS)
        assert ours is not None
        peer, lean = fastest(others(night)), leanest(others(night))
        call = min(right(others(night)), key=lambda r: r["seconds"], default=None)
        passes = ours["seconds"] / ours["bound_pass_seconds"]
        none = "none finished" if others(night) else "not measured"
        rows.append(
            [
                name + busy(night),
                digits(ours["seconds"]),
                f"{peer['peer']} {digits(whole(peer))}" if peer else none,
                _aimed(whole(ours) / whole(peer), MOST_RATIO, ".2f") if peer else "",
                f"{call['peer']} {digits(call['seconds'])}" if call else "",
                f"{ours['seconds'] / call['seconds']:.2f}" if call else "",
                f"{1e3 * ours['bound_pass_seconds']:.1f}",
                _aimed(passes, MOST_PASSES, ".0f"),
                memory(ours),
                f"{lean['peer']} {memory(lean)}" if lean else none,
                _aimed(memory_ratio(ours, lean), MOST_MEMORY, ".2f") if lean else "",
            ]
        )
    head = [
        "night",
        "seconds",
        "fastest exact peer, set-up and call, s",
        f"ratio (aim ≤ {MOST_RATIO:g})",
        "fastest call alone, s",
        "ratio",
        "bound pass, ms",
        f"passes (aim ≤ {MOST_PASSES:g})",
        "peak MB",
        "leanest exact peer, MB",
        f"ratio (aim ≤ {MOST_MEMORY:g})",
    ]
    return [table_of(head, rows), where_we_lose(nights), where_calls_are_faster(nights)]


def _shown(nights: Nights) -> set[str]:
    """The largest night of each family that we solved, and those that we lose."""
    solved = {
        name: night
        for name, night in nights.items()
        if "seconds" in (record_of(night, OURS) or {})
    }
    largest = {night[0]["family"]: name for name, night in solved.items()}
    return {*largest.values(), *(name for name in solved if _lost_to(nights[name]))}


def _lost_to(night: list[Record]) -> Record | None:
    """The exact method of another project that is faster than ours, if one is."""
    ours, best = record_of(night, OURS), fastest(others(night))
    if ours is None or best is None:
        return None
    return best if ours.get("seconds", math.inf) > whole(best) else None


def where_we_lose(nights: Nights) -> str:
    """Name the nights on which another project's exact method is faster."""
    lost = []
    for name, night in nights.items():
        ours, best = record_of(night, OURS), _lost_to(night)
        if ours is not None and best is not None:
            slower = ours.get("seconds", math.inf) / whole(best)
            lost.append(f"{name} (to {best['peer']}, {slower:.1f} times slower)")
    if not lost:
        return f"`{OURS}` is the fastest exact method on every night."
    return f"`{OURS}` loses on {', '.join(lost)}."


def where_calls_are_faster(nights: Nights) -> str:
    """Name the nights on which another project's call alone takes less than ours."""
    lost, num_solved = [], 0
    for name, night in nights.items():
        ours = record_of(night, OURS) or {}
        calls = [r["seconds"] for r in right(others(night))]
        num_solved += bool(calls)
        if calls and ours.get("seconds", math.inf) > min(calls):
            lost.append(name)
    if not lost:
        return "No call alone, without set-up, is faster either."
    return (
        f"Without its set-up, the call alone of another is faster on {len(lost)} of "
        f"{num_solved} nights: {', '.join(lost)}."
    )


def _growth(records: list[Record]) -> list[str]:
    """Seconds for each million orders, as the night grows tenfold."""
    rows = []
    for family in GROWTH_FAMILIES:
        sizes = sorted(
            (r for r in records if (r["family"], r["peer"]) == (family, OURS)),
            key=lambda r: r["num_orders"],
        )
        sizes = [r for r in sizes if r["num_orders"] >= GROWTH_ORDERS and _is_usual(r)]
        before: float | None = None
        for record in sizes:
            each = record["seconds"] / record["num_orders"]
            rows.append(
                [
                    record["name"] + busy([record]),
                    f"{record['num_orders']:,}",
                    f"{record['num_options']:,}",
                    f"{record['seconds']:.3f}",
                    f"{1e6 * each:.3f}",
                    _aimed(each / before, MOST_GROWTH, ".2f") if before else "",
                    memory(record),
                ]
            )
            before = each
    head = ["night", "orders", "options", "seconds", "seconds for a million orders"]
    head += [f"to linear growth (aim ≤ {MOST_GROWTH:g})", "peak MB"]
    return [table_of(head, rows)] if rows else ["Not measured yet."]


def _is_usual(record: Record) -> bool:
    usual = f"{record['family']}-{size_name(record['num_orders'])}"
    return record["name"] == usual and "seconds" in record


def _whole_nights(records: list[Record]) -> list[str]:
    """Stages of nights from files to files, beside polars reading the same columns."""
    stages = list(dict.fromkeys(s for r in records for s in r.get("stage_seconds", ())))
    rows = []
    for record in sorted(records, key=lambda r: (r["num_orders"], r["carriers"])):
        name = record["name"] + busy([record])
        if "failure" in record:
            rows.append([name, record["failure"]])
            continue
        spent = record["stage_seconds"]
        most_scans = MOST_SCANS.get(record["num_orders"], float("inf"))
        other = record["seconds"] - sum(spent.values())
        rows.append(
            [
                name,
                f"{record['seconds']:.2f}",
                *(f"{spent.get(stage, 0.0):.2f}" for stage in stages),
                f"{other:.2f}",
                memory(record),
                f"{record['input_bytes'] / 1e6:,.0f}",
                f"{record['scan_seconds']:.3f}",
                _aimed(record["seconds"] / record["scan_seconds"], most_scans, ".0f"),
                *_beside_plain(record),
                f"{record['verify_seconds']:.2f}",
                f"{record['proved_gap_micro_cny']}",
            ]
        )
    head = ["night", "command s", *stages, "start and writing", "peak MB", "input MB"]
    aims = ", ".join(f"{size_name(n)}: {most:g}" for n, most in MOST_SCANS.items())
    head += ["polars scan s", f"scans (aim ≤, {aims})", "plain script s"]
    head += [f"to plain script (aim ≤ {MOST_PLAIN:g})", "its peak MB"]
    head += ["verify s", "gap"]
    return [table_of(head, rows)] if rows else ["Not measured yet."]


def _beside_plain(record: Record) -> list[str]:
    """Seconds, ratio and memory of the script of polars and OR-Tools, where it ran."""
    if "plain_seconds" not in record:
        return [""] * 3
    ratio = record["seconds"] / record["plain_seconds"]
    return [
        f"{record['plain_seconds']:.2f}",
        _aimed(ratio, MOST_PLAIN, ".2f"),
        f"{record['plain_peak_memory_bytes'] / 1e6:,.0f}",
    ]


def _loops(records: list[Record]) -> list[str]:
    """Calls of ``allocate`` with tables in memory, as one makes them in a loop."""
    rows = []
    for record in sorted(records, key=lambda r: (r["num_orders"], r["carriers"])):
        name = record["name"] + busy([record])
        if "failure" in record:
            rows.append([name, record["failure"]])
            continue
        low, _, high = record["all_seconds"]
        aim = MOST_CALL_MS.get(record["num_orders"], float("inf"))
        rows.append(
            [
                name,
                _aimed(1e3 * record["seconds"], aim, ".1f"),
                f"{1e3 * low:.1f}–{1e3 * high:.1f}",
                f"{1e3 * record['cpu_seconds']:.1f}",
                f"{1e3 * record['told_seconds']:.1f}",
                f"{record['num_calls']}",
                f"{record['proved_gap_micro_cny']}",
            ]
        )
    aims = ", ".join(f"{n:,} orders: {ms:g}" for n, ms in MOST_CALL_MS.items())
    head = ["night", f"call ms (aim ≤, {aims})", "quartiles", "CPU ms"]
    head += ["with all tables looked at, ms", "calls", "gap"]
    return [table_of(head, rows)] if rows else ["Not measured yet."]


def _every_method(nights: Nights) -> str:
    """Lay out seconds of every method on the nights that most methods were given."""
    most = max((len(night) for night in nights.values()), default=0)
    shown = {n: night for n, night in nights.items() if len(night) == most}
    names = [p for p in PEERS if any(record_of(n, p) for n in shown.values())]
    rows = []
    for name, night in shown.items():
        found = {r["peer"]: seconds_in_all(r) for r in night}
        best = fastest(night)
        if best is not None:
            found[best["peer"]] = f"**{found[best['peer']]}**"
        rows.append([name + busy(night), *(found.get(n, "") for n in names)])
    return table_of(["night", *names], rows) if rows else "Not measured yet."


def fastest(night: list[Record]) -> Record | None:
    """The fastest right answer of a method that promises the optimum, with set-up."""
    return min(right(night), key=whole, default=None)


def whole(record: Record) -> float:
    """Seconds from the arrays of the problem to the answer: set-up and call."""
    return float(record["seconds"] + set_up(record))


def leanest(night: list[Record]) -> Record | None:
    """The right answer of such a method that took least memory, where it is known."""
    known = [r for r in right(night) if "peak_memory_bytes" in r]
    return min(known, key=lambda r: r["peak_memory_bytes"], default=None)


def right(night: list[Record]) -> list[Record]:
    return [r for r in night if r.get("is_wrong") is False]


def others(night: list[Record]) -> list[Record]:
    """Results of other projects."""
    return [r for r in night if PEERS[r["peer"]].form != "problem"]


def record_of(night: list[Record], peer: str) -> Record | None:
    return next((r for r in night if r["peer"] == peer), None)


def busy(records: list[Record]) -> str:
    is_busy = max(r["cores_of_others"] for r in records) > BUSY_CORES
    return " †" * is_busy + " ‡" * any(map(is_stale, records))


def _aimed(value: float, most: float, form: str) -> str:
    return format(value, form) + MISSED * (value > most)


def memory_ratio(record: Record, other: Record) -> float:
    return float(record["peak_memory_bytes"] / other["peak_memory_bytes"])


def memory(record: Record) -> str:
    if "failure" in record:
        return str(record["failure"]) if "GB" in record["failure"] else ""
    peak = record.get("peak_memory_bytes")
    return f"{peak / 1e6:,.0f}" if peak else ""


def set_up(record: Record) -> float:
    """From the problem to what the method reads; nothing for our own methods."""
    is_own = PEERS[record["peer"]].form == "problem"
    return 0.0 if is_own else record["form_seconds"] + record["prepare_seconds"]


def seconds_in_all(record: Record) -> str:
    """Seconds of a method with its set-up, or why there are none."""
    return digits(whole(record)) if "seconds" in record else str(record["failure"])


def digits(seconds: float) -> str:
    """Seconds, to the millisecond; below a tenth, to a tenth of one."""
    return f"{seconds:.3f}" if seconds >= 0.1 else f"{seconds:.4f}"


if __name__ == "__main__":
    main()
