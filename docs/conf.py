"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate
from sphinx.application import Sphinx

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
exclude_patterns = ["_build", "notebooks/*.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
# Links of the README lead into the repository; what is not a page stays a link.
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"premium-delivery-optimizer {release}"
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []

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
    app.connect("doctree-read", leave_out)
    app.connect("autodoc-process-docstring", as_rubrics)
