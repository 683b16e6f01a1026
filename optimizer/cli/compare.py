"""Commands that compare nights with each other, and check them against rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.named_nights import (
    NOT_NAMED,
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
    load_settings,
    parse_date,
)
from optimizer.cli.output import print_result, show_progress, write_page, write_tables
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optimizer.config import Config
    from optimizer.night.basis import Basis

_TABLES = ("rules", "inputs", "numbers", "orders", "lanes", "merchants", "limits")


def diff(
    *,
    before: NightWord = None,
    after: Annotated[
        str | None, typer.Argument(metavar="FOLDER", help="Another one.")
    ] = None,
    config: NightConfig = None,
    date: Annotated[
        list[str] | None,
        typer.Option(
            "--date", metavar="DATE", help="Date of a night; once for each of the two."
        ),
    ] = None,
    out: OutOption = None,
    report: ReportOption = None,
    language: LanguageOption = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Say what changed between two nights: rules, decisions, prices, and why."""
    from optimizer import questions

    first, second = _two_nights((before, after), config, date or ())
    found = questions.diff(first, second)
    tables = {name: getattr(found, name) for name in _TABLES}
    write_tables(out, tables)
    write_page(report, found.report, language)
    if as_json:
        print_result(
            {name: table.to_dicts() for name, table in tables.items()}, "", True
        )
        return
    typer.echo(f"{first} → {second}\n{found.text(language.value)}")


def _two_nights(
    words: Sequence[str | None], config: Path | None, dates: Sequence[str]
) -> tuple[str, str]:
    """Folders of two nights: each a folder, or a date of a configuration."""
    given = [word for word in words if word is not None]
    found = [published_folder(word, config, None) for word in given]
    found += [published_folder(None, config, date) for date in dates]
    if len(found) != 2:
        raise ConfigError(
            "give two nights: the folders of two runs, or --config and --date twice"
        )
    return found[0], found[1]


def accept(
    *,
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="FOLDER",
            help="Another night, for rules on against.*.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """
    Check a night against the acceptance rules; exits with 4 if one is not met.

    With a run's folder, that night is checked, by its own rules or by those of
    --config. Without one, the date is solved and not published.
    """
    from dataclasses import asdict

    from optimizer.compare.acceptance import check_rules, metrics_of
    from optimizer.contracts.run_folder import read_record

    word, date = as_date(night, config, date)
    run_dir = None if word is None else Path(word)
    settings = None if config is None else load_settings(config)
    record, settings, basis = _night(run_dir, settings, date)
    other = None if against is None else read_record(against)
    findings = check_rules(settings.acceptance, metrics_of(record, other))
    is_met = all(finding.is_met for finding in findings)
    rows = [asdict(f) | {"value": float(f.value)} for f in findings]
    words = {True: "pass", False: "FAIL"}
    lines = [str(basis)]
    lines += [
        f"{words[f.is_met]}  {f.metric} is {f.value:f}, wanted {f.wanted}"
        for f in findings
    ]
    told = {"basis": basis.to_json(), "is_accepted": is_met, "rules": rows}
    print_result(told, "\n".join(lines), as_json)
    if not is_met:
        raise typer.Exit(4)


def _night(
    run_dir: Path | None, settings: Config | None, date: str | None
) -> tuple[Any, Config, Basis]:
    """The record to check, the configuration that has the rules, and what it is of."""
    import datetime as dt

    from optimizer.config import as_config
    from optimizer.contracts.run_folder import read_record
    from optimizer.job import run_date
    from optimizer.night.basis import basis_of_inputs, basis_of_run

    if run_dir is not None and date is None:
        record = read_record(run_dir)
        basis = basis_of_run(run_dir, dt.date.fromisoformat(record["date"]))
        return record, settings or as_config(record["config"]), basis
    if run_dir is None and settings is not None and date is not None:
        with show_progress() as tell:
            day = parse_date(date, settings)
            report = run_date(settings, day, is_dry=True, progress=tell)
        basis = basis_of_inputs(settings, day, report.record["identity"])
        return report.record, settings, basis
    raise ConfigError(NOT_NAMED)


def robustness(
    *,
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    relative_error: Annotated[
        float | None,
        typer.Option(
            "--relative-error",
            metavar="NUMBER",
            min=0,
            max=10,
            help="Standard error of harm avoided, a share of it; else the configured.",
        ),
    ] = None,
    shared: Annotated[
        float,
        typer.Option(
            "--shared",
            metavar="NUMBER",
            min=0,
            max=1,
            help="Share of it common to a carrier.",
        ),
    ] = 0.5,
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            metavar="NUMBER",
            min=1,
            max=100_000,
            help="Draws that plans are valued on.",
        ),
    ] = 100,
    hindsight: Annotated[
        int,
        typer.Option(
            "--hindsight", metavar="NUMBER", min=0, help="Draws solved for the regret."
        ),
    ] = 5,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="NUMBER", min=0, help="Same seed, same draws."),
    ] = 7,
    out: OutOption = None,
    report: ReportOption = None,
    language: PageLanguage = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Report how well the plan and simpler ones do if probabilities are wrong."""
    from optimizer import questions

    run_dir, date = as_date(night, config, date)
    with show_progress() as tell:
        found = questions.robustness(
            run_dir,
            config=config,
            date=date,
            relative_error=relative_error,
            shared=shared,
            num_draws=draws,
            num_hindsight=hindsight,
            seed=seed,
            progress=tell,
        )
    tables = {"plans": found.plans, "draws": found.draws}
    write_tables(out, tables)
    write_page(report, found.report, language)
    if as_json:
        rows = {name: table.to_dicts() for name, table in tables.items()}
        print_result({"basis": found.basis.to_json(), **rows}, "", True)
        return
    typer.echo(str(found.basis))
    typer.echo(f"{'plan':<14} {'parcels':>9} {'mean CNY':>14} {'5 % to 95 %':>28}")
    for row in found.plans.to_dicts():
        ends = f"{row['low_cny']:,.0f} to {row['high_cny']:,.0f}"
        share = row["beaten_share"]
        beaten = "" if share is None else f"   the optimum is better in {share:.0%}"
        typer.echo(
            f"{row['plan']:<14} {row['num_chosen']:>9,} {row['mean_cny']:>14,.2f} "
            f"{ends:>28}{beaten}"
        )
    regret = found.draws["regret_cny"].drop_nulls()
    if len(regret):
        average = float(regret.sum()) / len(regret)
        typer.echo(f"regret         {average:,.2f} CNY on average, in hindsight")
