"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generate
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import optimizer

project = "premium-delivery-optimizer"
author = "the premium-delivery-optimizer developers"
release = version = optimizer.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx-mathjax-offline",  # formulas without a request to another host
]
exclude_patterns = ["_build", "_templates", "notebooks/*.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
smartquotes = False  # two hyphens are those of an option

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"premium-delivery-optimizer {release}"
html_copy_source = False
html_show_sphinx = False
templates_path = ["_templates"]

#: Beginnings of pages that a page of their own lists.
LISTED = ("reference/modules/", "develop/decisions/0")


def as_rubrics(
    app: object, what: str, name: str, found: object, options: object, lines: list[str]
) -> None:
    """Make headings in a module's docstring rubrics: pages would share their names."""
    if what != "module":
        return
    for at in range(len(lines) - 1, 0, -1):
        under = lines[at].strip()
        if under and set(under) == {"-"} and len(under) >= len(lines[at - 1]) > 0:
            lines[at - 1 : at + 1] = [f".. rubric:: {lines[at - 1]}", ""]


class Pages(HTML5Translator):
    """Pages as assistive programs need them."""

    def starttag(self, node: nodes.Node, *args: Any, **attributes: Any) -> str:
        """Give captions of lists of pages a level, and the keyboard wide tables."""
        if attributes.get("ROLE") == "heading":
            attributes["ARIA-LEVEL"] = "2"
        if isinstance(node, nodes.container) and "table-wrapper" in node["classes"]:
            attributes["TABINDEX"] = "0"
        return super().starttag(node, *args, **attributes)

    def visit_literal_block(self, node: nodes.Element) -> None:
        """Write a block that the keyboard can scroll, too."""
        try:
            super().visit_literal_block(node)
        finally:  # what is coloured is written and left by an exception
            self.body[-1] = self.body[-1].replace("<pre", '<pre tabindex="0"', 1)

    def visit_entry(self, node: nodes.Element) -> None:
        """Begin a cell: one without a word heads nothing."""
        super().visit_entry(node)
        if not node.astext().strip():
            self.body[-1] = self.body[-1].replace("<th", "<td", 1)
            self.context[-1] = self.context[-1].replace("</th", "</td", 1)


def follow(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links out of the folder lead to the pages that are made of those files."""
    page = Path(app.srcdir) / f"{name}.md"
    if page.exists():
        source[0] = generate.with_links(source[0], origin=page, page=page)


def leave_out(app: Sphinx, tree: object) -> None:
    """
    Leave pages of which there are many out of the sidebar: a page lists them.

    Each page repeats the whole sidebar: with them, that took half of the time.
    """
    if app.env.docname.startswith(LISTED):
        app.env.metadata[app.env.docname]["orphan"] = True


def setup(app: Sphinx) -> None:
    """Write what is made out of the code before pages are read."""
    app.connect("builder-inited", lambda _: generate.write(Path(__file__).parent))
    app.connect("source-read", follow)
    app.connect("doctree-read", leave_out)
    app.connect("autodoc-process-docstring", as_rubrics)
    app.set_translator("html", Pages)
