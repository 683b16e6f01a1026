"""Nights that were changed after they were published: no page is made of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from optimizer.contracts.run_folder import RECORD
from optimizer.desk.problems import PageProblem
from optimizer.desk.published import NOT_A_RECORD, nights_opened
from optimizer.errors import OptimizerError, is_of_memory
from optimizer.evidence.audit import changed_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from optimizer.desk.desk import Desk
    from optimizer.desk.kept import Answer
    from optimizer.desk.published import OpenNight

logger = logging.getLogger(__name__)


def page_of_readable(
    page: Callable[[Desk, Request], str | Answer], desk: Desk, request: Request
) -> str | Answer:
    """
    Make a page; where a changed night is what prevents it, without that night.

    A record can be edited into anything, and no page looks at all of it before it is
    drawn. So whatever goes wrong while nights are open is held against the chain of
    evidence: a night that is not as it was published is given up, and the page is made
    anew. One that needs that night says so then; one of many nights goes on. Where all
    files are as they were published, the mistake is the desk's own.

    Raises
    ------
    PageProblem
        When the page needs a night that was changed.
    """
    while True:
        with nights_opened() as opened:
            try:
                return page(desk, request)
            except (PageProblem, OptimizerError):
                raise
            except Exception as error:
                if is_of_memory(error) or not opened:
                    raise
                logger.warning("%s: %s", request.url.path, error, exc_info=error)
                if not _give_up_changed(desk, opened):
                    raise


def _give_up_changed(desk: Desk, opened: Sequence[OpenNight]) -> bool:
    """
    Give up the nights that are not as they were published; whether there are any.

    Raises
    ------
    PageProblem
        When there are none, and of one nothing is proved: it may be that one.
    """
    found = [(night, changed_files(desk.config, night.folder)) for night in opened]
    changed = [(night, files) for night, files in found if files]
    for night, files in changed:
        desk.nights.give_up(night, files)
    unproved = [night for night, files in found if files is None]
    if unproved and not changed:
        newest = max(unproved, key=lambda one: one.day)
        why = f"{newest.folder / RECORD}: {NOT_A_RECORD}, or another file is not"
        raise desk.nights.problem(newest.day, why=why) from None
    return bool(changed)
