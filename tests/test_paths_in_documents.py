"""What documents name of this project is there: files, folders, modules, rooms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.tracked import project_files

ROOT = Path(__file__).parents[1]
#: The changelog tells of names that are gone.
DOCUMENTS = [name for name in project_files("*.md") if name != "CHANGELOG.md"]
PLANTED = "docs/develop/planted-faults.md"
#: What ends the name of a file of ours.
FILE = re.compile(r"/.*\.(css|j2|json|md|po|py|service|sh|sql|svg|timer|toml|yaml)$")
#: What begins a path from the root.
FROM_ROOT = re.compile(r"(benchmarks|configs|docs|optimizer|requirements|tests)/")
#: Folders and files that a command of the document makes.
MADE = {"dist/", "docs/_build/html", "dist/sbom.cdx.json", "OUTPUT/2026-11-22/run.json"}
#: Rooms that are no more.
GONE = {"data", "distributed", "insight", "intake", "nightly", "outcomes", "proof"}


def paths_in(text: str) -> Iterator[str]:
    """Paths that stand in backquotes, or that a link leads to."""
    for quoted, linked in re.findall(r"`([^`\n]+)`|\]\(([^)\s#]+)", text):
        name = quoted or linked
        is_plain = re.fullmatch(r"[\w./-]+", name)
        is_path = FILE.search(name) or FROM_ROOT.match(name) or name.endswith("/")
        if is_plain and is_path and name not in MADE and not name.startswith("/"):
            yield name


def is_there(name: str, document: Path) -> bool:
    """From the root, from the package, among the tests, or beside the document."""
    bases = (ROOT, ROOT / "optimizer", ROOT / "tests", document.parent)
    return any((base / name).exists() for base in bases) or (
        name.count("/") == 1  # a room within a room, in the list of rooms
        and name.endswith("/")
        and any((ROOT / "optimizer").glob(f"*/{name}"))
    )


def anchors_of(text: str) -> set[str]:
    """
    Places of a document, as the host of the code names them: by its headings.

    Letters are small, marks but hyphens go, spaces become hyphens, and a heading that
    stands there again gets a number.
    """
    seen = Counter[str]()
    found = {*re.findall(r'<[^>]+\s(?:id|name)="([^"]+)"', text)}
    for heading in re.findall(r"^ {0,3}#{1,6} +(.*?) *#*$", without_code(text), re.M):
        bare = re.sub(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]+>|`", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", bare.strip().lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def without_code(text: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)


def dead_anchors(document: Path) -> list[str]:
    """Links of a document to places that a document does not have."""
    linked = re.findall(
        r"\]\(([^)\s#:]*)#([^)\s]+)\)", without_code(document.read_text())
    )
    return [
        f"{name}#{anchor}"
        for name, anchor in linked
        if not (there := document.parent / name if name else document).is_file()
        or anchor not in anchors_of(there.read_text())
    ]


@pytest.mark.parametrize("name", [*DOCUMENTS, "CHANGELOG.md"])
def test_every_place_that_a_document_leads_to_is_there(name: str) -> None:
    """Within it and in others, by the headings that they have today."""
    assert dead_anchors(ROOT / name) == []


def test_a_place_that_is_gone_is_seen(tmp_path: Path) -> None:
    """A heading that was renamed; code is no heading, and one may stand there twice."""
    other, here = tmp_path / "b.md", tmp_path / "a.md"
    other.write_text(
        "# Files, `a.py` & more\n\n## Twice\n\n## Twice\n\n```\n# no\n```\n"
    )
    places = ("b.md#files-apy--more", "b.md#twice-1", "#top", "b.md#no", "b.md#twice-2")
    more = "".join(f"[x]({place}) " for place in (*places, "c.md#x"))
    here.write_text(f"# Top\n\n{more}\n")
    assert dead_anchors(here) == ["b.md#no", "b.md#twice-2", "c.md#x"]


def first_cells(table: str) -> set[str]:
    """Rooms and subjects of a table of planted faults."""
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return {row.split("|")[1].strip() for row in rows[1:]}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_a_document_names_is_there(name: str) -> None:
    """A test that caught a fault, a module to touch, a document to read."""
    document = ROOT / name
    missing = [p for p in paths_in(document.read_text()) if not is_there(p, document)]
    assert missing == []


def test_documents_are_read_and_a_missing_path_is_seen() -> None:
    """Most documents name something, and what is made up is not there."""
    found = {name: [*paths_in((ROOT / name).read_text())] for name in DOCUMENTS}
    assert len(found[PLANTED]) > 100
    assert len(found["CONTRIBUTING.md"]) > 30
    text = "`insight/reasons.py`, `tests/data/`, [gone](docs/gone.md), `a.py`, `x y/`"
    named = [*paths_in(text)]
    assert named == ["insight/reasons.py", "tests/data/", "docs/gone.md"]
    assert not any(is_there(path, ROOT / "README.md") for path in named)
    assert is_there("network/", ROOT / "CONTRIBUTING.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_name_of_ours_in_a_document_can_be_imported(name: str) -> None:
    """``optimizer.job.run_date`` in backquotes is a module, or something in one."""
    for dotted in set(
        re.findall(r"`(optimizer(?:\.\w+)+)`", (ROOT / name).read_text())
    ):
        module, _, inner = dotted.rpartition(".")
        try:
            import_module(dotted)
        except ModuleNotFoundError:
            assert hasattr(import_module(module), inner), dotted


def test_no_planted_fault_is_of_a_room_that_is_gone() -> None:
    """The first cell is a room of today, or a subject of no one room."""
    rooms = {path.parent.name for path in (ROOT / "optimizer").glob("*/__init__.py")}
    named = first_cells((ROOT / PLANTED).read_text())
    assert len(named & rooms) > 15
    assert named & GONE == rooms & GONE == set()
    assert first_cells("| room | fault |\n|---|---|\n| proof | x |") & GONE == {"proof"}
