"""The commands for several nights, and for nights that are published."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.named_nights import (
    NOT_NAMED,
    NightConfig,
    NightDate,
    NightWord,
    night_settings,
    published_folder,
)
from optimizer.cli.options import (
    ConfigOption,
    JsonOption,
    LogJsonOption,
    load_settings,
    parse_date,
)
from optimizer.cli.output import (
    outbox_words,
    print_result,
    show_progress,
    use_logs,
)
from optimizer.cli.run import look_at_links
from optimizer.contracts.headline import SAVINGS, by_mean, saved_words
from optimizer.contracts.warnings import text_of
from optimizer.errors import ConfigError, counted
from optimizer.views import gap_words

if TYPE_CHECKING:
    from optimizer.night.prune import Leftover
    from optimizer.verify.night import Verified


def verify(
    *,
    night: NightWord = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Compare the recorded configuration with this one; with --date it "
            "names the night too.",
        ),
    ] = None,
    date: NightDate = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="FOLDER",
            help="The night's inputs, where they are not where they were.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """
    State a published night a second time, from its files and inputs alone.

    Shares no code with the modules that build, solve, certify and explain. The last
    lines name what the result relies on: hashes of inputs, configuration and chain.
    """
    from optimizer.contracts.run_folder import read_record
    from optimizer.verify.night import verify_night

    run_dir = Path(published_folder(night, config, date))
    settings = None if config is None else load_settings(config)
    verified = verify_night(run_dir, settings, inputs)
    findings = [*verified.findings]
    if not findings and verified.is_of_today:
        findings += _made_again(verified, inputs)
    elif not findings and not verified.is_stated:
        raise ConfigError(f"{run_dir}: is not proved: {'; '.join(verified.unchecked)}")
    proof = read_record(verified.folder).get("certificate", {}) if not findings else {}
    found = {
        "run_dir": str(run_dir),
        "is_valid": not findings,
        "findings": findings,
        "gap_micro_cny": proof.get("gap"),
        "is_stated": verified.is_stated,
        "unchecked": list(verified.unchecked),
        "trusted": list(verified.trusted),
    }
    lines = [f"{run_dir}: {text}" for text in findings]
    if not findings:
        words = gap_words(proof["gap"], proof["relative_gap"])
        lines = [f"{run_dir}: holds; feasible, {words}"]
    lines += [f"  not checked: {text}" for text in verified.unchecked]
    lines += [f"  trusted: {text}" for text in verified.trusted]
    print_result(found, "\n".join(lines), as_json)
    if findings:
        raise typer.Exit(4)


def _made_again(verified: Verified, inputs: Path | None) -> list[str]:
    """
    Compare a night with what the code that made it produces again.

    This is the report's page if the night was stated a second time, and the whole night
    if DuckDB is not installed for that.
    """
    if verified.is_stated:
        from optimizer.replay.report import false_page

        return false_page(verified.folder)
    from optimizer.replay.run import verify_run

    return list(verify_run(verified.folder, inputs).findings)


def backfill(
    context: typer.Context,
    *,
    config: ConfigOption,
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First date.")],
    last: Annotated[
        str, typer.Option("--to", metavar="DATE", help="Last date, included.")
    ],
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace nights published from other inputs."),
    ] = False,
    log_json: LogJsonOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run all dates from one to another, in order; those that are done stay."""
    use_logs(log_json)
    settings = load_settings(config)
    from optimizer.job import backfill as run_dates
    from optimizer.night.identity import program_version

    days = parse_date(first, settings), parse_date(last, settings)
    count = (days[1] - days[0]).days + 1
    look_at_links(
        context, settings, (days[0] + dt.timedelta(days=n) for n in range(count))
    )
    with show_progress() as tell:
        for seen in run_dates(settings, *days, is_forced=force, progress=tell):
            report = seen.report
            numbers = by_mean(report.record["summary"])
            found: dict[str, Any] = {
                "run_dir": str(report.run_dir),
                "outcome": report.outcome,
            }
            told = ("num_chosen", *SAVINGS)
            found |= {name: numbers[name] for name in told if name in numbers}
            numbers_text = f"{found['num_chosen']:,} chosen, {saved_words(found)}"
            found["alerts"] = [alert.to_json() for alert in seen.alerts]
            made_by = report.record["identity"]["version"]
            found["made_by_version"] = made_by
            text = f"{report.run_dir}: {report.outcome}, {numbers_text}"
            if made_by != program_version():
                text += f"; version {made_by} made it, --force makes it anew"
            text += "".join(f"\n  alert      {a.text}" for a in seen.alerts)
            print_result(found, text, as_json, is_done=True)


def rollback(
    context: typer.Context,
    *,
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Publish nothing for the date instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the version again that a date's night replaced."""
    settings, day = night_settings(night, config, date)
    if day is None:
        raise ConfigError(NOT_NAMED)
    from optimizer.night.past_nights import rollback as go_back

    look_at_links(context, settings, [day])
    version = go_back(settings, day, is_withdrawn=withdraw)
    now = "not published any more" if version is None else f"back to {version}"
    found = {"date": day.isoformat(), "version": version}
    print_result(found, f"{day}: {now}", as_json, is_done=True)


#: Exit code of ``status`` for a date that has no night.
NO_NIGHT = 5
#: Failed runs of a date that ``status`` lists.
NUM_FAILURES = 3


def status(
    *,
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    as_json: JsonOption = False,
) -> None:
    """
    Report the state of a date; exits with 5 if it has no night.

    With --config alone it is the newest night.
    """
    settings, day = night_settings(night, config, date)
    from optimizer.night.past_nights import status as find_status
    from optimizer.telemetry.failures import last_failures

    found = find_status(settings, day)
    failed = last_failures(
        str(settings.output), NUM_FAILURES, dt.date.fromisoformat(found["date"])
    )
    found["failures"] = [
        {"at_utc": one.at.isoformat()}
        | {"exit_code": one.exit_code, "message": one.message}
        for one in failed
    ]
    is_there = "published" if found["is_published"] else "not published"
    lines = [f"{found['date']}: {is_there}"]
    if found["is_published"]:
        lines += [f"  {_line(found)}", f"  version  {found['version']}"]
        lines += [f"  outbox   {outbox_words(box)}" for box in found["outboxes"]]
        lines += [f"  warning  {text_of(warning)}" for warning in found["warnings"]]
        lines += [f"  alert    {text_of(alert)}" for alert in found["alerts"]]
    if found["is_published"] and not found["is_in_state"]:
        lines.append("  the state database does not have it yet; the next run adds it")
    if found["is_running"]:
        lines.append("  a run holds the date now")
    lines += [
        f"  failed   {one.at:%Y-%m-%d %H:%M} UTC with exit code {one.exit_code}: "
        f"{one.message}"
        for one in failed
    ]
    lines.append(f"  {counted(len(found['versions_kept']), 'version')} kept")
    print_result(found, "\n".join(lines), as_json)
    if not found["is_published"]:
        raise typer.Exit(NO_NIGHT)


def runs(*, config: ConfigOption, as_json: JsonOption = False) -> None:
    """List the published nights."""
    settings = load_settings(config)
    from optimizer.night.past_nights import list_runs

    found = list_runs(settings)
    lines = [
        f"{night['date']}  {night.get('unreadable') or _line(night)}" for night in found
    ]
    print_result({"runs": found}, "\n".join(lines) or "no night is published", as_json)


def evidence(
    *,
    night: NightWord = None,
    order: Annotated[
        str | None,
        typer.Argument(
            metavar="ORDER", help="The order; with --config it may stand alone."
        ),
    ] = None,
    config: NightConfig = None,
    date: NightDate = None,
    as_json: JsonOption = False,
) -> None:
    """
    Show the decision for an order, its rule, its inputs and the proof.

    With --config alone it is that of the newest night that has the order.
    """
    if order is None and config is not None:
        night, order = None, night
    if order is None:
        raise ConfigError(f"name an order; and {NOT_NAMED}")
    settings, day = night_settings(night, config, date)
    from optimizer.evidence.order_evidence import evidence_text, find_evidence

    found = find_evidence(settings, order, day)
    print_result(found, evidence_text(found), as_json)
    if found["findings"]:
        raise typer.Exit(4)


def prune(
    *,
    config: ConfigOption,
    is_meant: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this it is only shown.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Remove what `keep` does not keep: replaced versions, old nights, unused inputs.

    Files of equal content are stored once, as hard links, and Delta tables in `outputs`
    lose files of replaced rows when their own retention is over. The chain of evidence
    records removals, so that `optimizer audit` still holds.
    """
    settings = load_settings(config)
    from optimizer.night.prune import find_leftovers
    from optimizer.night.prune import prune as remove

    found = remove(settings) if is_meant else find_leftovers(settings)
    twins = [left for left in found if left.why == "stored twice"]
    others = [left for left in found if left.why != "stored twice"]
    would = "" if is_meant else "would_"
    names = f"{would}remove{'d' * is_meant}", f"{would}store{'d' * is_meant}_once"
    told: dict[str, Any] = {
        "is_removed": is_meant,
        "num_bytes": sum(left.num_bytes for left in found),
    }
    for name, items in zip(names, (others, twins), strict=True):
        told[name] = [_left_json(left) for left in items]
    lines = [
        f"{left.day or 'all dates '}  {left.num_bytes:>14,}  {left.why}: {left.path}"
        for left in found
    ]
    lines += [
        f"{name.replace('_', ' ')}: {counted(len(items), 'item')}, "
        f"{sum(left.num_bytes for left in items):,} bytes"
        for name, items in zip(names, (others, twins), strict=True)
    ]
    if not is_meant:
        lines.append("nothing was changed; pass --yes to do it")
    print_result(told, "\n".join(lines), as_json, is_done=is_meant)


def _left_json(left: Leftover) -> dict[str, Any]:
    return {
        "date": None if left.day is None else left.day.isoformat(),
        "path": str(left.path),
        "why": left.why,
        "num_bytes": left.num_bytes,
    }


def audit(
    *,
    config: ConfigOption,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="HASH",
            help="A head noted before: it must be in the chain.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the chain of evidence, and every file of the nights in it."""
    settings = load_settings(config)
    from optimizer.evidence.audit import audit as check_all

    result = check_all(settings, head)
    last = (
        {"number": result.head.number, "hash": result.head.hash}
        if result.head
        else None
    )
    found = {
        "is_valid": result.is_valid,
        "findings": list(result.findings),
        "head": last,
        "num_links": result.num_links,
        "num_versions": result.num_versions,
        "num_pruned": result.num_pruned,
        "num_gone": result.num_gone,
        "unproved": list(result.unproved),
    }
    print_result(found, "\n".join(_audit_lines(found)), as_json)
    if not result.is_valid:
        raise typer.Exit(4)


def _audit_lines(found: dict[str, Any]) -> list[str]:
    lines = [f"finding: {text}" for text in found["findings"]]
    lines += [f"not proved: {text}" for text in found["unproved"]]
    seen = f"{counted(found['num_links'], 'link')}, "
    seen += f"{counted(found['num_versions'], 'version')} of nights"
    if found["num_pruned"]:
        seen += f", {found['num_pruned']:,} removed by prune"
    if found["num_gone"]:
        seen += f", {counted(found['num_gone'], 'replaced one')} removed since"
    holds = "holds" if found["num_links"] else "there is no chain of evidence yet"
    lines.append(f"{'does not hold' if found['findings'] else holds}: {seen}")
    if found["head"]:
        lines.append(f"head {found['head']['number']}: {found['head']['hash']}")
    return lines


def warm(*, as_json: JsonOption = False) -> None:
    """Compile all kernels ahead: at an install, or when an image is built."""
    from optimizer.warm import warm as compile_all

    with show_progress() as tell:
        done = compile_all(tell)
    found = {
        "folder": str(done.folder),
        "compiled": list(done.compiled),
        "num_kept": done.num_kept,
    }
    lines = [
        f"{done.folder}: {counted(done.num_kept, 'compiled kernel')}",
        f"compiled now: {', '.join(done.compiled) or 'none, all were there'}",
    ]
    print_result(found, "\n".join(lines), as_json)


def upgrade(*, config: ConfigOption, as_json: JsonOption = False) -> None:
    """Create or upgrade the state database; a run does so too."""
    settings = load_settings(config)
    from optimizer.night.state.database import open_state

    with open_state(settings) as opened:
        found = {"state": opened.label}
    print_result(found, f"{opened.label}: up to date", as_json, is_done=True)


def repair(
    *,
    config: ConfigOption,
    new_chain: Annotated[
        str | None,
        typer.Option(
            "--new-chain",
            metavar="REASON",
            help="Why a chain that is lost is begun anew.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Mend links of dates, the chain of evidence and the state from what is there."""
    settings = load_settings(config)
    from optimizer.night.state.repair import repair as mend

    said = mend(settings, new_chain)
    lines = said or ["nothing to mend"]
    print_result({"mended": said}, "\n".join(lines), as_json, is_done=True)


def _line(night: dict[str, Any]) -> str:
    return (
        f"{night['num_chosen']:,} of {counted(night['num_orders'], 'order')}, "
        f"{saved_words(night)}, since {night['published_at_utc']}"
    )


def deliver(
    *,
    night: NightWord = None,
    config: NightConfig = None,
    date: NightDate = None,
    again: Annotated[
        bool, typer.Option("--again", help="Send also what has arrived before.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send the copies of a published night that have not arrived."""
    settings, day = night_settings(night, config, date)
    if day is None:
        raise ConfigError(NOT_NAMED)
    from optimizer.night.deliver import deliver_night

    done = deliver_night(settings, day, is_again=again)
    found = {"date": str(day), "sent": list(done.sent), "num_before": done.num_before}
    lines = [*done.sent, f"arrived before: {done.num_before:,}"]
    print_result(found, "\n".join(lines), as_json, is_done=True)
