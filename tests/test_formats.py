"""Nights that older versions published are explained, compared, healed and proved."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from optimizer import verify_run
from optimizer.contracts.run_folder import SCHEMA_VERSION
from optimizer.errors import DataError
from tests.support.small_night import Call, call

Forgery = Callable[[Path], None]
HERE = Path(__file__).parent / "formats"
PROJECTS = sorted(path.name for path in HERE.iterdir() if path.is_dir())
NIGHTS = [
    (project, f"{output}/{day}")
    for project in PROJECTS
    for output in ("runs", "packed")
    for day in ("2026-11-22", "2026-11-23")
    if f"{output}/{day} " in (HERE / project / "links.txt").read_text()
]


@pytest.fixture
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of an old project, in another place than it was made in."""
    target = tmp_path / "project"
    shutil.copytree(HERE / request.param, target)
    # A source distribution holds no links, so they stand in a list.
    for line in (target / "links.txt").read_text().splitlines():
        link, leads_to = line.split(" ")
        (target / link).symlink_to(leads_to)
    monkeypatch.chdir(target)
    return target


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line; anything but the exit code that is due is a failure."""

    def command(*words: object, code: int = 0) -> Call:
        said = call(monkeypatch, capsys, *words)
        assert said.code == code, said.out + said.err
        return said

    return command


def first_of(night: str, reason: str) -> str:
    decisions = pl.read_parquet(f"{night}/decisions.parquet")
    return decisions.filter(pl.col("reason") == reason)["order_id"][0]


def test_every_format_is_here() -> None:
    """
    A record's format that no folder has could be read by chance alone.

    Nights of the present format are published by all other tests.
    """
    formats = {
        json.loads(path.read_text())["schema_version"]
        for path in HERE.glob("*/runs/.versions/*/*/run.json")
    }
    assert formats == {*range(1, SCHEMA_VERSION)}
    assert len(NIGHTS) == 10


@pytest.mark.slow
@pytest.mark.parametrize(("project", "night"), NIGHTS, indirect=["project"])
def test_an_old_night_is_explained(project: Path, night: str, say) -> None:
    """Orders in and out, a merchant, a lane, the night, in both languages."""
    for reason in ("CHOSEN", "NO_SAVING", "CAPACITY_FULL"):
        decisions = pl.read_parquet(f"{night}/decisions.parquet")
        if reason in decisions["reason"]:
            for language in ("en", "zh"):
                order = first_of(night, reason)
                assert order in say("explain", night, order, "--language", language).out
    merchant = pl.read_parquet(f"{night}/merchants.parquet")["merchant_id"][0]
    assert "slots are used" in say("explain", night, "--merchant", merchant).out
    assert "slots are used" in say("explain", night, "--lane", "yunda").out
    found = json.loads(say("explain", night, "--json").out)
    saved = json.loads(Path(night, "run.json").read_text())["summary"]["saving_cny"]
    assert found["saving_cny"] == pytest.approx(saved)


@pytest.mark.parametrize("project", ["before_evidence", "format_1"], indirect=True)
def test_a_margin_of_old_is_no_exact_amount(project: Path, say) -> None:
    """Before format 2 margins came from the lowest prices: what they say is a bound."""
    night = "runs/2026-11-22"
    order = first_of(night, "CAPACITY_FULL")
    assert "would need at least" in say("explain", night, order).out
    found = json.loads(say("explain", night, order, "--json").out)
    assert found["margin_cny"] is None
    assert found["margin_high_cny"] < 0


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_old_nights_are_compared(project: Path, say) -> None:
    """Two nights of an old format, and each with itself."""
    say("diff", "runs/2026-11-22", "runs/2026-11-22")
    assert (
        "its merchant's cap changed: 1"
        in say("diff", "runs/2026-11-22", "runs/2026-11-23").out
    )


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_an_old_project_goes_on(project: Path, say) -> None:
    """
    The next date is published on top of old nights whose caps it carries on, the state
    is healed, the chain holds, and the evidence of an old night's order with it.
    """
    shutil.copytree("data/nights/2026-11-22", "data/nights/2026-11-24")
    say("run", "--config", "premium.yaml", "--date", "2026-11-24")
    assert say("verify", "runs/2026-11-24").out.startswith("runs/2026-11-24: holds")
    assert "3 links" in say("audit", "--config", "premium.yaml").out
    order = first_of("runs/2026-11-22", "CHOSEN")
    said = say("evidence", order, "--config", "premium.yaml", "--date", "2026-11-22")
    assert "holds" in said.out
    say("status", "--config", "premium.yaml")


@pytest.mark.parametrize("project", ["format_2"], indirect=True)
def test_a_night_that_cannot_be_read_stops_no_other(
    project: Path, say, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A damaged old night is told and left; dates that count on it are refused with its
    name, and dates that do not are published.
    """
    settings = yaml.safe_load(Path("premium.yaml").read_text())
    shutil.copytree("data/nights/2026-11-22", "data/nights/2026-11-24")
    (table,) = Path("runs/.versions/2026-11-23").glob("*/decisions.parquet")
    bank = table.with_name("bank.parquet")
    bank.chmod(0o600)
    bank.write_bytes(bank.read_bytes()[:-9])
    for path in Path("runs").glob(".state.sqlite*"):
        path.unlink()
    said = say("run", "--config", "premium.yaml", "--date", "2026-11-24", code=3)
    assert "2026-11-24 counts on the night of 2026-11-23" in said.err
    settings["policy"][0]["cap"]["rounding"] = "floor"
    Path("premium.yaml").write_text(yaml.safe_dump(settings))
    say("run", "--config", "premium.yaml", "--date", "2026-11-24")
    assert "the night of 2026-11-23 cannot be read" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("project", ["before_evidence", "format_2"], indirect=True)
@pytest.mark.parametrize("key", ["summary", "certificate", "run_measurements", "all"])
def test_a_damaged_record_is_no_bug(project: Path, say, key: str) -> None:
    """`runs` lists the others; `status` and `audit` say what is wrong, no trace."""
    folder = Path("runs/2026-11-22").resolve()
    record = json.loads((folder / "run.json").read_text())
    for value in ({}, "x", None, 3):
        _write(folder, record | {key: value} if key != "all" else {"x": value})
        listed = say("runs", "--config", "premium.yaml").out.splitlines()
        assert "run.json: " in listed[0]
        assert listed[1].startswith("2026-11-23  27 of 300 orders")
        said = say("status", "--config", "premium.yaml", "2026-11-22", code=3)
        assert "run.json: is not" in said.err
        is_known = project_has_chain(project)
        is_missed = not is_known and key == "all"
        say("audit", "--config", "premium.yaml", code=4 if is_known or is_missed else 0)


def project_has_chain(project: Path) -> bool:
    return (project / "runs/.evidence.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("project", "night"), NIGHTS, indirect=["project"])
def test_an_old_night_is_proved(project: Path, night: str, say) -> None:
    """In another place, from the inputs beside it, by what its format had."""
    assert say("verify", night).out.startswith(f"{night}: holds")
    say("prices", night, code=0 if night.startswith("runs") else 4)


@pytest.mark.parametrize("project", ["before_evidence"], indirect=True)
@pytest.mark.slow
def test_what_a_format_cannot_prove_is_named(project: Path, say) -> None:
    """The oldest nights say what they had nothing to prove by; no later one does."""
    found = json.loads(say("verify", "runs/2026-11-23", "--json").out)
    missing = {text.partition(":")[0] for text in found["unchecked"]}
    assert missing == {
        *("nights.parquet", "figures.parquet", "evidence.txt", "decisions.parquet"),
        *("commitments.parquet", "report.html", "assumptions"),
    }


@pytest.mark.parametrize("project", ["before_evidence"], indirect=True)
def test_nights_of_before_the_chain_are_no_forgery(project: Path, say) -> None:
    """Without a chain nothing is proved and nothing false; the next run begins it."""
    before = say("audit", "--config", "premium.yaml").out
    assert before.count("is of before the chain of evidence") == 2
    assert "there is no chain of evidence yet" in before
    order = first_of("runs/2026-11-22", "CHOSEN")
    said = say("evidence", order, "--config", "premium.yaml", code=2)
    assert "of before there was a chain" in said.err


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_a_night_is_made_again_in_its_own_format_alone(project: Path) -> None:
    """An older night is refused, with what proves it, and not called false."""
    with pytest.raises(DataError, match="`optimizer verify` proves it"):
        verify_run("runs/2026-11-22")


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_keys_of_a_later_version_are_no_difference(project: Path, say) -> None:
    """The reader's configuration is the recorded one; another rule is a difference."""
    say("verify", "runs/2026-11-22", "--config", "premium.yaml")
    text = Path("premium.yaml").read_text()
    Path("other.yaml").write_text(text.replace("0.13", "0.12"))
    said = say("verify", "runs/2026-11-22", "--config", "other.yaml", code=4)
    assert "cap.rate is" in said.out


@pytest.mark.parametrize("project", ["format_1"], indirect=True)
def test_evidence_says_of_a_margin_what_explain_says(project: Path, say) -> None:
    """A margin that is a bound alone is called so in the order's evidence too."""
    order, night = first_of("runs/2026-11-22", "CHOSEN"), "runs/2026-11-22"
    words = say("explain", night, order).out.partition(": ")[2].strip()
    config = ("--config", "premium.yaml", "--date", "2026-11-22")
    assert "at least" in words
    assert words in say("evidence", order, *config).out


def _change(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Forgery:
    """Change a table, and the record with it, as somebody with an editor would."""

    def forge(folder: Path) -> None:
        table, record = folder / name, json.loads((folder / "run.json").read_text())
        table.chmod(0o600)
        change(pl.read_parquet(table)).write_parquet(table)
        digest = hashlib.sha256(table.read_bytes()).hexdigest()
        record["outputs"][name]["sha256"] = digest
        _write(folder, record)

    return forge


def _say(*keys: str, value: object) -> Forgery:
    def forge(folder: Path) -> None:
        record = json.loads((folder / "run.json").read_text())
        part = record
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        _write(folder, record)

    return forge


def _write(folder: Path, record: dict[str, object]) -> None:
    (folder / "run.json").chmod(0o600)
    (folder / "run.json").write_text(json.dumps(record))


def _first(wanted: str, **changes: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Change the first decision of a reason."""
    number = (pl.col("reason") == wanted) & (
        (pl.col("reason") == wanted).cum_sum() == 1
    )
    return lambda table: table.with_columns(
        pl.when(number).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in changes.items()
    )


_FORGED = {
    "a chosen order is left out": _change(
        "decisions.parquet", _first("CHOSEN", is_premium=False, reason="CAP_FULL")
    ),
    "an order is chosen": _change(
        "decisions.parquet",
        _first("CAPACITY_FULL", is_premium=True, reason="CHOSEN", carrier_id="yunda"),
    ),
    "a saving is higher": _change(
        "decisions.parquet", _first("CHOSEN", saving_cny=99.0)
    ),
    "a reason is another": _change(
        "decisions.parquet", _first("NO_SAVING", reason="CAP_FULL")
    ),
    "a cap is higher": _change(
        "merchants.parquet",
        lambda table: table.with_columns(pl.col("cap", "slack") + 1),
    ),
    "a slot price is lower": _change(
        "lanes.parquet",
        lambda table: table.with_columns(pl.col("shadow_price_cny") / 2),
    ),
    "the bank carried in more": _change(
        "bank.parquet",
        lambda table: table.with_columns(pl.col("carried_in_nano", "room_nano") + 7),
    ),
    "an order is recommended twice": _change(
        "recommendations.parquet", lambda table: pl.concat([table, table[:1]])
    ),
    "a slot is taken elsewhere": _change(
        "commitments.parquet",
        lambda table: table.with_columns(region_id=pl.lit("nowhere")),
    ),
    "parcels are in flight": _change(
        "in_flight.parquet",
        lambda table: pl.DataFrame(
            [("yunda", None, None, None, 1)], table.schema, orient="row"
        ),
    ),
    "the sum is higher": _say("summary", "saving_cny", value=99.0),
    "the bound is higher": _say("certificate", "dual_bound", value=99_000_000),
    "a later figure is made up": _say("summary", "reasons", "EXPLORED", value=3),
    "a key is made up": _say("approved_by", value="nobody"),
    "inputs are from elsewhere": _say("origins", value={"orders": "s3://other"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("forgery", _FORGED)
@pytest.mark.parametrize("project", ["before_evidence"], indirect=True)
def test_a_forged_old_night_does_not_hold(project: Path, say, forgery: str) -> None:
    """By what the oldest format can prove, a change of any table or figure is seen."""
    _FORGED[forgery](Path("runs/2026-11-23").resolve())
    found = say("verify", "runs/2026-11-23", "--json", code=4)
    assert json.loads(found.out)["findings"]


@pytest.mark.parametrize("project", ["format_2"], indirect=True)
def test_a_night_is_no_older_than_it_is(project: Path, say) -> None:
    """A record that leaves its evidence out, to have less to prove, does not hold."""
    folder = Path("runs/2026-11-23").resolve()
    record = json.loads((folder / "run.json").read_text())
    del record["evidence"], record["origins"]
    (folder / "evidence.txt").unlink()
    for version in (1, 2, 3):
        _write(folder, record | {"schema_version": version})
        say("verify", "runs/2026-11-23", code=4)
