"""The commands that learn from past nights and measure them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from optimizer.learn.evaluate import Evaluation

HistoryOption = Annotated[
    str | None,
    typer.Option(
        "--history", metavar="FILE", help="Outcomes; left out: learning.history."
    ),
]
FirstOption = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First date to take.")
]
LastOption = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last date to take.")
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="Day of learning; today. Nothing later is known.",
    ),
]


def learn(
    *,
    config: ConfigOption,
    history: HistoryOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    as_of: AsOfOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Models; left out: learning.models."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn risk, effect and promise-keeping from past outcomes, with a model card."""
    from optimizer.config import load_config
    from optimizer.learn.fit import models_folder
    from optimizer.learn.history import learning_window
    from optimizer.questions import learn_model

    settings = load_config(config)
    learned = learn_model(history, config=settings, first=first, last=last, as_of=as_of)
    window = learning_window(settings, first, last, as_of)
    folder = learned.save(out or models_folder(settings, window))
    found = {
        "model_dir": str(folder),
        "kind": learned.model.kind,
        "learner": learned.model.learner,
        "candidates": [one.model_dump() for one in learned.model.candidates],
        "warnings": [warning.to_json() for warning in learned.warnings],
    }
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    told = f"{learned.model.kind}, {learned.model.learner} is in force"
    typer.echo(f"{folder}: learned ({told})\n\n{learned.card}", nl=False)


def evaluate(
    *,
    config: ConfigOption,
    history: HistoryOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the effect of premium on past nights, with 95 % intervals."""
    from optimizer import questions

    found = questions.evaluate(
        history, config=config, first=first, last=last, as_of=as_of
    )
    if as_json:
        told = {
            name: [warning.to_json() for warning in getattr(found, name)]
            for name in ("alerts", "warnings")
        }
        typer.echo(json.dumps(asdict(found) | told, ensure_ascii=False))
        return
    typer.echo("\n".join(_lines(found)))


def _lines(found: Evaluation) -> list[str]:
    """An evaluation for people: the pooled effects; --json has the rest."""
    window = found.window
    lines = [
        f"{window['first_date']} to {window['last_date']}: "
        f"{window['num_compared']:,} of {window['num_parcels']:,} parcels compared "
        f"({window['kind']})",
        *(f"  warning  {text}" for text in found.warnings),
        *(f"  alert    {text}" for text in found.alerts),
        "harm avoided, in percentage points, with 95 % intervals:",
    ]
    lines += [_effect_line(row) for row in found.effects if row["by"] is None]
    lines += [_rule_line(row) for row in found.rules]
    lines += [
        f"  {row['carrier_id']}: {row['num_claims']:,} claims on "
        f"{row['num_premium']:,} premium parcels, {row['claims_cny']:,.2f} CNY "
        "(not in any objective)"
        for row in found.claims
    ]
    return lines


def _effect_line(row: dict[str, Any]) -> str:
    return (
        f"  {row['population']:<9}{row['outcome']:<26}{row['method']:<15}"
        f"{100 * row['estimate']:+7.2f} [{100 * row['low']:+.2f}, "
        f"{100 * row['high']:+.2f}]  {row['num_treated']:,} premium, "
        f"{row['num_control']:,} standard"
    )


def _rule_line(row: dict[str, Any]) -> str:
    top, qini = row["top"], row["qini"]
    return (
        f"  rule {row['rule']:<9} the best {row['top_share']:.0%}: "
        f"{top['value']:+.2f} CNY a parcel [{top['low']:+.2f}, {top['high']:+.2f}], "
        f"Qini {qini['value']:+.4f} [{qini['low']:+.4f}, {qini['high']:+.4f}]"
    )
