"""Pages that are made out of the code and of other files, so that they are in step."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optimizer
from optimizer.config import Config

PACKAGE = Path(optimizer.__file__).parent
DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
#: Files beside the documentation that pages link to, and that become pages.
BESIDE = (
    "CHANGELOG.md",
    "benchmarks/README.md",
    "benchmarks/large_nights.md",
    "benchmarks/learning.md",
    "benchmarks/packing.md",
    "tests/formats/README.md",
)
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")


def write(docs: Path) -> None:
    """
    Write the generated pages.

    Parameters
    ----------
    docs
        The folder of the documentation.
    """
    pages = {
        "reference/command-line.md": _command_line(),
        "reference/configuration.md": "\n".join(_configuration()),
        "reference/python.md": "\n".join(_python()),
        "reference/mathematics.md": "\n".join(_mathematics()),
        **{f"reference/modules/{name}.md": text for name, text in _modules()},
        **{f"beside/{name}": _beside(name) for name in BESIDE},
    }
    for name, text in pages.items():
        path = docs / name
        path.parent.mkdir(exist_ok=True, parents=True)
        # An unchanged page is not read again.
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def with_links(text: str, *, origin: Path, page: Path) -> str:
    """
    Turn a file's links so that they lead to the same places from its page.

    Parameters
    ----------
    text
        What the file says.
    origin
        The file, from which its links are meant.
    page
        The page that is made of it; the file itself, if it is one.

    Returns
    -------
    str
        The text, with links to files that are pages leading to these.
    """

    def turned(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(origin.parent / link[1]))
        if not target.exists() or not target.is_relative_to(ROOT):
            return link[1]
        if target.relative_to(ROOT).as_posix() in BESIDE:
            target = DOCS / "beside" / target.relative_to(ROOT)
        return os.path.relpath(target, page.parent)

    return LINK.sub(turned, text)


def _beside(name: str) -> str:
    """The page that is made of a file beside the documentation."""
    page = DOCS / "beside" / name
    return with_links((ROOT / name).read_text("utf-8"), origin=ROOT / name, page=page)


def _command_line() -> str:
    """Every command with its options, by typer itself, summaries uncut."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "typer", str(PACKAGE / "cli" / "main.py")),
            *("utils", "docs", "--name", "optimizer", "--title", "Command line"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    text = done.stdout.replace("&#x27;", "'").replace("&lt;", "<").replace("&gt;", ">")
    text = re.sub(r"^Example: (.+)$", r"Example: `\1`", text, flags=re.M)
    told = dict(re.findall(r"^##+ `(optimizer .+)`\n\n(.+)$", text, re.M))
    lines, place = [], "optimizer"
    for line in text.splitlines():
        if heading := re.fullmatch(r"##+ `(optimizer .+)`", line):
            place = heading[1]
        name = re.match(r"\* `([a-z-]+)`: ", line)
        if name and (summary := told.get(f"{place} {name[1]}")):
            line = f"* `{name[1]}`: {summary}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _configuration() -> Iterator[str]:
    """Every key of the configuration, section by section."""
    schema = Config.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    yield "# Configuration"
    yield ""
    yield "Every key, out of the schema (`optimizer schema`). Keys without a default"
    yield "are required where their section is given."
    done: set[str] = set()
    waiting = [("", schema)]
    while waiting:
        place, part = waiting.pop(0)
        yield ""
        yield f"## `{place}`" if place else "## Top level"
        if text := part.get("description"):
            yield f"\n{text.strip()}"
        yield "\n| key | type | default | meaning |\n|---|---|---|---|"
        for name, field in part.get("properties", {}).items():
            yield f"| `{name}` | {_type(field)} | {_default(field)} | {_text(field)} |"
            for inner in _sections(field):
                if inner not in done:
                    done.add(inner)
                    waiting.append((f"{place}.{name}".strip("."), parts[inner]))


def _sections(field: Any) -> Iterator[str]:
    """Names of the sections that a key holds."""
    if isinstance(field, dict):
        if "$ref" in field:
            yield field["$ref"].rpartition("/")[2]
        for value in field.values():
            yield from _sections(value)
    elif isinstance(field, list):
        for value in field:
            yield from _sections(value)


def _type(field: dict[str, Any]) -> str:
    """The type of a key in words."""
    if "$ref" in field:
        return "section"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if options := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    if field.get("type") == "array":
        items = field.get("items", field.get("prefixItems", [{}]))
        inner = items[0] if isinstance(items, list) else items
        return f"list of {_type(inner)}" if inner else "list"
    return {"object": "mapping", "null": "none"}.get(
        field.get("type", ""), field.get("type", "any")
    )


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return ""
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`"


def _text(field: dict[str, Any]) -> str:
    return " ".join(field.get("description", "").split()).replace("|", "\\|")


def _python() -> Iterator[str]:
    """Every public name of the package."""
    yield "# Python"
    yield ""
    yield "Everything that `import optimizer` offers. Results are frozen objects with"
    yield "polars tables; errors are of `OptimizerError`."
    for name in sorted(optimizer.__all__, key=lambda name: (name[0].isupper(), name)):
        found = getattr(optimizer, name)
        kind, more = "autofunction", ""
        if inspect.isclass(found):
            is_error = issubclass(found, Exception)
            kind = "autoexception" if is_error else "autoclass"
            more = "" if is_error or name == "Config" else "   :members:\n"
        yield f"\n## {name}\n"
        # Sources lead back to where a name is defined, not to where it is offered.
        if inspect.isclass(found) or inspect.isfunction(found):
            full = f"{found.__module__}.{found.__qualname__}"
            yield f'<span id="{full}"></span>\n'
        yield f"```{{eval-rst}}\n.. {kind}:: optimizer.{name}\n{more}```"


def _with_mathematics() -> Iterator[str]:
    """Names of the modules with mathematics in them."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if ".. math::" in path.read_text("utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__")


def _mathematics() -> Iterator[str]:
    """A list of these modules by package, each with its first line."""
    yield "# In mathematics"
    yield ""
    yield "What the code computes, as formulas, beside the functions that compute it."
    package = ""
    for name in _with_mathematics():
        short = name.removeprefix("optimizer.")
        if short.partition(".")[0] != package:
            package = short.partition(".")[0]
            yield f"\n## {package}\n"
        about = (inspect.getdoc(importlib.import_module(name)) or "").partition("\n")[0]
        yield f"- [`{short}`](modules/{name}.md): {about}"


def _modules() -> Iterator[tuple[str, str]]:
    """Every module with mathematics in it, as its docstrings have it."""
    for name in _with_mathematics():
        told = f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
        yield name, f"# `{name.removeprefix('optimizer.')}`\n\n{told}"
