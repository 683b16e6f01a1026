"""The command that begins: from a user's own tables to a configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.options import JsonOption
from optimizer.cli.output import print_result
from optimizer.errors import ConfigError, PublishError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optimizer.recognize.propose import Choice, Proposal

#: What is assumed where nobody says: amounts in CNY, shares.
COMPLAINT_COST, RETURN_COST, FEE = "30.00", "18.00", "0.80"
EFFECT, COMPLAINT_PROB, RETURN_PROB = "0.3", "0.01", "0.02"


def init(
    *,
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Your exports: orders, and perhaps history, capacity, merchants.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Folder of the configuration."),
    ] = Path(),
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing; take the likeliest.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="OURS=YOURS",
            help="A column of ours and yours: order_id=订单号.",
        ),
    ] = None,
    complaint_cost: Annotated[
        str,
        typer.Option(
            "--complaint-cost", metavar="NUMBER", help="Cost of a complaint, CNY."
        ),
    ] = COMPLAINT_COST,
    return_cost: Annotated[
        str,
        typer.Option(
            "--return-cost", metavar="NUMBER", help="Cost of a logistics return, CNY."
        ),
    ] = RETURN_COST,
    fee: Annotated[
        str,
        typer.Option("--fee", metavar="NUMBER", help="Fee of a premium parcel, CNY."),
    ] = FEE,
    shop: Annotated[
        str,
        typer.Option(
            "--shop", metavar="NAME", help="The merchant, where no column names one."
        ),
    ] = "my-shop",
    slots: Annotated[
        int | None,
        typer.Option(
            "--slots",
            metavar="NUMBER",
            min=0,
            help="Slots of each carrier and region; or fill them in.",
        ),
    ] = None,
    effect: Annotated[
        str,
        typer.Option(
            "--effect",
            metavar="NUMBER",
            help="Share of the harm that premium removes, stated.",
        ),
    ] = EFFECT,
    complaint_prob: Annotated[
        str,
        typer.Option(
            "--complaint-prob",
            metavar="NUMBER",
            help="Complaints a parcel, where there is no history.",
        ),
    ] = COMPLAINT_PROB,
    return_prob: Annotated[
        str,
        typer.Option(
            "--return-prob", metavar="NUMBER", help="Logistics returns, likewise."
        ),
    ] = RETURN_PROB,
    as_json: JsonOption = False,
) -> None:
    """Begin: recognise your exports, and write a configuration that reads them."""
    from optimizer.recognize.write import Terms, next_commands, written

    chosen = _chosen(column or ())
    proposals = _proposals(tables, chosen, may_ask=not yes and sys.stdin.isatty())
    unsure = [c for p in proposals.values() for c in p.unsure]
    if unsure and not yes:
        raise ConfigError(_unsure_words(unsure))
    terms = Terms(
        complaint_cost_cny=complaint_cost,
        return_cost_cny=return_cost,
        fee_cny=fee,
        shop=shop,
        slots=slots,
        effect=effect,
        complaint_prob=complaint_prob,
        return_prob=return_prob,
    )
    files = written(proposals, terms, out)
    _check(files)
    _write(files, out)
    commands = list(next_commands(proposals, out, slots))
    found = {
        "files": [str(out / name) for name in files],
        "tables": {name: _as_json(p) for name, p in proposals.items()},
        "next": commands,
    }
    lines = [line for p in proposals.values() for line in _told(p)]
    assumed = (complaint_cost, return_cost, fee) == (COMPLAINT_COST, RETURN_COST, FEE)
    if assumed:
        lines.append(
            f"assumed: a complaint costs {COMPLAINT_COST} CNY, a return {RETURN_COST}, "
            f"the fee is {FEE}: set your own in {out / 'premium.yaml'}"
        )
    lines += [f"wrote {name}" for name in found["files"]]
    lines += ["next:", *(f"  {command}" for command in commands)]
    print_result(found, "\n".join(lines), as_json)


def _chosen(given: Sequence[str]) -> dict[str, str]:
    """Columns that a person decided on."""
    found = {}
    for text in given:
        name, sign, written = text.partition("=")
        if not (sign and name and written):
            raise ConfigError(f"--column must be like order_id=订单号, got {text!r}")
        found[name.strip()] = written.strip()
    return found


def _proposals(
    tables: Sequence[str], chosen: dict[str, str], *, may_ask: bool
) -> dict[str, Proposal]:
    """A proposal for each table; what is unsure is asked, if it may be."""
    from optimizer.recognize.propose import propose
    from optimizer.recognize.sample import take_sample

    found: dict[str, Proposal] = {}
    for path in tables:
        sample = take_sample(path)
        proposal = propose(sample, chosen, None)
        if may_ask and proposal.unsure:
            answers = {c.column: _asked(c, path) for c in proposal.unsure}
            proposal = propose(sample, chosen | answers, proposal.table)
        if proposal.table in found:
            raise ConfigError(
                f"{found[proposal.table].sample.path} and {path} are both "
                f"{proposal.table}; name one of them"
            )
        found[proposal.table] = proposal
    return found


def _asked(choice: Choice, path: str) -> str:
    """Ask a person which column it is."""
    options = [choice.written, *choice.others]
    typer.echo(f"{path}: which column is {choice.column}?", err=True)
    for number, name in enumerate(options, 1):
        typer.echo(f"  {number}. {name}", err=True)
    number = typer.prompt("number", default=1, type=int, err=True)
    if not 1 <= number <= len(options):
        raise ConfigError(f"{number} is none of 1 to {len(options)}")
    return options[number - 1]


def _unsure_words(unsure: Sequence[Choice]) -> str:
    lines = [
        f"{choice.column} may be {' or '.join((choice.written, *choice.others))}: say "
        f"which, such as --column {choice.column}={choice.written}, or --yes to take it"
        for choice in unsure
    ]
    return "\n".join(lines)


def _check(files: Mapping[str, str]) -> None:
    """Hold what is written against the configuration's own rules."""
    from optimizer.config.load import as_config
    from optimizer.config.yaml_reader import read_yaml

    as_config(read_yaml(files["premium.yaml"], "premium.yaml")[0])


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write files that are not there yet."""
    for name in files:
        if (folder / name).exists():
            raise ConfigError(
                f"{folder / name}: is there already; move it, or name another folder "
                "with --out"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PublishError(f"{folder}: cannot be written ({reason})") from None


def _told(proposal: Proposal) -> list[str]:
    """A proposal for people: each column with three of its values."""
    sample = proposal.sample
    rows = (
        f"{len(sample.rows):,} rows"
        if sample.is_whole
        else (f"the first {len(sample.rows):,} rows")
    )
    form = "" if sample.encoding == "utf-8" else f", {sample.encoding}"
    lines = [f"{sample.path}: {proposal.table} ({rows}{form})"]
    width = max((len(c.column) for c in proposal.choices), default=0)
    lines += [
        f"  {c.column:<{width}}  {c.written}: {', '.join(c.shown) or 'empty'}"
        for c in proposal.choices
    ]
    if proposal.missing:
        lines.append(f"  not there: {', '.join(proposal.missing)}")
    return lines + [f"  note: {note}" for note in proposal.notes]


def _as_json(proposal: Proposal) -> dict[str, Any]:
    from optimizer.recognize.write import words_of

    return {
        "path": proposal.sample.path,
        "columns": {c.column: c.written for c in proposal.choices},
        "missing": list(proposal.missing),
        "values": words_of(proposal),
        "units": dict(proposal.units),
        "notes": list(proposal.notes),
    }
