"""The desk in a real browser: widths, colours, keyboard, no script, hostile names."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import polars as pl
import pytest
from starlette.applications import Starlette

from optimizer.errors import DataError
from optimizer.telemetry.failures import record_failure
from tests.desk.test_what_if import InThisProcess
from tests.support.browser import Browser, find_browser
from tests.support.desk import ask_desk
from tests.support.desk_server import NAMES, hostile_night, repeat_night, served
from tests.support.live_browser import LiveBrowser, live
from tests.support.small_night import DAY

PHONE, DESKTOP = 390, 1280
KEY = "a key of forty characters, all of our own"
#: Visible texts and controls that stand out of the window, but where it scrolls.
OUTSIDE = """
[...document.querySelectorAll("body *")].filter((node) => {
  const box = node.getBoundingClientRect();
  const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return (own || node.matches("input, select, button")) && box.width
    && (box.right > document.documentElement.clientWidth + 1 || box.left < -1)
    && !node.closest(".scroll, .spoken, .skip, svg");
}).map((node) => node.outerHTML.slice(0, 120))
"""
#: What has the focus: its name, and whether one sees that it has it.
FOCUS = """
(() => {
  const at = document.activeElement, look = getComputedStyle(at);
  const box = at.getBoundingClientRect();
  const ring = look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 1;
  return {name: at.id || at.textContent.trim().slice(0, 30), tag: at.tagName,
    place: [...document.querySelectorAll("*")].indexOf(at), seen: ring && box.width > 0
      && box.bottom > 0 && box.top < innerHeight && box.right > 0};
})()
"""
#: Counts how often the page changed in place; another page has no count.
COUNT = """
window.numChanges = 0;
document.addEventListener("htmx:afterSettle", () => { window.numChanges += 1; });
"""
STRANGE = "document.querySelectorAll('img, iframe, object, script:not([src])').length"


@dataclass(frozen=True)
class Town:
    """A desk that is served, and the addresses of its pages."""

    address: str
    pages: dict[str, str]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser."""
    return find_browser(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Three nights whose ids attack wherever one stands, and all pages over them."""
    folder = tmp_path_factory.mktemp("hostile") / "night"
    with pytest.MonkeyPatch.context() as patch:
        folder.mkdir()
        patch.chdir(folder)
        night = hostile_night(folder)
        night.run()
        repeat_night(night, 3)
        changed = DAY - dt.timedelta(days=3)
        path = night.runs / str(changed) / "run.json"
        record = json.loads(path.read_text())
        del record["summary"]["num_merchants"]
        path.write_text(json.dumps(record))
        why = DataError(
            "orders.parquet: row 2: " + "an id is longer than it may be; " * 9
        )
        record_failure(str(night.runs), DAY, 3, why)
        desk = ask_desk(night, solver=InThisProcess(10**6), link_key=KEY)
        orders = pl.read_parquet(night.run_dir / "decisions.parquet")
        (order,) = orders.filter(pl.col("order_id") == NAMES[0])["order_id"]
        name = {"order": quote(order), "merchant": quote(NAMES[0])}
        pages = {
            "nights": "/nights",
            "night": f"/nights/{DAY}",
            "orders": f"/nights/{DAY}/orders?sort=order_id&rows=9",
            "merchants": f"/nights/{DAY}/merchants?rows=9",
            "margins": f"/nights/{DAY}/margins",
            "order": f"/order?id={name['order']}",
            "search": "/order",
            "merchant": f"/merchant?id={name['merchant']}&rows=9",
            "link": f"/merchant/link?id={name['merchant']}",
            "carriers": "/carrier",
            "carrier": f"/carrier?id={name['merchant']}&rows=9",
            "what if": "/what-if?cap=4&front=1",
            "health": "/health",
            "problem": f"/order?id={quote(NAMES[3])}&night={DAY}",
            "changed": f"/nights/{changed}",
        }
        app = desk.app
        assert isinstance(app, Starlette)
        with served(app) as address:
            yield Town(address, pages)


@pytest.fixture(scope="module")
def session(browser: Browser) -> Iterator[LiveBrowser]:
    """One browser for all."""
    with live(browser) as driven:
        yield driven


@pytest.fixture
def desktop(session: LiveBrowser) -> Iterator[LiveBrowser]:
    """A wide and light window, with scripts."""
    session.window(DESKTOP, is_dark=False)
    yield session
    session.scripts(are_run=True)


@pytest.mark.parametrize(
    ("width", "is_dark", "language", "has_axe"),
    [
        (PHONE, True, "en", True),
        (PHONE, False, "zh", False),
        (DESKTOP, True, "en", False),
        (DESKTOP, False, "zh", True),
    ],
)
def test_every_page_fits_and_can_be_used_by_anybody(
    town: Town,
    session: LiveBrowser,
    width: int,
    is_dark: bool,
    language: str,
    has_axe: bool,
) -> None:
    """
    No page sticks out of its window, axe-core finds nothing, and no name acts.

    Colours do not hang on the width: axe-core looks at each of both once.

    Nothing is asked for elsewhere, and the console has nothing to say: no policy had to
    refuse anything, no file is missing, no script failed.
    """
    session.window(width, is_dark=is_dark)
    session.requests.clear()
    session.complaints.clear()
    wrong = {}
    for name, path in town.pages.items():
        sign = "&" if "?" in path else "?"
        session.open(f"{town.address}{path}{sign}lang={language}")
        assert session.ask("document.documentElement.scrollWidth") <= width, name
        assert session.ask(STRANGE) == 0, name
        wrong[name] = session.ask(OUTSIDE)
        if has_axe:
            wrong[name] += session.violations()
    assert {name: found for name, found in wrong.items() if found} == {}
    elsewhere = [one for one in session.requests if not one.startswith(town.address)]
    assert [one for one in elsewhere if not one.startswith("data:")] == []
    # What is not there is a 404, a night that was changed a 409: the console tells so.
    codes = [re.findall(r"\b40\d\b", told) for told in session.complaints]
    assert codes == [["404"], ["409"]], session.complaints


@pytest.mark.parametrize(("width", "is_dark"), [(PHONE, True), (DESKTOP, False)])
def test_the_report_can_be_used_by_anybody_and_leads_back(
    town: Town, session: LiveBrowser, width: int, is_dark: bool
) -> None:
    """In its sandbox: axe-core finds nothing in either language; its way back works."""
    session.window(width, is_dark=is_dark)
    session.open(f"{town.address}/nights/{DAY}/report")
    assert session.violations() == []
    session.ask("document.querySelector('#show-zh-CN').click()")
    assert session.violations() == []
    assert session.ask("document.documentElement.scrollWidth") <= width
    way = "document.querySelector('body > nav a')"
    boxes = "[{way}, document.querySelector('.switch label')]".replace("{way}", way)
    ends, starts = session.ask(
        f"{boxes}.map((n) => n.getBoundingClientRect())"
        ".map((b, i) => i ? b.left : b.right)"
    )
    assert ends < starts
    focus(session, "body > nav a")
    session.press("Enter")
    there = f"location.pathname === '/nights/{DAY}'"
    session.until(f"{there} && document.readyState === 'complete'")


def test_one_goes_through_a_page_by_keyboard_alone(
    town: Town, desktop: LiveBrowser
) -> None:
    """
    The first stop leads to the content; all stops are seen, in the page's order.

    Every link and control is one of them, so that nothing needs a mouse.
    """
    desktop.open(town.address + town.pages["orders"])
    desktop.press("Tab")
    assert desktop.ask(FOCUS)["name"] == "To the content"
    assert desktop.ask(FOCUS)["seen"]
    desktop.press("Enter")
    desktop.until("location.hash === '#content'")
    desktop.press("Tab")
    assert desktop.ask("document.activeElement?.closest('main') !== null")
    desktop.open(town.address + town.pages["orders"])
    number = desktop.ask(
        "[...document.querySelectorAll('a, button, select, input:not([type=hidden])')]"
        ".filter((node) => node.getClientRects().length).length"
    )
    stops = []
    for _ in range(number):
        desktop.press("Tab")
        stops.append(desktop.ask(FOCUS))
    assert [stop for stop in stops if not stop["seen"]] == []
    places = [stop["place"] for stop in stops]
    assert places == sorted(set(places))
    assert number > 30


def focus(desktop: LiveBrowser, selector: str) -> None:
    """Tab until something has the focus."""
    wanted = f"document.activeElement?.matches({selector!r})"
    for _ in range(99):
        if desktop.ask(wanted):
            return
        desktop.press("Tab")
    pytest.fail(f"no stop is {selector}")


def test_a_table_is_sorted_narrowed_and_paged_by_keyboard(
    town: Town, desktop: LiveBrowser
) -> None:
    """In place, with the focus where it was; the address can be kept and sent."""
    desktop.open(town.address + town.pages["orders"])
    desktop.ask(COUNT)
    focus(desktop, "#sort-saving_cny")
    desktop.press("Enter")
    desktop.until("window.numChanges === 1")
    assert "sort=-saving_cny" in desktop.ask("location.search")
    assert desktop.ask("document.querySelector('th[aria-sort]').ariaSort") == (
        "descending"
    )
    assert desktop.ask("document.activeElement.id") == "sort-saving_cny"
    first = "document.querySelector('#listing tbody tr').textContent"
    best = desktop.ask(first)
    focus(desktop, "#page-next")
    desktop.press("Enter")
    desktop.until("window.numChanges === 2")
    assert "page=2" in desktop.ask("location.search")
    assert desktop.ask(first) != best
    desktop.open(town.address + town.pages["orders"])
    desktop.ask(COUNT)
    focus(desktop, "#only-reason")
    desktop.press("ArrowDown")
    desktop.until("window.numChanges === 1")
    assert "reason=C" in desktop.ask("location.search")
    focus(desktop, "#only-merchant")
    desktop.write(NAMES[0])
    desktop.press("Enter")
    desktop.until("window.numChanges === 2")
    assert "merchant_id=%3C" in desktop.ask("location.search")
    rows = "[...document.querySelectorAll('#listing tbody tr')]"
    named = f"{rows}.every((row) => row.textContent.includes('alert(1)'))"
    assert desktop.ask(named)


def test_a_slider_asks_what_if_by_keyboard(town: Town, desktop: LiveBrowser) -> None:
    """An arrow moves it and its number, and the answer comes in place."""
    desktop.open(f"{town.address}/what-if")
    number = "document.querySelector('#dial-cap').value"
    desktop.ask(COUNT)
    before = float(desktop.ask(number))
    focus(desktop, "#dial-cap-slider")
    assert desktop.ask(FOCUS)["seen"]
    desktop.press("ArrowRight")
    desktop.until("window.numChanges === 1")
    assert "cap=" in desktop.ask("location.search")
    for dial in (number, "document.querySelector('#dial-cap-slider').value"):
        assert float(desktop.ask(dial)) == pytest.approx(before + 0.1)


def test_a_refusal_stands_where_the_answer_would(
    town: Town, desktop: LiveBrowser
) -> None:
    """
    What cannot be asked, or not now, is said in place of the old answer, and the dials
    stay to ask again; a table's refusal stands where its rows were.
    """
    desktop.open(f"{town.address}/what-if?cap=4")
    said = "document.querySelector('.answered').innerText"
    assert "Tonight, and as asked" in desktop.ask(said)
    for asked, words in (("7.123456", "at most four decimals"), ("4", "As asked")):
        desktop.ask(
            f"document.querySelector('#dial-cap').value = '{asked}';"
            "document.querySelector('.dials button').click()"
        )
        desktop.until(f"{said}.includes({words!r})")
        assert desktop.ask("document.querySelector('#dial-cap').value") == asked
    assert "four decimals" not in desktop.ask(said)
    desktop.open(town.address + town.pages["orders"])
    desktop.ask("htmx.ajax('GET', location.pathname + '?sort=x', '#listing')")
    desktop.until(f"{said}.includes('cannot be')")
    assert desktop.ask("document.querySelectorAll('#only-reason').length") == 1


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_a_key_has_its_words_beside_it_and_each_its_colour(
    town: Town, desktop: LiveBrowser, is_dark: bool
) -> None:
    """Keys of the lines of a merchant's caps can be read and told apart."""
    desktop.window(DESKTOP, is_dark=is_dark)
    desktop.open(town.address + town.pages["merchant"])
    keys = "[...document.querySelectorAll('.legend .key')]"
    assert desktop.ask(f"{keys}.map((key) => key.innerText)") == ["used", "cap"]
    wide = "key.scrollWidth <= key.clientWidth + 1 && key.getClientRects().length === 1"
    assert desktop.ask(f"{keys}.every((key) => {wide})")
    colours = f"{keys}.map((key) => getComputedStyle(key.firstChild).backgroundColor)"
    assert len(set(desktop.ask(colours))) == 2
    clear = "getComputedStyle(key).backgroundColor === 'rgba(0, 0, 0, 0)'"
    assert desktop.ask(f"{keys}.every((key) => {clear})")


def test_what_a_failed_run_said_is_read_without_moving_the_table(
    town: Town, desktop: LiveBrowser
) -> None:
    """A long sentence goes on in the next line, and no row is pushed out of sight."""
    desktop.open(town.address + town.pages["health"])
    table = "document.querySelector('.said').closest('.scroll')"
    assert desktop.ask(f"{table}.scrollWidth <= {table}.clientWidth")


def test_without_scripts_pages_read_sort_and_solve(
    town: Town, desktop: LiveBrowser
) -> None:
    """No page is empty, no slider is there; links and buttons are plain ones."""
    desktop.scripts(are_run=False)
    for name, path in town.pages.items():
        desktop.open(town.address + path)
        assert len(desktop.ask("document.querySelector('main').innerText")) > 80, name
        assert desktop.ask("document.querySelectorAll('[type=range]').length") == 0
    desktop.open(town.address + town.pages["orders"])
    focus(desktop, "#sort-saving_cny")
    desktop.press("Enter")
    desktop.until("location.search.includes('sort=-saving_cny')")
    desktop.until("document.querySelector('th[aria-sort]')?.ariaSort === 'descending'")
    desktop.open(f"{town.address}/what-if?cap=4")
    focus(desktop, ".dials button")
    desktop.press("Enter")
    desktop.until("location.search.includes('slots0=')")
    assert desktop.until("document.querySelectorAll('main table tbody tr').length") == 2
