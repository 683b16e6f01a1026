"""Commands that answer questions about a night: why, what if, at what value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from optimizer.cli.named_nights import (
    NightConfig,
    NightDate,
    NightWord,
    as_date,
    published_folder,
)
from optimizer.cli.options import (
    JsonOption,
    LanguageOption,
    OutOption,
    PageLanguage,
    ReportOption,
    Tongue,
)
from optimizer.cli.output import print_result, show_progress, write_page, write_tables


def explain(
    *,
    night: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER",
            help="A published night, such as runs/2026-11-22, or its address on a "
            "cluster.",
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Argument(
            metavar="ORDER",
            help="The order; none: the whole night. With --config and --date it "
            "stands alone.",
        ),
    ] = None,
    config: NightConfig = None,
    date: NightDate = None,
    merchant: Annotated[
        str | None,
        typer.Option(
            "--merchant", metavar="MERCHANT", help="Explain a merchant instead."
        ),
    ] = None,
    lane: Annotated[
        str | None,
        typer.Option(
            "--lane",
            metavar="LANE",
            help="Explain a lane, carrier/region/outlet, or a limit by its name.",
        ),
    ] = None,
    language: LanguageOption = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Explain the decision for an order, merchant, lane or the night."""
    from optimizer.questions import explain_run

    if order is None and config is not None and date is not None:
        night, order = None, night
    place = published_folder(night, config, date)
    found = explain_run(
        place,
        order_id=order,
        merchant_id=merchant,
        lane=lane,
        language=language.value,
    )
    name = order or merchant or lane or place
    print_result(found.values, f"{name}: {found.sentence}", as_json)


def prices(
    *,
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    top: Annotated[
        int,
        typer.Option(
            "--top",
            metavar="NUMBER",
            min=0,
            help="Larger steps for so many of each kind.",
        ),
    ] = 5,
    out: OutOption = None,
    report: ReportOption = None,
    language: PageLanguage = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Report the value of more slots, more cap or a lower fee tonight."""
    from optimizer import questions

    run_dir, date = as_date(night, config, date)
    with show_progress() as tell:
        found = questions.prices(
            run_dir, config=config, date=date, top=top, progress=tell
        )
    tables = {"lanes": found.lanes, "merchants": found.merchants, "steps": found.steps}
    write_tables(out, tables)
    write_page(report, found.report, language)
    if as_json:
        rows = {name: table.to_dicts() for name, table in tables.items()}
        print_result({"basis": found.basis.to_json(), **rows}, "", True)
        return
    typer.echo(str(found.basis))
    typer.echo(f"{found.day}: what more is worth, CNY")
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


def scenarios(
    *,
    file: Annotated[
        Path,
        typer.Option("--scenarios", metavar="FILE", help="YAML of what to try."),
    ],
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Also write tables and a page here."
        ),
    ] = None,
    report: ReportOption = None,
    language: PageLanguage = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Solve a night under other rules, and list the answers side by side."""
    from optimizer import questions

    run_dir, date = as_date(night, config, date)
    with show_progress() as tell:
        found = questions.scenarios(
            file, run=run_dir, config=config, date=date, progress=tell
        )
    names = ("scenarios", "front", "views")
    tables = {name: getattr(found, name) for name in names}
    write_tables(out, tables)
    write_page(report, found.report, language)
    if out is not None:
        write_page(out / "scenarios.html", found.report, language)
    if as_json:
        rows = {name: table.to_dicts() for name, table in tables.items()}
        print_result({"basis": found.basis.to_json(), **rows}, "", True)
        return
    typer.echo(str(found.basis))
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
