"""Pages from templates: escaped by default, in the language of the article."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from markupsafe import Markup

from optimizer.report.compiled_templates import CompiledTemplates
from optimizer.report.filters import FILTERS, finalize
from optimizer.report.language import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2.runtime import Context

    from optimizer.report.language import Language

_HERE = Path(__file__).parent


def render(template: str, shown_first: str = "en", **values: Any) -> str:
    """
    Render a page of ``templates``, in every language.

    Parameters
    ----------
    template
        Its file name.
    shown_first
        Code of the language that is in view when it is opened.
    **values
        What it shows. Text in it is escaped, cut, and freed of control characters,
        whether or not the template asks for it.
    """
    found = _environment().get_template(template)
    return found.render(shown_first=shown_first, languages=LANGUAGES, **values)


def render_text(template: str, language: Language, **values: Any) -> str:
    """
    Render lines for people from words that pages have, without marks and blank lines.

    Parameters
    ----------
    template
        Its file name.
    language
        Of the words.
    **values
        As for :func:`render`.
    """
    found = _environment().get_template(template)
    made = found.render(language=language, **values).splitlines()
    lines = [(line[: len(line) - len(line.lstrip())], line) for line in made]
    told = [indent + Markup(line).striptags() for indent, line in lines]
    return "\n".join(line for line in told if line.strip())


def english(name: str) -> Mapping[str, Any]:
    """
    Read words that the pages use, in English, as they stand in ``words.html.j2``.

    Examples
    --------
    >>> english("reasons")["CAPACITY_FULL"][0]
    Markup("Carrier's slots are taken")
    """
    words = _environment().get_template("words.html.j2")
    return getattr(words.make_module({"language": None}), name)


@cache
def _environment() -> Environment:
    """The environment of all pages; a template is compiled when it is first used."""
    return make_environment(script=script, script_hash=script_hash)


def make_environment(*folders: Path, **names: Any) -> Environment:
    """
    Templates of the report, and of folders before it, that escape what they show.

    Parameters
    ----------
    *folders
        Further templates, which are looked for first.
    **names
        What templates may call, beside words and style sheets.
    """
    places = [*folders, _HERE / "templates"]
    made = Environment(
        loader=FileSystemLoader(places),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize,
        auto_reload=False,
        bytecode_cache=CompiledTemplates(),
    )
    made.policies["ext.i18n.trimmed"] = True
    made.newstyle_gettext = True  # type: ignore[attr-defined]
    made.globals |= {"gettext": gettext, "stylesheet": stylesheet, **names}
    made.filters |= FILTERS
    return made


def stylesheet(name: str) -> Markup:
    """Read a style sheet of the report, for inclusion in a page."""
    return Markup((_HERE / name).read_text("utf-8"))


def script(name: str) -> Markup:
    """Read a script of the report, for inclusion in a page."""
    return Markup((_HERE / name).read_text("utf-8"))


def script_hash(name: str) -> str:
    """Name a script as a policy of content does: a page runs it, and no other."""
    digest = hashlib.sha256(script(name).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@pass_context
def gettext(context: Context, message: str, **values: Any) -> Markup:
    """Translate a message into the language of the article; its values are text."""
    language: Language | None = context.get("language")
    words = NullTranslations() if language is None else language.catalogue
    shown = {name: finalize(value) for name, value in values.items()}
    return Markup(words.gettext(message)) % shown
