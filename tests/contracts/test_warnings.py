"""Warnings are records that every language can say."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog

from optimizer.contracts.warning_kinds import CODES, PHRASES, WARNINGS, WarningKind
from optimizer.contracts.warnings import (
    CodedWarning,
    read_warning,
    sentence,
    some,
    text_of,
    warn,
)
from optimizer.io.outbox import CARRIER_NOT_SUPPORTED, ID_NOT_SAFE_IN_CSV
from optimizer.report.language import CHINESE, ENGLISH
from tests.support.catalogues import (
    CHINESE_LETTER,
    LOCALE,
    compiled,
    faults_of_warnings,
    read_catalogue,
)

PACKAGE = Path(__file__).parents[2] / "optimizer"
SAMPLES: dict[str, Any] = {
    "count": 1_234_567,
    "text": "<words>",
    "word": "<word>",
    "share": "0.125",
    "names": ("m-1", "m-2"),
    "codes": ("NO_SAVING 7", "CAP_FULL 1,234"),
    "places": ((("carrier", "yunda"), ("region", "north")),),
    "rows": ((("carrier", "yunda"), ("vehicle", "van")),),
}
SAID = {
    "count": "1,234,567",
    "text": "<words>",
    "word": "<word>",
    "share": "12.5%",
    "names": "m-2",
    "codes": "1,234",
    "places": "yunda",
    "rows": "vehicle van",
}


def sample(code: str, number: int = 1_234_567) -> CodedWarning:
    """A warning of a code, about as many things."""
    kind = WARNINGS[code]
    values = {name: SAMPLES[said_as] for name, said_as in kind.fields.items()}
    return CodedWarning(code, values | ({kind.counted: number} if kind.counted else {}))


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    """The Chinese messages."""
    return read_catalogue("zh")


def test_every_code_has_both_languages_with_the_same_values(chinese: Catalog) -> None:
    """English uses every value but the counted one at need; Chinese the same ones."""
    assert list(faults_of_warnings(WARNINGS, chinese)) == []


PLANTED: dict[str, tuple[WarningKind, str]] = {
    "a code without Chinese": (
        WarningKind("{n} cat", "{n} cats", {"n": "count"}, "n"),
        "has no translation",
    ),
    "an English sentence that was edited": (
        replace(
            WARNINGS["EFFECT_IS_PRIOR"],
            one=WARNINGS["EFFECT_IS_PRIOR"].one + "!",
            many=WARNINGS["EFFECT_IS_PRIOR"].many + "!",
        ),
        "has no translation",
    ),
    "a value that no sentence uses": (
        replace(
            WARNINGS["EFFECT_IS_PRIOR"],
            fields={"num_parcels": "count"},
        ),
        "the English sentence does not use its values",
    ),
    "a form of its own that is not translated": (
        replace(WARNINGS["EFFECT_IS_PRIOR"], many="no parcels"),
        "one form is translated, the other is not",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_in_the_registry_is_named(fault: str, chinese: Catalog) -> None:
    """What the test above looks for is found when it is there."""
    kind, words = PLANTED[fault]
    assert words in "; ".join(faults_of_warnings({"PLANTED": kind}, chinese))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("{limit}", "{n}"), "uses other values"),
        (lambda text: text.replace("{limit}", "2"), "uses other values"),
        (lambda _: "{num_parcels} beyond {limit}", "is not Chinese"),
        (lambda _: "", "has no translation"),
    ],
    ids=["renamed", "written out", "English", "empty"],
)
def test_a_fault_in_a_catalogue_is_named(
    change: Any, words: str, chinese: Catalog
) -> None:
    """A translation without the values, in English, or empty is found."""
    code = "CUSTOMERS_LIMITED"
    planted = deepcopy(chinese)
    message = planted.get(WARNINGS[code].one)
    assert message is not None
    message.string = tuple(map(change, message.string))
    found = list(faults_of_warnings({code: WARNINGS[code]}, planted))
    assert [words in fault for fault in found] == [True]


def test_the_compiled_catalogue_is_of_the_one_that_people_edit(
    chinese: Catalog,
) -> None:
    """An edited .po without its .mo is noticed."""
    made = (LOCALE / "zh/LC_MESSAGES/optimizer.mo").read_bytes()
    assert made == compiled(chinese)
    edited = deepcopy(chinese)
    message = edited.get(PHRASES[0])
    assert message is not None
    message.string = "，"
    assert made != compiled(edited)


def test_every_code_is_made_somewhere() -> None:
    """No code is in the registry that no part of the program gives a warning."""
    texts = [
        path.read_text("utf-8")
        for path in PACKAGE.rglob("*.py")
        if path.name != "warning_kinds.py"
    ]
    unused = [code for code in WARNINGS if not any(f'"{code}"' in t for t in texts)]
    assert unused == []
    assert not any('"NO_SUCH_CODE"' in text for text in texts)


@pytest.mark.parametrize("code", WARNINGS)
def test_a_warning_is_said_with_its_values_in_both_languages(code: str) -> None:
    """Every value stands in the sentence as people write it, through JSON and back."""
    warning = sample(code)
    recorded = json.loads(json.dumps(warning.to_json()))
    assert read_warning(recorded) == warning
    assert text_of(recorded) == str(warning)
    for words in (str(warning), sentence(warning, CHINESE.catalogue)):
        for name, said_as in WARNINGS[code].fields.items():
            if f"{{{name}}}" in WARNINGS[code].many:
                assert SAID[said_as] in words
        assert "{" not in words
    assert CHINESE_LETTER.search(CHINESE.warning(recorded))
    assert not CHINESE_LETTER.search(ENGLISH.warning(recorded))


def test_one_thing_is_said_in_the_singular() -> None:
    """The counted value chooses the English form; Chinese has one."""
    one, two = (sample("UNCOVERED_LANES_CLOSED", number) for number in (1, 2))
    assert str(one).startswith("1 lane has orders")
    assert str(two).startswith("2 lanes have orders")
    said = [sentence(w, CHINESE.catalogue) for w in (one, two)]
    assert said[0].replace("1 条", "2 条") == said[1]


def test_long_lists_say_how_many_more_there_are() -> None:
    """Five names are given, and the number of the others."""
    names = [f"m{number}" for number in range(2_000)]
    found = warn(
        "BUDGETS_BELOW_FEE", num_merchants=2_000, fee_cny="1", merchants=some(names)
    )
    assert str(found).endswith("none: m0, m1, m2, m3, m4 and 1,995 more")
    assert sentence(found, CHINESE.catalogue).endswith("m4 等，另有 1,995 个")
    whole = warn(
        "BUDGETS_BELOW_FEE", num_merchants=5, fee_cny="1", merchants=some(names[:5])
    )
    assert str(whole).endswith("none: m0, m1, m2, m3, m4")


@pytest.mark.parametrize(
    ("code", "values", "words"),
    [
        ("NO_SUCH_CODE", {}, "is no code"),
        ("EFFECT_IS_PRIOR", {"n": 1}, r"has the values \[\]"),
        ("CUSTOMERS_LIMITED", {"num_parcels": 1}, "'limit', 'num_parcels'"),
        ("CUSTOMERS_LIMITED", {"num_parcels": 1.0, "limit": 2}, "is no count"),
        ("CUSTOMERS_LIMITED", {"num_parcels": True, "limit": 2}, "is no count"),
        ("TABLE_SUBSTITUTED", {"table": "orders", "path": Path("x")}, "path is no"),
        ("CARRIERS_NOT_MEASURED", {"carriers": ["a"]}, "carriers is no names"),
        ("CARRIERS_NOT_MEASURED", {"carriers": (1,)}, "carriers is no names"),
    ],
)
def test_a_record_that_could_not_be_said_is_not_made(
    code: str, values: dict[str, Any], words: str
) -> None:
    """Unknown codes, missing values and numbers that JSON changes are refused."""
    with pytest.raises(ValueError, match=words):
        CodedWarning(code, values)


@pytest.mark.parametrize(
    "recorded",
    [
        "a sentence of format 1",
        {"code": "OF_A_LATER_VERSION", "values": {}, "text": "later"},
        {"code": "EFFECT_IS_PRIOR", "values": {"n": 1}, "text": "later"},
        {"code": "EFFECT_IS_PRIOR", "values": None, "text": "later"},
    ],
    ids=["old", "unknown", "other values", "no values"],
)
def test_what_is_not_known_here_is_said_as_it_stands(recorded: Any) -> None:
    """Old and foreign records show their English sentence in either language."""
    assert read_warning(recorded) is None
    for language in (ENGLISH, CHINESE):
        assert re.search("later|format 1", language.warning(recorded))


def test_what_a_decision_is_called_is_as_in_the_report() -> None:
    """One code has one name; and codes of all decisions but the chosen are known."""
    text = (PACKAGE / "report/templates/words.html.j2").read_text("utf-8")
    text = text[text.index("set reasons") : text.index("set kinds")]
    named = dict(re.findall(r'"([A-Z_]+)": \(_\("([^"]*)"\)', text))
    shared = {code: name for code, name in CODES.items() if code in named}
    assert shared == {code: named[code] for code in shared}
    assert {*named} - {*CODES} == {"CHOSEN", "EXPLORED"}
    assert {*CODES} - {*named} == {CARRIER_NOT_SUPPORTED, ID_NOT_SAFE_IN_CSV}


def test_no_code_stands_in_a_sentence() -> None:
    """Of a plan in which nobody is, and of an outbox: words, with their numbers."""
    nobody = warn("NOBODY_CHOSEN", reasons=("NO_SAVING 1,234", "CAP_ZERO 5"))
    assert str(nobody) == (
        "the plan has no order: not worth the fee (1,234), merchant has no slot (5)"
    )
    assert CHINESE.warning(nobody.to_json()).endswith(
        "不划算（1,234）、商家没有名额（5）"
    )
