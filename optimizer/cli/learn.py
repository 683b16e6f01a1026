"""The commands that learn from past nights and measure them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.options import (
    ConfigOption,
    JsonOption,
    LanguageOption,
    PageLanguage,
    ReportOption,
    Tongue,
)
from optimizer.cli.output import write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optimizer.contracts.warnings import CodedWarning

HistoryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="Outcomes: files or an address, as often as needed; left out: "
        "learning.history.",
    ),
]
RunsOption = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        metavar="FOLDER",
        help="Published nights: their decisions are joined to the outcomes.",
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
    runs: RunsOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    as_of: AsOfOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Models; left out: learning.models."
        ),
    ] = None,
    report: ReportOption = None,
    language: PageLanguage = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Learn risk, effect and promise-keeping from past outcomes, with a model card."""
    from optimizer.build.learned_model import BEFORE_ANY_NIGHT
    from optimizer.config import load_config
    from optimizer.learn.card import printed
    from optimizer.learn.models_folder import LATEST, models_folder
    from optimizer.learn.window import learning_window
    from optimizer.questions import learn_model

    settings = load_config(config)
    learned = learn_model(
        history or None,
        config=settings,
        first=first,
        last=last,
        as_of=as_of,
        runs=runs,
    )
    window = learning_window(settings, first, last, as_of)
    folder = learned.save(out or models_folder(settings, window))
    write_page(report, learned.report, language.value)
    found = {"model_dir": str(folder)} | learned.to_json()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    told = f"{learned.model.kind}, {learned.model.learner} is in force"
    typer.echo(f"{folder}: learned ({told})\n\n{printed(learned.card)}")
    for alarm in alarms_of(learned.warnings):
        typer.echo(f"ALARM: {alarm}")
    stated = learned.model.last_date == BEFORE_ANY_NIGHT
    which = "any night" if stated else f"a night after {learned.model.last_date}"
    typer.echo(f"next, for {which}: optimizer run --config {config} --date DATE")
    if settings.model is None:
        typer.echo(f"with `model: {folder.parent / LATEST}` in {config}")


#: Warnings after which a night should not follow before somebody looked.
ALARMS = ("HIDDEN_SELECTION", "UNDRAWN_CONTRADICT", "SAMPLE_RATIO", "SCORE_LEAKS")


def alarms_of(warnings: Sequence[CodedWarning]) -> list[CodedWarning]:
    """What the last lines repeat, since a card is long."""
    return [warning for warning in warnings if warning.code in ALARMS]


def evaluate(
    *,
    config: ConfigOption,
    history: HistoryOption = None,
    runs: RunsOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    as_of: AsOfOption = None,
    report: ReportOption = None,
    language: LanguageOption = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Measure the effect of premium on past nights, with 95 % intervals."""
    from optimizer import questions
    from optimizer.report.evaluation import evaluation_text
    from optimizer.report.language import by_code

    found = questions.evaluate(
        history or None, config=config, first=first, last=last, as_of=as_of, runs=runs
    )
    write_page(report, found.report, language.value)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
        return
    typer.echo(evaluation_text(found.to_json(), by_code(language.value)))
