"""The commands that simulate nights and their outcomes."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from optimizer.cli.options import parse_date
from optimizer.cli.output import show_progress


def simulate(
    context: typer.Context,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Folder to write to; required."),
    ] = None,
    orders: Annotated[
        int, typer.Option("--orders", metavar="NUMBER", help="Orders a day.")
    ] = 100_000,
    merchants: Annotated[
        int, typer.Option("--merchants", metavar="NUMBER", help="Merchants.")
    ] = 500,
    days: Annotated[int, typer.Option("--days", metavar="NUMBER", help="Days.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", help="Same seed, same days.")
    ] = 7,
    start: Annotated[
        str, typer.Option("--start", metavar="DATE", help="First date.")
    ] = "2026-11-22",
    carriers_per_order: Annotated[
        int,
        typer.Option(
            "--carriers-per-order",
            metavar="NUMBER",
            help="Above 1: writes options too.",
        ),
    ] = 1,
    world: Annotated[
        str,
        typer.Option(
            "--world",
            metavar="NAME",
            help="What is true of premium; list shows the names.",
        ),
    ] = "plain",
) -> None:
    """Make days of orders that look like a platform's, with their hidden truth."""
    if context.invoked_subcommand is not None:
        return
    if world == "list":
        _list_worlds()
        return
    from optimizer.simulate.laws import find_law

    find_law(world)
    if out is None:
        raise typer.BadParameter("Missing option '--out'.", context)
    from optimizer.simulate import simulate as make_days

    with show_progress() as tell:
        nights = make_days(
            out,
            num_orders=orders,
            num_merchants=merchants,
            num_days=days,
            seed=seed,
            start=parse_date(start),
            carriers_per_order=carriers_per_order,
            world=world,
            progress=lambda done, total: tell(f"simulate {done:,} of {total:,} orders"),
        )
    for folder in nights.folders:
        typer.echo(folder)


def _list_worlds() -> None:
    """Names and sentences, a paragraph each."""
    from optimizer.simulate.laws import WORLDS

    for law in WORLDS.values():
        told = fill(law.sentence, 76, initial_indent="  ", subsequent_indent="  ")
        typer.echo(f"{law.name}\n{told}")


def reveal(
    *,
    runs: Annotated[
        Path, typer.Option("--runs", metavar="FOLDER", help="Published nights.")
    ],
    nights: Annotated[
        Path,
        typer.Option(
            "--nights", metavar="FOLDER", help="Simulated nights, such as data/nights."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Folder for the outcomes, a file a date."
        ),
    ] = Path("outcomes"),
    observed_until: Annotated[
        str | None,
        typer.Option(
            "--observed-until",
            metavar="DATE",
            help="What is known by that day, where harm comes late.",
        ),
    ] = None,
) -> None:
    """Reveal what happened to published nights, from the truth of the simulation."""
    from optimizer.simulate.reveal import reveal_outcomes

    until = None if observed_until is None else parse_date(observed_until)
    for path in reveal_outcomes(runs, nights, out, until):
        typer.echo(path)
