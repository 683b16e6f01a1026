"""What every request passes and every answer carries: limits, access, safe headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.desk.access import is_let_in, is_own_name, scheme_of
from optimizer.desk.problems import PageProblem
from optimizer.desk.render import problem_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from optimizer.desk.access import Access
    from optimizer.desk.rates import Rates

#: Bytes of an address, with its query.
MAX_ADDRESS = 4_096
#: Begins what is read without access: looks, and pages with a signed link of their own.
OPEN_PATHS = ("/static/", "/shared/")
#: Nothing but what this server gives; no script and no style within a page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """
    Lets requests through, or answers them.

    Attributes
    ----------
    app
        What answers those that are let through.
    access, rates
        What a request has to bring, and how often one may ask.
    """

    app: ASGIApp
    access: Access
    rates: Rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        from starlette.datastructures import MutableHeaders
        from starlette.requests import Request as Asked

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Asked(scope)
        client = request.client.host if request.client else None
        # Links that are given away have the scheme.
        scope["scheme"] = scheme_of(self.access, request.headers, client)
        problem = self._problem(request, client)
        if problem is None:
            await self.app(scope, receive, send_safely)
            return
        answer = problem_page(request, problem)
        if problem.status == 401:
            answer.headers["WWW-Authenticate"] = 'Basic realm="optimizer desk"'
        elif problem.status == 429:
            answer.headers["Retry-After"] = "1"
        elif problem.status == 405:
            answer.headers["Allow"] = "GET, HEAD"
        await answer(scope, receive, send_safely)

    def _problem(self, request: Request, client: str | None) -> PageProblem | None:
        """Why a request is not let through."""
        if not self.rates.take(self._asker(request, client)):
            return PageProblem(429, "TOO_OFTEN")
        if request.method not in ("GET", "HEAD"):
            return PageProblem(405, "READ_ONLY")
        if len(request.url.path) + len(request.url.query) > MAX_ADDRESS:
            return PageProblem(414, "ADDRESS_TOO_LONG", most=MAX_ADDRESS)
        if self.access.kind == "loopback" and not is_own_name(request.headers):
            return PageProblem(403, "OTHER_NAME")
        is_open = request.url.path.startswith(OPEN_PATHS)
        if is_open or is_let_in(self.access, request.headers, client):
            return None
        if self.access.kind == "token":
            return PageProblem(401, "NO_TOKEN")
        return PageProblem(403, "NOT_FROM_PROXY", header=self.access.header)

    def _asker(self, request: Request, client: str | None) -> str:
        """Whom a request counts for: the user whom a proxy names, or an address."""
        header = self.access.header
        if header and client in self.access.proxies:
            return request.headers.get(header, "") or str(client)
        return str(client)
