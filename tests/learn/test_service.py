"""An export that does not say who got premium, of nights that gave it to some."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import optimizer
from optimizer.contracts.warnings import CodedWarning
from optimizer.errors import DataError
from optimizer.learn import decided
from optimizer.learn.base_rates import base_rates
from optimizer.learn.evaluation import Evaluation
from optimizer.learn.history import read_history
from optimizer.learn.learned import Learned
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

AS_OF = DAY + dt.timedelta(40)
#: The last two of the ten nights of an export.
PUBLISHED = [DAY + dt.timedelta(number) for number in (8, 9)]
PRIOR = {"effect": 0.3}
DECIDED = ["is_premium", "propensity", "arm"]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Outcomes of ten nights without the service; two of these lie in ``runs``."""
    monkeypatch.chdir(tmp_path)
    rows = outcomes(2_000, seed=1).with_columns(saving_cny=pl.lit(1.0))
    for day in PUBLISHED:
        publish(rows, day, Path("runs"))
    return rows.drop(*DECIDED, "saving_cny", "delivered_to_door")


def publish(rows: pl.DataFrame, day: dt.date, runs: Path) -> None:
    """Lay down what of a published night is read here."""
    version = runs / ".versions" / day.isoformat() / "first"
    version.mkdir(parents=True)
    decided = rows.filter(pl.col("date") == day)
    decided = decided.select("order_id", *DECIDED, "saving_cny")
    decided.write_parquet(version / "decisions.parquet")
    (version / "_SUCCESS").touch()
    (version / "run.json").write_text(json.dumps({}))
    (runs / day.isoformat()).symlink_to(version.relative_to(runs))


def record(day: dt.date, runs: Path = Path("runs"), **config: object) -> None:
    """Say by which configuration a night was decided."""
    path = runs / day.isoformat() / "run.json"
    path.write_text(json.dumps({"config": config}))


def learned(data: object, output: str | None = "runs", **more: object) -> Learned:
    """A model by a configuration that states an effect and has a folder of nights."""
    config = settings(output=output, learning={"prior": PRIOR, "models": "models"})
    return optimizer.learn_model(data, config=config, as_of=AS_OF, **more)


def test_premium_parcels_of_published_nights_are_not_taken_for_standard_ones(
    export: pl.DataFrame,
) -> None:
    """Learn and evaluate refuse, and each way on that they name leads on."""
    wanted = r"400 rows from 2026-11-09 to 2026-11-10 .*runs has published.*--runs runs"
    with pytest.raises(DataError, match=wanted) as refused:
        learned(export)
    config = settings(output="runs", learning={"prior": PRIOR})
    with pytest.raises(DataError, match=wanted):
        optimizer.evaluate(export, config=config, as_of=AS_OF)

    joined = learned(export, runs="runs")
    assert joined.model.kind == "randomised"
    found: Evaluation = optimizer.evaluate(
        export, config=config, as_of=AS_OF, runs="runs"
    )
    assert found.window["num_compared"] == 400
    assert "(--to 2026-11-08)" in str(refused.value)
    assert learned(export, last="2026-11-08").model.kind == "prior"
    told = export.with_columns(is_premium=pl.lit(value=False))
    assert learned(told).model.kind == "prior"


def test_a_base_rate_is_of_nights_before_any_premium(
    export: pl.DataFrame, tmp_path: Path
) -> None:
    """
    Dates of published nights are left out where nothing says who got premium.

    A column that says it leaves the standard parcels of all nights.
    """
    path = tmp_path / "past.parquet"
    config = settings(
        output="runs", learning={"history": str(path), "regime_breaks": []}
    )
    is_early = pl.col("date") < PUBLISHED[0]
    for rows, wanted in (
        (export, export.filter(is_early)),
        (
            export.with_columns(
                is_premium=~is_early & (pl.int_range(pl.len()) % 2 > 0)
            ),
            export.filter(is_early | (pl.int_range(pl.len()) % 2 == 0)),
        ),
    ):
        rows.write_parquet(path)
        rate = base_rates(config, AS_OF)[0]
        assert rate.num_parcels == len(wanted) < len(export)
        assert rate.rate == wanted["complaint"].mean()


def test_a_constant_says_no_parcel_s_service(export: pl.DataFrame) -> None:
    """A mapping that states it for a whole file is no column, one place or several."""
    export.write_parquet("export.parquet")
    names = {name: name for name in export.columns}
    mapped = {"columns": names, "constants": {"is_premium": "false"}}
    history = {"path": "export.parquet"} | mapped
    learning = {"prior": PRIOR, "history": history}
    config = settings(output="runs", learning=learning)
    earlier = export.filter(pl.col("date") < PUBLISHED[0])
    for data in (None, ["export.parquet", earlier]):
        with pytest.raises(DataError, match=r"--runs runs"):
            optimizer.learn_model(data, config=config, as_of=AS_OF)
    assert optimizer.learn_model(config=config, as_of=AS_OF, runs="runs").warnings


def test_runs_of_a_dated_folder_are_found_and_joined(
    export: pl.DataFrame,
) -> None:
    """What the message names for a folder with ``{date}`` is what --runs reads."""
    rows = outcomes(2_000, seed=1).with_columns(saving_cny=pl.lit(1.0))
    for day in PUBLISHED:
        publish(rows, day, Path("by", day.isoformat()))
    with pytest.raises(DataError, match=r"\(--runs by/\{date\}\)"):
        learned(export, output="by/{date}")
    model = learned(export, output="by/{date}", runs="by/{date}").model
    assert model.kind == "randomised"


def test_copies_of_nights_are_joined_without_their_links(export: pl.DataFrame) -> None:
    """A copy has folders where the dates' links were."""
    shutil.copytree("runs", "copies")
    assert not Path("copies", str(PUBLISHED[0])).is_symlink()
    window = Window(AS_OF, runs=Path("copies"))
    rows = read_history(export, settings(), window).rows
    assert rows["propensity"].is_not_null().sum() == 400


def test_parcels_later_than_a_model_of_premium_ones_are_told(
    export: pl.DataFrame,
) -> None:
    """
    Nights that are not here: a model that measured premium says that there were some.

    Nothing is said of older parcels, beside a model of what was stated, or of outcomes
    that have the service.
    """
    elsewhere = Path("elsewhere")
    Path("runs").rename(elsewhere)
    assert _untold(learned(export)) == []
    before = learned(export, runs=elsewhere, last="2026-11-09")
    learned(export).save("models")
    assert _untold(learned(export)) == []
    before.save("models")
    (told,) = _untold(learned(export))
    values = dict(told.values)
    assert (values["num_parcels"], values["last_date"]) == (200, "2026-11-09")
    assert "--runs FOLDER" in str(told)
    assert _untold(learned(export, last="2026-11-09")) == []
    assert _untold(learned(export, runs=elsewhere)) == []
    assert _untold(learned(export.with_columns(is_premium=pl.lit(value=False)))) == []


def test_a_model_that_only_counted_premium_parcels_tells_later_ones(
    export: pl.DataFrame,
) -> None:
    """
    Premium parcels that nobody left to chance and no carrier scanned: what was stated
    decides, no promise counts them, and later parcels are told all the same.
    """
    Path("runs").rename("elsewhere")
    chosen = outcomes(2_000, seed=1).drop("delivered_to_door")
    chosen = chosen.with_columns(propensity=pl.col("is_premium").cast(pl.Float64))
    before = learned(chosen, last="2026-11-09").model
    assert before.kind == "prior"
    assert [one.num_premium for one in before.promises] == [0]
    is_early = pl.col("date") <= PUBLISHED[0]
    assert before.num_premium == int(chosen.filter(is_early)["is_premium"].sum())
    assert learned(outcomes(2_000, seed=1)).model.num_premium is None
    learned(chosen, last="2026-11-09").save("models")
    (told,) = _untold(learned(export))
    assert told.values["num_parcels"] == 200


def _untold(found: Learned) -> list[CodedWarning]:
    return [told for told in found.warnings if told.code == "SERVICE_IS_NOT_TOLD"]


def test_decisions_are_joined_the_same_in_parts_of_any_size(
    export: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Parts of seven decisions and exports that come in several batches give the rows that
    whole nights give, and no part is larger or has a column that nobody asked for.
    """
    mixed = export.sample(fraction=1.0, shuffle=True, seed=2)
    window = Window(AS_OF, runs=Path("runs"))
    whole = read_history(mixed, settings(), window).rows
    assert whole["propensity"].is_not_null().sum() == 400
    mixed.write_parquet("mixed.parquet", row_group_size=60)
    monkeypatch.setattr(decided, "_NUM_ROWS", 7)
    monkeypatch.setattr(decided, "_NUM_JOINED", 150)
    assert_frame_equal(read_history("mixed.parquet", settings(), window).rows, whole)
    parts = [*decided._decisions(Path("runs", str(PUBLISHED[0])), PUBLISHED[0])]
    assert sum(map(len, parts)) == 200
    assert max(map(len, parts)) == 7
    names = {"order_id", "date", *(f"decided.{name}" for name in decided.DECIDED)}
    assert {*parts[0].columns} == names


def test_decisions_that_are_damaged_are_told(export: pl.DataFrame) -> None:
    """A night that is cut short is named, and not joined as far as it goes."""
    path = Path("runs", str(PUBLISHED[1]), "decisions.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=str(PUBLISHED[1])):
        learned(export, runs="runs")


def test_outcomes_that_contradict_the_nights_they_are_joined_to_are_refused(
    export: pl.DataFrame,
) -> None:
    """Own words that agree are no harm; another folder with the same ids is one."""
    rows = outcomes(2_000, seed=1).with_columns(saving_cny=pl.lit(1.0))
    assert learned(rows, runs="runs").model.kind == "randomised"
    first = rows.filter(pl.col("date") == PUBLISHED[1]).row(3, named=True)
    is_changed = pl.col("order_id") == first["order_id"]
    changed = rows.with_columns(is_premium=pl.col("is_premium") ^ is_changed)
    wanted = f"1 row of 400 .*order {first['order_id']} of 2026-11-10.*leave the column"
    with pytest.raises(DataError, match=wanted):
        learned(changed, runs="runs")
    config = settings(output="runs", learning={"prior": PRIOR})
    with pytest.raises(DataError, match=wanted):
        optimizer.evaluate(changed, config=config, as_of=AS_OF, runs="runs")
    assert learned(changed.drop("is_premium"), runs="runs").model.kind == "randomised"


@pytest.mark.parametrize(
    "config",
    [
        {"holdout": {"share": "0.2", "explore_share": "0"}},
        {"holdout": {"share": "0", "explore_share": "0.1"}},
        {"holdout": {"share": "0"}, "objective": {"explore": "thompson"}},
    ],
)
def test_a_forgotten_folder_of_nights_is_named(
    export: pl.DataFrame, config: dict[str, object]
) -> None:
    """
    An export that says the service and no propensity, of nights that left parcels to
    chance: learn and evaluate refuse and name the folder, and joined to it the parcels
    are randomised. No model of the prior is made of them.
    """
    told = export.with_columns(is_premium=outcomes(2_000, seed=1)["is_premium"])
    record(PUBLISHED[0], **config)
    wanted = "200 rows from 2026-11-09 to 2026-11-09 .* left parcels to chance.*--runs"
    settled = settings(output="runs", learning={"prior": PRIOR})
    for measure in (
        learned,
        lambda data: optimizer.evaluate(data, config=settled, as_of=AS_OF),
    ):
        with pytest.raises(DataError, match=wanted):
            measure(told)
    assert learned(told, runs="runs").model.kind == "randomised"
    assert learned(told, last="2026-11-08").model.kind == "prior"
    record(PUBLISHED[0], holdout={"share": "0", "explore_share": "0"})
    assert learned(told).model.kind == "prior"
