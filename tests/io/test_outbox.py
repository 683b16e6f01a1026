"""What platforms get: their own words, whole files, nothing that a sheet would run."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.contracts.platforms import PLATFORMS
from optimizer.io.outbox import FORMULA_STARTS, refused_path, write_outbox

DAY = dt.date(2026, 11, 22)


def order(number: int, carrier: str, order_id: str | None = None) -> dict[str, str]:
    """A recommended order."""
    return {
        "order_id": order_id or f"o{number}",
        "merchant_id": "m1",
        "carrier_id": carrier,
    }


def lines(path: Path) -> list[dict[str, str]]:
    """What an outbox holds, whatever its format."""
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(line) for line in text.splitlines()]


GOLDEN = {
    ("douyin", "zhongtong"): {
        "carrier_code": "zhongtong",
        "order_tag": "sug_home_deliver",
        "service_code": "SVC-WBHOMEDELIVERY",
    },
    ("kuaishou", "yunda"): {
        "carrier_code": "yunda",
        "service_code": "SVC-WBHOMEDELIVERY",
    },
    ("pinduoduo", "shentong"): {
        "carrier_code": "STO",
        "order_tag": "home_delivery_door",
    },
    ("taobao", "yuantong"): {
        "carrier_code": "YTO",
        "asdp_biz_type": "logistics_upgrade",
        "asdp_ads": "201",
    },
    ("jd", "jd"): {
        "carrier_code": "JD",
        "order_tag": "JDWJ_DELIVERY_TO_DOOR",
        "waybill_option": "DELIVERY_TO_DOOR",
    },
}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize(("platform", "carrier"), GOLDEN)
def test_each_platform_gets_its_own_words(
    tmp_path: Path, platform: str, carrier: str, kind: str
) -> None:
    """Tags, codes and options are the platform's; its own carrier code is known too."""
    path = tmp_path / "deep" / f"box.{kind}"
    code = GOLDEN[platform, carrier]["carrier_code"]
    given_orders = [order(1, carrier), order(2, code)]
    counts = write_outbox(given_orders, platform, kind, path, DAY)

    words = {"business_date": "2026-11-22", "merchant_id": "m1"}
    words |= GOLDEN[platform, carrier]
    assert lines(path) == [words | {"order_id": f"o{n}"} for n in (1, 2)]
    assert (counts.num_written, dict(counts.num_refused)) == (2, {})
    assert lines(refused_path(path)) == []


def test_every_platform_has_a_golden_line() -> None:
    """No platform without a case above."""
    assert {platform for platform, _ in GOLDEN} == set(PLATFORMS)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_what_a_platform_does_not_take_is_set_aside(tmp_path: Path, kind: str) -> None:
    """An unsupported carrier is a reason beside the outbox, and stops nobody else."""
    path = tmp_path / f"box.{kind}"
    orders = [order(1, "shunfeng"), order(2, "yunda"), order(3, "nobody")]
    counts = write_outbox(orders, "douyin", kind, path, DAY)

    assert [row["order_id"] for row in lines(path)] == ["o2"]
    assert dict(counts.num_refused) == {"CARRIER_NOT_SUPPORTED": 2}
    assert lines(refused_path(path)) == [
        {"order_id": n, "carrier_id": c, "reason": "CARRIER_NOT_SUPPORTED"}
        for n, c in (("o1", "shunfeng"), ("o3", "nobody"))
    ]


ids = st.text(
    st.one_of(st.sampled_from("=+-@＝＋－＠\",;'|a1é中"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=8,
).filter(lambda text: text.isprintable() and text == text.strip())


@given(names=st.lists(ids, max_size=6, unique=True))
def test_no_cell_is_a_formula_and_no_id_is_changed(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """In CSV an id is written as it is, or set aside; never as something to run."""
    path = tmp_path_factory.mktemp("box") / "box.csv"
    orders = [order(0, "yunda", name) for name in names]
    write_outbox(orders, "douyin", "csv", path, DAY)

    sent = [row["order_id"] for row in lines(path)]
    aside = [row["order_id"] for row in lines(refused_path(path))]
    risky = [name for name in names if name[0] in "=+-@＝＋－＠"]
    assert sent == [name for name in names if name not in risky]
    assert aside == [f"'{name}" for name in risky]
    for file in (path, refused_path(path)):
        with file.open(encoding="utf-8", newline="") as opened:
            cells = [cell for row in csv.reader(opened) for cell in row]
        assert not any(cell.startswith(FORMULA_STARTS) for cell in cells)


def test_a_json_line_holds_any_id(tmp_path: Path) -> None:
    """JSON has no formulas: every id goes out as it is."""
    path = tmp_path / "box.jsonl"
    write_outbox([order(0, "yunda", '=cmd|"\u2028')], "douyin", "jsonl", path, DAY)
    assert json.loads(path.read_text("utf-8"))["order_id"] == '=cmd|"\u2028'


def test_a_failing_night_leaves_the_old_outbox(tmp_path: Path) -> None:
    """The file is replaced whole or not at all, and leaves nothing beside it."""
    path = tmp_path / "box.jsonl"
    write_outbox([order(1, "yunda")], "douyin", "jsonl", path, DAY)
    before = path.read_bytes()

    def failing():
        yield order(2, "yunda")
        raise OSError("the table is damaged")

    with pytest.raises(OSError, match="damaged"):
        write_outbox(failing(), "douyin", "jsonl", path, DAY)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "box.jsonl",
        "box.refused.jsonl",
    ]
