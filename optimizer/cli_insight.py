"""Commands that answer questions: why, how far, what if, and what it is worth."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from optimizer.cli import JsonOption, RunDir, _print, app
from optimizer.errors import ConfigError


class Tongue(StrEnum):
    """Languages of sentences."""

    ENGLISH = "en"
    CHINESE = "zh"


LanguageOption = Annotated[
    Tongue, typer.Option("--language", help="Language of the sentence.")
]


@app.command()
def explain(
    *,
    run_dir: RunDir,
    order_id: Annotated[
        str | None, typer.Argument(help="The order; none: the whole night.")
    ] = None,
    merchant: Annotated[
        str | None, typer.Option("--merchant", help="Explain a merchant instead.")
    ] = None,
    lane: Annotated[
        str | None,
        typer.Option("--lane", help="Explain a lane: carrier/region/outlet."),
    ] = None,
    language: LanguageOption = Tongue.ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Say what was decided for an order, merchant, lane or the night, and why."""
    from optimizer.insight.explain import explain_run
    from optimizer.insight.explain_parts import (
        explain_lane,
        explain_merchant,
        explain_night,
    )

    asked = [name for name in (order_id, merchant, lane) if name is not None]
    if len(asked) > 1:
        raise ConfigError("explain one thing: an order, --merchant or --lane")
    tongue = language.value
    if order_id is not None:
        found = explain_run(run_dir, order_id, tongue)
    elif merchant is not None:
        found = explain_merchant(run_dir, merchant, tongue)
    elif lane is not None:
        found = explain_lane(run_dir, lane, tongue)
    else:
        found = explain_night(run_dir, tongue)
    name = asked[0] if asked else str(run_dir)
    _print(found, f"{name}: {found['sentence']}", as_json)
