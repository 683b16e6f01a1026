"""Orders around the cut-off: counts, picture and table say the same."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.report.language import ENGLISH, LANGUAGES, Language
from optimizer.report.margins import NUM_STEPS, margins_of
from optimizer.report.render import render
from tests.support.pages import Node, parse

MICRO = st.integers(-5_000_000, 5_000_000)


def decisions_of(margins: list[float | None]) -> pl.LazyFrame:
    """Decisions with these margins, CNY."""
    return pl.LazyFrame({"margin_cny": margins}, schema={"margin_cny": pl.Float64})


@given(st.lists(st.none() | MICRO.map(lambda micro: micro / 1e6), max_size=60))
def test_each_order_is_counted_once_where_its_margin_lies(margins) -> None:
    """An order lies in one step, beyond them, or has no margin; 0 is above."""
    found = margins_of(decisions_of(margins))
    known = [margin for margin in margins if margin is not None]
    assert len(found.steps) == 2 * NUM_STEPS
    assert found.steps[NUM_STEPS - 1].low == found.steps[NUM_STEPS].high == 0
    assert found.num_unknown == len(margins) - len(known)
    assert found.num_known == len(known)
    sides = found.steps[:NUM_STEPS], found.steps[NUM_STEPS:]
    above, below = (sum(step.number for step in side) for side in sides)
    assert above + found.num_above == sum(margin >= 0 for margin in known)
    assert below + found.num_below == sum(margin < 0 for margin in known)


def test_steps_are_counted_by_hand() -> None:
    """
    Half of the margins above lie within 0.80 CNY, so steps are of 0.10 CNY: 0 and
    0.05 are in the first above, -0.05 in the first below, -0.85 below them all.
    """
    margins = [0.0, 0.05, 0.80, 3.0, 4.0, -0.05, -0.75, -0.85, None]
    found = margins_of(decisions_of(margins))
    numbers = {(step.low, step.high): step.number for step in found.steps}
    assert numbers[0.0, 0.1] == 2
    assert numbers[-0.1, 0.0] == 1
    assert numbers[-0.8, -0.7] == 1
    assert sum(numbers.values()) == 4
    assert (found.num_above, found.num_below, found.num_unknown) == (3, 1, 1)


def test_columns_are_drawn_to_scale_from_the_lowest_margin_up() -> None:
    """The tallest column is the largest step; the right half is above the cut-off."""
    found = margins_of(decisions_of([0.05, 0.06, 0.15, 0.8, 2.0, -0.05]))
    kinds, lefts, widths, heights = zip(*found.columns, strict=True)
    assert kinds == ("rest",) * NUM_STEPS + ("used",) * NUM_STEPS
    assert [*lefts] == sorted(lefts)
    assert lefts[NUM_STEPS] == pytest.approx(0.5, abs=widths[0])
    assert lefts[-1] + widths[-1] <= 1
    assert max(heights) == 1
    numbers = [step.number for step in reversed(found.steps)]
    most = max(numbers)
    assert [*heights] == [number / most for number in numbers]


def section_of(margins: list[float | None], language: Language = ENGLISH) -> Node:
    """The section of a night with these margins, as the report has it."""
    found = margins_of(decisions_of(margins))
    return parse(render("sections/margins.html.j2", margins=found, language=language))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_who_sees_no_picture_reads_its_numbers(language: Language) -> None:
    """Every column stands in the table too, and a sentence has the two nearest."""
    section = section_of([0.0, 0.05, 0.8, 3.0, -0.05, -0.85, None], language)
    (picture,) = section.all("svg")
    named = [n.attributes["id"] for n in picture.all("title", "desc")]
    assert picture.attributes["role"] == "img"
    assert named == [
        picture.attributes[f"aria-{n}by"] for n in ("labelled", "described")
    ]
    rows = [row.values[-1] for row in section.all("tbody")[0].all("tr")]
    assert sum(rows) == 6
    assert len(rows) == len(picture.all("rect")) - 1 + 2
    nearest = section.all("p")[2]
    assert nearest.values == [0.1, 2, 1]


def test_a_night_without_margins_has_no_picture() -> None:
    """Where no margin is exact the orders are counted; without orders that is said."""
    unknown, empty = section_of([None, None]), section_of([])
    assert not unknown.all("svg") + empty.all("svg")
    assert unknown.values == [2.0]
    assert "There were no parcels" in empty.text
