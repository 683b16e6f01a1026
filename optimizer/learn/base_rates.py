"""Shares of standard parcels with a harm, as far as anything here knows them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.build.learned_model import HARMS
from optimizer.build.model_file import CARD_FILE, load_model
from optimizer.build.survey import BaseRate
from optimizer.config import expand_date
from optimizer.contracts.tables import OUTCOMES
from optimizer.io.cells import cell_rules
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import check_batch
from optimizer.learn.outcomes_source import local_outcomes
from optimizer.learn.reading import not_recorded
from optimizer.learn.risk import OUTCOME_OF
from optimizer.learn.service import says_service
from optimizer.night.folders import published_nights

if TYPE_CHECKING:
    import datetime as dt

    from optimizer.config import Config
    from optimizer.io.read import Source

_ROW = re.compile(r"\| ([\d,]+) \| [\d.]+ \| ([\d.]+) \|")


def base_rates(config: Config, day: dt.date) -> tuple[BaseRate, ...]:
    """
    Find the rates that a night's probabilities can be held against.

    Parameters
    ----------
    config
        With ``learning.history``, a model, or ``learning.prior``: each of them that is
        there gives its own.
    day
        The night: outcomes from it on do not count.

    Raises
    ------
    ConfigError, DataError
        When the outcomes, or the model, cannot be read.
    """
    found = []
    if config.learning.history is not None:
        path = expand_date(config.learning.history.path, day)
        found += _observed(path, config, day)
    if config.model is not None:
        found += _of_model(expand_date(config.model, day))
    observed = {rate.harm for rate in found if rate.num_parcels is not None}
    prior = config.learning.prior
    if prior is not None and prior.complaint_prob is not None:
        found += [
            BaseRate(harm, "prior", float(rate))
            for harm, rate in zip(HARMS, prior.harm_probs(), strict=True)
            # What is observed of a harm takes the place of what was stated.
            if rate is not None and harm not in observed
        ]
    return tuple(found)


def _observed(path: str, config: Config, day: dt.date) -> list[BaseRate]:
    """Shares in the configured outcomes, of standard parcels before the night."""
    rules = cell_rules(config)
    with local_outcomes(path, OUTCOMES, rules) as given:
        return _counted(open_source(given, OUTCOMES, rules=rules), config, day)


def _counted(source: Source, config: Config, day: dt.date) -> list[BaseRate]:
    """
    Count them from where they are by now.

    Where outcomes do not say which service a parcel got, those of published nights are
    left out: some of them got premium.
    """
    import polars as pl

    of_nights: list[dt.date] = []
    if config.output is not None and not says_service(source):
        of_nights = [*published_nights(config.output)]
    wanted = ("date", "is_premium", *OUTCOME_OF.values())
    columns = tuple(name for name in wanted if name in source.columns)
    source = replace(source, columns=columns, required=frozenset(columns))
    absent = not_recorded(source)
    known = [harm for harm in HARMS if OUTCOME_OF[harm] not in absent]
    log, num, happened = QuarantineLog(), 0, dict.fromkeys(known, 0)
    for raw in read_batches(source):
        frame = check_batch(raw, source, log)
        frame = frame.filter(~pl.col("is_premium") & (pl.col("date") < day))
        frame = frame.filter(~pl.col("date").is_in(of_nights))
        num += len(frame)
        for harm in known:
            happened[harm] += int(frame[OUTCOME_OF[harm]].sum())
    return [
        BaseRate(harm, "history", count / num, num, log.num_broken(OUTCOMES.name))
        for harm, count in happened.items()
        if num
    ]


def _of_model(folder: str) -> list[BaseRate]:
    """What the model's card says was observed; of a constant risk, what it states."""
    model, path = load_model(folder).model, Path(folder) / CARD_FILE
    card = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    found = []
    for harm in HARMS:
        risk, rate = model.risk[harm], card_rate(card, harm)
        if rate is None and not risk.slopes and not any(risk.levels.values()):
            stated = round(1 / (1 + math.exp(-risk.intercept)), 9)
            # Of a harm that costs nothing the risk may be unknown, and then is 0.
            rate = BaseRate(harm, "model", stated) if stated else None
        found += [] if rate is None else [rate]
    return found


def card_rate(card: str, harm: str) -> BaseRate | None:
    r"""
    Read a card's calibration: the share of standard parcels that had a harm.

    Parameters
    ----------
    card
        The model card, as :func:`~optimizer.learn.card.card_text` writes it.
    harm
        ``complaint`` or ``return``.

    Examples
    --------
    >>> card = "## Calibration of return on standard\n\n| 300 | 0.01 | 0.02 |\n"
    >>> found = card_rate(card + "| 100 | 0.03 | 0.04 |\n", "return")
    >>> found.against, found.rate, found.num_parcels
    ('model', 0.025, 400)
    """
    _, _, rest = card.partition(f"## Calibration of {harm} ")
    rows = _ROW.findall(rest.partition("\n## ")[0])
    counts = [(int(num.replace(",", "")), float(share)) for num, share in rows]
    total = sum(num for num, _ in counts)
    if not total:
        return None
    rate = sum(num * share for num, share in counts) / total
    return BaseRate(harm, "model", round(rate, 9), total)
