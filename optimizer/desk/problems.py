"""What a page answers instead of what was asked for; the words are in a template."""

from __future__ import annotations

from typing import Any


class PageProblem(Exception):
    """
    A reason why a page cannot be shown.

    Attributes
    ----------
    status
        The code of HTTP.
    code
        Which words of ``problem.html.j2`` say it.
    values
        What stands in them.
    """

    def __init__(self, status: int, code: str, **values: Any) -> None:
        super().__init__(code)
        self.status, self.code, self.values = status, code, values
