"""What `optimizer validate` refuses as a run does, and what it shows."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer import solvers
from optimizer.config import load_config
from optimizer.night.past_nights import rollback
from tests.support.small_night import DAY, Call, SmallNight, call
from tests.support.small_night import snapshot as files_of

Spoil = Callable[[SmallNight], None]
ROOM = Path(optimizer.__file__).parent
NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line in this process."""
    return lambda *words: call(monkeypatch, capsys, *words)


def configured(**keys: Any) -> Spoil:
    return lambda night: night.configure(**keys)


def without(key: str) -> Spoil:
    def spoil(night: SmallNight) -> None:
        settings = night.settings()
        del settings[key]
        night.config.write_text(json.dumps(settings))

    return spoil


def with_policy(**keys: Any) -> Spoil:
    def spoil(night: SmallNight) -> None:
        night.configure(policy=[night.settings()["policy"][0] | keys])

    return spoil


def with_columns(table: str, **columns: pl.Expr) -> Spoil:
    return lambda night: night.write(table, night.read(table).with_columns(**columns))


def together(*spoils: Spoil) -> Spoil:
    def spoil(night: SmallNight) -> None:
        for each in spoils:
            each(night)

    return spoil


def late(night: SmallNight) -> None:
    night.input("orders").unlink()
    night.configure(inputs=night.settings()["inputs"] | {"wait_minutes": 0.0001})


def without_links(night: SmallNight) -> None:
    night.run_dir.unlink()


def without_chain(night: SmallNight) -> None:
    """Publish a second version, which names the head before it; lose the chain."""
    night.configure(holdout={"share": 0.1})
    night.run(is_forced=True)
    for name in (".state.sqlite", ".evidence.jsonl"):
        (night.runs / name).unlink()


def of_another_folder(night: SmallNight) -> None:
    state = night.runs / ".state.sqlite"
    other = night.folder / "other"
    other.mkdir()
    shutil.copy(state, other / ".state.sqlite")
    night.configure(output="other")


def after_a_damaged_night(night: SmallNight) -> None:
    """Let the night be of the day after, which counts on it, and cut its bank off."""
    shutil.copytree(night.input("orders").parent, night.folder / "nights" / str(NEXT))
    with_policy(cap={"rate": 0.03, "rounding": "carryover"})(night)
    (night.run_dir / "bank.parquet").write_bytes(b"PAR1")
    (night.runs / ".state.sqlite").unlink()


def with_deliveries(*statuses: str | None) -> Spoil:
    def spoil(night: SmallNight) -> None:
        path = night.folder / "deliveries.parquet"
        rows = {"order_id": ["a"] * len(statuses), "status": statuses, "date": DAY}
        kinds = {"order_id": pl.String, "status": pl.String, "date": pl.Date}
        pl.DataFrame(rows, schema=kinds).write_parquet(path)
        night.configure(inputs=night.settings()["inputs"] | {"deliveries": str(path)})

    return spoil


def of_parcels_not_in_flight(night: SmallNight) -> None:
    """Let a night have parcels in flight, and the next be told of others."""
    configured(capacity={"counted_on": "delivery", "lead_days": 1})(night)
    night.run(is_forced=True)
    nights = night.folder / "nights"
    shutil.copytree(nights / str(DAY), nights / str(NEXT))
    with_deliveries("delivered")(night)
    configured(lookups={"refuse_below": 0.5})(night)


PINNED = with_columns(
    "orders", pin=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("must"))
)
FLOOR = with_columns("capacity", min_parcels=pl.lit(1))
#: What runs refuse before they solve, beside broken tables (those are in
#: tests/test_bad_input.py): how, the exit code, some words, and the words of the call.
REFUSED: dict[str, tuple[Spoil, int, str, tuple[object, ...]]] = {
    "no inputs": (without("inputs"), 2, "needs inputs and output", ()),
    "no output": (without("output"), 2, "needs inputs and output", ()),
    "no rules yet": (
        with_policy(valid_from="2027-01-01"),
        2,
        "no policy row is in force",
        (),
    ),
    "late": (late, 75, "inputs of 2026-11-22 are late", ()),
    "published from other inputs": (
        configured(objective={"complaint_cost_cny": 31, "return_cost_cny": 18}),
        2,
        "is already published, and the configuration changed since",
        (),
    ),
    "no model": (configured(model="models/none"), 2, "no such file", ("--force",)),
    "broken deliveries": (
        with_deliveries(None),
        3,
        "deliveries.parquet: 1 of 1 row break",
        ("--force",),
    ),
    "deliveries of nobody": (
        of_parcels_not_in_flight,
        3,
        "lookups.refuse_below is 0.5",
        ("--date", NEXT),
    ),
    "a method for lanes alone": (
        together(PINNED, configured(solver={"method": "greedy"})),
        4,
        "takes one slot for each parcel on nested lanes only",
        ("--force",),
    ),
    "floors and an explore arm": (
        together(FLOOR, configured(holdout={"explore_share": 0.1})),
        2,
        "holdout.explore_share, objective.explore: what explores takes its slots",
        ("--force",),
    ),
    "pins and a holdout": (
        together(PINNED, configured(holdout={"share": 0.1})),
        2,
        "holdout.share: parcels kept back at random",
        ("--force",),
    ),
    "links that are lost": (without_links, 2, "the links of 2026-11-22 are lost", ()),
    "a chain that is lost": (without_chain, 2, "the chain of evidence is lost", ()),
    "a state of another folder": (of_another_folder, 2, "never had the 1 nights", ()),
    "an earlier night that is damaged": (
        after_a_damaged_night,
        3,
        "2026-11-23 counts on the night of 2026-11-22, which cannot be read",
        ("--date", NEXT),
    ),
}


def plain(words: str) -> str:
    """A message without how long was waited: a check does not wait."""
    return words.replace("waited 0.0001 minutes", "waited 0 minutes")


@pytest.mark.parametrize("name", REFUSED)
def test_a_check_refuses_what_a_run_refuses(
    published: SmallNight, cli: Callable[..., Call], name: str
) -> None:
    """The same sentence, the same exit code, nothing on stdout; and nothing written."""
    spoil, code, says, words = REFUSED[name]
    spoil(published)
    given = ("--config", "config.yaml", *(words if "--date" in words else ()))
    given += () if "--date" in words else ("--date", DAY, *words)
    before = files_of(published.folder)
    checked = cli("validate", *given)
    assert files_of(published.folder) == before
    ran = cli("run", *given)
    assert (ran.code, says in ran.err) == (code, True), ran
    assert (checked.code, checked.err, checked.out) == (code, plain(ran.err), "")


@pytest.mark.slow
def test_a_night_that_later_ones_count_on_is_not_checked_for_replacement(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """With --force, as a run: fractions that later nights have used stay."""
    shutil.rmtree(published.runs)
    with_policy(cap={"rate": 0.03, "rounding": "carryover"})(published)
    nights = published.folder / "nights"
    shutil.copytree(nights / str(DAY), nights / str(NEXT))
    for day in (DAY, NEXT):
        assert cli("run", "--config", "config.yaml", "--date", day).code == 0
    configured(holdout={"share": 0.5})(published)
    given = ("--config", "config.yaml", "--date", DAY, "--force")
    checked, ran = cli("validate", *given), cli("run", *given)
    assert "2026-11-22 cannot be replaced: nights up to 2026-11-23" in ran.err
    assert (checked.code, checked.err) == (ran.code, ran.err)


#: Refusals that a check cannot make, by the function that has them: only writing shows.
BY_WRITING = {
    "date_lock": "holds the date",
    "disk_errors": "makes the folder of the output",
    "shared_lock": "holds the date on all hosts",
    "open_state": "makes the database",
    "upgrade": "changes its schema",
    "_refuse_newer": "read_state calls it where there is a schema",
    "try_to_write": "writes a row",
    "reconcile": "look_at refuses the same without settling",
    "mend_chain": "read_chain reads the same",
    "_made": "makes the folder of copies",
    "CheckedFiles.__init__": "an option of its own: --paranoid",
    "run": "options of its own: --shadow",
    "_changes": "options of its own: --only-changes",
    "run_date": "options of its own: --previous",
    "_previous_folder": "the same",
    "run_night": "_refuse_published refuses the same",
}
ERRORS = {"ConfigError", "DataError", "SolveError", "BusyError", "PublishError"}


@contextmanager
def functions_called(until: str = "") -> Iterator[set[CodeType]]:
    """Our functions that this thread calls, up to one that solves."""
    seen: set[CodeType] = set()
    is_over = False

    def note(frame: Any, event: str, _argument: object) -> None:
        nonlocal is_over
        code = frame.f_code
        if event != "call" or is_over or str(ROOM) not in code.co_filename:
            return
        is_over = bool(until) and code.co_qualname == until
        seen.add(code)

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def refusing(codes: set[CodeType]) -> dict[str, str]:
    """Those that may raise a refusal, with the file of each."""
    return {
        code.co_qualname: Path(code.co_filename).name
        for code in codes
        if ERRORS & {*code.co_names}
    }


def rich(night: SmallNight) -> None:
    """Ask for most of what a night can have, so that most refusals are asked."""
    with_policy(
        cap={"rate": 0.05, "rounding": "carryover"},
        eligibility=[{"column": "region_id", "is": "nowhere", "reason": "no"}],
    )(night)
    with_deliveries("delivered")(night)
    orders = night.read("orders").with_columns(pin=pl.lit(None, pl.String))
    night.write("orders", orders)
    night.configure(
        capacity={
            "counted_on": "ship",
            "lead_days": 1,
            "peaks": [{"from": str(DAY), "to": str(DAY), "factor": 2}],
        },
        null_words=["NULL"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [lambda _: None, rich], ids=["plain", "rich"])
def test_every_refusal_before_the_solve_is_asked_by_a_check(
    inputs_only: SmallNight, cli: Callable[..., Call], prepare: Spoil
) -> None:
    """
    Of our functions that a run calls before it solves, a check calls all that can
    refuse, but for those that only writing asks; a new one is held by this too.
    """
    prepare(inputs_only)
    given = ("--config", "config.yaml", "--date", DAY)
    with functions_called() as checked:
        assert cli("validate", *given).code == 0
    with functions_called(until=solvers.solve.__qualname__) as ran:
        assert cli("run", *given).code == 0
    asked = refusing(ran)
    assert len(asked) > 20
    assert {"refuse_kind", "_cap_base", "find_files"} <= {*refusing(checked)}
    missing = {name for name in asked if name not in refusing(checked)}
    assert missing <= {*BY_WRITING}, {name: asked[name] for name in missing}


def found_of(cli: Callable[..., Call], *words: object) -> dict[str, Any]:
    given = ("validate", "--config", "config.yaml", "--date", DAY, *words, "--json")
    done = cli(*given)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_merchants_and_lanes_are_those_of_the_run(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """Merchants with slots as the run counted them; demand adds up to open orders."""
    found = found_of(cli)
    record = json.loads((published.run_dir / "run.json").read_text())
    numbers, merchants = record["summary"], found["merchants"]
    with_slots = merchants["tonight"]["num_merchants_with"]
    assert with_slots == numbers["num_merchants_with_cap"]
    assert merchants["tonight"]["num_slots"] == numbers["sum_of_caps"]
    for name, counts in numbers["cap_roundings"].items():
        told = merchants["roundings"][name]
        assert told["num_slots"] == counts["num_slots"]
        assert told["num_merchants_without"] == counts["num_merchants_without"]
    decisions = pl.read_parquet(published.run_dir / "decisions.parquet")
    shut = ("INELIGIBLE", "CARRIER_INACTIVE", "QUARANTINED", "PINNED_OUT", "NO_OPTION")
    is_open = decisions.filter(~pl.col("reason").is_in(shut))
    orders = published.read("orders").join(is_open.select("order_id"), on="order_id")
    wanted = orders.group_by("carrier_id", "region_id").len()
    lanes = {
        (lane["carrier_id"], lane["region_id"]): lane
        for lane in found["capacity"]["lanes"]
    }
    narrow = {key: lane for key, lane in lanes.items() if key[1] is not None}
    for carrier, region, number in wanted.iter_rows():
        assert narrow[carrier, region]["num_orders"] == number
    short = [lane["num_short"] for lane in found["capacity"]["lanes"]]
    assert short == sorted(short, reverse=True)


def test_a_shortage_and_a_lane_without_demand_are_told(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """No slots where all orders go: first; a row for a region of nobody: named."""
    capacity = published.read("capacity")
    row = capacity.head(1).with_columns(region_id=pl.lit("nowhere"))
    published.write("capacity", pl.concat([capacity, row]))
    found = found_of(cli, "--force")
    idle = [c for c in found["capacity"]["lanes"] if not c["num_orders"]]
    assert "nowhere" in {lane["region_id"] for lane in idle}
    first = found["capacity"]["lanes"][0]
    assert first["num_short"] == first["num_orders"] - first["num_slots"] > 0
    given = ("validate", "--config", "config.yaml", "--date", DAY, "--force")
    assert "/ nowhere" in cli(*given).out


def test_probabilities_are_ranged_and_held_against_what_is_known(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """Quartiles of the table's own; a prior ten times lower is told to be far off."""
    orders = published.read("orders")
    mean = orders["complaint_prob_standard"].mean()
    odd = pl.when(pl.int_range(pl.len()) == 0).then(0.0)
    column = odd.otherwise("complaint_prob_premium")
    published.write("orders", orders.with_columns(complaint_prob_premium=column))
    low = round(mean / 10, 9)
    prior = {"effect": 0.3, "complaint_prob": low, "return_prob": 0.03}
    published.configure(learning={"prior": prior})
    found = found_of(cli, "--force")["probabilities"]
    by_column = {row["column"]: row for row in found["columns"]}
    standard = by_column["complaint_prob_standard"]
    values = orders["complaint_prob_standard"]
    assert standard["min"] == values.min()
    assert standard["median"] == values.quantile(0.5, "nearest")
    assert standard["max"] == values.max()
    assert standard["given_by"] == "table"
    odd_share = by_column["complaint_prob_premium"]["share_implausible"]
    assert odd_share >= 1 / len(orders)
    held = {row["harm"]: row for row in found["calibration"]}
    assert held["complaint"]["against"] == "prior"
    assert held["complaint"]["ratio"] == pytest.approx(10, rel=1e-4)
    given = ("validate", "--config", "config.yaml", "--date", DAY, "--force")
    assert "is far from stated in learning.prior" in cli(*given).out


def test_outcomes_give_a_rate_and_bad_ones_only_a_note(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """The share of standard parcels before the night; unreadable: the check goes on."""
    from tests.support.trial import outcomes

    past = outcomes(400)
    past.write_parquet(published.folder / "outcomes.parquet")
    published.configure(learning={"history": "outcomes.parquet"})
    held = found_of(cli, "--force")["probabilities"]["calibration"]
    standard = past.filter(~pl.col("is_premium"))
    assert [(row["against"], row["known"], row["num_parcels"]) for row in held] == [
        ("history", standard["complaint"].mean(), len(standard)),
        ("history", standard["logistics_return"].mean(), len(standard)),
    ]
    (published.folder / "outcomes.parquet").write_bytes(b"PAR1")
    found = found_of(cli, "--force")
    assert "outcomes.parquet" in found["rates_unknown"]
    assert found["probabilities"]["calibration"] == []


def test_rows_of_outcomes_that_break_a_rule_are_told_beside_the_rate(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """A row that breaks two rules counts once, and is in no rate."""
    from tests.support.trial import outcomes

    past = outcomes(400)
    broken = past.head(1).with_columns(
        date=pl.lit(None, pl.Date), complaint=pl.lit(None, pl.Boolean)
    )
    pl.concat([past, broken]).write_parquet(published.folder / "outcomes.parquet")
    published.configure(learning={"history": "outcomes.parquet"})
    held = found_of(cli, "--force")["probabilities"]["calibration"]
    num_standard = len(past.filter(~pl.col("is_premium")))
    told = {(row["num_parcels"], row["num_refused"]) for row in held}
    assert told == {(num_standard, 1)}
    given = ("validate", "--config", "config.yaml", "--date", DAY, "--force")
    assert "break a rule and do not count: 1." in cli(*given).out


def test_a_refused_row_is_shown_with_its_file_and_line(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """Lines count breaks inside of cells, blank lines and a line `sep=`."""
    orders = published.read("orders")
    path = published.input("orders").with_name("orders.csv")
    shown = orders.with_columns(note=pl.lit(None, pl.String)).write_csv(
        separator=";", quote_style="necessary"
    )
    lines = shown.splitlines()
    lines[1] += '"two\nlines"'
    cells = lines[3].split(";")
    at = lines[0].split(";").index("return_prob_standard")
    lines[3] = ";".join([*cells[:at], "1.5", *cells[at + 1 :]])
    lines.insert(2, "")
    path.write_text("\n".join(["sep=;", *lines]) + "\n")
    inputs = published.settings()["inputs"] | {"orders": str(path)}
    published.configure(inputs=inputs)
    found = found_of(cli, "--force")
    assert found["quarantine"]["by_rule"] == [
        {
            "source": "orders",
            "column": "return_prob_standard",
            "rule": "is outside [0, 1]",
            "num_rows": 1,
        }
    ]
    (first,) = found["quarantine"]["first"]
    line = first["line"]
    assert (first["row"], first["place"]) == (3, f"{path}:{line}")
    assert "1.5" in path.read_text().splitlines()[line - 1].split(";")


def test_what_is_missing_names_the_way_to_get_it(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """No merchants, no history, nothing at random, no row for a carrier: all told."""
    carrier = published.read("orders")["carrier_id"][0]
    capacity = published.read("capacity").filter(pl.col("carrier_id") != carrier)
    published.write("capacity", capacity)
    inputs = published.settings()["inputs"]
    published.configure(inputs={n: p for n, p in inputs.items() if n != "merchants"})
    found = found_of(cli, "--force")
    told = {row["code"]: row["names"] for row in found["missing"]}
    assert told["NO_CAPACITY"] == [carrier]
    assert {"NO_MERCHANTS", "NO_HISTORY", "NOTHING_AT_RANDOM"} <= {*told}
    given = ("validate", "--config", "config.yaml", "--date", DAY, "--force")
    said = cli(*given).out
    for way in ("inputs.merchants", "optimizer learn", "holdout.share", carrier):
        assert way in said


def test_the_page_says_what_the_text_says_in_both_languages(
    published: SmallNight, cli: Callable[..., Call], tmp_path: Path
) -> None:
    """One file without a network; the language that is asked for is in view first."""
    page = tmp_path / "inputs.html"
    given = ("validate", "--config", "config.yaml", "--date", DAY)
    english = cli(*given, "--report", page)
    assert english.code == 0, english.err
    html = page.read_text("utf-8")
    assert "http://" not in html
    assert "https://" not in html
    assert "<script" not in html
    assert html.index('id="show-en" checked') < html.index('id="show-zh-CN"')
    for title in ("Merchants with at least one slot", "Capacity beside demand"):
        assert title in html
        assert title in english.out
    chinese = cli(*given, "--report", page, "--language", "zh")
    assert 'id="show-zh-CN" checked' in page.read_text("utf-8")
    assert "Merchants with at least one slot" not in chinese.out
    assert cli("validate", "--config", "config.yaml", "--report", page).code == 2


def test_a_check_of_a_withdrawn_date_is_a_check_of_a_new_one(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """Nothing is published, so nothing is replaced: other inputs need no --force."""
    rollback(load_config(published.config), DAY, is_withdrawn=True)
    configured(holdout={"share": 0.1})(published)
    found = found_of(cli)
    assert "NOTHING_AT_RANDOM" not in {row["code"] for row in found["missing"]}
