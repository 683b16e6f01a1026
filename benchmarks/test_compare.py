"""The comparison itself: it judges rightly, keeps what it has, and says who loses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from benchmarks import (
    compare,
    details,
    headline,
    instances,
    loop,
    nightly,
    plain,
    plot,
    report,
    worker,
)
from benchmarks.instances import CARRIER_SHARE, FAMILIES, make_instance, make_problem
from benchmarks.peers import OURS, PEERS
from benchmarks.records import add_record, mark_optimum, read_records
from benchmarks.sources import source_of

if TYPE_CHECKING:
    from pathlib import Path

    Record = dict[str, Any]


@pytest.fixture
def result() -> Record:
    """A right and proved result of ours on a night of two million orders."""
    return {
        "name": "single-2m",
        **asdict(make_instance("single", 2_000_000)),
        "num_options": 2_000_000,
        "peer": OURS,
        "seconds": 2.0,
        "form_seconds": 0.0,
        "prepare_seconds": 0.0,
        "peak_memory_bytes": 10**9,
        "bound_pass_seconds": 0.5,
        "bound_pass_micro_cny": 700,
        "objective_micro_cny": 700,
        "proved_gap_micro_cny": 0,
        "num_broken_limits": 0,
        "reports_its_own_sum": True,
        "is_whole": True,
        "limit_seconds": 300.0,
        "memory_gb": 16.0,
        "cores_of_others": 0.0,
        "source": source_of(OURS),
        "date": "2026-11-23",
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "memory_gb": 20,
            "python": "3.11",
            "commit": "abc",
            "versions": {"numpy": "2"},
        },
    }


@pytest.fixture
def lemon(result: Record) -> Record:
    """A peer that is twice as fast, with a quarter of the memory."""
    found = result | {"peer": "lemon", "seconds": 1.0, "peak_memory_bytes": 25 * 10**7}
    found["source"] = source_of("lemon")
    for name in ("proved_gap_micro_cny", "bound_pass_seconds", "bound_pass_micro_cny"):
        del found[name]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_night_is_what_its_family_says(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn in pieces, a night has its orders, caps of 3 % and slots for its demand."""
    monkeypatch.setattr(instances, "CHUNK_ORDERS", 700)
    instance = make_instance(family, 20_000)
    problem = make_problem(instance)
    sizes = np.diff(problem.merchant_start)
    ways = instance.carriers
    demand = np.repeat(problem.cap / np.maximum(sizes, 1), sizes * ways) / ways
    above = problem.option_lane.astype(np.int64)
    wanted = np.zeros(problem.num_lanes)
    while np.any(above >= 0):
        is_in = above >= 0
        np.add.at(wanted, above[is_in], demand[is_in])
        above = np.where(is_in, problem.lane_parent[above], -1)
    low, high = (3, 3) if family == "slack" else (0.3, 0.9 * 1.4)

    assert sizes.sum() == problem.num_orders == 20_000
    assert problem.num_options == 20_000 * ways
    assert problem.cap.tolist() == [int(size) * 3 // 100 for size in sizes]
    assert np.all(problem.slots >= np.floor(low * wanted - 1e-6))
    assert np.all(problem.slots <= np.ceil(high * wanted + 1e-6))
    assert len(np.unique(problem.key)) == problem.num_orders
    assert make_problem(instance).option_saving.tobytes() == (
        problem.option_saving.tobytes()
    )


def test_every_piece_of_a_night_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pieces have positive savings, and carriers in the shares of the country."""
    monkeypatch.setattr(instances, "CHUNK_ORDERS", 5_000)
    problem = make_problem(make_instance("single", 20_001))
    pieces = np.array_split(problem.option_saving[:20_000], 4)
    shares = np.bincount(problem.option_lane % 5) / problem.num_orders
    assert all(0.5 < np.mean(piece > 0) < 0.95 for piece in pieces)
    assert problem.option_saving[-1] != 0
    assert np.allclose(shares, CARRIER_SHARE, atol=0.02)


def test_every_method_finds_the_same_optimum(tmp_path: Path) -> None:
    """On a nested night all exact methods save the same, and a bound pass proves it."""
    out = tmp_path / "results.json"
    words = ["--sizes", "5k", "--families", "nested", "--out", str(out)]
    compare.main([*words, "--rounds", "1"])
    found = {r["peer"]: r for r in read_records(out)}
    best = found[OURS]["optimum_micro_cny"]

    assert {*found} == {*PEERS}
    for name, record in found.items():
        if PEERS[name].is_exact:
            assert record["objective_micro_cny"] == best > 0, name
            assert record["is_wrong"] is False, name
    assert found[OURS]["bound_pass_micro_cny"] == best
    assert found["pdlp"]["objective_micro_cny"] == pytest.approx(best, rel=1e-4)
    assert 0 < found["greedy"]["objective_micro_cny"] < best


@pytest.mark.parametrize(
    ("limits", "failure"),
    [((0.05, 4.0), "over 0.05 s"), ((60.0, 0.3), "needs more than 0.3 GB")],
)
def test_a_method_beyond_its_limits_is_stopped_and_said_so(
    limits: tuple[float, float], failure: str, tmp_path: Path
) -> None:
    """HiGHS on 100,000 orders ends at the time or the memory that it is given."""
    fields = json.dumps(asdict(make_instance("choice", 100_000)))
    worker.run_step("night", tmp_path, 60.0, 4.0, instance=fields)
    worker.run_step("form", tmp_path, 60.0, 4.0, form="lp")
    found = worker.run_step("solve", tmp_path, *limits, peer="highs", rounds=1)
    assert found == {"failure": failure, "is_too_large": True}


def test_what_is_measured_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run measures what is missing, or what other code was measured for."""
    out = tmp_path / "results.json"
    words = ["--sizes", "2k", "--families", "single", "--out", str(out)]
    compare.main([*words, "--peers", "lemon"])
    steps = []
    step = worker.run_step

    def spied(name: str, *args: object, **options: object) -> Record:
        steps.append((name, options.get("peer")))
        return step(name, *args, **options)

    monkeypatch.setattr(compare, "run_step", spied)

    def solved(*more: str) -> list[object]:
        steps.clear()
        compare.main([*words, *more])
        return [peer for name, peer in steps if name == "solve"]

    assert solved("--peers", "lemon") == []
    assert solved("--peers", "lemon,ortools") == ["ortools"]
    assert solved("--peers", "lemon", "--again", "all") == ["lemon"]
    monkeypatch.setattr(compare, "source_of", lambda peer: f"other {peer}")
    assert solved("--peers", "lemon") == ["lemon"]
    assert len(read_records(out)) == 2


def test_a_method_that_was_too_small_is_not_tried_larger(result: Record) -> None:
    """The smallest night that was too large is named, unless limits are higher now."""
    given = compare.arguments([])
    instance = make_instance("single", 5_000_000)
    late = result | {"peer": "highs", "failure": "over 300 s", "is_too_large": True}
    limits = {"limit_seconds": 300.0, "memory_gb": given.memory_gb}
    small = late | limits | {"num_orders": 1_000_000}

    def foreseen(*records: Record) -> str | None:
        found = compare.foreseen([*records], instance, "highs", given)
        return found and found["failure"]

    assert foreseen(late | limits, small) == "over 300 s at 1m"
    assert foreseen(small | {"is_too_large": False}) is None
    assert foreseen(small | {"family": "choice"}) is None
    assert foreseen(small | {"num_orders": 10_000_000}) is None
    given.limit_seconds = 600.0
    assert foreseen(small) is None


@pytest.mark.parametrize(
    "fault",
    [
        {"objective_micro_cny": 699},
        {"num_broken_limits": 1},
        {"reports_its_own_sum": False},
        {"bound_pass_micro_cny": 699},
    ],
    ids=str,
)
def test_a_wrong_answer_does_not_win(
    fault: Record, result: Record, lemon: Record
) -> None:
    """A fast method with another sum, a broken limit or a false bound is marked."""
    wrong = lemon | fault
    mark_optimum([result, wrong])
    assert wrong["is_wrong"]
    assert report.fastest([result, wrong]) is result
    assert "**wrong**" in details.details(report.nights_of([result, wrong]))


def test_two_proved_optima_end_the_comparison(result: Record) -> None:
    """Two proofs of one night that disagree are a bug, not a result."""
    with pytest.raises(SystemExit, match="two optima"):
        mark_optimum([result, result | {"peer": "flow", "objective_micro_cny": 701}])


def test_the_report_says_who_loses_and_which_aims_are_missed(
    result: Record, lemon: Record
) -> None:
    """Ratios are those of the records, and a lost night is named with its factor."""
    large = result | {"num_orders": 20_000_000, "seconds": 30.0, "name": "single-20m"}
    late = lemon | {"failure": "over 300 s", "peer": "highs"}
    late["source"] = source_of("highs")
    del late["seconds"], late["peak_memory_bytes"]
    mark_optimum([result, lemon, late])
    mark_optimum([large])
    tried = late | {"name": "single-20m", "num_orders": 20_000_000}
    text = report.tables([result, lemon, late, large, tried])
    assert "| single-20m | 30.000 | none finished |  |  |  | 500.0 | 60 ✗ |" in text
    text = report.tables([result, lemon, late, large])
    assert "| single-20m | 30.000 | not measured |  |  |  | 500.0 | 60 ✗ |" in text

    row = "| single-2m | 2.000 | lemon 1.000 | 2.00 ✗ | lemon 1.000 | 2.00 | 500.0 | 4 "
    row += "| 1,000 | lemon 250 "
    assert f"{row}| 4.00 ✗ |" in text
    assert "`auto` loses on single-2m (to lemon, 2.0 times slower)." in text
    assert "| single-20m | 20,000,000 | 2,000,000 | 30.000 | 1.500 | 1.50 ✗ |" in text
    every = details.details(report.nights_of([result, lemon, late, large]))
    assert "highs (HiGHS, its own choice of method) | over 300 s |" in every
    assert "Fastest exact: lemon. Losing: auto, highs." in every


def test_the_page_has_the_largest_night_of_a_family_and_every_lost_one(
    result: Record, lemon: Record
) -> None:
    """
    Of three sizes of a family the page lists the one that is lost and the largest; it
    names the nights on which a call alone is faster, and no night but those.
    """
    nights = []
    for size, others_take in (("1m", 3.0), ("2m", 1.0), ("4m", 3.0)):
        sized = {"name": f"single-{size}", "num_orders": 1_000_000 * int(size[0])}
        pair = [result | sized, lemon | sized | {"seconds": others_take}]
        mark_optimum(pair)
        nights += pair
    page = report.tables(nights)
    compared = page[page.index("### This project") : page.index("### Every method")]
    listed = [
        line.split(" |")[0] for line in compared.splitlines() if "| single" in line
    ]
    assert listed == ["| single-2m", "| single-4m"]
    assert "call alone of another is faster on 1 of 3 nights: single-2m." in page


def test_a_stale_result_is_printed_as_stale_and_fails_the_check(
    result: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that changed since marks a result, and ``--check`` ends with its name."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    mark_optimum([result])
    assert "single-2m ‡" not in report.tables([result])
    add_record(report.RESULTS, result)
    report.main(["--check"])
    old = result | {"source": "of other code"}
    assert "| single-2m ‡ |" in report.tables([old])
    assert "1 of 1 results" in report.tables([old])
    add_record(report.RESULTS, old)
    with pytest.raises(SystemExit, match="single-2m auto"):
        report.main(["--check"])


def test_the_readme_shows_figures_of_the_results(
    result: Record, lemon: Record, tmp_path: Path
) -> None:
    """Stages of a night, the largest solves and who loses; what is stale is marked."""
    name, orders = "single-10m", 10_000_000
    large = [r | {"name": name, "num_orders": orders} for r in (result, lemon)]
    mark_optimum(large)
    night = result | {
        "name": "one carrier-1m",
        "num_orders": 1_000_000,
        "peer": "run",
        "seconds": 9.0,
        "stage_seconds": {"read": 1.25},
        "verify_seconds": 4.5,
        "source": source_of("run"),
    }
    readme = tmp_path / "README.md"
    readme.write_text(f"Before\n{headline.BEGIN}\nold\n{headline.END}\nafter\n")
    headline.write_headline([night, *large], readme)
    text = readme.read_text()
    assert text.startswith(f"Before\n{headline.BEGIN}")
    assert text.endswith(f"{headline.END}\nafter\n")
    assert "old" not in text
    assert "| read | 1.25 s |" in text
    assert "| `optimizer run`, in all | 9.00 s |" in text
    assert "one carrier each: this project 2.00 s, LEMON 1.00 s." in text
    assert "`auto` loses on single-10m (to lemon, 2.0 times slower)." in text
    assert "Stale" not in text
    assert "Stale" in headline.headline([night | {"source": "of other code"}])


@pytest.mark.parametrize("carriers", [1, 3])
def test_a_small_night_is_decided_again_and_again(
    carriers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is timed after the first ones, and the last is proved."""
    monkeypatch.setattr(loop, "NUM_WARM_UP", 1)
    monkeypatch.setattr(loop, "NUM_CALLS", 4)
    folder = nightly.simulated(tmp_path, 2_000, carriers)
    found = loop.call_again(folder)
    assert found["num_calls"] == 4
    assert found["all_seconds"] == sorted(found["all_seconds"])
    assert found["proved_gap_micro_cny"] == 0 < found["num_chosen"]
    told = plain.decide(folder, tmp_path / "plain.parquet")
    assert told == {name: found[name] for name in told}
    decisions = pl.read_parquet(tmp_path / "plain.parquet")
    assert len(decisions) == 2_000
    assert decisions["is_premium"].sum() == found["num_chosen"]


def test_the_report_shows_a_night_beside_the_plain_script(result: Record) -> None:
    """Where we are slower the aim is missed; an older result has no figure."""
    record = result | {
        "name": "one carrier-1m",
        "num_orders": 1_000_000,
        "carriers": 1,
        "peer": "run",
        "seconds": 9.0,
        "stage_seconds": {"read": 1.25},
        "scan_seconds": 0.25,
        "input_bytes": 5e6,
        "verify_seconds": 4.5,
        "plain_seconds": 6.0,
        "plain_peak_memory_bytes": 1.5e9,
        "source": source_of("run"),
    }
    row = "| 0.250 | 36 ✗ | 6.00 | 1.50 ✗ | 1,500 | 4.50 | 0 |"
    assert row in report.tables([record])
    assert "| 9.00 | 1.00 | 1,500 |" in report.tables([record | {"plain_seconds": 9.0}])
    del record["plain_seconds"]
    assert "| 36 ✗ |  |  |  | 4.50 |" in report.tables([record])


def test_the_report_shows_a_call_against_its_aim(result: Record) -> None:
    """Milliseconds with their spread; 2,000 orders in more than 5 are a missed aim."""
    record = result | {
        "name": "one carrier-2k",
        "num_orders": 2_000,
        "peer": "allocate",
        "seconds": 0.0061,
        "all_seconds": [0.006, 0.0061, 0.0065],
        "cpu_seconds": 0.006,
        "told_seconds": 0.008,
        "num_calls": 200,
        "source": source_of("allocate"),
    }
    row = "| one carrier-2k | 6.1 ✗ | 6.0–6.5 | 6.0 | 8.0 | 200 | 0 |"
    assert row in report.tables([record])
    quick = record | {"seconds": 0.0049}
    assert "| one carrier-2k | 4.9 |" in report.tables([quick])


def test_set_up_counts_against_a_peer(result: Record, lemon: Record) -> None:
    """
    Ours starts from the arrays of the problem; a peer whose call is twice as fast, but
    which has to lay them out for as long as ours takes, is the slower one.
    """
    slow = lemon | {"form_seconds": 1.5, "prepare_seconds": 0.5}
    mark_optimum([result, slow])
    assert report.fastest([result, slow]) is result
    text = report.tables([result, slow])
    assert "| single-2m | 2.000 | lemon 3.000 | 0.67 | lemon 1.000 | 2.00 |" in text
    assert "`auto` is the fastest exact method on every night." in text


def test_seconds_are_the_median_with_the_spread_beside_it(result: Record) -> None:
    """One lucky round of three does not make a method faster."""
    several = result | {"seconds": 2.0, "all_seconds": [1.5, 2.0, 9.0]}
    assert details.seconds_of(several) == "2.000 (1.500–9.000)"


def test_the_plot_shows_every_method_and_is_the_same_again(
    result: Record, lemon: Record, tmp_path: Path
) -> None:
    """Each method, and a limit that was hit, is named; the same bytes come again."""
    late = lemon | {"failure": "over 300 s", "peer": "highs"}
    del late["seconds"], late["peak_memory_bytes"]
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        plot.draw([result, lemon, late], path)
    text = paths[0].read_text()
    assert text == paths[1].read_text()
    assert "over 300" in text
    for name in PEERS:
        assert f">{name}" in text


def test_every_method_has_its_own_line() -> None:
    """No method is left out of the plot, and no two look alike."""
    assert {*plot.STYLES} == {*PEERS}
    assert len({*plot.STYLES.values()}) == len(PEERS)


def test_names_of_swept_nights_say_what_is_swept() -> None:
    """A field that is not the family's own is in the night's name."""
    usual = make_instance("choice", 100_000)
    assert usual.name == "choice-100k"
    assert replace(usual, num_lanes=500).name == "choice-100k-num_lanes=500"
