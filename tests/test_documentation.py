"""The documentation builds, has every public name, and asks nobody for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

import optimizer
from optimizer.config import Config

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'<a[^>]+href="([^"#:]*)(?:#[^"]*)?"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built from the sources alone; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    sphinx = (sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q")
    trees = ("-d", str(folder / "trees"))
    done = subprocess.run(
        [*sphinx, *trees, "-b", "html", str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def _text(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """Each name of ``import optimizer`` has its place; one that is made up has none."""
    page = (site / "reference/python.html").read_text("utf-8")
    for name in optimizer.__all__:
        assert f'id="optimizer.{name}"' in page, name
    assert 'id="optimizer.guess"' not in page


@pytest.mark.slow
def test_every_key_and_command_is_in_the_reference(site: Path) -> None:
    """Each section of the configuration with its keys, each command with options."""
    keys = _text(site / "reference/configuration.html")
    for part in (
        Config.model_json_schema(),
        *Config.model_json_schema()["$defs"].values(),
    ):
        for name in part.get("properties", {}):
            assert name in keys, name
    commands = _text(site / "reference/command-line.html")
    for words in ("optimizer run", "--dry-run", "optimizer state repair", "--language"):
        assert words in commands, words


@pytest.mark.slow
def test_no_page_asks_another_host(site: Path) -> None:
    """Scripts, styles, fonts and pictures lie beside the pages; formulas, too."""
    asked = re.compile(r'<(?:script|img|link)[^>]+(?:src|href)="(https?:)?//')
    for page in site.rglob("*.html"):
        assert not asked.search(page.read_text("utf-8")), page
    assert list(site.rglob("tex-*.js")) or list(site.rglob("*mathjax*"))


@pytest.mark.slow
def test_every_link_between_pages_leads_somewhere(site: Path) -> None:
    """A link within the documentation has its page, and its place on it."""
    for page in site.rglob("*.html"):
        for target in LINK.findall(page.read_text("utf-8")):
            if target.endswith(".html"):
                assert (page.parent / target).exists(), (page, target)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("listing", "pages"),
    [
        ("reference/mathematics.html", "reference/modules/*.html"),
        ("develop/decisions/README.html", "develop/decisions/0*.html"),
    ],
)
def test_pages_that_the_sidebar_lacks_are_listed(
    site: Path, listing: str, pages: str
) -> None:
    """Modules with mathematics and decisions: each has its place on its list."""
    place = (site / listing).parent
    linked = LINK.findall((site / listing).read_text("utf-8"))
    there = sorted(site.glob(pages))
    assert len(there) > 20
    assert {place / target for target in linked} >= set(there)
