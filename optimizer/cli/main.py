"""The command line: parses and prints, decides nothing."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from optimizer import __version__
from optimizer.cli import learn as cli_outcomes
from optimizer.cli.learn import parse_date
from optimizer.contracts.warnings import text_of
from optimizer.errors import ConfigError, OptimizerError, counted

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.night.run import RunReport

app = typer.Typer(
    help="Which of the day's parcels get premium door-to-door delivery, and the proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

#: What typer leaves with after Control-C, as shells do.
STOPPED = 130

#: Whether ``--quiet`` was given.
_IS_QUIET = ContextVar("is_quiet", default=False)

ConfigOption = Annotated[
    Path, typer.Option("--config", help="YAML configuration of the nightly job.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LogJsonOption = Annotated[
    bool, typer.Option("--log-json", help="Log one JSON object a line, all steps.")
]
DateOption = Annotated[
    str, typer.Option("--date", help="Business date: 2026-11-22, or yesterday.")
]
RunDir = Annotated[
    Path, typer.Argument(help="A published night, such as runs/2026-11-22.")
]


def main() -> None:
    """Run the command line and leave with the exit code of what happened."""
    from optimizer.cli import compare, nights, questions  # noqa: F401 - they join

    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("optimizer.kernel_cache").setLevel(logging.INFO)
    gc.set_threshold(50_000, 20, 50)  # modules and tables have few cycles to look for
    atexit.register(gc.freeze)  # at the end nobody needs to look for cycles in them
    seen: dict[Path, Path | None] = {}
    try:
        app(obj=seen)
    except OptimizerError as error:
        _fail(f"error: {error}", error.exit_code)
    except SystemExit as left:
        if left.code == STOPPED:
            _say(f"stopped; {_published_since(seen)}")
        raise
    except Exception:  # noqa: BLE001 - the last resort: everything else is a bug
        _say_bug()
        _fail(f"error: this is a bug in optimizer; {_published_since(seen)}", 1)


def _fail(text: str, code: int) -> NoReturn:
    """Say why in the words of the log, and leave."""
    from optimizer.telemetry import logs

    if logs.are_json():
        logging.getLogger("optimizer").error(
            "%s", text, exc_info=code == 1, extra={"exit_code": code}
        )
    else:
        _say(text)
    sys.exit(code)


def use_logs(as_json: bool) -> None:
    """Write log lines as JSON from now on, where that is asked for."""
    if as_json:
        from optimizer.telemetry import logs

        logs.use_json_lines()


def _say_bug() -> None:
    """The traceback, where the log does not have it."""
    from optimizer.telemetry import logs

    if not logs.are_json():
        _say(traceback.format_exc())


def _target(link: Path) -> Path | None:
    """Where a date's link points; ``None`` where there is none."""
    return link.readlink() if link.is_symlink() else None


def _published_since(seen: Mapping[Path, Path | None]) -> str:
    """Say, from the disk, whether a date's link has changed since it was seen."""
    new = [str(link) for link, target in seen.items() if _target(link) != target]
    if not new:
        return "nothing was published"
    return f"a new night was published already: {', '.join(new)}"


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no progress on the terminal.")
    ] = False,
) -> None:
    _IS_QUIET.set(quiet)


app.command()(cli_outcomes.learn)
app.command()(cli_outcomes.evaluate)
simulate_app = typer.Typer(invoke_without_command=True)
simulate_app.command("outcomes")(cli_outcomes.reveal)
app.add_typer(simulate_app, name="simulate")


@simulate_app.callback()
def simulate(
    context: typer.Context,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; required.")
    ] = None,
    orders: Annotated[int, typer.Option("--orders", help="Orders a day.")] = 100_000,
    merchants: Annotated[int, typer.Option("--merchants", help="Merchants.")] = 500,
    days: Annotated[int, typer.Option("--days", help="Days.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same days.")] = 7,
    start: Annotated[str, typer.Option("--start", help="First date.")] = "2026-11-22",
    carriers_per_order: Annotated[
        int, typer.Option("--carriers-per-order", help="Above 1: writes options too.")
    ] = 1,
) -> None:
    """Make days of orders that look like a platform's, with their hidden truth."""
    if context.invoked_subcommand is not None:
        return
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
            progress=lambda done, total: tell(f"simulate {done:,} of {total:,} orders"),
        )
    for folder in nights.folders:
        typer.echo(folder)


@app.command()
def validate(
    *,
    config: ConfigOption,
    date: Annotated[
        str | None, typer.Option("--date", help="Also check the inputs of this date.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration and, with --date, the inputs; solves nothing."""
    settings = load_settings(config)
    if date is None:
        print_result(
            {"config": str(config), "is_valid": True}, f"{config}: valid", as_json
        )
        return
    from optimizer.night.run import check_inputs

    with show_progress() as tell:
        found = check_inputs(settings, parse_date(date, settings), tell)
    num_rows = found["num_rows"].items()
    lines = [f"{name}: {counted(count, 'row')}" for name, count in num_rows]
    broken = counted(found["num_quarantined"], "row")
    lines += [f"quarantine: {broken} with a broken rule"]
    lines += [f"warning: {text_of(warning)}" for warning in found["warnings"]]
    print_result(found, "\n".join(lines), as_json)


@app.command()
def run(
    context: typer.Context,
    *,
    config: ConfigOption,
    date: DateOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything but write.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a night published from other inputs."),
    ] = False,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", help="A published night to start from."),
    ] = None,
    shadow: Annotated[
        Path | None,
        typer.Option("--shadow", help="A candidate's YAML, to be solved beside it."),
    ] = None,
    log_json: LogJsonOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a date and publish it, if it is proved good enough."""
    use_logs(log_json)
    settings = load_settings(config)
    day = parse_date(date, settings)
    if shadow is not None and dry_run:
        raise ConfigError("--shadow compares with a published night: leave --dry-run")
    if shadow is not None and settings.engine == "spark":
        raise ConfigError("--shadow is for engine: local; leave it out")
    from optimizer.job import run_date
    from optimizer.night.state.reconcile import output_of
    from optimizer.telemetry.watch import watched

    if settings.output is not None:
        link = output_of(settings.output, day) / day.isoformat()
        context.obj[link] = _target(link)

    def work(tell: Callable[[str], None]) -> RunReport:
        return run_date(
            settings,
            day,
            is_dry=dry_run,
            is_forced=force,
            previous=previous,
            progress=tell,
        )

    with show_progress() as tell:
        seen = watched(settings, day, work, tell, is_dry=dry_run)
    report = seen.report
    found = {"run_dir": str(report.run_dir), "outcome": report.outcome} | dict(
        report.record
    )
    found["evidence_head"] = report.head
    found["alerts"] = [alert.to_json() for alert in seen.alerts]
    text = _summary(found)
    if shadow is not None:
        from optimizer.compare.shadow import run_shadow, shadow_lines

        with show_progress() as tell:
            beside = run_shadow(
                settings,
                Path(report.run_dir),
                shadow,
                day,
                lambda other: run_date(other, day, is_forced=True, progress=tell),
            )
        found["shadow"] = beside
        text = "\n".join([text, *shadow_lines(beside)])
    print_result(found, text, as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from optimizer.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def load_settings(path: Path) -> Config:
    """Read the configuration."""
    from optimizer.config import load_config

    return load_config(path)


def print_result(found: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print a result for people or for programs."""
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else text)


def _say(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def show_progress() -> Iterator[Callable[[str], None]]:
    """Show the stage on a terminal; say nothing elsewhere, nor with --quiet."""
    if _IS_QUIET.get() or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("start") as status:
        yield status.update


def _summary(found: Mapping[str, Any]) -> str:
    """A run in a few lines."""
    numbers, proof = found["summary"], found["certificate"]
    orders = counted(numbers["num_orders"], "order")
    words = {
        "published": "published",
        "unchanged": "already published from the same inputs; nothing to do",
        "dry run": "dry run; nothing was written, it would go here",
    }
    lines = [
        f"{found['run_dir']}: {words[found['outcome']]}",
        f"  chosen     {numbers['num_chosen']:,} of {orders} "
        f"(caps allow {numbers['sum_of_caps']:,})",
        f"  avoids     {numbers['saving_cny']:,.2f} CNY of expected harm, fees counted",
        f"  proof      {gap_words(proof['gap'], proof['relative_gap'])}",
        f"  limits     {counted(numbers['num_caps_binding'], 'cap')} and "
        f"{counted(numbers['num_lanes_binding'], 'lane')} with a price",
        f"  rounding   {_roundings(numbers['cap_roundings'])}",
        f"  quarantine {counted(numbers['num_quarantined'], 'row')}",
    ]
    if num_conflicts := numbers.get("num_conflicts"):
        lines.append(f"  conflicts  {num_conflicts:,} not kept; see conflicts.parquet")
    if chance := numbers.get("experiment"):
        lines.append(
            f"  by lot     {chance['num_kept_back']:,} kept back, which costs "
            f"{chance['kept_back_cost_cny']:,.2f} CNY; {chance['num_explored']:,} "
            f"explored, at most {chance['explore_cost_at_most_cny']:,.2f} CNY"
        )
    if head := found["evidence_head"]:
        lines.append(f"  evidence   link {head['number']:,}, {head['hash']}")
    lines += [f"  warning    {text_of(warning)}" for warning in found["warnings"]]
    return "\n".join(lines + [f"  alert      {a['text']}" for a in found["alerts"]])


def _roundings(found: Mapping[str, Any]) -> str:
    """What each way of rounding caps would give tonight."""
    return "; ".join(
        f"{name} {numbers['num_slots']:,} slots, none for "
        f"{counted(numbers['num_merchants_without'], 'merchant')}"
        for name, numbers in found.items()
    )


def gap_words(gap: int, relative_gap: float) -> str:
    """Say how good a plan is proved to be."""
    if gap == 0:
        return "the optimum, proved (gap 0)"
    return f"within {relative_gap:.4%} of the best, proved (gap {gap / 1e6:,.2f} CNY)"
