"""Templates escape what they show, know all that they name, and speak Chinese."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from contextlib import redirect_stderr
from copy import deepcopy
from pathlib import Path

import polars as pl
import pytest
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from hatchling.builders.wheel import WheelBuilder
from jinja2 import DictLoader, UndefinedError

from optimizer.contracts.columns import Column, Kind
from optimizer.contracts.warning_kinds import PHRASES
from optimizer.io.row_rules import HINTS, _cast_rules, _value_rules
from optimizer.report import render as rendering
from optimizer.report.filters import text
from optimizer.report.language import CHINESE, ENGLISH, RULES
from tests.support.catalogues import CHINESE_LETTER, fields_of, read_catalogue
from tests.support.hostile_names import HOSTILE

ROOT = Path(__file__).parents[2]
REPORT = Path(rendering.__file__).parent
#: Messages that are the same in Chinese, or marks alone.
SAME = {
    "%(who)s %(share)s",
    ": ",
    "%(change)s: %(cause)s",
    "{what} {name}",
    ", ",
    "; ",
    "({place})",
}


def extracted(folder: Path, output: Path) -> Catalog:
    """The messages of the sources in a folder, as ``make messages`` finds them."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    command = re.search(r"pybabel (extract .*) -o \S+ optimizer\n", makefile)
    assert command is not None
    words = command[1].replace("pyproject.toml", str(ROOT / "pyproject.toml")).split()
    with redirect_stderr(io.StringIO()):
        CommandLineInterface().run(
            ["pybabel", "-q", *words, "-o", str(output), str(folder)]
        )
    with output.open("rb") as file:
        return read_po(file)


def ids_of(catalogue: Catalog) -> set[object]:
    """Messages, one by one; those with a plural as a pair."""
    return {
        tuple(message.id) if message.pluralizable else message.id
        for message in catalogue
        if message.id
    }


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    """The Chinese messages."""
    return read_catalogue("zh")


def test_the_catalogue_has_the_messages_of_the_sources_and_no_others(
    chinese: Catalog, tmp_path: Path
) -> None:
    """A new or edited English text without its Chinese is found; so is a stale one."""
    found = extracted(ROOT / "optimizer", tmp_path / "messages.pot")
    assert len(ids_of(found)) > 200
    assert ids_of(found) == ids_of(chinese)
    assert not any(message.fuzzy for message in chinese if message.id)


def test_an_edited_text_of_a_template_is_found(
    chinese: Catalog, tmp_path: Path
) -> None:
    """The comparison above fails when a template says something else."""
    folder = tmp_path / "optimizer/report/templates"
    folder.mkdir(parents=True)
    text = (REPORT / "templates/night.html.j2").read_text("utf-8")
    edited = text.replace("To prove this night again:", "To prove it again:")
    assert edited != text
    (folder / "night.html.j2").write_text(edited, "utf-8")
    found = extracted(tmp_path / "optimizer", tmp_path / "messages.pot")
    assert ids_of(found) - ids_of(chinese) == {"To prove it again:"}


def faults_of(catalogue: Catalog) -> list[str]:
    """Messages that are not translated, with other values, or with markup in them."""
    found = []
    for message in catalogue:
        ids = message.id if message.pluralizable else (message.id,)
        texts = message.string if message.pluralizable else (message.string,)
        for english in ids if message.id else ():
            for said in texts:
                if not said:
                    found.append(f"{english}: is not translated")
                elif values_of(said) != values_of(ids[-1]):
                    found.append(f"{english}: has other values")
                elif not CHINESE_LETTER.search(said) and english not in SAME:
                    found.append(f"{english}: is not Chinese")
                if CHINESE_LETTER.search(english) or re.search("[<>&]", english + said):
                    found.append(f"{english}: has markup, or is not English")
    return found


def values_of(said: str) -> set[str]:
    """Placeholders of a message of templates, or of one of Python."""
    return {*re.findall(r"%\((\w+)\)s", said), *fields_of(said)}


def test_every_message_is_translated_with_its_values(chinese: Catalog) -> None:
    """
    Each is Chinese and shows the same values; none has markup, since pages take
    messages as they are.
    """
    assert faults_of(chinese) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is not translated"),
        ("商家", "has other values"),
        ("%(who)s pays %(amount)s", "is not Chinese"),
        ("<b>%(who)s</b>承担 %(amount)s", "has markup"),
    ],
)
def test_a_fault_in_a_message_is_named(chinese: Catalog, text: str, fault: str) -> None:
    """What the test above looks for is found when it is there."""
    planted = deepcopy(chinese)
    message = planted.get("%(who)s pays %(amount)s")
    assert message is not None
    message.string = text
    assert [fault in found for found in faults_of(planted)] == [True]


def test_every_phrase_and_rule_is_in_the_catalogue(chinese: Catalog) -> None:
    """What Python marks for catalogues, extraction finds."""
    assert {*PHRASES, *RULES} <= ids_of(chinese)


KINDS: tuple[Kind, ...] = (
    *("id", "text", "pin", "flag", "count", "money", "number", "probability", "date"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_that_a_column_can_break_is_said_in_chinese(kind: Kind) -> None:
    """Rules are walked as validation makes them; numbers in them are kept."""
    value, raw = pl.col("a"), pl.Series("a", [1.5])
    columns = [Column("a", kind, "", minimum=least) for least in (0, 1)]
    rules = {
        text
        for column in columns
        for rule in (*_value_rules(value, column), *_cast_rules(raw, value, column))
        for text in (rule.parts or (rule.text,))
    }
    assert rules
    for rule in {*rules, *HINTS, "is missing", "names no order"}:
        assert ENGLISH.rule(rule) == rule
        said = CHINESE.rule(rule)
        assert CHINESE_LETTER.search(said), rule
        assert re.findall(r"\d+", said) == re.findall(r"\d+", rule)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Templates by name, in place of those of the report."""
    templates: dict[str, str] = {}
    rendering._environment.cache_clear()
    monkeypatch.setattr(rendering._environment(), "loader", DictLoader(templates))
    yield templates
    rendering._environment.cache_clear()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_template_that_forgets_to_escape_is_safe(
    planted: dict[str, str], name: str
) -> None:
    """Text is escaped, cut and made visible even where no filter is named."""
    planted["page"] = (
        '<p title="{{ name }}">{{ name }}</p>'
        "{% trans name=name %}for {{ name }}{% endtrans %}"
        "{% set block %}{{ name }}{% endset %}{{ block }}"
    )
    page = rendering.render("page", name=name)
    assert not re.search(r"[\x00-\x08]", page)
    safe = str(text(name))
    assert page == f'<p title="{safe}">{safe}</p>for {safe}{safe}'
    assert not re.search('[<>"]', safe)
    long = rendering.render("page", name=name * 500)
    assert len(long) < 4 * 80 * len("&quot;") + len(planted["page"])


def test_a_misspelt_name_is_an_error_and_no_gap(planted: dict[str, str]) -> None:
    """A template that names what is not there fails, wherever it stands."""
    planted["page"] = "<p>{{ record.summry }}</p>"
    with pytest.raises(UndefinedError, match="summry"):
        rendering.render("page", record={"summary": {"saving_cny": 1}})


def test_every_template_belongs_to_a_page() -> None:
    """No template is left that no page shows."""
    folder = REPORT / "templates"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*.j2")}
    texts = "".join(path.read_text("utf-8") for path in folder.rglob("*.j2"))
    named = set(re.findall(r'(?:include|from|extends) "([^"]+)"', texts))
    answers = ("scenarios", "prices", "robustness", "diff", "evaluation", "learned")
    pages = ("report", "inputs", *answers)
    shown = {"diff.txt.j2", *(f"{page}.html.j2" for page in pages)}
    assert named | shown == names


def test_the_wheel_has_what_pages_are_made_of() -> None:
    """Templates, style sheets and compiled catalogues are in the package."""
    built = {
        file.distribution_path
        for file in WheelBuilder(str(ROOT)).recurse_included_files()
    }
    wanted = {
        str(path.relative_to(ROOT))
        for kind in ("*.j2", "*.css", "*.js", "*.mo")
        for path in REPORT.rglob(kind)
    }
    assert len(wanted) > 15
    assert wanted <= built


@pytest.mark.slow
def test_who_makes_no_page_does_not_import_the_engine_of_templates() -> None:
    """A run is imported without Jinja2 and without Babel, which no night needs."""
    script = (
        "import sys, optimizer.cli, optimizer.night.run, optimizer.replay.run;"
        "print([n for n in ('jinja2', 'markupsafe', 'babel') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
