"""The command that begins: from a user's own tables to a configuration."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from optimizer.cli.init_words import (
    COMPLAINT_COST,
    COMPLAINT_PROB,
    EFFECT,
    FEE,
    RETURN_COST,
    RETURN_PROB,
    SHOP,
    Begun,
    lines_of,
    result_of,
)
from optimizer.cli.options import JsonOption
from optimizer.cli.output import print_result
from optimizer.errors import ConfigError, PublishError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optimizer.recognize.propose import Choice, Proposal
    from optimizer.recognize.sample import Sample
    from optimizer.recognize.write import Terms


def init(
    *,
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE",
            help="Your tables: orders, and perhaps history, capacity, merchants: "
            "files, folders, globs, or addresses as inputs take them.",
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
    carrier: Annotated[
        list[str] | None,
        typer.Option(
            "--carrier",
            metavar="YOURS=CARRIER",
            help="Your word, and whose it is: 中通大件=zhongtong.",
        ),
    ] = None,
    complaint_cost: Annotated[
        str,
        typer.Option(
            "--complaint-cost", metavar="NUMBER", help="Cost of a complaint, CNY."
        ),
    ] = COMPLAINT_COST,
    return_cost: Annotated[
        str | None,
        typer.Option(
            "--return-cost",
            metavar="NUMBER",
            help=f"Cost of a logistics return, CNY: {RETURN_COST}; 0 where a history "
            "has none.",
        ),
    ] = None,
    fee: Annotated[
        str,
        typer.Option("--fee", metavar="NUMBER", help="Fee of a premium parcel, CNY."),
    ] = FEE,
    shop: Annotated[
        str | None,
        typer.Option(
            "--shop",
            metavar="NAME",
            help=f"The merchant, where no column names one: {SHOP}.",
        ),
    ] = None,
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
        str | None,
        typer.Option(
            "--effect",
            metavar="NUMBER",
            help="Share of the harm that premium removes, stated where orders have no "
            f"probabilities: {EFFECT}.",
        ),
    ] = None,
    complaint_prob: Annotated[
        str | None,
        typer.Option(
            "--complaint-prob",
            metavar="NUMBER",
            help=f"Complaints a parcel, where no history has them: {COMPLAINT_PROB}.",
        ),
    ] = None,
    return_prob: Annotated[
        str | None,
        typer.Option(
            "--return-prob",
            metavar="NUMBER",
            help=f"Logistics returns, likewise: {RETURN_PROB}.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace files of an earlier init.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Begin: recognise your exports, and write a configuration that reads them."""
    from optimizer.recognize.write import Terms, written

    _refuse_no_numbers(
        {
            "--complaint-cost": complaint_cost,
            "--return-cost": return_cost,
            "--fee": fee,
            "--effect": effect,
            "--complaint-prob": complaint_prob,
            "--return-prob": return_prob,
        }
    )
    told = Told(
        _pairs("--column", column or (), "order_id=订单号"),
        _carriers(_pairs("--carrier", carrier or (), "中通大件=zhongtong")),
    )
    proposals = _proposals(tables, told, may_ask=not yes and sys.stdin.isatty())
    _refuse_unsure(proposals, yes=yes)
    terms = Terms(
        complaint_cost_cny=complaint_cost,
        return_cost_cny=return_cost or _usual_return_cost(proposals),
        fee_cny=fee,
        shop=shop or SHOP,
        slots=slots,
        effect=effect or EFFECT,
        complaint_prob=complaint_prob or COMPLAINT_PROB,
        return_prob=return_prob or RETURN_PROB,
    )
    given = {
        "shop": shop,
        "slots": slots,
        "effect": effect,
        "complaint_prob": complaint_prob,
        "return_prob": return_prob,
    }
    named = [name for name, one in given.items() if one is not None]
    _refuse_idle(named, proposals, terms)
    files = written(proposals, terms, out)
    _check(files)
    _write(files, out, replace=replace)
    begun = Begun(proposals, terms, out, tuple(files))
    is_usual = (complaint_cost, return_cost, fee) == (COMPLAINT_COST, None, FEE)
    lines = lines_of(begun, are_costs_assumed=is_usual)
    print_result(result_of(begun), "\n".join(lines), as_json)


def _refuse_no_numbers(given: Mapping[str, str | None]) -> None:
    """Refuse an amount or a share that is no number."""
    for option, text in given.items():
        if text is None:
            continue
        try:
            is_number = math.isfinite(float(text))
        except ValueError:
            is_number = False
        if not is_number:
            raise ConfigError(f"{option} must be a number such as 0.3, got {text!r}")


#: Why a term that was given would be stated nowhere.
_IDLE = {
    "shop": "a column of every table names the merchant",
    "slots": "the capacity table has the slots",
    "effect": "the orders have the probabilities of harm themselves",
    "complaint_prob": "the tables tell how often parcels complain",
    "return_prob": "the tables tell how often parcels come back, or a return costs "
    "nothing",
}


def _refuse_idle(
    named: Sequence[str], proposals: Mapping[str, Proposal], terms: Terms
) -> None:
    """Refuse terms that would change nothing, since a table says what they state."""
    from optimizer.recognize.write import stated_terms

    if "orders" not in proposals:
        return
    stated = stated_terms(proposals, terms)
    for name in named:
        if name not in stated:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{option}: would change nothing, as {_IDLE[name]}; leave it out"
            )


class Told(NamedTuple):
    """What a person decided: columns by our names, carriers by their words."""

    columns: dict[str, str]
    carriers: dict[str, str]


def _usual_return_cost(proposals: Mapping[str, Proposal]) -> str:
    """What a return costs where nobody says: nothing where a history has none."""
    history = proposals.get("outcomes")
    has_returns = history is None or "logistics_return" not in history.missing
    return RETURN_COST if has_returns else "0"


def _pairs(option: str, given: Sequence[str], example: str) -> dict[str, str]:
    """Pairs that an option was given."""
    found = {}
    for text in given:
        name, sign, written = text.partition("=")
        if not (sign and name and written):
            raise ConfigError(f"{option} must be like {example}, got {text!r}")
        found[name.strip()] = written.strip()
    return found


def _carriers(given: dict[str, str]) -> dict[str, str]:
    """Check that words are said to be carriers that there are."""
    from optimizer.contracts.carrier_names import SPELLINGS

    for word, code in given.items():
        if code not in SPELLINGS:
            raise ConfigError(
                f"--carrier {word}={code}: no carrier has the code {code!r}; there are "
                f"{', '.join(SPELLINGS)}"
            )
    return given


def _proposals(
    tables: Sequence[str], told: Told, *, may_ask: bool
) -> dict[str, Proposal]:
    """A proposal for each table; what is unsure is asked, if it may be."""
    from optimizer.recognize.propose import propose

    found: dict[str, Proposal] = {}
    samples = _samples(tables, told)
    headers = {name for sample in samples for name in sample.rows.columns}
    for sample in samples:
        there = {
            ours: written
            for ours, written in told.columns.items()
            if written in sample.rows.columns or written not in headers
        }
        proposal = propose(sample, there, None, told.carriers)
        if may_ask and proposal.unsure:
            answers = {c.column: _asked(c, sample.label) for c in proposal.unsure}
            columns = there | answers
            proposal = propose(sample, columns, proposal.table, told.carriers)
        if proposal.table in found:
            other = found[proposal.table].sample.label
            also = (
                "; a history has a column of complaints or returns"
                if proposal.table == "orders"
                else ""
            )
            raise ConfigError(
                f"{other} and {sample.label} are both {proposal.table}; name one of "
                f"them{also}"
            )
        found[proposal.table] = proposal
    return found


def _samples(tables: Sequence[str], told: Told) -> list[Sample]:
    """The beginning of each table; all that a copy would mend are refused at once."""
    from optimizer.recognize.copies import (
        CopyNeededError,
        Personal,
        PersonalColumnsError,
    )
    from optimizer.recognize.propose import named_ids
    from optimizer.recognize.sample import take_sample

    ids = named_ids(told.columns)
    found: list[Sample] = []
    personal: list[Personal] = []
    copied: list[tuple[str, str, str]] = []
    for place in tables:
        try:
            found.append(take_sample(place, ids))
        except PersonalColumnsError as error:
            personal += error.tables
        except CopyNeededError as error:
            copied += error.tables
    if personal:
        raise PersonalColumnsError(personal)
    if copied:
        raise CopyNeededError(copied)
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


def _refuse_unsure(proposals: Mapping[str, Proposal], *, yes: bool) -> None:
    """Refuse to guess which column it is, unless that was asked for."""
    unsure = [choice for p in proposals.values() for choice in p.unsure]
    if unsure and not yes:
        raise ConfigError(_unsure_words(unsure))


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


def _write(files: Mapping[str, str], folder: Path, *, replace: bool) -> None:
    """Write files; those that are there are kept, unless they may be replaced."""
    for name in files:
        if (folder / name).exists() and not replace:
            raise ConfigError(
                f"{folder / name}: is there already; name another folder with --out, "
                "or write it anew with --replace"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PublishError(f"{folder}: cannot be written ({reason})") from None
