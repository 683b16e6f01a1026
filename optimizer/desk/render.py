"""Pages of the desk from templates, in the language that is asked for."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from optimizer import __version__
from optimizer.report import render as report_render
from optimizer.report.language import CHINESE, ENGLISH, LANGUAGES

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from optimizer.desk.problems import PageProblem
    from optimizer.report.language import Language

_HERE = Path(__file__).parent
_REPORT = Path(report_render.__file__).parent
#: Short codes of languages, as in addresses.
CODES = {"en": ENGLISH, "zh": CHINESE}
#: Files that pages refer to, by the name in their address, with their kind.
ASSETS = {
    "report.css": (_REPORT / "style.css", "text/css"),
    "desk.css": (_HERE / "static" / "desk.css", "text/css"),
    "desk.js": (_HERE / "static" / "desk.js", "text/javascript"),
    "htmx.min.js": (_HERE / "static" / "htmx.min.js", "text/javascript"),
    "htmx-LICENSE.txt": (_HERE / "static" / "htmx-LICENSE.txt", "text/plain"),
}


def code_of(request: Request) -> str:
    """The language of a request: its address's, else the browser's first known one."""
    asked = request.query_params.get("lang")
    if asked in CODES:
        return asked
    for wanted in request.headers.get("accept-language", "")[:200].split(","):
        code = wanted.split(";")[0].strip().lower()[:2]
        if code in CODES:
            return code
    return "en"


def page_text(request: Request, template: str, **values: Any) -> str:
    """
    Render a page.

    Parameters
    ----------
    request
        Decides the language.
    template
        Its file name.
    **values
        What it shows; text in it is escaped, cut, and freed of control characters.
    """
    code = code_of(request)
    language: Language = CODES[code]
    desk = request.app.state.desk if "app" in request.scope else None

    def url(path: str, **query: Any) -> Markup:
        """An address on the desk, with the language if one was asked for."""
        given = {name: value for name, value in query.items() if value is not None}
        if "lang" in request.query_params and "lang" not in given:
            given["lang"] = code
        return Markup(escape(f"{path}?{urlencode(given)}" if given else path))

    def here(**query: Any) -> Markup:
        """The address of the page with another query."""
        return url(request.url.path, **{**request.query_params, **query})

    return (
        _environment()
        .get_template(template)
        .render(
            request=request,
            language=language,
            code=code,
            languages=list(zip(CODES, LANGUAGES, strict=True)),
            url=url,
            here=here,
            asked_language=request.query_params.get("lang"),
            access=None if desk is None else desk.access,
            has_what_if=desk is not None and desk.solver is not None,
            version=__version__,
            **values,
        )
    )


def problem_page(request: Request, problem: PageProblem) -> HTMLResponse:
    """Say why a page cannot be shown."""
    from starlette.responses import HTMLResponse as Html

    text = page_text(request, "problem.html.j2", problem=problem)
    return Html(text, problem.status)


def asset(name: str) -> Markup:
    """The address of a file that never changes under that address."""
    return Markup(f"/static/{name}?v={_digest(name)}")


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(ASSETS[name][0].read_bytes()).hexdigest()[:12]


@cache
def _environment() -> Environment:
    """Templates of the desk, and of the report, whose words and pictures it shares."""
    return report_render.make_environment(_HERE / "templates", asset=asset)
