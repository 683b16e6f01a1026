"""A configuration is read whole or refused with every wrong key in one error."""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optimizer.config import (
    Config,
    as_config,
    config_hash,
    config_json,
    expand_date,
    load_config,
    policy_on,
)
from optimizer.errors import ConfigError

MINIMAL = Path("configs/minimal.yaml").read_text(encoding="utf-8")
LEAST: dict[str, Any] = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.8},
            "carriers": ["zhongtong", "yunda"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18.5},
}


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The least configuration with one value put in."""
    config = copy.deepcopy(LEAST)
    place: Any = config
    for part in path[:-1]:
        if part not in place and isinstance(place, dict):
            place[part] = {}
        place = place[part]
    place[path[-1]] = value
    return config


def dated(*days: str) -> Config:
    """One policy row for each day, its fee the row's place."""
    row = LEAST["policy"][0]
    rows = [
        row | {"valid_from": day, "fee": {"amount_cny": place}}
        for place, day in enumerate(days)
    ]
    return as_config(LEAST | {"policy": rows})


def test_every_wrong_key_is_in_one_error_with_its_line(tmp_path: Path) -> None:
    """Wrong keys of all kinds come together, in the order of the file."""
    path = tmp_path / "night.yaml"
    path.write_text(
        "version: 2\n"
        "policy:\n"
        "  - valid_from: tomorrow\n"
        "    cap: {rat: 0.03}\n"
        "    fee:\n"
        "      amount_cny: -1\n"
        "    carriers: [zhongtong, 7]\n"
        "objective:\n"
        "  complaint_cost_cny: much\n"
        "solver: {methd: auto}\n"
        "ouput: runs\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)

    found = str(caught.value).splitlines()
    assert [line.removeprefix(f"{path}:").rsplit(", got", 1)[0] for line in found] == [
        "1: version: must be 1",
        "3: policy[0].valid_from: must be a date such as 2026-11-22",
        "4: policy[0].cap.rat: unknown key; did you mean 'rate'?",
        "4: policy[0].cap.rate: is required (largest share of a merchant's parcels of "
        "the day)",
        "6: policy[0].fee.amount_cny: must be between 0 and 1000000",
        "7: policy[0].carriers[1]: must be text",
        "8: objective.return_cost_cny: is required (harm of one logistics-reason "
        "return, CNY)",
        "9: objective.complaint_cost_cny: must be a number",
        "10: solver.methd: unknown key; did you mean 'method'?",
        "11: ouput: unknown key; did you mean 'output'?",
    ]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("policy", 0, "cap", "rate"), 1.01, "policy[0].cap.rate: must be between 0"),
        (("policy", 0, "cap", "rate"), -0.01, "policy[0].cap.rate: must be between 0"),
        (("policy", 0, "cap", "rate"), True, "policy[0].cap.rate: must be a number"),
        (("policy", 0, "cap", "rate"), "3%", "policy[0].cap.rate: must be a number"),
        (("policy", 0, "cap", "rate"), float("nan"), "must be a finite number"),
        (("policy", 0, "cap", "rate"), float("inf"), "must be a finite number"),
        (("policy", 0, "cap", "rate"), 0.0300000001, "at most nine decimals"),
        (("policy", 0, "cap", "rounding"), "round", "rounding: must be floor"),
        (("policy", 0, "fee", "amount_cny"), 0.0000001, "at most six decimals"),
        (("policy", 0, "fee", "payer"), {"merchant": 0.9}, "must add up to 1"),
        (("policy", 0, "carriers"), [], "carriers: must not be empty"),
        (("policy", 0, "carriers"), ["yunda", "YunDa"], "not name a carrier twice"),
        (("policy", 0, "carriers"), [" yunda"], "without spaces around it"),
        (("policy", 0, "carriers"), "yunda", "carriers: must be a list"),
        (("policy",), [], "policy: must not be empty"),
        (("policy",), LEAST["policy"] * 2, "two rows from the same date"),
        (("policy",), LEAST["policy"][0], "policy: must be a list"),
        (("objective",), None, "objective: must be a mapping of keys"),
        (("objective", "fee_share"), 1.5, "objective.fee_share: must be between 0"),
        (
            ("objective", "fulfilment"),
            [{"carrier_id": "yunda", "probability": p} for p in (0.5, 0.6)],
            "not give a carrier and region twice",
        ),
        (("timezone",), "Asia/Shangai", "timezone: must be a time zone such as"),
        (("output",), "runs/{day}", "{date} is the only placeholder"),
        (("output",), " ", "output: must be a path"),
        (
            ("solver", "method"),
            "magic",
            "must be auto, flow, greedy, packing or pricing",
        ),
        (("solver", "num_threads"), 0, "num_threads: must be at least 1"),
        (("solver", "num_threads"), 1.5, "num_threads: must be a whole number"),
        (
            ("solver", "num_threads"),
            "4",
            "num_threads: must be a whole number, got '4'",
        ),
        (("solver", "time_limit_seconds"), 0, "time_limit_seconds: must be above 0"),
        (("publish", "max_gap"), 0, "publish.max_gap: unknown key; did you mean"),
        (("quarantine", "max_share"), 2, "quarantine.max_share: must be between 0"),
        (("zebra",), 1, "zebra: unknown key; known here: version, timezone, null"),
        (("version",), 2, "version: must be 1"),
    ],
)
def test_a_wrong_value_is_refused_by_key(
    path: tuple[str | int, ...], value: Any, words: str
) -> None:
    """One value out of its range is one line, which names key and range."""
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        as_config(changed(path, value))

    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("config: ")


@pytest.mark.parametrize(
    "digits", ["1e30", "1e999999999", "1e-99999999999999999999", "1" * 5_000]
)
def test_an_absurd_number_is_refused_like_any_other(
    digits: str, tmp_path: Path
) -> None:
    """A number far beyond any use is a wrong key, never a crash."""
    path = tmp_path / "night.yaml"
    path.write_text(MINIMAL.replace("rate: 0.03", f"rate: {digits}"), encoding="utf-8")

    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}:6: "):
        load_config(path)


def test_what_cannot_be_a_path_is_a_wrong_path() -> None:
    """A name that no file can have is refused in words."""
    with pytest.raises(ConfigError, match="is no path"):
        load_config("\0")


@pytest.mark.parametrize(
    ("path", "value"),
    [(("version",), True), (("solver", "num_threads"), True)],
)
def test_true_is_not_the_number_one(path: tuple[str, ...], value: bool) -> None:
    """A yes where a number belongs is a mistake, as the JSON Schema says too."""
    with pytest.raises(ConfigError, match=path[-1]):
        as_config(changed(path, value))


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(
    mark: str, newline: str, tmp_path: Path
) -> None:
    """A file saved by another editor is the same configuration."""
    path = tmp_path / "night.yaml"
    path.write_bytes((mark + MINIMAL.replace("\n", newline)).encode())

    assert load_config(path) == load_config("configs/minimal.yaml")


def test_missing_file_and_folder_are_refused_by_name(tmp_path: Path) -> None:
    """What is no file is named with what to check."""
    for path, words in [(tmp_path, "directory"), (tmp_path / "x.yaml", "no such file")]:
        expected = rf"^{re.escape(str(path))}: .*{words}.*check the path"
        with pytest.raises(ConfigError, match=expected):
            load_config(path)


@pytest.mark.parametrize("given", [3, None, b"x", [1], ("a",)])
def test_what_is_no_configuration_is_refused_by_its_type(given: Any) -> None:
    """A call with another kind of object says what it got."""
    with pytest.raises(ConfigError, match=f"got {type(given).__name__}"):
        as_config(given)


@given(
    key=st.sampled_from(["version", "policy", "objective", "solver", "x", "output"]),
    value=st.one_of(
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.lists(st.none() | st.dictionaries(st.text(), st.floats(), max_size=2)),
        st.dictionaries(st.text(max_size=5) | st.integers(), st.floats(), max_size=3),
    ),
)
def test_any_value_is_accepted_or_refused_clearly(key: str, value: Any) -> None:
    """Whatever a key holds makes a configuration or lines that name the key."""
    try:
        message = f"config: {key}: {as_config(LEAST | {key: value})!r}"
    except ConfigError as error:
        message = str(error)

    assert re.match(rf"config: {key}[:.\[]", message)


@given(units=st.integers(0, 10**6))
def test_floats_become_the_decimals_that_they_print_as(units: int) -> None:
    """A mapping's 0.1 is one tenth exactly, and equals the same text in a file."""
    exact = Decimal(units).scaleb(-6)
    config = as_config(changed(("policy", 0, "cap", "rate"), float(exact)))

    assert config.policy[0].cap.rate == exact


def test_a_configuration_cannot_be_changed() -> None:
    """No model lets a value be set, at any depth, and lists are tuples."""
    config = as_config(LEAST)
    inner = [config, config.policy[0], config.policy[0].cap, config.solver]

    for model in [*inner, config.objective, config.publish, config.quarantine]:
        name = next(iter(type(model).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, getattr(model, name))
    assert isinstance(config.policy, tuple)
    assert isinstance(config.policy[0].carriers, tuple)


@pytest.mark.parametrize(
    ("day", "fee"),
    [
        ("2022-01-12", 1),
        ("2023-06-30", 1),
        ("2023-07-01", 2),
        ("2024-12-31", 2),
        ("2025-01-01", 0),
        ("2099-01-01", 0),
    ],
)
def test_the_row_in_force_is_the_last_that_has_begun(day: str, fee: int) -> None:
    """From its first day on, until the next row's, whatever order they stand in."""
    config = dated("2025-01-01", "2022-01-12", "2023-07-01")
    row = policy_on(config, dt.date.fromisoformat(day))

    assert row.fee.amount_cny == fee


def test_a_day_without_a_row_is_refused() -> None:
    """Before the first row there are no rules; without a day two rows are unclear."""
    config = dated("2025-01-01", "2022-01-12")

    with pytest.raises(ConfigError, match=r"2022-01-11.*first starts on 2022-01-12"):
        policy_on(config, dt.date(2022, 1, 11))
    with pytest.raises(ConfigError, match="give the date="):
        policy_on(config, None)
    assert policy_on(dated("2022-01-12"), None).valid_from == dt.date(2022, 1, 12)


def test_the_date_stands_wherever_it_is_asked_for() -> None:
    """Each placeholder becomes the ISO date; other text stays."""
    day = dt.date(2026, 1, 2)

    assert expand_date("{date}/a-{date}.csv", day) == "2026-01-02/a-2026-01-02.csv"
    assert expand_date("a/b.csv", day) == "a/b.csv"


def test_the_hash_depends_on_values_alone(tmp_path: Path) -> None:
    """Order of keys and written defaults leave it; every value changes it."""
    spelled = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed((LEAST | {"timezone": "Asia/Shanghai"}).items())
    }
    path = tmp_path / "night.yaml"
    path.write_text(json.dumps(spelled), encoding="utf-8")
    first = config_hash(as_config(LEAST))

    assert re.fullmatch("[0-9a-f]{64}", first)
    assert config_hash(as_config(spelled)) == config_hash(load_config(path)) == first
    others = [
        (("policy", 0, "cap", "rate"), 0.031),
        (("policy", 0, "carriers"), ["yunda", "zhongtong"]),
        (("timezone",), "UTC"),
        (("solver", "num_threads"), 2),
    ]
    hashes = {config_hash(as_config(changed(*other))) for other in others}
    assert len(hashes | {first}) == 5


def test_the_record_of_a_configuration_reads_back_as_itself() -> None:
    """What goes into a night's record is the whole configuration, exactly."""
    config = load_config("configs/nightly.yaml")
    record = json.loads(json.dumps(config_json(config)))

    assert as_config(record) == config
    assert record["policy"][0]["cap"]["rate"] == "0.03"


def test_a_file_that_has_not_changed_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its bytes, not its times; each name has its own, and the environment none."""
    path, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    given = LEAST | {"state": {"url": "postgresql://${HOST}/state"}}
    text = json.dumps(given | {"timezone": "UTC"})
    for each in path, other:
        each.write_text(text, encoding="utf-8")
    monkeypatch.setenv("HOST", "one")
    made = as_config(path)
    monkeypatch.setenv("HOST", "two")
    assert as_config(str(path)) is made
    assert "${HOST}" in str(made.state)
    assert [as_config(each).origin.name for each in (path, other)] == [
        *(str(path), str(other))
    ]

    before = path.stat()
    path.write_text(text.replace('"UTC"', '"GMT"'), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert as_config(path).timezone == "GMT"
    for _ in range(2):
        path.write_text("{", encoding="utf-8")
        with pytest.raises(ConfigError, match="YAML"):
            as_config(path)
    path.write_text(text, encoding="utf-8")
    assert as_config(path) is made
    assert load_config(path) is not made, "who loads it has one of his own"
