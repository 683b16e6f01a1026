"""Compiled templates are kept, and never used where they could say something else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import DictLoader, Environment

from optimizer.report import compiled_templates
from optimizer.report.compiled_templates import CompiledTemplates

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "{{ 1 + 1 }} of {{ name }}"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of compiled templates, empty, in a Python that keeps its code."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return CompiledTemplates()._folder


def rendered(source: str = SOURCE) -> tuple[str, int]:
    """A template's text in a new environment, and how often one was compiled for it."""
    made = Environment(
        loader=DictLoader({"page": source}),
        autoescape=True,
        bytecode_cache=CompiledTemplates(),
    )
    compiled: list[Any] = []
    true = made.compile
    made.compile = lambda *a, **k: compiled.append(a) or true(*a, **k)  # type: ignore
    return made.get_template("page").render(name="us"), len(compiled)


def test_a_template_is_compiled_once(kept: Path) -> None:
    """The next process reads its code, and nothing else lies in the folder."""
    assert rendered() == ("2 of us", 1)
    assert rendered() == ("2 of us", 0)
    assert len([*kept.iterdir()]) == 1


def test_another_source_is_compiled(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is the same template with other filters, or by another version of Jinja."""
    rendered()
    assert rendered("{{ name }}") == ("us", 1)
    assert rendered("{{ name }}") == ("us", 0)
    monkeypatch.setattr(compiled_templates, "_compiler", lambda: b"other filters")
    assert rendered("{{ name }}") == ("us", 1)
    assert len([*kept.iterdir()]) == 1


@pytest.mark.parametrize("place", [0, 40, -1])
def test_damaged_code_is_compiled_again(kept: Path, place: int) -> None:
    """One byte that is another one, anywhere, and code that was cut short."""
    rendered()
    (path,) = kept.iterdir()
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    assert rendered() == ("2 of us", 1)
    path.write_bytes(whole[:20])
    assert rendered() == ("2 of us", 1)
    assert rendered() == ("2 of us", 0)


def test_nothing_is_kept_where_python_keeps_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``PYTHONDONTWRITEBYTECODE`` holds for templates as well."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered() == rendered() == ("2 of us", 1)
    assert not kept.exists()


def test_a_folder_that_cannot_be_written_is_no_fault(kept: Path) -> None:
    """The page is made all the same, and compiled each time."""
    kept.parent.mkdir(parents=True)
    kept.write_text("a file in its place")
    assert rendered() == rendered() == ("2 of us", 1)
