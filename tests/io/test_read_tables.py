"""A table is the same wherever it is read from, or it is refused by name."""

from __future__ import annotations

import datetime as dt
import gzip
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.contracts.tables import CAPACITY, MERCHANTS, ORDERS
from optimizer.errors import DataError
from optimizer.io import csv
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import fingerprint, open_source, read_batches
from optimizer.io.validate import check_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.contracts.columns import Table

NUM_ROWS = 200


def make_orders() -> pl.DataFrame:
    """Orders with nulls, commas, quotes and Chinese, and numbers of many digits."""
    rng = random.Random(7)
    rows = range(NUM_ROWS)
    return pl.DataFrame(
        {
            "order_id": [f"o-{row:04d}" for row in rows],
            "unknown": [row % 3 for row in rows],
            "merchant_id": [rng.choice(["m,1", 'm"2"', "商家", "m 4"]) for _ in rows],
            "carrier_id": [rng.choice(["yunda", "sf"]) for _ in rows],
            "region_id": [rng.choice(["CN-11", "CN-31"]) for _ in rows],
            "outlet_id": [rng.choice(["o1", None]) for _ in rows],
            "order_value_cny": [rng.choice([None, rng.uniform(0, 1e5)]) for _ in rows],
            "complaint_prob_standard": [rng.random() for _ in rows],
            "complaint_prob_premium": [rng.random() * 1e-12 for _ in rows],
            "return_prob_standard": [rng.choice([0.0, 1.0]) for _ in rows],
            "return_prob_premium": [rng.random() for _ in rows],
            "is_eligible": [rng.choice([True, False, None]) for _ in rows],
            "load": [rng.choice([1, 2, None]) for _ in rows],
        }
    )


def write_csv(frame: pl.DataFrame, path: Path) -> Path:
    """As CSV, compressed as the name says."""
    text = frame.write_csv().encode()
    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.output_stream(str(path), compression=codec) as stream:
        stream.write(text)
    return path


def write_parquet(frame: pl.DataFrame, path: Path) -> Path:
    """As Parquet in row groups of an odd size."""
    pq.write_table(frame.to_arrow(), path, row_group_size=37)
    return path


def write_arrow(frame: pl.DataFrame, path: Path, codec: str | None = None) -> Path:
    """As Arrow IPC in several batches."""
    options = pyarrow.ipc.IpcWriteOptions(compression=codec)
    table = frame.to_arrow()
    with pyarrow.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=64)
    return path


def write_parts(frame: pl.DataFrame, folder: Path) -> list[str]:
    """As two files, in row order by name."""
    parts = [frame.head(123), frame.tail(NUM_ROWS - 123)]
    files = [write_parquet(p, folder / f"{n}.parquet") for n, p in enumerate(parts)]
    return [str(path) for path in files]


def write_mixed(frame: pl.DataFrame, folder: Path) -> list[Path]:
    """As two files of different kinds."""
    first = write_csv(frame.head(10), folder / "z.csv.gz")
    return [first, write_arrow(frame.tail(NUM_ROWS - 10), folder / "a.arrow")]


WAYS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": lambda frame, at: write_parquet(frame, at / "o.parquet"),
    "pq": lambda frame, at: write_parquet(frame, at / "o.pq"),
    "upper case name": lambda frame, at: write_parquet(frame, at / "O.PARQUET"),
    "csv": lambda frame, at: write_csv(frame, at / "o.csv"),
    "csv.gz": lambda frame, at: write_csv(frame, at / "o.csv.gz"),
    "csv.zst": lambda frame, at: str(write_csv(frame, at / "o.csv.zst")),
    "arrow": lambda frame, at: write_arrow(frame, at / "o.arrow"),
    "feather lz4": lambda frame, at: write_arrow(frame, at / "o.feather", "lz4"),
    "glob": lambda frame, at: write_parts(frame, at) and str(at / "*.parquet"),
    "list": lambda frame, at: write_parts(frame, at),
    "mixed list": lambda frame, at: write_mixed(frame, at),
    "polars": lambda frame, at: frame,
    "polars lazy": lambda frame, at: frame.lazy(),
    "polars categories": lambda frame, at: frame.with_columns(
        pl.col("merchant_id", "outlet_id").cast(pl.Categorical)
    ),
    "pandas": lambda frame, at: frame.to_pandas(),
    "pyarrow": lambda frame, at: frame.to_arrow(),
    "pyarrow reader": lambda frame, at: frame.to_arrow().to_reader(),
    "duckdb": lambda frame, at: duckdb.sql("SELECT * FROM frame"),
}


def checked(data: Any, table: Table = ORDERS, batch_rows: int = 100) -> pl.DataFrame:
    """Read, check and join a table; nothing of it may be broken."""
    source, log = open_source(data, table), QuarantineLog()
    batches = read_batches(source, batch_rows=batch_rows)
    frame = pl.concat([check_batch(batch, source, log) for batch in batches])
    assert len(log.frame()) == 0
    return frame


@pytest.mark.parametrize("way", WAYS)
def test_the_same_table_from_anywhere(way: str, tmp_path: Path) -> None:
    """Every kind of file and of table in memory gives the same rows and types."""
    frame = make_orders()
    found = checked(WAYS[way](frame, tmp_path))
    same = [name for name in ORDERS.column_names if name in frame.columns]
    filled = frame.with_columns(
        pl.col("is_eligible").fill_null(True), pl.col("load").fill_null(1)
    )

    assert found.columns == ["row", *ORDERS.column_names]
    assert found["row"].to_list() == list(range(NUM_ROWS))
    assert found.select(same).equals(filled.select(same))


@pytest.mark.parametrize("way", ["parquet", "pyarrow", "csv", "arrow", "mixed list"])
@pytest.mark.parametrize(
    "batch_rows",
    [pytest.param(1, marks=pytest.mark.slow), 7, 64, NUM_ROWS - 1, NUM_ROWS, 10**6],
)
def test_the_size_of_batches_changes_nothing(
    way: str, batch_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and their numbers do not depend on how many are read at once."""
    monkeypatch.setattr(csv, "_BLOCK_BYTES", 200 + 40 * batch_rows)
    found = checked(WAYS[way](make_orders(), tmp_path), batch_rows=batch_rows)

    assert found.equals(checked(make_orders()))


@pytest.mark.parametrize("way", ["parquet", "pyarrow", "csv", "arrow", "polars"])
def test_no_batch_is_larger_than_asked(way: str, tmp_path: Path) -> None:
    """Memory is bounded by the rows of a batch, whatever a file's own pieces are."""
    source = open_source(WAYS[way](make_orders(), tmp_path), ORDERS)
    sizes = [len(batch) for batch in read_batches(source, batch_rows=30)]

    assert max(sizes) == 30
    assert sum(sizes) == NUM_ROWS


@given(
    cells=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00")),
            st.none() | st.floats(0, 1),
        ),
        min_size=1,
        max_size=20,
    )
)
@pytest.mark.slow
def test_any_text_and_number_survive_a_csv_file(
    cells: list[tuple[str, float | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What polars writes as CSV is read as the same text and the same number."""
    ids = [f"m{place}{text}m" for place, (text, _) in enumerate(cells)]
    frame = pl.DataFrame(
        {"merchant_id": ids, "take_up": [share for _, share in cells]},
        schema={"merchant_id": pl.String, "take_up": pl.Float64},
    )
    path = write_csv(frame, tmp_path_factory.mktemp("csv") / "m.csv")
    raw = pl.concat(list(read_batches(open_source(path, MERCHANTS))))

    assert raw["merchant_id"].to_list() == ids
    assert raw["take_up"].cast(pl.Float64).equals(frame["take_up"])


def test_only_asked_columns_are_read_in_the_contract_s_order(tmp_path: Path) -> None:
    """Columns that the contract does not know are never seen."""
    source = open_source(WAYS["parquet"](make_orders(), tmp_path), ORDERS)
    batches = list(read_batches(source, ["load", "order_id", "unknown"]))

    assert "unknown" not in source.columns
    assert {tuple(b.columns) for b in batches} == {("order_id", "load", "row")}


def test_numbers_as_ids_become_text() -> None:
    """Ids that a database holds as numbers are the same ids as in a CSV file."""
    frame = pl.DataFrame({"carrier_id": [10, 7], "slots": [1, 2]})

    assert checked(frame, CAPACITY)["carrier_id"].to_list() == ["10", "7"]


def test_the_fingerprint_is_of_the_bytes_read(tmp_path: Path) -> None:
    """Size and SHA-256 of each file, in order; a table in memory has none."""
    paths = [tmp_path / name for name in ("b.csv", "a.csv")]
    for path in paths:
        path.write_bytes(b"carrier_id,slots\nyunda,1\n")
    records = fingerprint(open_source(paths, CAPACITY))
    digest = "3b9072c7fa590a7afd154515fde53568b3bb15d1ac878da31dd98c6c09e0aded"

    assert [record.path for record in records] == [str(path) for path in paths]
    assert [record.num_bytes for record in records] == [25, 25]
    assert {record.sha256 for record in records} == {digest}
    assert fingerprint(open_source(make_orders(), ORDERS)) == ()


GOOD = b"carrier_id,slots\nyunda,1\nsf,2\n"
BIG = b"carrier_id,slots\n" + b"".join(b"c%d,%d\n" % (n, n) for n in range(9_000))
WRONG_FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("c.csv", b"", "is empty, without even a header"),
    "empty Parquet": (
        "c.parquet",
        b"",
        "is empty, without even a header",
    ),
    "empty Arrow": ("c.arrow", b"", "is empty, without even a header"),
    "no header": ("c.csv", b"\n" + GOOD, "first line must name the columns"),
    "latin-1": ("c.csv", GOOD + b"f\xfcr,1\n", "not UTF-8.*export it as UTF-8"),
    "latin-1 header": ("c.csv", b"f\xfcr," + GOOD, "not UTF-8.*export it as UTF-8"),
    "GB 18030 far down": ("c.csv", BIG + b"\xd6\xd0,1\n", "not UTF-8"),
    "UTF-16": ("c.csv", GOOD.decode().encode("utf-16"), "not UTF-8"),
    "zeros": ("c.csv", GOOD + b"\x00" * 9, "bytes of value 0"),
    "short row": ("c.csv", GOOD + b"zto\n", r"line 4 has not .*1, not 2"),
    "long row": ("c.csv", GOOD + b"zto,1,2\n", r"line 4 has not .*3, not 2"),
    "short row far down": ("c.csv", BIG + b"zto\n", r"line 9,002 .*1, not 2"),
    "same column twice": ("c.csv", b"slots," + GOOD, "column 'slots' twice"),
    "missing column": ("c.csv", b"carrier_id\nyunda\n", "no column slots.*needs"),
    "open quote, cut": ("c.csv", GOOD + b'zto,"1', "quote"),
    "open quote in an id": ("c.csv", GOOD + b'"zto,1\n', "quote|as many cells"),
    "open quote in a row": ("c.csv", GOOD + b'zto,"1\n' + BIG[17:], "quote"),
    "open quote in a note": (
        "c.csv",
        b'carrier_id,slots,note\nyunda,1,"see\nsf,2,\nzto,3,\n',
        "quote",
    ),
    "no gzip": ("c.csv.gz", GOOD, r"holds text.*name says gzip; name it \.csv"),
    "half a gzip": ("c.csv.gz", gzip.compress(BIG)[:9_000], "damaged or truncated"),
    "gzip, last byte": ("c.csv.gz", gzip.compress(GOOD)[:-1], "damaged or truncated"),
    "no zstd": ("c.csv.zst", GOOD, "holds text.*name says Zstandard"),
    "no Parquet": ("c.parquet", GOOD, "holds text.*name says Parquet"),
    "no Arrow": ("c.arrow", GOOD, "holds text.*name says Arrow"),
    "gzip as CSV": ("c.csv", gzip.compress(GOOD), r"holds gzip.*name it \.csv\.gz"),
    "gzip as Parquet": ("c.parquet", gzip.compress(GOOD), "holds gzip"),
    "Parquet as CSV": ("c.csv", b"PAR1\x15\x04", r"holds Parquet.*name it \.parquet"),
    "Arrow as Parquet": ("c.parquet", b"ARROW1\0\0", r"holds Arrow.*name it \.arrow"),
    "Zstandard as CSV": ("c.csv", b"\x28\xb5\x2f\xfd$", r"name it \.csv\.zst"),
    "Excel as CSV": (
        "c.csv",
        b"PK\x03\x04\x14",
        r"holds an Excel workbook.*name it \.xlsx",
    ),
    "old Excel as CSV": ("c.csv", b"\xd0\xcf\x11\xe0\xa1", "an old Excel workbook"),
    "no Parquet, no text": ("c.parquet", b"\0\1\2", "damaged or truncated.*again"),
    "unknown kind": ("c.ods", GOOD, r"use \.parquet, \.csv"),
}


@pytest.mark.parametrize(
    ("name", "content", "words"), WRONG_FILES.values(), ids=WRONG_FILES
)
def test_a_wrong_file_is_refused_by_name(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    """The error names the file and what to do; no row of it is believed."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(DataError, match=rf"(?s)^{path}: .*({words})"):
        list(read_batches(open_source(path, CAPACITY)))


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv.gz", "csv.zst"])
def test_a_file_cut_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    """A copy that stopped half way, at any of fifty places, is never a night."""
    frame = pl.DataFrame({"carrier_id": map(str, range(999)), "slots": range(999)})
    whole = Path(WAYS[kind](frame, tmp_path))
    content = whole.read_bytes()
    assert sum(map(len, read_batches(open_source(whole, CAPACITY)))) == 999

    for size in [*range(1, len(content), len(content) // 50), len(content) - 1]:
        whole.write_bytes(content[:size])
        with pytest.raises(DataError, match=str(whole)):
            list(read_batches(open_source(whole, CAPACITY)))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("none.parquet", "no such file; is the capacity export there"),
        ("none-*.parquet", "no file matches; is the capacity export there"),
        ("", "is a folder; name a file or a glob"),
    ],
)
def test_a_missing_file_or_a_folder_is_refused(
    pattern: str, words: str, tmp_path: Path
) -> None:
    """What is not there is named as it was asked for."""
    with pytest.raises(DataError, match=rf"^{tmp_path / pattern}".replace("*", r"\*")):
        open_source(str(tmp_path / pattern), CAPACITY)
    with pytest.raises(DataError, match=words):
        open_source(tmp_path / pattern, CAPACITY)


def test_files_of_one_table_must_have_the_same_columns(tmp_path: Path) -> None:
    """A part with another layout is named, not filled with defaults."""
    one = write_csv(pl.DataFrame({"carrier_id": "a", "slots": 1}), tmp_path / "1.csv")
    more = pl.DataFrame({"carrier_id": "a", "slots": 1, "region_id": "r"})
    two = write_csv(more, tmp_path / "2.csv")

    with pytest.raises(DataError, match=rf"^{two}: has other columns than {one}"):
        open_source([one, two], CAPACITY)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("slots", ["1"], "column slots is .*, expected whole numbers"),
        ("slots", [True], "column slots is bool, expected whole numbers"),
        ("carrier_id", [1.5], "column carrier_id is double, expected text"),
        ("carrier_id", [b"x"], "column carrier_id is .*binary.*, expected text"),
        ("carrier_id", [["x"]], "column carrier_id is .*, expected text"),
    ],
)
@pytest.mark.parametrize("way", ["parquet", "polars"])
def test_a_wrong_type_is_refused(
    column: str, values: list[Any], words: str, way: str, tmp_path: Path
) -> None:
    """A column of another type is named with the type it should have."""
    frame = pl.DataFrame({"carrier_id": ["x"], "slots": [1]} | {column: values})
    given = WAYS[way](frame, tmp_path)
    label = str(given) if way == "parquet" else "the capacity table"

    with pytest.raises(DataError, match=rf"^{label}: {words}.*; export it with"):
        open_source(given, CAPACITY)


@pytest.mark.parametrize(
    "data",
    [None, 3, {"carrier_id": ["x"]}, [], pl.Series([1])],
    ids=["None", "number", "dict", "empty list", "series"],
)
def test_what_is_no_table_is_refused(data: Any) -> None:
    """Another object is refused with what may be given."""
    with pytest.raises(DataError, match="capacity"):
        open_source(data, CAPACITY)


def test_a_pandas_column_of_mixed_types_is_refused() -> None:
    """Text and numbers in one column have no type: said so, not a crash."""
    import pandas as pd

    frame = pd.DataFrame({"carrier_id": ["x", 1], "slots": [1, 2]})

    with pytest.raises(DataError, match="carrier_id"):
        open_source(frame, CAPACITY)


def test_a_column_twice_in_memory_is_refused() -> None:
    """Two columns of one name are ambiguous in memory too."""
    twice = pa.table([["x"], [1], [2]], names=["carrier_id", "slots", "slots"])

    with pytest.raises(DataError, match="column 'slots' twice"):
        open_source(twice, CAPACITY)


@pytest.mark.parametrize("name", ["carrier", "Carrier_ID", "the_carrier"])
def test_a_left_out_column_that_means_all_has_no_other_name(name: str) -> None:
    """Capacity without carriers is for all of them; a misnamed carrier is no leave."""
    rows = {"region_id": ["north"], "slots": [3]}
    assert open_source(pl.DataFrame(rows), CAPACITY).columns == tuple(rows)
    misnamed = pl.DataFrame(rows | {name: ["yunda"]})
    with pytest.raises(
        DataError, match=f"no column carrier_id, and one named '{name}'"
    ):
        open_source(misnamed, CAPACITY)


def test_a_left_out_column_that_means_all_has_not_lost_its_name(tmp_path: Path) -> None:
    """Carriers under an empty header are no limit for all carriers; padding stays."""
    path = tmp_path / "capacity.csv"
    path.write_text(",region_id,slots\nyunda,north,3\n")
    with pytest.raises(DataError, match="no column carrier_id, and one without a name"):
        open_source(path, CAPACITY)
    path.write_text("carrier_id,region_id,slots,\nyunda,north,3,\n")
    assert "carrier_id" in open_source(path, CAPACITY).columns


def test_a_column_may_be_required_for_one_use() -> None:
    """Optional in general, required here: its absence is an error."""
    frame = make_orders().drop("carrier_id")
    open_source(frame, ORDERS)

    with pytest.raises(DataError, match="has no column carrier_id"):
        open_source(frame, ORDERS, require=["carrier_id"])


NOON = dt.datetime(2026, 11, 22, 12)
IN_UTC = pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("service_date", pa.array([NOON]), pa.array([NOON], IN_UTC)),
        ("service_date", pa.array([NOON], IN_UTC), pa.array([NOON.date()])),
        ("region_id", pa.array([b"0" * 16], pa.uuid()), pa.array(["north"])),
        ("region_id", pa.array([7]), pa.array(["007"])),
        ("region_id", pa.array(["007"]), pa.array([7])),
        ("region_id", pa.array(["north"]), None),
    ],
)
def test_parts_that_do_not_become_one_column_are_refused(
    column: str, first: pa.Array, second: pa.Array | None, tmp_path: Path
) -> None:
    """Days depend on who puts them together; codes as numbers lost their zeros."""
    slots = pa.table({"slots": [3]})
    pq.write_table(slots.append_column(column, first), tmp_path / "a.parquet")
    if second is None:
        (tmp_path / "b.csv").write_text(f"slots,{column}\n3,north\n")
    else:
        pq.write_table(slots.append_column(column, second), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"/b\.\w+: .*export all parts alike"):
        open_source(f"{tmp_path}/*", CAPACITY)


def test_parquet_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    """What pandas and pyarrow write of no rows: alone, and as one of several parts."""
    rows = pa.table({"region_id": ["north", "south"], "slots": [3, 4]})
    pq.write_table(rows, tmp_path / "a.parquet")
    pq.write_table(rows.slice(0, 0), tmp_path / "b.parquet")
    for name, num_rows in (("b.parquet", 0), ("*.parquet", 2)):
        source = open_source(f"{tmp_path}/{name}", CAPACITY)
        assert sum(map(len, read_batches(source))) == num_rows
