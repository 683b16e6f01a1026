"""A night's report as an object: a notebook shows it, and ``save`` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import PublishError


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page of HTML that needs nothing else.

    Attributes
    ----------
    html
        Its text.

    Examples
    --------
    >>> page = Page("<!doctype html><title>Night</title>")
    >>> page
    Page of 35 characters: .save(path) writes it, a notebook shows it
    """

    html: str

    def save(self, path: Path | str) -> Path:
        """
        Write the page as UTF-8.

        Raises
        ------
        PublishError
            When it cannot be written there.
        """
        file = Path(path)
        try:
            file.write_text(self.html, encoding="utf-8", newline="\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise PublishError(f"{file}: cannot be written ({reason})") from None
        return file

    def __repr__(self) -> str:
        size = f"{len(self.html):,} characters"
        return f"Page of {size}: .save(path) writes it, a notebook shows it"

    def _repr_html_(self) -> str:
        """A frame of its own, so that styles of page and notebook do not mix."""
        from markupsafe import escape

        style = "width:100%;height:40em;border:1px solid #ccc"
        return f'<iframe sandbox srcdoc="{escape(self.html)}" style="{style}"></iframe>'
