"""An answer says whether it is of the published night or of one solved anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from optimizer.night.basis import Basis
from optimizer.whatif.pages import price_page
from tests.support.small_night import DAY, Call, SmallNight, call, make_night

RUN = f"runs/{DAY}"
BY_CONFIG = ("--config", "config.yaml", "--date", str(DAY))
LANE = ("one_more_around_cny", "one_more_cny")
CAP = ("one_more_cny",)
#: Questions that take both ways, with further words that each needs.
ASKED = {
    "prices": ("--top", "0"),
    "scenarios": ("--scenarios", "asked.yaml"),
    "robustness": ("--relative-error", "0.3", "--draws", "1", "--hindsight", "0"),
    "accept": (),
}


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line in this process."""
    return lambda *words: call(monkeypatch, capsys, *words)


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallNight:
    """A small published night, and what is asked of it."""
    night = make_night(tmp_path, num_orders=400)
    night.configure(acceptance=[{"metric": "relative_gap", "max": 0}])
    asked = {"scenarios": [{"name": "half", "slots_factor": 0.5}]}
    (tmp_path / "asked.yaml").write_text(json.dumps(asked))
    monkeypatch.chdir(tmp_path)
    night.run()
    return night


def answer(done: Call) -> str:
    """The first line of an answer for people."""
    assert done.code == 0, done.err
    return done.out.splitlines()[0]


@pytest.mark.slow
def test_each_question_says_in_text_and_json_what_it_answers_from(
    night: SmallNight, cli: Callable[..., Call]
) -> None:
    """The folder of a run is the published night; a date is solved, and compared."""
    for name, words in ASKED.items():
        said = answer(cli(name, RUN, *words))
        assert said.startswith(f"answered from the published night {RUN}, version ")
        anew = answer(cli(name, *BY_CONFIG, *words))
        assert anew == (
            "solved anew from the configured inputs; these and the rules are those of "
            f"the published night {RUN}"
        )
        told = json.loads(cli(name, *BY_CONFIG, *words, "--json").out)["basis"]
        assert (told["answered_from"], told["run_dir"]) == ("inputs", RUN)
        assert told["changed"] == []
        assert told["sentence"] == anew


def test_what_changed_since_the_night_was_published_is_named(
    night: SmallNight, cli: Callable[..., Call]
) -> None:
    """Other slots and another fee: the answer is not that of the published night."""
    night.write("capacity", night.read("capacity").with_columns(slots=50))
    policy = night.settings()["policy"]
    policy[0]["fee"] = {"amount_cny": 0.5}
    night.configure(policy=policy)
    for name in ("prices", "accept"):
        said = answer(cli(name, *BY_CONFIG, *ASKED[name]))
        assert f"the published night {RUN} is another" in said
        assert "since the configuration, capacity changed" in said
        assert "give its folder instead of --config and --date" in said


def test_pages_say_it_in_both_languages() -> None:
    """Published, the same, another, and none: a sentence each, names as text."""
    tables = {
        "lanes": pl.DataFrame(schema=dict.fromkeys(LANE, pl.Float64)),
        "merchants": pl.DataFrame(schema=dict.fromkeys(CAP, pl.Float64)),
        "steps": pl.DataFrame(schema={"kind": pl.String, "brings_cny": pl.Float64}),
    }
    said = {
        (): ("No night of this date is published.", "该日期没有已发布的夜晚。"),
        ("<b>", "v1"): ("Inputs and rules are those of the published", "输入与规则"),
        ("<b>", "v1", True, ("the configuration", "orders")): (
            "what changed since: the configuration, <bdi>orders</bdi>",
            "配置、<bdi>orders</bdi>",
        ),
    }
    for given, sentences in said.items():
        basis = Basis(DAY, False, *given)
        page = price_page(basis, tables, "en")
        assert all(sentence in page for sentence in sentences)
        assert "<b>" not in page
    page = price_page(Basis(DAY, True, "runs/x", "v1"), tables, "en")
    assert "published night <bdi>runs/x</bdi>, version <bdi>v1</bdi>." in page
    assert "已发布" in page


@pytest.mark.slow
def test_a_date_without_a_night_says_so(
    night: SmallNight, cli: Callable[..., Call]
) -> None:
    """After it was withdrawn, and where the configuration has no output."""
    assert cli("rollback", *BY_CONFIG, "--withdraw").code == 0
    said = answer(cli("prices", *BY_CONFIG, "--top", "0"))
    assert said.endswith(f"no night of {DAY} is published")
    settings = night.settings()
    del settings["output"]
    night.config.write_text(json.dumps(settings))
    said = answer(cli("prices", *BY_CONFIG, "--top", "0"))
    assert said == "solved anew from the configured inputs"
