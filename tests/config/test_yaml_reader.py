"""YAML means what it says; every trap is refused with its line."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from optimizer.config import load_config, yaml_reader
from optimizer.config.yaml_reader import read_yaml
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SCALARS = {
    "no": "no",
    "on": "on",
    "yes": "yes",
    "off": "off",
    "Y": "Y",
    "true": True,
    "FALSE": False,
    "1e-3": Decimal("0.001"),
    "1E3": Decimal(1000),
    ".5": Decimal("0.5"),
    "5.": Decimal(5),
    "0.1": Decimal("0.1"),
    "0.29": Decimal("0.29"),
    "3:20": "3:20",
    "010": 10,
    "0x10": "0x10",
    "0o10": "0o10",
    "1_000": "1_000",
    "+7": 7,
    "-7": -7,
    "2026-11-22": "2026-11-22",
    "~": None,
    "null": None,
    "": None,
    "nan": "nan",
    ".nan": ".nan",
    ".inf": ".inf",
    "1.2.3": "1.2.3",
    "=": "=",
    "'010'": "010",
    '"true"': "true",
}


@pytest.mark.parametrize(("written", "meant"), SCALARS.items())
def test_scalars_mean_what_they_look_like(written: str, meant: Any) -> None:
    """Words stay words, digits are decimal, and decimals keep every digit."""
    data, _ = read_yaml(f"key: {written}\n", "night.yaml")

    assert data == {"key": meant}
    assert type(data["key"]) is type(meant)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version: 1\nobjective: {}\nversion: 1\n", 3, "version is given twice"),
        ("policy:\n  - cap: 1\n    cap: 2\n", 3, "cap is given twice, first on line 2"),
        ("a: &x 1\nb: *x\n", 1, "anchors and aliases"),
        ("a: 1\nb: *x\n", 2, "anchors and aliases"),
        ("a: 1\nb: &x [1]\n", 2, "anchors and aliases"),
        ("a: {b: &x {c: 1}}\n", 1, "anchors and aliases"),
        ("a: 1\nb: !!python/name:os.system\n", 2, "tags are not accepted"),
        ("a: !!str 1\n", 1, "tags are not accepted"),
        ("a: 1\nb: !mine {c: 1}\n", 2, "tags are not accepted"),
        ("a: 1\nb: ! x\n", 2, "tags are not accepted"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
        ("a:\n\tb: 1\n", 2, "not valid YAML"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: 'open\n", 2, "not valid YAML"),
        ("a: 1\n? [b, c]\n: 2\n", 2, "keys must be plain words"),
        ("a: 1\n{b: 1}: 2\n", 2, "keys must be plain words"),
    ],
)
def test_every_trap_is_refused_on_its_line(text: str, line: int, words: str) -> None:
    """What could mean something else than it says is refused, and where it is."""
    with pytest.raises(ConfigError, match=rf"^night\.yaml:{line}: .*{words}"):
        read_yaml(text, "night.yaml")


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n...\n"])
def test_an_empty_file_is_not_a_configuration(text: str, tmp_path: Path) -> None:
    """A file without content says where to start from, whatever is in it instead."""
    path = tmp_path / "empty.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=re.escape(str(path))):
        load_config(path)


@pytest.mark.parametrize("text", ["just words\n", "- 1\n- 2\n", "12\n", "null\n"])
def test_a_file_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    """Words, lists and numbers alone are not a configuration."""
    path = tmp_path / "words.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match="must be a mapping of keys"):
        load_config(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 60 + "]" * 60,
        "a: " + "{b: " * 60 + "1" + "}" * 60,
        "a: " + "[" * 20_000,
        "a: " + "- " * 20_000,
        "a: '" + "x" * 1_000_001 + "'",
    ],
    ids=["lists", "mappings", "open", "dashes", "characters"],
)
def test_too_deep_or_too_large_is_refused(text: str) -> None:
    """Depth and size are bounded: an error, never a crash or an endless read."""
    with pytest.raises(ConfigError, match=r"^night\.yaml"):
        read_yaml(text, "night.yaml")


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of values is bounded too, well above any real configuration."""
    monkeypatch.setattr(yaml_reader, "MAX_EVENTS", 1_000)

    assert read_yaml("a: [" + "1, " * 900 + "1]", "night.yaml")[0]
    with pytest.raises(ConfigError, match=r"^night\.yaml:1: is too large"):
        read_yaml("a: [" + "1, " * 1_000 + "1]", "night.yaml")


def test_nesting_within_the_bound_is_read() -> None:
    """Forty lists in each other are fine."""
    data, _ = read_yaml("a: " + "[" * 40 + "1" + "]" * 40, "night.yaml")

    assert str(data["a"]) == "[" * 40 + "1" + "]" * 40


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "latin-1"])
def test_text_that_is_not_utf_8_is_refused(encoding: str, tmp_path: Path) -> None:
    """Another encoding is named as the fault, not read as other letters."""
    path = tmp_path / "night.yaml"
    path.write_bytes("output: r\u00fcns\n".encode(encoding))

    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path)


def test_lines_are_those_of_keys_and_items() -> None:
    """Each key and list item knows its line, also inside flow style."""
    text = "# note\na:\n  - b: 1\n    c: {d: 2,\n      e: 3}\n  - 4\n"
    _, lines = read_yaml(text, "night.yaml")

    assert lines[("a",)] == 2
    assert lines[("a", 0, "b")] == 3
    assert lines[("a", 0, "c", "d")] == 4
    assert lines[("a", 0, "c", "e")] == 5
    assert lines[("a", 1)] == 6
