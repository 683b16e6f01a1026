"""
Every method on every night that was measured, with what it lost or won by.

    python -m benchmarks.details [NIGHT ...]

prints, for all nights of ``results.json`` or for those that are named, the seconds of
each method's call with their spread, its set-up, its peak memory, its gap to the
optimum, and each beside the fastest and the leanest exact method of another project.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from benchmarks.instances import FAMILIES
from benchmarks.peers import OURS, PEERS
from benchmarks.records import read_records
from benchmarks.report import (
    RESULTS,
    digits,
    fastest,
    leanest,
    memory,
    memory_ratio,
    nights_of,
    others,
    record_of,
    set_up,
    table_of,
    whole,
)

if TYPE_CHECKING:
    Record = dict[str, Any]
    Nights = dict[str, list[Record]]


def main(words: list[str] | None = None) -> None:
    """Print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nights", nargs="*", metavar="NIGHT", help="such as choice-1m")
    asked = parser.parse_args(words).nights
    nights = nights_of(read_records(RESULTS))
    unknown = sorted({*asked} - {*nights})
    if unknown:
        raise SystemExit(
            f"not measured: {', '.join(unknown)}; there are {', '.join(nights)}"
        )
    print(details({name: nights[name] for name in asked} if asked else nights))


def details(nights: Nights) -> str:
    """Lay out every night as Markdown."""
    return "\n\n".join(_night(name, night) for name, night in nights.items())


def _night(name: str, night: list[Record]) -> str:
    """Everything about one night."""
    about = f"{night[0]['num_orders']:,} orders; {FAMILIES[night[0]['family']]}"
    peer, lean = fastest(others(night)), leanest(others(night))
    ours = record_of(night, OURS) or {}
    one_pass = ours.get("bound_pass_seconds")
    rows = []
    for r in sorted(night, key=lambda r: whole(r) if "seconds" in r else float("inf")):
        has, is_lean = "seconds" in r, lean is not None and "peak_memory_bytes" in r
        rows.append(
            [
                f"{r['peer']} ({PEERS[r['peer']].what})",
                seconds_of(r),
                f"{whole(r) / whole(peer):.2f}" if has and peer else "",
                f"{r['seconds'] / one_pass:,.0f}" if has and one_pass else "",
                digits(set_up(r)) if has else "",
                memory(r),
                f"{memory_ratio(r, lean):.2f}" if is_lean else "",
                _gap(r),
                _remark(r, night),
            ]
        )
    head = ["method", "seconds", "to fastest exact peer", "to one bound pass"]
    head += ["set-up s", "peak MB", "to leanest exact peer", "gap to optimum", ""]
    busy = max(r["cores_of_others"] for r in night)
    title = f"## {name}\n\n{about}; others kept {busy:.2f} cores busy."
    return f"{title}\n\n{table_of(head, rows)}\n\n{_verdict(night)}"


def seconds_of(record: Record) -> str:
    """Seconds of a method's call, or why there are none."""
    if "seconds" not in record:
        return str(record["failure"])
    rounds = record.get("all_seconds", ())
    if len(rounds) < 2:
        return digits(record["seconds"])
    return f"{digits(record['seconds'])} ({digits(min(rounds))}–{digits(max(rounds))})"


def _gap(record: Record) -> str:
    """How far a plan is from the optimum, as a share of it."""
    best = record["optimum_micro_cny"]
    if "seconds" not in record or best is None:
        return ""
    gap = best - record["objective_micro_cny"]
    return "0" if gap == 0 else f"{gap / best:.1e}"


def _remark(record: Record, night: list[Record]) -> str:
    best = fastest(night)
    if "seconds" not in record:
        return "loses" if best else ""
    if record.get("is_wrong"):
        return "**wrong**"
    if not record["is_whole"]:
        excess = max(0.0, record["largest_excess"])
        return f"in fractions, up to {excess:.0e} parcels above a limit"
    if not PEERS[record["peer"]].is_exact:
        return "not the optimum"
    if best is None:
        return "not checked: no optimum was proved"
    if record is best:
        return "**fastest exact**"
    return f"loses, {whole(record) / whole(best):.1f} times slower"


def _verdict(night: list[Record]) -> str:
    """Say in a sentence who loses, us included."""
    best = fastest(night)
    if best is None:
        return "No exact method finished with a proof."
    losers = [r["peer"] for r in night if PEERS[r["peer"]].is_exact and r is not best]
    if not losers:
        return f"Only {best['peer']} was run."
    return f"Fastest exact: {best['peer']}. Losing: {', '.join(losers)}."


if __name__ == "__main__":
    main()
