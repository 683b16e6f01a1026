"""The desk as an application of ASGI: addresses, and how their pages are answered."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from optimizer.desk.asked import only_known
from optimizer.desk.changed import page_of_readable
from optimizer.desk.desk import Desk
from optimizer.desk.guard import HEADERS, Guard
from optimizer.desk.kept import Answer, KeptAnswers
from optimizer.desk.pages.carrier import carrier_page
from optimizer.desk.pages.health import health_page
from optimizer.desk.pages.margins import margins_page
from optimizer.desk.pages.merchant import (
    link_page,
    merchant_page,
    shared_link,
    shared_merchant_page,
    shared_order_page,
)
from optimizer.desk.pages.night import merchants_page, night_page, orders_page
from optimizer.desk.pages.night import report as night_report
from optimizer.desk.pages.nights import nights_page
from optimizer.desk.pages.order import order_page, proof_page
from optimizer.desk.pages.what_if import what_if_page
from optimizer.desk.problems import PageProblem
from optimizer.desk.published import PublishedNights
from optimizer.desk.ready import keep_ready
from optimizer.desk.render import ASSETS, code_of, problem_page
from optimizer.desk.rows import ASKED
from optimizer.desk.solver_process import MAX_WAITING
from optimizer.errors import ConfigError, DataError, OptimizerError
from optimizer.extras import import_extra

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from optimizer.config import Config
    from optimizer.desk.access import Access
    from optimizer.desk.rates import Rates
    from optimizer.desk.solver_process import SolverProcess

    Page = Callable[[Desk, Request], str | Answer]
    Endpoint = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger(__name__)

#: Pages that are made at once; others wait for their turn.
NUM_THREADS = 4
HTML = (("Content-Type", "text/html; charset=utf-8"),)
#: Names of a query for a part of a table.
_PART = ("sort", "page", "rows")
#: What the query of a page may name, beside the language. Of links that a merchant was
#: sent nothing is refused: what sends them on adds names of its own.
NAMES: dict[str, tuple[str, ...]] = {
    "/nights": ("until", *_PART),
    "/nights/{day}": (),
    "/nights/{day}/orders": (*ASKED, *_PART),
    "/nights/{day}/merchants": ("merchant_id", *_PART),
    "/nights/{day}/margins": (),
    "/nights/{day}/report": (),
    "/order": ("id", "night"),
    "/merchant": ("id", "night", *_PART),
    "/carrier": ("id", "night", *_PART),
    "/order/proof": ("id", "night"),
    "/merchant/link": ("id", "days"),
    "/health": (),
    "/what-if": (*("night", "front", "cap", "fee", "complaint", "return", "slots#"),),
}
#: Pages whose answer is the same for the same address until a night is published.
KEPT_PAGES: dict[str, Page] = {
    "/nights": nights_page,
    "/nights/{day}": night_page,
    "/nights/{day}/orders": orders_page,
    "/nights/{day}/merchants": merchants_page,
    "/nights/{day}/margins": margins_page,
    "/nights/{day}/report": night_report,
    "/order": order_page,
    "/merchant": merchant_page,
    "/carrier": carrier_page,
}
#: Pages that are made each time: they depend on the clock, or are asked for seldom.
FRESH_PAGES: dict[str, Page] = {
    "/order/proof": proof_page,
    "/merchant/link": link_page,
    "/shared/merchant": shared_merchant_page,
    "/shared/order": shared_order_page,
    "/shared/proof": lambda desk, request: proof_page(
        desk, request, shared_link(desk, request)
    ),
    "/health": health_page,
}


def make_app(
    config: Config,
    access: Access,
    rates: Rates,
    link_key: str | None = None,
    solver: SolverProcess | None = None,
) -> Starlette:
    """
    Make the application.

    Parameters
    ----------
    config
        With ``output``.
    access, rates
        Who may read, and how often.
    link_key
        Signs links for merchants; ``None``: none are made, and none hold.
    solver
        Solves nights under other rules; ``None``: there is no such page.

    Raises
    ------
    ConfigError
        When the configuration has no output, or the extra ``desk`` is not installed.
    """
    if config.output is None:
        raise ConfigError("published nights need output in the configuration")
    import_extra("starlette", needed_by="the desk")
    from starlette.applications import Starlette as Application
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.routing import Route

    desk = Desk(config, PublishedNights(config.output), access, link_key, solver)
    kept, pool = KeptAnswers(), ThreadPoolExecutor(NUM_THREADS, "desk")
    endpoints = {at: _kept(page, desk, kept, pool) for at, page in _asked(KEPT_PAGES)}
    pages = [Route(at, endpoint) for at, endpoint in endpoints.items()]
    pages += [Route(at, _fresh(page, desk, pool)) for at, page in _asked(FRESH_PAGES)]
    # These wait for another process: no other page waits for them.
    asking = ThreadPoolExecutor(2 * MAX_WAITING, "what-if")
    for at, page in _asked({"/what-if": what_if_page}):
        pages.append(Route(at, _fresh(page, desk, asking)))

    @asynccontextmanager
    async def making_ready(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(keep_ready(app, desk, endpoints, pool))
        try:
            yield
        finally:
            task.cancel()
            desk.first_rows.close()

    made = Application(
        lifespan=making_ready,
        routes=[
            Route("/", _to_nights),
            *pages,
            Route("/static/{name}", _asset),
            Route("/favicon.ico", _no_icon),
        ],
        middleware=[Middleware(Guard, access=access, rates=rates)],
        exception_handlers={
            PageProblem: _on_problem,
            OptimizerError: _on_error,
            HTTPException: _on_http,
            Exception: _on_bug,
        },
    )
    made.state.desk, made.state.ready = desk, None
    return made


def _asked(pages: Mapping[str, Page]) -> Iterator[tuple[str, Page]]:
    """Pages that refuse what they do not ask for."""
    for at, page in pages.items():
        yield at, partial(_only_asked, page, NAMES[at]) if at in NAMES else page


def _only_asked(
    page: Page, names: tuple[str, ...], desk: Desk, request: Request
) -> str | Answer:
    only_known(request.query_params, (*names, "lang"))
    return page(desk, request)


def _kept(
    page: Page, desk: Desk, kept: KeptAnswers, pool: ThreadPoolExecutor
) -> Endpoint:
    """An endpoint whose answers are kept until another version is published."""

    async def endpoint(request: Request) -> Response:
        loop = asyncio.get_running_loop()
        query = tuple(sorted(request.query_params.items()))
        stamp = desk.nights.stamp()
        key = (request.url.path, query, code_of(request), stamp)
        make = partial(loop.run_in_executor, pool, _answer, page, desk, request)
        return _response(await kept.get(key, make))

    return endpoint


def _fresh(page: Page, desk: Desk, pool: ThreadPoolExecutor) -> Endpoint:
    """An endpoint that makes its answer each time."""

    async def endpoint(request: Request) -> Response:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(pool, _answer, page, desk, request)
        return _response(answer)

    return endpoint


def _answer(page: Page, desk: Desk, request: Request) -> Answer:
    found = page_of_readable(page, desk, request)
    if isinstance(found, Answer):
        return found
    return Answer(200, found.encode("utf-8", "replace"), HTML)


def _response(answer: Answer) -> Response:
    from starlette.responses import Response as Made

    return Made(answer.body, answer.status, dict(answer.headers))


async def _to_nights(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    return _response(Answer(303, b"", (("Location", f"/nights{query}"),)))


async def _no_icon(_request: Request) -> Response:
    return _response(Answer(204, b""))


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise PageProblem(404, "NO_PAGE")
    file, kind = ASSETS[name]
    headers = (
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Cache-Control", "public, max-age=31536000, immutable"),
    )
    return _response(Answer(200, file.read_bytes(), headers))


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, PageProblem)
    return problem_page(request, error)


async def _on_error(request: Request, error: Exception) -> Response:
    """A night that changed while it was read, or is damaged; or what is not there."""
    if not isinstance(error, DataError | ConfigError):
        logger.error("%s: %s", request.url.path, error)
    return problem_page(request, PageProblem(404, "NOT_READ", why=str(error)))


async def _on_http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    code = {404: "NO_PAGE", 405: "READ_ONLY"}.get(status, "BUG")
    return problem_page(request, PageProblem(status, code))


async def _on_bug(request: Request, _error: Exception) -> Response:
    """An answer from outside the guard, so with its headers."""
    answer = problem_page(request, PageProblem(500, "BUG"))
    answer.headers.update(HEADERS)
    return answer
