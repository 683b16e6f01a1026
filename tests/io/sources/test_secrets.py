"""Secrets come from the environment and go nowhere: not even when things fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.config import as_config
from optimizer.config.address import fill_address, parse_address
from optimizer.errors import ConfigError
from optimizer.io.sources.faults import reason_of
from tests.support.places import SENTINEL, Place, in_postgres
from tests.support.small_night import DAY, SmallNight, call


def test_no_output_of_a_night_holds_a_secret(
    night: SmallNight,
    environment: None,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Inputs and copies with credentials: no file, log or line of output has them."""
    caplog.set_level("DEBUG")
    for name in ("orders", "merchants"):
        place.put(name, night.read(name))
    inputs = {name: place.address(name) for name in ("orders", "merchants")}
    inputs = night.settings()["inputs"] | inputs
    login = "postgresql://night:${PGPASSWORD}@${PG_SERVER}/shop?table=secret_copy"
    outputs = [{"table": "recommendations", "to": login}]
    night.configure(inputs=inputs, outputs=outputs)
    words = ("--config", night.config, "--date", DAY)
    said = [call(monkeypatch, capsys, "validate", *words)]
    said += [call(monkeypatch, capsys, "run", *words, "--json")]
    said += [call(monkeypatch, capsys, "deliver", DAY, *words[:2], "--again")]
    said += [call(monkeypatch, capsys, "verify", night.run_dir)]

    assert [left.code for left in said] == [0, 0, 0, 0]
    _nowhere(night.folder, *(left.out + left.err for left in said), caplog.text)


FAILING = [
    "postgresql://night:${PGPASSWORD}@127.0.0.1:1/shop?table=t",
    "postgresql://nobody:${PGPASSWORD}@${PG_SERVER}/shop?table=t",
    "postgresql://night:${PGPASSWORD}@${PG_SERVER}/shop?table=nowhere",
    "postgresql://night:${PGPASSWORD}@no.such.host.invalid/shop?table=t",
    "postgresql://night:${PGPASSWORD}@${PG_SERVER}/shop?query=select 1/0 as m",
    "s3://nobucket/x.parquet",
    "delta+s3://nobucket/x",
]


#: A table is made where there is none, and a query is no output.
USES = [("input", address) for address in FAILING]
USES += [("output", a) for a in FAILING if "query" not in a and "nowhere" not in a]


@pytest.mark.parametrize(("use", "address"), USES)
def test_no_failure_holds_a_secret(
    environment: None,
    night: SmallNight,
    use: str,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every way to fail says something else than the secret, in one line."""
    caplog.set_level("DEBUG")
    if use == "input":
        inputs = night.settings()["inputs"] | {"merchants": address}
        night.configure(inputs=inputs)
    else:
        to = address.replace("/x.parquet", "/{date}.parquet")
        night.configure(outputs=[{"table": "lanes", "to": to}])
    left = call(monkeypatch, capsys, "run", "--config", night.config, "--date", DAY)

    assert left.code in {3, 75}
    assert left.err.startswith("error: ")
    assert left.err.count("\n") == 1
    _nowhere(night.folder, left.out + left.err, caplog.text)


def _nowhere(folder: Path, *texts: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert SENTINEL.encode() not in path.read_bytes(), path
    for text in texts:
        assert SENTINEL not in text


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://night:{SENTINEL}@db/shop?table=t",
        f"postgresql://night:{SENTINEL}/x@db/shop?table=t",
        f"postgresql://night:12?{SENTINEL}@db/shop?table=t",
        f"postgresql://db/shop?table=t&password={SENTINEL}",
        f"postgresql://db/shop?table=t&{SENTINEL}",
        f"postgresql://night:x{SENTINEL}${{PGPASSWORD}}@db/shop?table=t",
        f"s3://AKIA:{SENTINEL}@bucket/orders.parquet",
        f"s3://AKIA:{SENTINEL}/+x@bucket/orders.parquet",
        f"s3://bucket/orders.parquet?secret={SENTINEL}",
        f"delta+s3://AKIA:{SENTINEL}@bucket/orders",
        f"delta:///orders?token={SENTINEL}",
        f"duckdb://{SENTINEL}@/x.db?table=t",
        f"mysql://night:{SENTINEL}@db/shop?table=t",
        f" postgresql://night:{SENTINEL}@db/shop?table=t",
    ],
)
def test_a_secret_that_is_written_out_is_refused_unseen(
    address: str, tmp_path: Path
) -> None:
    """The configuration is refused, and the message does not repeat the secret."""
    policy = {"valid_from": "2022-01-12", "cap": {"rate": 0.03}, "carriers": ["yunda"]}
    config = {
        "version": 1,
        "policy": [policy | {"fee": {"amount_cny": 0.8}}],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
    }
    inputs = {"inputs": {"orders": address, "capacity": "capacity.csv"}}
    for part in (
        inputs,
        {"outputs": [{"table": "lanes", "to": address}]},
        {"output": address},
        {"outbox": [{"platform": "jd", "format": "csv", "to": address}]},
    ):
        with pytest.raises(ConfigError) as refused:
            as_config(config | part)
        assert SENTINEL not in str(refused.value)


def test_a_password_of_any_letters_is_sent_as_it_is() -> None:
    """Letters that mean something in an address are escaped, and scrubbed."""
    found = parse_address("postgresql://night:${P}@db/shop?table=t")
    filled = fill_address(found, {"P": "p@ss/w:rd?#%"})
    assert filled.password == "p@ss/w:rd?#%"
    assert filled.label == "postgresql://db/shop?table=t"
    said = "no login as night:p@ss/w:rd?#% or p%40ss%2Fw%3Ard%3F%23%25"
    assert reason_of(OSError(said), [filled.password]) == "no login as night:*** or ***"


def test_the_driver_gets_the_password_from_the_environment(
    environment: None, night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGPASSWORD alone, and a variable of another name, both open the database."""
    in_postgres().put("merchants", night.read("merchants"))
    inputs = night.settings()["inputs"]
    address = "postgresql://${WHO}@${PG_SERVER}/shop?table=merchants"
    monkeypatch.setenv("WHO", "night")
    night.configure(inputs=inputs | {"merchants": address})
    night.run()
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("OTHER_SECRET", SENTINEL)
    address = "postgresql://night:${OTHER_SECRET}@${PG_SERVER}/shop?table=merchants"
    night.configure(inputs=inputs | {"merchants": address})
    assert night.run(is_forced=True).outcome == "published"
