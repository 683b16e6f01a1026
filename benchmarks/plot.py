"""Seconds and memory against orders, ours and every peer's, drawn as one SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.instances import size_name
from benchmarks.peers import OURS, PEERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Record = dict[str, Any]

#: A column of the plot for each of these.
PANELS = {"single": "one carrier an order", "choice": "three carriers an order"}
#: Colours that people of any sight can tell apart (Okabe and Ito); markers beside.
STYLES = {
    OURS: ("#D55E00", "o"),
    "pricing": ("#8B4513", "h"),
    "flow": ("#E69F00", "v"),
    "ortools": ("#0072B2", "s"),
    "lemon": ("#009E73", "^"),
    "highs": ("#CC79A7", "D"),
    "highs-ipm": ("#7F7F7F", "P"),
    "pdlp": ("#56B4E9", "X"),
    "greedy": ("#000000", "."),
}
#: Same results, same bytes; text stays text, so the file is small.
_SETTINGS = {
    "svg.hashsalt": "premium",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(records: list[Record], path: Path) -> None:
    """Draw the families of :data:`PANELS`: seconds above, peak memory below."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(9, 7.4), layout="constrained")
        axes = figure.subplots(2, 2, sharex="col", sharey="row")
        for column, (family, title) in enumerate(PANELS.items()):
            shown = [r for r in records if _is_shown(r, family)]
            _panel(axes[0, column], shown, _seconds, "seconds", "over")
            _pass_line(axes[0, column], shown)
            _panel(axes[1, column], shown, _megabytes, "peak memory, MB", "more than")
            axes[0, column].set_title(title)
            axes[1, column].set_xlabel("orders")
            for row in (0, 1):
                _ticks(axes[row, column], shown)
        axes[0, 1].set_ylabel("")
        axes[1, 1].set_ylabel("")
        drawn = {text: line for a in axes.flat for line, text in _labels(a)}
        figure.legend(
            [*drawn.values()],
            [*drawn],
            loc="outside lower center",
            ncols=5,
            frameon=False,
        )
        figure.savefig(path, metadata={"Date": None})


def _is_shown(record: Record, family: str) -> bool:
    usual = f"{family}-{size_name(record['num_orders'])}"
    return record["name"] == usual and record["peer"] in PEERS


def _seconds(record: Record) -> float | None:
    if "seconds" in record:
        return float(record["seconds"])
    is_late = record["failure"].startswith("over") and "is_foreseen" not in record
    return float(record["limit_seconds"]) if is_late else None


def _megabytes(record: Record) -> float | None:
    if "peak_memory_bytes" in record:
        return float(record["peak_memory_bytes"]) / 1e6
    failure = record.get("failure", "")
    is_full = failure.startswith("needs more") and "is_foreseen" not in record
    return float(record["memory_gb"]) * 1e3 if is_full else None


def _panel(
    axes: Any,
    records: list[Record],
    value_of: Callable[[Record], float | None],
    label: str,
    beyond: str,
) -> None:
    """One line for each method; hollow where it did not finish within its limit."""
    for peer, (colour, marker) in STYLES.items():
        points = sorted(
            (r["num_orders"], value, "failure" in r)
            for r in records
            if r["peer"] == peer and (value := value_of(r)) is not None
        )
        width = 2.4 if peer == OURS else 1.2
        style = {"color": colour, "marker": marker, "linewidth": width}
        axes.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            label=f"{peer} ({PEERS[peer].what})" if peer == OURS else peer,
            markersize=6 if peer == OURS else 4.5,
            zorder=3 if peer == OURS else 2,
            **style,
        )
        stopped = [p for p in points if p[2]]
        for orders, value, _ in stopped:
            axes.plot(orders, value, marker=marker, mfc="white", mec=colour, zorder=4)
            axes.annotate(
                f"{beyond} {value:,.0f}",
                (orders, value),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=colour,
            )
    axes.set(xscale="log", yscale="log", ylabel=label)
    axes.grid(which="major", color="#dddddd", linewidth=0.6)


def _pass_line(axes: Any, records: list[Record]) -> None:
    """What one evaluation of the dual bound takes: no method can be below it."""
    points = sorted(
        (r["num_orders"], r["bound_pass_seconds"])
        for r in records
        if r["peer"] == OURS and "bound_pass_seconds" in r
    )
    axes.plot(
        [p[0] for p in points],
        [p[1] for p in points],
        color="#999999",
        linestyle=":",
        label="one bound pass",
    )


def _ticks(axes: Any, records: list[Record]) -> None:
    sizes = sorted({r["num_orders"] for r in records})
    axes.set_xticks(sizes, [size_name(size) for size in sizes])
    axes.minorticks_off()


def _labels(axes: Any) -> list[tuple[Any, str]]:
    handles, texts = axes.get_legend_handles_labels()
    return list(zip(handles, texts, strict=True))


if __name__ == "__main__":
    raise SystemExit("run: python -m benchmarks.report")
