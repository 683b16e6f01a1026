"""A published figure goes stale when what it measures changes, and only then."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import compare, packing_peers, report, sources, suite
from benchmarks.instances import FAMILIES
from benchmarks.peers import OURS, PEERS
from benchmarks.records import is_stale, read_records, write_records

ROOT = Path(__file__).parents[1]
#: What is measured, a change to a file, and whether that makes the figure stale.
CHANGES = [
    (OURS, "optimizer/solvers/network/screen.py", "\nA_CHANGE = 1\n", True),
    (OURS, "optimizer/certify/certificate.py", "\nA_CHANGE = 1\n", True),
    (OURS, "benchmarks/worker.py", "\nA_CHANGE = 1\n", True),
    (OURS, "optimizer/solvers/network/screen.py", "\n# said better\n\n", False),
    (OURS, "optimizer/explain/summary.py", "\nA_CHANGE = 1\n", False),
    (OURS, "optimizer/verify/statement/3_savings.sql", "\nselect 1;\n", False),
    (OURS, "benchmarks/README.md", "\nWords.\n", False),
    ("lemon", "optimizer/solvers/flow/plan.py", "\nA_CHANGE = 1\n", True),
    ("lemon", "benchmarks/instances.py", "\nA_CHANGE = 1\n", True),
    ("lemon", "optimizer/solvers/network/screen.py", "\nA_CHANGE = 1\n", False),
    ("run", "optimizer/build/costs.py", "\nA_CHANGE = 1\n", True),
    ("run", "optimizer/verify/statement/3_savings.sql", "\nselect 1;\n", True),
    ("run", "optimizer/report/templates/report.html.j2", "\n<p>\n", True),
    ("run", "optimizer/compare/acceptance.py", "\nA_CHANGE = 1\n", False),
    ("run", "optimizer/cli/questions.py", "\nA_CHANGE = 1\n", False),
    ("run", "docs/night.md", "\nWords.\n", False),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what may be measured, to change."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("optimizer", "benchmarks", "docs"):
        nothing_made = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=nothing_made)
    return root


@pytest.fixture(autouse=True)
def _looked_at_anew(monkeypatch: pytest.MonkeyPatch, copy: Path):
    monkeypatch.setattr(sources, "ROOT", copy)
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    sources.source_of.cache_clear()  # what a file imports is known by its text


@pytest.mark.parametrize(("peer", "name", "added", "is_old"), CHANGES)
def test_a_change_makes_stale_what_depends_on_it(
    peer: str, name: str, added: str, is_old: bool, copy: Path
) -> None:
    """The measured code, and how it is measured; no word about it, no other room."""
    record = {"peer": peer, "source": sources.source_of(peer)}
    file = copy / name
    before = file.read_bytes()
    file.write_bytes(before + added.encode())
    forget()
    try:
        assert is_stale(record) is is_old
    finally:
        file.write_bytes(before)
    forget()
    assert not is_stale(record)


def test_a_new_import_is_followed(copy: Path) -> None:
    """What a solver imports from today on is part of what its seconds depend on."""
    solver, other = (copy / "optimizer" / n for n in ("solvers/auto2.py", "extras.py"))
    before = sources.sources_of(OURS)
    assert other not in before
    registry = copy / "optimizer/solvers/__init__.py"
    text = registry.read_text()
    try:
        solver.write_text("def f():\n    from optimizer.extras import need\n")
        registry.write_text(f"{text}\nfrom optimizer.solvers import auto2\n")
        forget()
        assert {solver, other} <= {*sources.sources_of(OURS)}
    finally:
        registry.write_text(text)
        solver.unlink()


def test_nothing_that_a_method_imports_is_left_out(copy: Path) -> None:
    """What harness and methods import of ours, within functions too, is looked at."""
    looked_at = {*sources.sources_of(OURS)}
    for module in ("worker", "peers"):
        text = (copy / "benchmarks" / f"{module}.py").read_text()
        for name in sources.imports_of(text):
            # Whole nights, of files and in memory, have sources of their own.
            is_of_a_night = name in {"benchmarks.nightly", "benchmarks.loop"}
            assert is_of_a_night or sources._file_of(name) in looked_at, name


def test_words_about_code_are_not_code() -> None:
    """The example of ``code_of`` holds; an ``#`` within a text is no comment."""
    assert doctest.testmod(sources).failed == 0
    assert sources.code_of('a = "#1"  # one\n') == 'a = "#1"'
    assert sources.code_of('def f(): "one"\n') == 'def f(): "one"'


def test_the_suite_measures_ours_against_others_on_every_family() -> None:
    """Each part is a command that compare knows; every method is in one of them."""
    given = [
        compare.arguments(words)
        for part in suite.SUITE
        for words in suite.arguments(part, 1.0, Path("out.json"))
    ]
    assert {peer for one in given for peer in one.peers} == {*PEERS}
    million = [one for one in given if one.sizes == "1m" and "lemon" in one.peers]
    assert {family for one in million for family in one.families} == {*FAMILIES}
    assert {one.nights for one in given if one.nights} == {"100k", "1m", "10m"}
    largest = [one for one in given if "10m" in (one.sizes, one.nights)]
    assert {family for one in largest for family in one.families} == {*FAMILIES}
    assert all(one.rounds >= 3 for one in given if one not in largest)


def test_after_the_suite_no_stale_result_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no more time, what is of other code is dropped, and named."""
    path = tmp_path / "results.json"
    fresh = {"name": "single-2k", "peer": OURS, "source": sources.source_of(OURS)}
    stale = fresh | {"peer": "lemon"}
    write_records(path, [fresh, stale])
    suite.main(["--minutes", "0", "--scale", "0.5", "--out", str(path)])
    assert read_records(path) == [fresh]
    assert (
        "dropped 1 results of other code: single-2k lemon\n" in capsys.readouterr().out
    )


def test_the_benchmarks_page_is_short_and_of_the_results() -> None:
    """The published page is what the report makes of ``results.json``, on one page."""
    page = report.README.read_text("utf-8")
    records = read_records(report.RESULTS)
    shown = page.split(report.BEGIN)[1].split(report.END)[0].strip()
    assert len(page.splitlines()) < 200
    assert without_staleness(shown) == without_staleness(report.tables(records))


def without_staleness(page: str) -> str:
    """The page without what depends on the code of this moment."""
    return re.sub(r"\d+ of \d+ results", "", page.replace(" ‡", ""))


def test_results_on_problems_of_the_literature_tell_of_other_code() -> None:
    """Only those are marked that were measured with other code, or do not say."""
    told = {"plan": 7.0, "bound": 7.0, "seconds": 1.0, "is_cost": True, "load": 0.5}
    told |= {"day": "2026-01-01", "cores": 2, "limit_seconds": 10.0, "method": "ours"}
    told |= {"nodes": 1, "certify_seconds": 0.1}
    now = told | {"source": packing_peers.source_of_method("ours")}
    names = packing_peers.INSTANCES[:3]
    others = [now, now | {"source": "other"}, told]
    records = [r | {"instance": name} for r, name in zip(others, names, strict=True)]
    table = packing_peers.table(records)
    marked = [f"| `{name}` ‡ |" in table for name in names]
    assert marked == [False, True, True]
    assert "now, 2 of 3 results" in table
    assert "‡" not in packing_peers.table(records[:1])


def test_results_of_peers_do_not_depend_on_what_we_solve_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change of our solver leaves what others took on the same nights."""
    monkeypatch.setattr(packing_peers, "hash_of", list)
    of = packing_peers.source_of_method.__wrapped__
    for method in ("cpsat", "highs"):
        names = {path.as_posix() for path in of(method)}
        assert not any("/solvers/" in name or "/certify/" in name for name in names)
        assert any(name.endswith("benchmarks/packing.py") for name in names)
    assert any("/solvers/packing/" in path.as_posix() for path in of("ours"))
