"""The folder of learned models: its newest one, and the learner that is in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.build.learned_model import FORMAT
from optimizer.build.model_file import load_model
from optimizer.config import expand_date
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError, DataError
from optimizer.io.kept_inputs import MODEL_FILE
from optimizer.learn.learners import FIRST, LEARNERS

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.window import Window

LATEST = "latest"


def in_force(config: Config, window: Window) -> tuple[str, list[CodedWarning]]:
    """
    The learner in force: that of the newest model that was learned of any premium.

    Parameters
    ----------
    config
        With the folder of models.
    window
        With the day of learning.
    """
    folder = models_folder(config, window) / LATEST
    if not (folder / MODEL_FILE).is_file():
        return FIRST, []
    try:
        newest = load_model(folder).model
    except (ConfigError, DataError):
        return FIRST, [warn("LEARNER_NOT_KNOWN", learner=FIRST)]
    known = newest.format == FORMAT and newest.kind != "prior"
    known &= newest.learner in LEARNERS
    return (newest.learner if known else FIRST), []


def models_folder(config: Config, window: Window) -> Path:
    """Where learned models go."""
    return Path(expand_date(config.learning.models, window.as_of))
