"""The documentation builds, has every public name, and asks nobody for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import openpyxl
import pytest

import optimizer
from optimizer.config import Config
from tests.support.browser import Browser, find_browser
from tests.support.live_browser import live
from tests.support.rights import as_user
from tests.test_first_week import PAST, complaints, parcels

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'<a[^>]+href="([^"#:]*)(?:#[^"]*)?"')
FRAGMENT = re.compile(r'<a[^>]+href="([^"#:]*)#([^"]+)"')
PLACE = re.compile(r'\s(?:id|name)="([^"]+)"')
#: Of each kind one: a list, code, tables, what is generated, what is wide, the search.
LOOKED_AT = (
    "index",
    "explanation/solver",
    "explanation/side-constraints",
    "reference/command-line",
    "beside/benchmarks/README",
    "search",
)


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
def test_commands_are_shown_as_they_are_typed(site: Path) -> None:
    """Two hyphens are two hyphens, an example is code, and no summary is cut."""
    page = (site / "reference/command-line.html").read_text("utf-8")
    words = "optimizer run --config configs/nightly.yaml --date yesterday"
    assert page.count("Example: <code") > 20
    assert f"Example: {words}\n" in _text(site / "reference/command-line.html")
    for text in re.findall(r"<article.*</article>", page, re.S):
        assert not re.search("[–—…]", text)
        assert not re.search(r"<li><p><code.*\.\.\.</p>", text)


@pytest.mark.slow
def test_files_beside_the_documentation_are_pages(site: Path) -> None:
    """What pages say of benchmarks, changes and formats leads there and back."""
    for name, target in {
        "explanation/how-good-how-fast": "../beside/benchmarks/README.html",
        "explanation/side-constraints": "../beside/benchmarks/packing.html",
        "how-to/measure-the-effect": "../beside/benchmarks/learning.html",
        "how-to/upgrade": "../beside/CHANGELOG.html",
        "develop/releases": "../beside/tests/formats/README.html",
        "beside/benchmarks/README": "../../how-to/desk.html",
        "beside/CHANGELOG": "../tutorial/first-week.html",
    }.items():
        page = (site / f"{name}.html").read_text("utf-8")
        (body,) = re.findall(r"<article.*</article>", page, re.S)
        assert target in LINK.findall(body), name
    measured = (site / "beside/benchmarks/README.html").read_text("utf-8")
    assert re.search(r'<img[^>]+src="\.\./\.\./_images/results\.svg"', measured)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser."""
    return find_browser(tmp_path_factory.mktemp("browser"))


@pytest.mark.slow
def test_pages_can_be_used_by_anybody(site: Path, browser: Browser) -> None:
    """axe-core finds nothing, on a wide page in light and on a narrow one in dark."""
    with live(browser) as session:
        for width, is_dark in ((1280, False), (390, True)):
            session.window(width, is_dark=is_dark)
            for name in LOOKED_AT:
                session.open((site / f"{name}.html").as_uri())
                assert session.violations() == [], (name, width)


@pytest.mark.slow
def test_the_first_night_prints_what_the_tutorial_shows(tmp_path: Path) -> None:
    """Each command with a table of one's own, and every line that stands below it."""
    book, (orders, _) = openpyxl.Workbook(), parcels("2026-11-23")
    for row in (orders.columns, *orders.rows()):
        book.active.append(row)
    book.save(tmp_path / "orders.xlsx")
    complaints(PAST).write_csv(tmp_path / "history.csv")
    text = (ROOT / "docs/tutorial/first-night.md").read_text("utf-8")
    pairs = re.findall(
        r"^```sh\noptimizer ([^\n]*)\n```\n\n```text\n(.*?)^```", text, re.M | re.S
    )
    assert [words.split()[0] for words, _ in pairs] == [
        *("init", "learn", "validate", "run")
    ]
    for words, shown in pairs:
        given = words.partition(" #")[0].split()
        more = ["--yes"] if given[0] == "init" else []
        done = as_user(tmp_path, *given, *more)
        assert done.code == 0, (words, done.err)
        said = {line.rstrip() for line in done.out.splitlines()}
        assert {*shown.splitlines()} - {"..."} <= said, words


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


def dead_fragments(site: Path) -> list[tuple[str, str]]:
    """Links to a place that its page does not have: the page, and where it leads."""
    texts = {page: page.read_text("utf-8") for page in site.rglob("*.html")}
    places = {
        page: {*map(unescape, PLACE.findall(text))} for page, text in texts.items()
    }
    return sorted(
        (str(page.relative_to(site)), f"{target}#{place}")
        for page, text in texts.items()
        for target, place in {*FRAGMENT.findall(text)}
        if unquote(unescape(place))
        not in places.get((page.parent / target).resolve() if target else page, ())
    )


@pytest.mark.slow
def test_every_place_that_a_page_leads_to_is_there(site: Path) -> None:
    """Within a page and across, with the ways back from sources to what they define."""
    back = (site / "_modules/optimizer/night/api.html").read_text("utf-8")
    assert "python.html#optimizer.night.api.allocate" in back
    assert dead_fragments(site.resolve()) == []


def test_a_place_that_is_not_there_is_found(tmp_path: Path) -> None:
    """On the page itself, on another, and on a page that is none."""
    links = ("#here", "#gone", "b.html#there", "b.html#here", "c.html#x", "b.html")
    text = " ".join(f'<a class="x" href="{link}">x</a>' for link in links)
    (tmp_path / "a.html").write_text(f'<p id="here">{text}</p>')
    (tmp_path / "b.html").write_text('<span id="there"></span>')
    found = [target for _, target in dead_fragments(tmp_path.resolve())]
    assert found == ["#gone", "b.html#here", "c.html#x"]


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
