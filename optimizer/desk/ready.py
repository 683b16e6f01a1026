"""
Pages of the newest night that are made before anybody asks for them.

First come the first rows of its orders, of every decision and carrier in every order.
Pages are made as for a reader, one after the other, and kept as his would be: who comes
first does not wait for what all will ask for. A night that is published while the desk
runs is noticed by itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from optimizer.desk.asked import Part
from optimizer.desk.problems import PageProblem
from optimizer.desk.render import CODES
from optimizer.errors import OptimizerError
from optimizer.io.lookup import check_ahead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from concurrent.futures import Executor

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from optimizer.desk.desk import Desk
    from optimizer.desk.first_rows import FirstRows

    Endpoint = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger(__name__)

#: Seconds after which another newest night is looked for.
LOOK_SECONDS = 5.0
#: Patterns of addresses, each with the queries that the desk's own links have.
PAGES: tuple[tuple[str, str], ...] = (
    ("/nights", ""),
    ("/nights/{day}", ""),
    ("/nights/{day}/orders", "reason=CHOSEN&sort=-saving_cny"),
    ("/nights/{day}/orders", ""),
    ("/nights/{day}/orders", "sort=-saving_cny"),
    ("/nights/{day}/orders", "sort=-margin_cny"),
    ("/nights/{day}/merchants", ""),
    ("/nights/{day}/margins", ""),
    ("/carrier", ""),
)


async def keep_ready(
    app: Starlette,
    desk: Desk,
    endpoints: Mapping[str, Endpoint],
    pool: Executor,
) -> None:
    """
    Make the pages of the newest night, and again when another one is published.

    Parameters
    ----------
    app
        Its ``state.ready`` becomes the stamp of the nights whose pages are made.
    desk
        With the nights that are published.
    endpoints
        What answers an address, by its pattern; it keeps what it answers.
    pool
        Looks at the folder of nights.
    """
    loop = asyncio.get_running_loop()
    while True:
        stamp = await loop.run_in_executor(pool, desk.nights.stamp)
        if stamp != app.state.ready:
            await _make(app, desk, endpoints, pool)
            app.state.ready = stamp
        await asyncio.sleep(LOOK_SECONDS)


async def _make(
    app: Starlette,
    desk: Desk,
    endpoints: Mapping[str, Endpoint],
    pool: Executor,
) -> None:
    """Ask for each page in each language; what cannot be made is told to who asks."""
    loop = asyncio.get_running_loop()
    try:
        night = await loop.run_in_executor(pool, desk.nights.newest)
    except (PageProblem, OptimizerError):
        return
    day = night.day.isoformat()
    first = await asyncio.wrap_future(desk.first_rows.begun(night.folder))
    for pattern, query in (*PAGES, *_of_the_first_order(first, day)):
        for code in CODES:
            request = _request(app, pattern, query, day, code)
            try:
                await endpoints[pattern](request)
            except (PageProblem, OptimizerError) as error:
                logger.info("%s is not made ready: %s", request.url.path, error)
            except Exception:
                logger.exception("%s is not made ready", request.url.path)
    # Whoever asks for an order then waits for no page of other orders.
    try:
        await loop.run_in_executor(pool, check_ahead, night.folder)
    except OptimizerError as error:
        logger.warning("%s: %s", day, error)


def _of_the_first_order(first: FirstRows | None, day: str) -> Iterator[tuple[str, str]]:
    """
    Pages that the greatest saving leads to.

    They are one order of many, and its merchant; made once, they have all read that
    pages of other orders need, too.
    """
    found = None if first is None else first.page({}, Part("saving_cny", True, 1, 1))
    for row in [] if found is None else found.rows:
        yield "/order", urlencode({"id": row["order_id"], "night": day})
        yield "/merchant", urlencode({"id": row["merchant_id"], "night": day})


def _request(app: Starlette, pattern: str, query: str, day: str, code: str) -> Request:
    """A request as a browser of a language makes it by a link of the desk."""
    from starlette.requests import Request as Made

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "server": ("localhost", 80),
        "root_path": "",
        "path": pattern.format(day=day),
        "query_string": query.encode(),
        "headers": [(b"accept-language", code.encode())],
        "path_params": {"day": day},
        "app": app,
    }
    return Made(scope)
