"""One page of scenarios: a bar for each, and the front as a line; no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.insight.report.markup import NOTHING, Html, count, element, money, name

if TYPE_CHECKING:
    import polars as pl

_STYLE = """\
:root { color-scheme: light dark; --page: #f7f7f5; --ink: #1a1d21; --soft: #59616b;
  --line: #d9dddb; --accent: #12665f; }
@media (prefers-color-scheme: dark) { :root { --page: #121415; --ink: #e9ebec;
  --soft: #a3abb3; --line: #3b4246; --accent: #6cc9bf; } }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.1rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p, caption { color: var(--soft); text-align: start; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { padding: .4rem .6rem .4rem 0; text-align: end; font-weight: 400;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: start; white-space: normal; min-width: 8rem; }
svg { display: block; width: 100%; }
.bar { height: 12px; min-width: 6rem; } .front { height: auto; }
.back { fill: var(--line); } .mark { fill: var(--accent); }
.axis { stroke: var(--line); fill: none; } .line { stroke: var(--accent); fill: none;
  stroke-width: 2; } text { fill: var(--soft); font-size: 13px; }"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_WIDTH, _HEIGHT, _LEFT, _BASE = 720, 320, 20, 280


def scenario_page(
    title: str, scenarios: pl.DataFrame, front: pl.DataFrame, views: pl.DataFrame
) -> str:
    """
    Write the page.

    Parameters
    ----------
    title
        What the night is called.
    scenarios, front, views
        The tables; see :mod:`optimizer.studies.scenario_tables`.

    Returns
    -------
    str
        HTML, the same for the same tables; names in it are escaped.
    """
    head = (
        '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{_POLICY}"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><link rel="icon" href="data:,"><style>{_STYLE}</style>'
    )
    body = [
        element("h1", Html("Scenarios of "), name(title)),
        _bars(scenarios),
        _front(front) if front.height else NOTHING,
        _views(views) if views.height else NOTHING,
    ]
    page = "\n".join(body)
    heading = element("title", Html("Scenarios"))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}{heading}</head>\n'
        f"<body>\n{page}\n</body>\n</html>\n"
    )


def _bars(scenarios: pl.DataFrame) -> Html:
    """A row for each scenario, with its saving as a bar."""
    most = max(1e-6, *scenarios["saving_cny"].to_list())
    rows = []
    for row in scenarios.iter_rows(named=True):
        rows.append(
            [
                element("th", name(row["name"]), scope="row"),
                element("td", _bar(row["saving_cny"] / most)),
                element("td", money(row["saving_cny"])),
                element("td", money(row["saving_change_cny"])),
                element("td", count(row["num_chosen"])),
                element("td", money(row["harm_avoided_cny"])),
                element("td", money(row["fees_cny"])),
            ]
        )
    heads = ["scenario", "", "saving, CNY", "against tonight", "parcels"]
    return _table([*heads, "harm avoided", "fees"], rows)


def _bar(share: float) -> Html:
    width = f"{100 * max(0.0, share):.2f}%"
    back = '<rect class="back" width="100%" height="100%" rx="3"/>'
    mark = f'<rect class="mark" width="{width}" height="100%" rx="3"/>'
    return element("svg", Html(back + mark), class_="bar", aria_hidden="true")


def _front(front: pl.DataFrame) -> Html:
    """Harm avoided against money spent, as a line; parcels where there is no fee."""
    has_fee = front["fees_cny"].max() != 0
    across = front["fees_cny" if has_fee else "num_chosen"].to_list()
    up = front["harm_avoided_cny"].to_list()
    widest, highest = max(1e-6, *across), max(1e-6, *up)
    places = [
        (
            _LEFT + (_WIDTH - 2 * _LEFT) * x / widest,
            _BASE - (_BASE - _LEFT) * y / highest,
        )
        for x, y in zip(across, up, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*places, (_LEFT, _BASE)])
    dots = "".join(
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places
    )
    unit = "CNY of fees" if has_fee else "parcels"
    labels = (
        f'<text x="{_LEFT}" y="{_LEFT - 6}">{highest:,.0f} CNY of harm avoided</text>'
        f'<text x="{_WIDTH - _LEFT}" y="{_HEIGHT - 18}" text-anchor="end">'
        f"{widest:,.0f} {unit}</text>"
    )
    axis = f'<path class="axis" d="M{_LEFT} {_LEFT}V{_BASE}H{_WIDTH - _LEFT}"/>'
    picture = element(
        "svg",
        Html(f'{axis}<polyline class="line" points="{line}"/>{dots}{labels}'),
        class_="front",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label="Most harm that can be avoided for the money spent",
    )
    note = Html("Each point avoids most harm of all plans that spend as much.")
    return element(
        "section",
        element("h2", Html("Harm against money")),
        element("p", note),
        picture,
    )


def _views(views: pl.DataFrame) -> Html:
    """What each party gains by each scenario, and the fee where it gains nothing."""
    rows = []
    for row in views.iter_rows(named=True):
        at = row["indifferent_fee_cny"]
        rows.append(
            [
                element("th", name(row["name"]), scope="row"),
                element("td", name(row["party"])),
                element("td", money(row["harm_avoided_cny"])),
                element("td", money(row["fees_cny"])),
                element("td", money(row["net_cny"])),
                element("td", Html("–") if at is None else money(at)),
            ]
        )
    heads = [
        "scenario",
        "party",
        "harm avoided",
        "fees",
        "net",
        "indifferent at a fee of",
    ]
    title = element("h2", Html("Three views of each plan, CNY"))
    return element("section", title, _table(heads, rows))


def _table(heads: list[str], rows: list[list[Html]]) -> Html:
    top = element("tr", *(element("th", Html(head), scope="col") for head in heads))
    body = element("tbody", *(element("tr", *row) for row in rows))
    return element(
        "div", element("table", element("thead", top), body), class_="scroll"
    )
