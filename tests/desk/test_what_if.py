"""What if: the page's numbers are those of scenarios, and its process is bounded."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

import optimizer
from optimizer.config import load_config
from optimizer.contracts.run_folder import read_record
from optimizer.desk.problems import PageProblem
from optimizer.desk.solver import answer, work
from optimizer.desk.solver_process import MAX_WAITING, SolverProcess
from optimizer.io.kept_inputs import found_inputs
from optimizer.job import run_date
from tests.support.desk import ask_desk, seen
from tests.support.processes import wait_for
from tests.support.small_night import DAY, SmallNight

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 10**6
#: Stands for the solver: reads a line, and does this.
SCRIPT = "import sys\nfor line in sys.stdin:\n    {}\n    sys.stdout.flush()"


#: Numbers of a plan that the page shows.
ROW = (
    *("saving_cny", "harm_avoided_cny", "fees_cny", "gap_cny", "saving_change_cny"),
    *("num_chosen", "num_caps_binding", "num_lanes_binding", "num_kept"),
)


class InThisProcess(SolverProcess):
    """Answers as the process does, without one."""

    def is_ready(self, folder: Path) -> bool:
        """Always."""
        return True

    def ask(self, folder: Path, question: dict[str, Any]) -> dict[str, Any]:
        """From the function that the process calls, by way of JSON."""
        asked = json.loads(json.dumps({"folder": str(folder)} | question))
        found = answer(asked, BASES)
        return dict(json.loads(json.dumps(found, default=float)))


BASES: dict[str, Any] = {}


@pytest.fixture(scope="module")
def asked(published_once: SmallNight) -> TestClient:
    """A desk that solves in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(published_once.folder)
        yield ask_desk(published_once, solver=InThisProcess(MANY))
    BASES.clear()


def amounts(text: str) -> list[str]:
    """Exact values of the first two rows of the table."""
    body = text[text.index("<tbody") :]
    return re.findall(r'<data value="([^"]*)"', body)[:10]


def test_the_page_says_what_scenarios_says(asked, published_once) -> None:
    """Cap, fee, slots of a carrier and a cost at once: the same scenario by command."""
    page = seen(asked, f"/what-if?night={DAY}&cap=5&fee=0.5&slots0=1.5&complaint=40")
    (carrier,) = re.findall(r'for="dial-slots0"><span>.*?<bdi>(.*?)</bdi>', page.text)
    one = {
        "name": "asked",
        "cap_rate": "0.05",
        "fee_cny": "0.5",
        "complaint_cost_cny": "40",
        "slots_by_carrier": {carrier: "1.5"},
    }
    told = optimizer.scenarios({"scenarios": [one]}, run=published_once.run_dir)
    names = (
        *("harm_avoided_cny", "fees_cny", "num_caps_binding"),
        *("num_lanes_binding", "gap_cny"),
    )
    rows = told.scenarios.select(names).rows()
    assert [float(x) for x in amounts(page.text)] == [float(x) for r in rows for x in r]
    assert rows[0] != rows[1]


def test_what_is_called_harm_avoided_before_fees_is_the_saving_and_the_fees(
    asked, published_once
) -> None:
    """The bar has the fees taken off, as the night's page has; the table says both."""
    page = seen(asked, "/what-if")
    harm, fees = map(float, amounts(page.text)[:2])
    bar = page.text[page.text.index('class="bars"') :]
    (saving,) = re.findall(r'class="many"><data value="([^"]*)"', bar)[:1]
    assert harm - fees == pytest.approx(float(saving))
    assert "Harm avoided before fees, CNY" in page.plain


def test_untouched_dials_are_tonight(asked) -> None:
    """Without a query, and with tonight's own numbers, nothing changes."""
    for query in ("", "?cap=3&fee=0.8&slots0=1"):
        found = amounts(seen(asked, f"/what-if{query}").text)
        assert found[:5] == found[5:]


def test_the_front_is_drawn_when_it_is_asked_for(asked) -> None:
    """Its points in a picture, and the same as a table."""
    assert "<circle" not in seen(asked, "/what-if").text
    page = seen(asked, "/what-if?front=1")
    table = page.text[page.text.rindex("<tbody") :]
    assert page.text.count("<circle") == table.count("<tr") > 2
    # Each row says "parcels" itself, so the head does not.
    assert "Parcels" not in page.plain


@dataclass
class Late(InThisProcess):
    """Has no time for the front, or ends before there is a point of it."""

    problem: PageProblem | None = None

    def ask(self, folder: Path, question: dict[str, Any]) -> dict[str, Any]:
        """The plain answer as ever."""
        if "front_seconds" in question:
            if self.problem is not None:
                raise self.problem
            question = {"front_seconds": -1.0}
        return InThisProcess.ask(self, folder, question)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("problem", "en", "zh"),
    [
        (None, "it has its first points (", "只有花费最多的前几个点"),
        (
            PageProblem(503, "SOLVER_ENDED", seconds=30),
            "seconds, so that it is not drawn",
            "秒内未能完成，因此没有绘出",
        ),
        (PageProblem(503, "TOO_MANY_QUESTIONS"), "Ask for it again", "请一分钟后再试"),
        (PageProblem(409, "CANNOT_SOLVE", why="x"), "Ask for it again", "一分钟后再试"),
    ],
)
def test_a_front_that_is_late_leaves_the_answer(
    published_once: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    problem: PageProblem | None,
    language: str,
    en: str,
    zh: str,
) -> None:
    """Tonight and as asked stand there, 200; what the front lacks is said below."""
    monkeypatch.chdir(published_once.folder)
    asked = ask_desk(published_once, solver=Late(MANY, problem=problem))
    page = seen(asked, f"/what-if?cap=5&front=1&lang={language}")
    plain = seen(asked, f"/what-if?cap=5&lang={language}")
    assert amounts(page.text) == amounts(plain.text)
    assert {"en": en, "zh": zh}[language] in page.plain
    assert page.text.count("<circle") == (problem is None)
    BASES.clear()


def test_a_process_that_ends_over_the_front_has_answered_before(
    published_once: SmallNight,
) -> None:
    """It is asked twice: of the second question alone nothing comes."""
    rows = [dict.fromkeys(ROW, 0)] * 2
    script = "print({!r} if 'front' not in line else sys.exit(3))"
    solver = run_by(script.format(json.dumps({"rows": rows})), seconds=5.0)
    try:
        asked = ask_desk(published_once, solver=solver)
        seen(asked, "/what-if?front=1")
        wait_for(lambda: solver._ready is not None, "the night")
        page = seen(asked, "/what-if?front=1")
        assert "so that it is not drawn" in page.plain
        assert "Tonight, and as asked" in page.plain
    finally:
        solver.close()


@pytest.mark.parametrize(
    "query",
    ["cap=-1", "cap=101", "fee=1e9", "slots0=x", "cap=1.23456", "complaint=501"],
)
def test_a_dial_has_its_range(asked, query: str) -> None:
    """What is no number or beyond the slider's end is refused."""
    assert "must be a number from 0 to" in seen(asked, f"/what-if?{query}", 400).plain


def test_a_large_night_is_refused(published_once) -> None:
    """With how large they may be, and the command that does it."""
    asked = ask_desk(published_once, solver=InThisProcess(1_999))
    page = seen(asked, "/what-if", 409)
    assert "2,000 orders" in page.plain
    assert "optimizer scenarios" in page.plain
    seen(ask_desk(published_once), "/what-if", 404)


def test_a_night_that_is_being_read_is_waited_for(published_once, tmp_path) -> None:
    """The page asks again by itself, with its numbers, and has no result yet."""

    class Reading(InThisProcess):
        """Not there yet."""

        def is_ready(self, folder: Path) -> bool:
            """Never."""
            return False

    asked = ask_desk(published_once, solver=Reading(MANY))
    answered = asked.get("/what-if?cap=4")
    assert answered.headers["refresh"] == "2"
    assert "being read" in answer_text(answered.text)
    part = asked.get("/what-if?cap=4", headers={"HX-Request": "true"})
    assert "refresh" not in part.headers
    assert 'hx-get="/what-if?cap=4"' in part.text


def answer_text(text: str) -> str:
    """Words of a page."""
    return re.sub(r"<[^>]*>", " ", text)


def test_the_process_answers_lines_and_outlives_a_refusal(published) -> None:
    """An error is an answer; the next question is answered too."""
    folder = str(published.run_dir)
    asked = [
        {"folder": folder, "scenario": {"name": "a", "cap_rate": "2"}},
        {"folder": folder},
        {"folder": str(published.folder / "nowhere")},
    ]
    answers = io.StringIO()
    work(io.StringIO("\n".join(map(json.dumps, asked))), answers)
    first, second, third = map(json.loads, answers.getvalue().splitlines())
    assert "cap_rate" in first["error"]
    assert second == {}
    assert "not a published run" in third["error"]


def test_the_process_outlives_a_record_that_was_edited(published: SmallNight) -> None:
    """What no reader expects is an answer too, and the next night is solved."""
    path = published.run_dir / "run.json"
    before = path.read_text()
    record = json.loads(before)
    record["config"]["policy"] = record["config"]["inputs"] = 7
    record["policy"] = {}
    night = json.dumps({"folder": str(published.run_dir)})

    def questions() -> Iterator[str]:
        path.write_text(json.dumps(record | {"inputs": []}))
        yield night
        path.write_text(before)
        yield night

    answers = io.StringIO()
    work(questions(), answers)
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert "error" in first
    assert second == {}


def run_by(script: str, seconds: float = 30.0) -> SolverProcess:
    """A process that does something else."""
    return SolverProcess(MANY, seconds, (sys.executable, "-c", SCRIPT.format(script)))


def test_an_answer_that_is_late_ends_the_process() -> None:
    """Its time is over, it is killed, and the next question starts another."""
    solver = run_by("sys.stdin.read()", seconds=0.2)
    try:
        with pytest.raises(PageProblem, match="SOLVER_ENDED"):
            solver.ask(Path("night"), {})
        assert solver._process is None
        solver.command = (sys.executable, "-c", SCRIPT.format("print('{}')"))
        solver.answer_seconds = 30.0
        assert solver.ask(Path("night"), {}) == {}
    finally:
        solver.close()


@pytest.mark.parametrize("script", ["sys.exit(1)", "print('no JSON')"])
def test_a_process_that_fails_is_told(script: str) -> None:
    """It ended, or said something else: 503, and no process is left."""
    solver = run_by(script)
    with pytest.raises(PageProblem, match="SOLVER_ENDED"):
        solver.ask(Path("night"), {})
    assert solver._process is None


def test_too_many_who_wait_are_sent_away() -> None:
    """The ninth gets 503 at once."""
    solver = SolverProcess(MANY)
    solver._num_waiting = MAX_WAITING
    with pytest.raises(PageProblem, match="TOO_MANY_QUESTIONS"):
        solver.ask(Path("night"), {})


@pytest.mark.parametrize(
    "dials", [{}, {"complaint_cost_cny": "40"}, {"cap_rate": "0.05"}]
)
@pytest.mark.parametrize(
    ("change", "why"),
    [("gone", "is gone, so nothing can"), ("changed", "was changed after the run")],
)
def test_no_answer_mixes_two_states_of_the_inputs(
    inputs_only: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    dials: dict[str, str],
    change: str,
    why: str,
) -> None:
    """Where no copy of an input is as it was, a night in memory is refused by name."""
    monkeypatch.chdir(inputs_only.folder)
    run_date(load_config(inputs_only.config), DAY)
    night = {"folder": str(inputs_only.run_dir)}
    asked = night | {"scenario": {"name": "asked", **dials}}
    record = read_record(inputs_only.run_dir)
    (kept,) = found_inputs(inputs_only.run_dir, record)["orders"]
    copies = [Path(kept), Path(record["inputs"]["orders"]["files"][0]["path"])]
    before = copies[0].read_bytes()

    def questions() -> Iterator[str]:
        yield json.dumps(asked)
        for copy in copies:
            copy.unlink()
            if change == "changed":
                copy.write_bytes(before + b" ")
        yield json.dumps(asked)
        copies[0].write_bytes(before)
        yield json.dumps(asked)

    answers = io.StringIO()
    work(questions(), answers)
    lines = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert lines[0] == lines[2]
    assert lines[0]["rows"]
    assert why in lines[1]["error"]
    assert lines[1]["is_lost"]


def test_a_night_that_is_lost_is_read_again() -> None:
    """Whoever asks next does not wait for an answer from a night that is not there."""
    lost = json.dumps({"error": "x", "is_lost": True})
    process = run_by(f"print({lost!r} if 'scenario' in line else '{{}}')")
    try:
        night = Path("/night")
        assert not process.is_ready(night)
        wait_for(lambda: process.is_ready(night), "the night")
        with pytest.raises(PageProblem):
            process.ask(night, {"scenario": {}})
        assert not process.is_ready(night)
        wait_for(lambda: process.is_ready(night), "the night, again")
    finally:
        process.close()


def test_a_night_that_cannot_be_read_says_why() -> None:
    """Once, so that asking again tries again."""
    solver = run_by('print(\'{"error": "inputs are gone"}\')')
    try:
        folder = Path("night")
        solver._open(str(folder))
        with pytest.raises(PageProblem, match="CANNOT_SOLVE") as told:
            solver.is_ready(folder)
        assert told.value.values["why"] == "inputs are gone"
        solver.command = (sys.executable, "-c", SCRIPT.format("print('{}')"))
        solver.close()
        solver._open(str(folder))
        assert solver.is_ready(folder)
    finally:
        solver.close()


@pytest.mark.slow
def test_the_process_is_the_real_one(published: SmallNight) -> None:
    """Started as the desk starts it, it solves the night."""
    solver = SolverProcess(MANY)
    try:
        solver._open(str(published.run_dir))
        assert solver.is_ready(published.run_dir)
        one = {"scenario": {"name": "a", "cap_rate": "0.05"}}
        rows = solver.ask(published.run_dir, one)["rows"]
        assert rows[1]["saving_cny"] > rows[0]["saving_cny"]
    finally:
        solver.close()
