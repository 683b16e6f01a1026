"""The commands of the nightly job: validate, run, and the schema of its YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.options import (
    ConfigOption,
    DateOption,
    JsonOption,
    LanguageOption,
    LogJsonOption,
    Tongue,
    load_settings,
    parse_date,
)
from optimizer.cli.output import (
    outbox_words,
    print_result,
    print_text,
    show_progress,
    use_logs,
)
from optimizer.contracts.headline import by_mean, expected_words
from optimizer.contracts.run_folder import pinned
from optimizer.contracts.tables import CONFLICTS
from optimizer.contracts.warnings import text_of
from optimizer.errors import ConfigError, counted
from optimizer.night.far_names import FarName, again, given_names
from optimizer.views import gap_words

if TYPE_CHECKING:
    import datetime as dt

    from optimizer.config import Config
    from optimizer.night.run import RunReport


def validate(
    *,
    config: ConfigOption,
    date: Annotated[
        str | None,
        typer.Option(
            "--date", metavar="DATE", help="Also check the inputs of this date."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Check as for a run with --force."),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write what is found as a page of HTML.",
        ),
    ] = None,
    language: LanguageOption = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """
    Check the configuration and, with --date, the inputs; solves nothing.

    Refuses what a run refuses before it solves, and shows what to look at first:
    merchants with slots, demand and capacity, probabilities, refused rows, and
    what is missing.
    """
    settings = load_settings(config)
    if date is None:
        if report is not None:
            raise ConfigError("--report shows the inputs of a date: give --date too")
        print_result(
            {"config": str(config), "is_valid": True}, f"{config}: valid", as_json
        )
        return
    from optimizer import questions

    with show_progress() as tell:
        found = questions.validate(settings, date=date, is_forced=force, progress=tell)
    text = found.text(language.value)
    if report is not None:
        found.report(language.value).save(report)
        text += f"\n\n{report}: written"
    print_result(found.values, text, as_json)


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
        str | None,
        typer.Option(
            "--previous", metavar="FOLDER", help="A published night to start from."
        ),
    ] = None,
    only_changes: Annotated[
        bool,
        typer.Option(
            "--only-changes",
            help="Repair the published night: its inputs, but for the changes that "
            "--capacity, --add, --options, --drop and --cancel name; replaces it.",
        ),
    ] = False,
    capacity: Annotated[
        Path | None,
        typer.Option(
            "--capacity", metavar="FILE", help="Capacity rows with other slots."
        ),
    ] = None,
    add: Annotated[
        Path | None,
        typer.Option("--add", metavar="FILE", help="New orders, as in orders."),
    ] = None,
    options: Annotated[
        Path | None,
        typer.Option("--options", metavar="FILE", help="Options of the new orders."),
    ] = None,
    drop: Annotated[
        Path | None,
        typer.Option(
            "--drop", metavar="FILE", help="Ids of orders that never were; order_id."
        ),
    ] = None,
    cancel: Annotated[
        Path | None,
        typer.Option(
            "--cancel",
            metavar="FILE",
            help="Ids of orders not to be served, which count for the cap; order_id.",
        ),
    ] = None,
    shadow: Annotated[
        Path | None,
        typer.Option(
            "--shadow",
            metavar="FILE",
            help="A candidate's YAML, to be solved as well.",
        ),
    ] = None,
    paranoid: Annotated[
        bool,
        typer.Option(
            "--paranoid",
            help="Read what was written back from the disk, past the system's cache.",
        ),
    ] = False,
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
    given = {
        "capacity": capacity,
        "add": add,
        "options": options,
        "drop": drop,
        "cancel": cancel,
    }
    changes = _changes(given, is_only=only_changes, is_forced=force)
    before = None if changes is None else _published(previous, settings, day)
    from optimizer.job import run_date
    from optimizer.telemetry.watch import watched

    look_at_links(context, settings, [day])

    def work(tell: Callable[[str], None]) -> RunReport:
        return run_date(
            settings,
            day,
            is_dry=dry_run,
            is_forced=force,
            is_paranoid=paranoid,
            previous=previous,
            changes=changes,
            progress=tell,
        )

    with show_progress() as tell:
        seen = watched(settings, day, work, tell, is_dry=dry_run)
    report = seen.report
    found = {"run_dir": str(report.run_dir), "outcome": report.outcome} | dict(
        report.record
    )
    found["evidence_head"] = report.head
    if isinstance(report.run_dir, Path) and not dry_run:
        found["version_dir"] = str(pinned(report.run_dir))
    found["alerts"] = [alert.to_json() for alert in seen.alerts]
    if before is not None and report.outcome == "published":
        found["churn"] = _churn(before, Path(report.run_dir))
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
    # The record's saving is by the draw, if there is one; people read the mean.
    printed = found | {"summary": by_mean(found["summary"])}
    print_result(printed, text, as_json, is_done=not dry_run)


def _changes(
    given: Mapping[str, Path | None], *, is_only: bool, is_forced: bool
) -> dict[str, Path] | None:
    """Files that say what changed; ``None`` where the whole date is run."""
    changes = {name: path for name, path in given.items() if path is not None}
    if changes and not is_only:
        raise ConfigError(
            f"--{', --'.join(changes)}: these change the published night: give "
            "--only-changes too"
        )
    if not is_only:
        return None
    if not changes:
        raise ConfigError(
            "--only-changes needs what changed: --capacity, --add, --drop or --cancel, "
            "each with a FILE"
        )
    if is_forced:
        raise ConfigError(
            "--only-changes replaces the published night as it is: leave --force out"
        )
    return changes


def _published(previous: str | None, settings: Config, day: dt.date) -> Path | None:
    """The version that is to be repaired; ``None`` where none is published."""
    from optimizer.night.folders import published_version
    from optimizer.night.state.reconcile import output_of

    if previous is not None:
        return pinned(previous)
    if settings.output is None:
        return None
    return published_version(output_of(settings.output, day), day)


def _churn(before: Path, after: Path) -> dict[str, list[str]]:
    """Parcels whose recommendation changed, by what changed."""
    from optimizer.explain.churn import churn_table, read_previous

    table = churn_table(read_previous(before), read_previous(after).chosen)
    return {
        change.lower(): table.filter(change=change)["order_id"].to_list()
        for change in ("ADDED", "REMOVED", "MOVED")
    }


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from optimizer.config import json_schema

    print_text(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def look_at_links(
    context: typer.Context, settings: Config, days: Iterable[dt.date]
) -> None:
    """Note where the links of dates lead, for a last word if the command is stopped."""
    from optimizer.night.state.reconcile import output_of

    if settings.output is not None:
        for day in days:
            link = output_of(settings.output, day) / day.isoformat()
            context.obj[link] = target_of(link)


def target_of(link: Path) -> Path | None:
    """Where a date's link points; ``None`` where there is none."""
    return link.readlink() if link.is_symlink() else None


def published_since(seen: Mapping[Path, Path | None]) -> str:
    """
    Say whether links of dates have changed since they were seen, by the disk.

    Of nights of a cluster: whether this process gave them their names.
    """
    now = {link: target_of(link) for link, target in seen.items()}
    changed = [link for link, target in seen.items() if now[link] != target]
    new = [str(link) for link in changed if now[link] is not None]
    gone = [str(link) for link in changed if now[link] is None]
    said = [f"a new night was published already: {', '.join(new)}"] if new else []
    said += [f"withdrawn already: {', '.join(gone)}"] if gone else []
    said += map(_far_words, given_names())
    return "; ".join(said) or "nothing was published"


def _far_words(name: FarName) -> str:
    """A night of a cluster, and what does the rest of it."""
    if name.is_sure:
        said = "a new night was published already: {}, perhaps not all around it; {}"
        return said.format(name.folder, f"to do the rest: {again(name.day)}")
    return (
        f"{name.folder} may name the new night, the night before or none; to find out, "
        f"and do the rest: {again(name.day)}"
    )


#: Floors and pins that are not kept, and are named.
NUM_CLASHES = 3
#: Warnings that say what all of a night rests on, and why nobody is chosen.
_BASIS = ("MODEL_IS_PRIOR", "RISK_IS_STATED")
_NOBODY = (
    *("NOBODY_CHOSEN", "NONE_HAS_PLACE", "NONE_AVOIDS_HARM", "NONE_WORTH_FEE"),
    *("FIRST_CHOSEN_AT", "BREAK_EVEN"),
)


def _tree(numbers: Mapping[str, Any]) -> str:
    """How many branches bear the proof out, where it is by branches."""
    num = numbers.get("num_branches")
    return f", by {num:,} branches" if num else ""


def _summary(found: Mapping[str, Any]) -> str:
    """A run in a few lines."""
    from optimizer.report.carriers import way_on

    numbers, proof = found["summary"], found["certificate"]
    orders = counted(numbers["num_orders"], "order")
    words = {
        "published": "published",
        "unchanged": "already published from the same inputs; nothing to do",
        "dry run": "dry run; nothing was written, it would go here",
    }
    basis = [w for w in found["warnings"] if _code(w) in _BASIS]
    nobody = [w for w in found["warnings"] if _code(w) in _NOBODY]
    others = [w for w in found["warnings"] if w not in basis and w not in nobody]
    lines = [
        f"{found['run_dir']}: {words[found['outcome']]}",
        *(f"  rests on   {text_of(warning)}" for warning in basis),
        f"  chosen     {numbers['num_chosen']:,} of {orders} "
        f"(caps allow {numbers['sum_of_caps']:,})",
        *(f"  nobody     {text_of(warning)}" for warning in nobody),
        f"  {_avoided(found)}",
        f"  proof      {gap_words(proof['gap'], proof['relative_gap'])}"
        f"{_tree(numbers)}",
        f"  limits     {counted(numbers['num_caps_binding'], 'cap')} and "
        f"{counted(numbers['num_lanes_binding'], 'lane')} with a price",
        f"  rounding   {_roundings(numbers['cap_roundings'])}",
        f"  quarantine {counted(numbers['num_quarantined'], 'order')}",
    ]
    lines += [
        f"  not read   {name}: {', '.join(used['unread'])}, as no rule asks for it"
        for name, used in found["inputs"].items()
        if used.get("unread")
    ]
    if num_conflicts := numbers.get("num_conflicts"):
        lines.append(f"  conflicts  {num_conflicts:,} not kept{_clashes(found)}")
    if chance := numbers.get("experiment"):
        lines.append(
            f"  at random  {chance['num_kept_back']:,} kept back, which costs "
            f"{chance['kept_back_cost_cny']:,.2f} CNY; {chance['num_explored']:,} "
            f"explored, at most {chance['explore_cost_at_most_cny']:,.2f} CNY"
            f"{_left_on_standard(chance)}"
        )
        if "num_coins" in chance:
            lines.append(
                f"  coins      {counted(chance['num_coins'], 'pair')} around the "
                f"cut-off, {chance['num_swapped']:,} swapped, which costs "
                f"{chance['coin_cost_cny']:,.2f} CNY"
            )
    if "draw" in numbers:
        lines.append(f"  draw       {_draw_words(numbers)}")
    if head := found["evidence_head"]:
        lines.append(f"  evidence   link {head['number']:,}, {head['hash']}")
    boxes = found.get("outboxes", [])
    lines += [f"  outbox     {outbox_words(box)}" for box in boxes]
    lines += [f"  warning    {text_of(warning)}" for warning in others]
    if told := way_on(others, numbers["reasons"].get("CARRIER_INACTIVE")):
        lines.append(f"  carriers   {told}")
    lines += [f"  alert      {alert['text']}" for alert in found["alerts"]]
    lines += [f"  assumes    {text_of(one)}" for one in found.get("assumptions", [])]
    if "repaired" in found:
        lines.append(f"  repaired   {_repaired_words(found)}")
    if "version_dir" in found:
        lines.append(f"  version    {found['version_dir']}")
    return "\n".join(lines)


def _clashes(found: Mapping[str, Any]) -> str:
    """Name the first floors and pins that a published night does not keep."""
    import polars as pl

    from optimizer.explain.tables import named_clashes

    if found["outcome"] == "dry run":
        return ""
    table = pl.read_parquet(Path(found["run_dir"]) / CONFLICTS.file)
    named = named_clashes(table, most=NUM_CLASHES)
    return f": {named}; see {CONFLICTS.file}"


def _repaired_words(found: Mapping[str, Any]) -> str:
    """What a night was repaired from, and the parcels that changed."""
    told = found["repaired"]
    words = f"{', '.join(told['changes'])} changed since {told['from']}"
    if "churn" not in found:
        return words
    parts = [
        f"{len(ids):,} {change}" + (f" ({', '.join(ids[:3])}{_more(ids)})" * bool(ids))
        for change, ids in found["churn"].items()
    ]
    return f"{words}: {'; '.join(parts)}"


def _more(ids: list[str]) -> str:
    return ", …" if len(ids) > 3 else ""


def _draw_words(numbers: Mapping[str, Any]) -> str:
    """
    What the plan avoids by the draw that decided the night.

    Examples
    --------
    >>> draw = {"mean_saving_cny": 0.0, "num_drawn": 9}
    >>> _draw_words({"num_chosen": 0, "draw": draw}).partition(": ")[2]
    '9 orders are in the plans of other draws, and another night draws others'
    """
    draw = numbers["draw"]
    others = counted(draw["num_drawn"], "order")
    if not numbers["num_chosen"] and draw["num_drawn"]:
        return (
            f"savings are one draw of the model, and by it nobody is worth the fee: "
            f"{others} are in the plans of other draws, and another night draws others"
        )
    return (
        f"savings are one draw of the model, and the proof is of these: by them the "
        f"plan avoids {numbers['saving_cny']:,.2f} CNY; {others} chosen by some draws "
        "and not by others"
    )


def _left_on_standard(chance: Mapping[str, Any]) -> str:
    """
    Parcels that were drawn to explore and got standard: ``HELD_OUT`` counts them too.

    Examples
    --------
    >>> _left_on_standard({"num_explore_standard": 3})
    '; 3 drawn to explore were left on standard (HELD_OUT, too)'
    """
    num = chance.get("num_explore_standard", 0)
    were = "was" if num == 1 else "were"
    told = f"; {num:,} drawn to explore {were} left on standard (HELD_OUT, too)"
    return told if num else ""


def _avoided(found: Mapping[str, Any]) -> str:
    """What the night is expected to avoid, or what it costs to measure."""
    verb, _, words = expected_words(found).partition(" ")
    return f"{verb:<10} {words}"


def _code(warning: Any) -> str:
    """The code of a warning; records of format 1 have sentences alone."""
    return str(warning["code"]) if isinstance(warning, dict) else ""


def _roundings(found: Mapping[str, Any]) -> str:
    """Slots that each way of rounding caps would give tonight."""
    return "; ".join(
        f"{name} {numbers['num_slots']:,} slots, none for "
        f"{counted(numbers['num_merchants_without'], 'merchant')}"
        for name, numbers in sorted(found.items())
    )
