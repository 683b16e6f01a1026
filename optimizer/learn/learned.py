"""What was learned: a model, its card and its warnings, for people and machines."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.build.learned_model import BEFORE_ANY_NIGHT
from optimizer.build.model_file import CARD_FILE, model_text
from optimizer.errors import ConfigError, MachineError, counted, is_of_disk
from optimizer.io.kept_inputs import MODEL_FILE
from optimizer.learn.models_folder import LATEST
from optimizer.views import Shown, View, listed

if TYPE_CHECKING:
    from optimizer.build.learned_model import LearnedModel
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.report.page import Page


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Learned(Shown):
    """
    A model, its card and its warnings.

    Attributes
    ----------
    model
        The numbers.
    card
        The model card, Markdown.
    warnings
        What a person should look at, carriers below their contract included.
    confidence
        How sure it had to be that another learner's plan is worth more.
    """

    model: LearnedModel
    card: str
    warnings: tuple[CodedWarning, ...]
    confidence: float

    def _view(self) -> View:
        model = self.model
        kept = [p for p in model.promises if p.region_id is None and p.carrier_id]
        rows = [
            ("effect", model.kind),
            ("nights", f"{model.first_date} to {model.last_date}"),
            ("kept", listed(f"{p.carrier_id} {p.mean:.0%}" for p in kept) or "unknown"),
            ("look at", f"{counted(len(self.warnings), 'warning')}; .card has it all"),
        ]
        return View(f"Model {model.version}", tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Give what a person asks for, ready for JSON: no coefficient is in it."""
        shown = {"version", "first_date", "last_date", "kind", "learner", "realised"}
        told = self.model.model_dump(mode="json", include=shown)
        return told | {
            "is_stated": self.model.last_date == BEFORE_ANY_NIGHT,
            "candidates": [one.model_dump() for one in self.model.candidates],
            "confidence": self.confidence,
            "pooled": {
                h: one.model_dump()
                for h, one in (self.model.pooled or {}).items()
                if self.model.is_known(h)
            },
            "promises": [one.model_dump() for one in self.model.promises],
            "warnings": [warning.to_json() for warning in self.warnings],
        }

    def report(self, language: str = "en") -> Page:
        """
        Make a page for people: a notebook shows it, and ``.save(path)`` writes it.

        Parameters
        ----------
        language
            In view when it is opened: ``"en"`` or ``"zh"``; the other is a click away.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        from optimizer.report.language import by_name
        from optimizer.report.learned import learned_html
        from optimizer.report.page import Page

        return Page(learned_html(self.to_json(), by_name(language)))

    def save(self, models: Path | str) -> Path:
        """
        Write the model into a folder of models; see :func:`save_model`.

        Returns
        -------
        Path
            The model's own folder.
        """
        return save_model(self, Path(models))


def save_model(learned: Learned, models: Path) -> Path:
    """
    Write a model folder, and point ``latest`` at it in one step.

    Returns
    -------
    Path
        The folder, named by its last date and checksum; the same model is not
        written twice.

    Raises
    ------
    ConfigError
        When the folder cannot be written.
    MachineError
        When the disk is full.
    """
    folder = models / learned.model.version
    try:
        models.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            partial = models / f".{folder.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            (partial / MODEL_FILE).write_text(model_text(learned.model), "utf-8")
            (partial / CARD_FILE).write_text(learned.card, "utf-8")
            partial.rename(folder)
        link = models / f".{LATEST}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(models / LATEST)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        kind = MachineError if is_of_disk(error) else ConfigError
        raise kind(f"{models}: cannot be written ({reason})") from None
    return folder
