"""
Files that are small and unpack, or claim, or nest, without end: refused in time.

``python -m tests.campaigns.bombs``: each must end with 3 (2 for a configuration), name
its file, and take less than 1 GB and 30 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from optimizer.contracts.tables import ORDERS
from tests.campaigns.forks import apart, load_everything, run_command
from tests.campaigns.tally import Tally
from tests.support.small_night import DAY, SmallNight, make_night

HEADER = ",".join(ORDERS.column_names) + "\n"
MOST_SECONDS, MOST_MB = 30.0, 1024.0
#: Levels of a nested type or document.
DEPTH = 2_000


def with_columns(path: Path) -> None:
    """Twenty thousand columns beside those of the contract, with short names."""
    names = [*ORDERS.column_names, *(f"x{n}" for n in range(20_000))]
    if path.suffix == ".csv":
        row = ",".join("1" for _ in names)
        path.write_text(",".join(names) + "\n" + f"{row}\n" * 20)
    else:
        pq.write_table(pa.table({name: ["1"] for name in names}), path)


def of_empty_rows(path: Path) -> None:
    """Ninety-six million rows of nothing."""
    _pack(path, HEADER.encode(), b"\n" * 1_000_000, 96)


def of_one_line(path: Path) -> None:
    """One line of two gigabytes."""
    _pack(path, HEADER.encode(), b"x" * 4_000_000, 500)


def of_open_quotes(path: Path) -> None:
    """A quote that opens and never closes, over a gigabyte of lines."""
    _pack(path, HEADER.encode() + b'"', b"x,y\n" * 1_000_000, 250)


def _pack(path: Path, start: bytes, block: bytes, num_blocks: int) -> None:
    codec = {".gz": "gzip", ".zst": "zstd"}[path.suffix]
    with pa.CompressedOutputStream(str(path), codec) as stream:
        stream.write(start)
        for _ in range(num_blocks):
            stream.write(block)


def _plain_orders(num_rows: int) -> dict[str, pa.Array]:
    """Columns of orders, each of one value; order ids differ."""
    texts = {name: pa.array(["a"] * num_rows) for name in ("merchant_id", "region_id")}
    texts["order_id"] = pa.array([f"o{n}" for n in range(num_rows)])
    texts["carrier_id"] = pa.array(["yunda"] * num_rows)
    names = [
        f"{what}_prob_{kind}"
        for what in ("complaint", "return")
        for kind in ("standard", "premium")
    ]
    return texts | {name: pa.array([0.1] * num_rows) for name in names}


def of_long_entries(path: Path) -> None:
    """A dictionary of one text of 50 MB, and a million references to it."""
    table = _plain_orders(1_000_000)
    codes = pa.array([0] * 1_000_000, pa.int32())
    entries = pa.array(["x" * 50_000_000])
    table["region_id"] = pa.DictionaryArray.from_arrays(codes, entries)
    pq.write_table(pa.table(table), path, store_schema=False)


def of_repeated_texts(path: Path) -> None:
    """A dictionary of texts of 100 kB, a million times: no cell is too long alone."""
    table = _plain_orders(1_000_000)
    codes = pa.array([0] * 1_000_000, pa.int32())
    table["region_id"] = pa.DictionaryArray.from_arrays(
        codes, pa.array(["x" * 100_000])
    )
    pq.write_table(pa.table(table), path, store_schema=False)


def of_plain_texts(path: Path) -> None:
    """A row group of a thousand texts of a megabyte, packed."""
    table = _plain_orders(1_000)
    table["region_id"] = pa.array([f"{n}" + "x" * 1_000_000 for n in range(1_000)])
    pq.write_table(pa.table(table), path, compression="zstd", use_dictionary=False)


def of_rows(path: Path) -> None:
    """Forty million rows of one value, in runs."""
    schema = pa.schema({name: a.type for name, a in _plain_orders(1).items()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        row = [pa.repeat(a[0], 10_000_000) for a in _plain_orders(1).values()]
        table = pa.table(row, names=schema.names)
        for _ in range(4):
            writer.write_table(table, row_group_size=10_000_000)


def lying(claimed: int) -> Callable[[Path], None]:
    """A footer that claims another number of rows, everywhere."""

    def make(path: Path) -> None:
        pq.write_table(pa.table(_plain_orders(100)), path)
        data = path.read_bytes()
        size = int.from_bytes(data[-8:-4], "little")
        footer = data[-8 - size : -8]
        told = footer.replace(b"\x16" + _zigzag(100), b"\x16" + _zigzag(claimed))
        assert told != footer
        end = len(told).to_bytes(4, "little") + b"PAR1"
        path.write_bytes(data[: -8 - size] + told + end)

    return make


def _zigzag(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    rest, found = number * 2, bytearray()
    while True:
        rest, low = rest >> 7, rest & 0x7F
        found.append(low | (0x80 if rest else 0))
        if not rest:
            return bytes(found)


def nested(path: Path) -> None:
    """A column of lists of lists, as deep as the writers go."""
    kind: Any = pa.int8()
    for _ in range(60):
        kind = pa.list_(kind)
    table = pa.table(_plain_orders(3) | {"outlet_id": pa.nulls(3, kind)})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def of_sheets(path: Path) -> None:
    """A workbook whose sheet is two gigabytes of spaces."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(500):
                sheet.write(b" " * 4_000_000)
        book.writestr("[Content_Types].xml", "<Types/>")


#: Bombs in the place of the orders, by the name of the file.
BOMBS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "20,000 columns, CSV": ("orders.csv", with_columns),
    "20,000 columns, Parquet": ("orders.parquet", with_columns),
    "96 million empty rows": ("orders.csv.gz", of_empty_rows),
    "a line of 2 GB": ("orders.csv.zst", of_one_line),
    "a quote over 1 GB": ("orders.csv.zst", of_open_quotes),
    "a million references to 50 MB": ("orders.parquet", of_long_entries),
    "a million references to 100 kB": ("orders.parquet", of_repeated_texts),
    "1 GB of texts in a row group": ("orders.parquet", of_plain_texts),
    "40 million equal rows": ("orders.parquet", of_rows),
    "a footer with fewer rows": ("orders.parquet", lying(50)),
    "a footer with more rows": ("orders.parquet", lying(8_000)),
    "a footer with 2^40 rows": ("orders.parquet", lying(2**40)),
    "a sheet of 2 GB": ("orders.xlsx", of_sheets),
    "lists 60 deep, Parquet": ("orders.parquet", nested),
    "lists 60 deep, Arrow": ("orders.arrow", nested),
}


def documents(night: SmallNight) -> dict[str, tuple[list[str], str, int]]:
    """Documents that nest deep: the command that reads each, its file, its code."""
    deep = "[" * DEPTH * 10 + "]" * DEPTH * 10
    folder = night.folder
    deep_yaml = folder / "deep.yaml"
    deep_yaml.write_text("version: " + "[" * DEPTH + "]" * DEPTH)
    run = folder / "deep-run"
    run.mkdir()
    (run / "run.json").write_text(deep)
    (run / "_SUCCESS").touch()
    model = folder / "deep-model"
    model.mkdir()
    for name in ("model.json", "card.json"):
        (model / name).write_text(deep)
    night.configure(model=str(model))
    with_model = folder / "with-model.yaml"
    with_model.write_text(night.config.read_text())
    settings = night.settings()
    del settings["model"]
    night.config.write_text(json.dumps(settings))
    run_words = ["run", "--date", str(DAY), "--force", "--config"]
    return {
        "YAML that nests": ([*run_words, str(deep_yaml)], "deep.yaml", 2),
        "a record that nests": (["verify", str(run)], "run.json", 3),
        "a previous night that nests": (
            [*run_words, str(night.config), "--previous", str(run)],
            "run.json",
            3,
        ),
        "a model that nests": ([*run_words, str(with_model)], "deep-model", 3),
    }


def judge(tally: Tally, kind: str, found: Any, name: str, code: int = 3) -> None:
    """Hold a refusal against what a refusal is."""
    faults = []
    if found.code != code:
        faults.append(f"ended with {found.code}, not {code}: {found.text[-300:]}")
    elif name not in found.text:
        faults.append(f"does not name {name}: {found.text[:300]}")
    if found.seconds > MOST_SECONDS or found.peak_mb > MOST_MB:
        faults.append(f"took {found.seconds:.1f} s and {found.peak_mb:,.0f} MB")
    end = f"{found.code} in {found.seconds:.1f} s, {found.peak_mb:,.0f} MB"
    tally.add(kind, end, [f"{kind}: {fault}" for fault in faults])


def campaign(folder: Path, only: str = "") -> Tally:
    """Try all of them, or those whose name holds a word."""
    tally, night = Tally(), SmallNight(folder / "night")
    apart(lambda: make_night(night.folder, num_orders=400))
    for kind, (name, make) in BOMBS.items():
        if only not in kind:
            continue
        path = night.folder / name
        apart(lambda make=make, path=path: make(path))
        night.configure(inputs=night.settings()["inputs"] | {"orders": str(path)})
        words = ["run", "--config", "config.yaml", "--date", str(DAY), "--force"]
        judge(tally, kind, run_command(words, night.folder), name)
        path.unlink()
    names = night.settings()["inputs"]
    night.configure(inputs=names | {"orders": f"nights/{DAY}/orders.parquet"})
    for kind, (words, name, code) in documents(night).items():
        if only in kind:
            judge(tally, kind, run_command(words, night.folder), name, code)
    assert not night.run_dir.exists()
    return tally


def main() -> int:
    """Try all, and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a word of its name")
    asked = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory() as name:
        return campaign(Path(name), asked.only).report()


if __name__ == "__main__":
    sys.exit(main())
