"""Commands that answer questions about a night: why, what if, at what value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.options import (
    JsonOption,
    OptionalConfig,
    OptionalDate,
    OptionalRun,
    base_of,
)
from optimizer.cli.output import print_result, show_progress, write_tables
from optimizer.config.address import is_address
from optimizer.contracts.run_folder import RECORD
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from optimizer.whatif.base import Base


class Tongue(StrEnum):
    """Languages of sentences."""

    ENGLISH = "en"
    CHINESE = "zh"


LanguageOption = Annotated[
    Tongue, typer.Option("--language", help="Language of the sentence.")
]


def explain(
    *,
    place: Annotated[
        str,
        typer.Argument(
            metavar="RUN_DIR",
            help="A published night, such as runs/2026-11-22, or its address on a "
            "cluster.",
        ),
    ],
    order_id: Annotated[
        str | None, typer.Argument(help="The order; none: the whole night.")
    ] = None,
    merchant: Annotated[
        str | None, typer.Option("--merchant", help="Explain a merchant instead.")
    ] = None,
    lane: Annotated[
        str | None,
        typer.Option("--lane", help="Explain a lane: carrier/region/outlet."),
    ] = None,
    language: LanguageOption = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Explain the decision for an order, merchant, lane or the night."""
    from optimizer.explain.parts import explain_lane, explain_merchant, explain_night
    from optimizer.explain.sentences import explain_run

    asked = [name for name in (order_id, merchant, lane) if name is not None]
    if len(asked) > 1:
        raise ConfigError("explain one thing: an order, --merchant or --lane")
    tongue, run_dir = language.value, Path(place)
    if is_address(place) or (run_dir / RECORD).is_dir():
        found = _explain_on_cluster(place, order_id, tongue)
    elif order_id is not None:
        found = explain_run(run_dir, order_id, tongue)
    elif merchant is not None:
        found = explain_merchant(run_dir, merchant, tongue)
    elif lane is not None:
        found = explain_lane(run_dir, lane, tongue)
    else:
        found = explain_night(run_dir, tongue)
    name = asked[0] if asked else place
    print_result(found, f"{name}: {found['sentence']}", as_json)


def _explain_on_cluster(
    place: str, order_id: str | None, language: str
) -> dict[str, Any]:
    """Explain an order of a night that a cluster published."""
    if order_id is None:
        raise ConfigError("nights of a cluster explain their orders alone: name one")
    from optimizer.spark.explain import explain_published
    from optimizer.spark.run import start_session

    return explain_published(start_session(), place, order_id, language)


def prices(
    *,
    run_dir: OptionalRun = None,
    config: OptionalConfig = None,
    date: OptionalDate = None,
    top: Annotated[
        int, typer.Option("--top", min=0, help="Larger steps for so many of each kind.")
    ] = 5,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write tables to this folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report the value of more slots, more cap or a lower fee tonight."""
    from optimizer.whatif.price_list import price_list

    with show_progress() as tell:
        base = base_of(run_dir, config, date, tell)
        found = price_list(base, top=top, progress=tell)
    tables = {"lanes": found.lanes, "merchants": found.merchants, "steps": found.steps}
    write_tables(out, tables)
    if as_json:
        print_result(
            {name: table.to_dicts() for name, table in tables.items()}, "", True
        )
        return
    typer.echo(f"{_night_name(base)}: what more is worth, CNY")
    for row in found.steps.iter_rows(named=True):
        what = " ".join(part for part in (row["kind"], row["name"]) if part)
        typer.echo(f"  {what:<40} {row['step']:<32} {row['brings_cny']:>14,.2f}")
    for name, key, end, where in _ENDS:
        table, more = tables[name], f"one_more{end}_cny"
        count = table.filter(table[more] > 0).height
        typer.echo(f"  one more slot{where} brings something in {count:,} {name}")
        for row in table.sort(more, descending=True).head(top).to_dicts():
            typer.echo(_price_line(row, key, end))


#: Table, its name column, which of its values, and what these are of.
_ENDS = (
    ("lanes", "carrier_id", "_around", " in a row and in all rows around it"),
    ("lanes", "carrier_id", "", " in a row alone"),
    ("merchants", "merchant_id", "", " in a cap"),
)


def _price_line(row: Mapping[str, Any], key: str, end: str) -> str:
    parts = [row[key], row.get("region_id"), row.get("outlet_id")]
    name = "/".join(part or "" for part in parts).rstrip("/")
    more, fewer = row[f"one_more{end}_cny"], row[f"one_fewer{end}_cny"]
    less = "-" if fewer is None else f"{fewer:,.2f}"
    return f"    {name:<40} +1: {more:>8,.2f}   -1: {less:>8}"


def _night_name(base: Base) -> str:
    return base.day.isoformat()


def scenarios(
    *,
    file: Annotated[
        Path, typer.Option("--scenarios", help="YAML file of what to try.")
    ],
    run_dir: OptionalRun = None,
    config: OptionalConfig = None,
    date: OptionalDate = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write tables and a page to this folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Solve a night under other rules, and list the answers side by side."""
    from optimizer.config.scenarios import load_scenarios
    from optimizer.whatif.scenario_page import scenario_page
    from optimizer.whatif.scenario_tables import front_table, scenario_table, view_table
    from optimizer.whatif.scenarios import pareto_front, run_scenarios

    asked = load_scenarios(file)
    with show_progress() as tell:
        base = base_of(run_dir, config, date, tell)
        outcomes = run_scenarios(base, asked.all_scenarios(), tell)
        front = pareto_front(base, asked.pareto_points, tell)
    tables = {
        "scenarios": scenario_table(outcomes),
        "front": front_table(front, base.night.policy),
        "views": view_table(outcomes, asked.harm_borne),
    }
    write_tables(out, tables)
    if out is not None:
        page = scenario_page(_night_name(base), *tables.values())
        (out / "scenarios.html").write_text(page, encoding="utf-8")
    if as_json:
        print_result(
            {name: table.to_dicts() for name, table in tables.items()}, "", True
        )
        return
    typer.echo(f"{'scenario':<30} {'parcels':>10} {'saving CNY':>14} {'change':>12}")
    for row in tables["scenarios"].iter_rows(named=True):
        typer.echo(
            f"{row['name']:<30} {row['num_chosen']:>10,} {row['saving_cny']:>14,.2f} "
            f"{row['saving_change_cny']:>+12,.2f}"
        )
    for point in tables["front"].iter_rows(named=True):
        typer.echo(
            f"front: {point['fees_cny']:,.2f} CNY of fees for {point['num_chosen']:,} "
            f"parcels avoid {point['harm_avoided_cny']:,.2f} CNY of harm"
        )
    for view in tables["views"].head(3).iter_rows(named=True):
        at = view["indifferent_fee_cny"]
        fee = "" if at is None else f"; indifferent at a fee of {at:,.2f}"
        typer.echo(f"{view['name']}, {view['party']}: {view['net_cny']:+,.2f}{fee}")
