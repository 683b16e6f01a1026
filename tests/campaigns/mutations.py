"""
Files that were damaged on their way, of every kind that a command reads.

``python -m tests.campaigns.mutations --count 10000 --seed 7``: bytes turned, cut,
spliced, zeroed, columns swapped; in inputs of each format, models, configurations,
earlier nights, published nights, the state. Each command must end with a code of its
table, in a message that names the file or the table, and never with 1 or a signal. A
published table that was changed must never verify.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.forks import apart, begin, ended, load_everything
from tests.campaigns.tally import Tally
from tests.support.small_night import DAY, SmallNight, make_night

#: Tries of one fork: pools and kernels are started once for them.
BATCH = 50
TOKENS = (
    *(b"\x00", b"\xff\xfe", b'"', b"\n", b"\r", b",", b"{", b"[", b"null", b"-1"),
    *(b"1e999", b"NaN", b"PAR1", b"\x1f\x8b", b"9" * 40, b": ", b"- ", b"\xe9"),
)
RUN = ("run", "--config", "config.yaml", "--date", str(DAY), "--dry-run")
NIGHT = f"runs/{DAY}"


def turned(data: bytes, rng: random.Random) -> bytes:
    """One to four bits turned."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end missing."""
    return data[: rng.randrange(len(data))]


def spliced(data: bytes, rng: random.Random) -> bytes:
    """A piece of it in another place."""
    start, place = rng.randrange(len(data)), rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 200)]
    return data[:place] + piece + data[place + rng.randint(0, len(piece)) :]


def inserted(data: bytes, rng: random.Random) -> bytes:
    """Something foreign put in, or in the place of something."""
    place = rng.randrange(len(data))
    return data[:place] + rng.choice(TOKENS) + data[place + rng.randint(0, 8) :]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    """A sector of zeros, as a disk gives it back."""
    place, length = rng.randrange(len(data)), rng.choice((1, 16, 512))
    length = min(length, len(data) - place)
    return data[:place] + bytes(length) + data[place + length :]


def swapped(data: bytes, rng: random.Random) -> bytes:
    """Two words of its first line, or two lines, in each other's place."""
    lines = data.split(b"\n")
    if len(lines) > 2 and rng.random() < 0.5:
        one, other = rng.sample(range(len(lines)), 2)
        lines[one], lines[other] = lines[other], lines[one]
        return b"\n".join(lines)
    cells = lines[0].split(b",")
    rng.shuffle(cells)
    return b"\n".join([b",".join(cells), *lines[1:]])


WAYS = (turned, cut, spliced, inserted, zeroed, swapped)


@dataclass(frozen=True)
class Kind:
    """
    One kind of file.

    Attributes
    ----------
    path
        Of the file, in the folder.
    words
        The command that reads it.
    codes
        How that may end.
    names
        One of these must be in a refusal.
    is_sealed
        Whether a change must never end with 0.
    is_packed, is_sheet
        Whether what is inside of the pack, or the sheet in the workbook, is changed.
    """

    path: str
    words: tuple[str, ...]
    codes: tuple[int, ...] = (0, 3)
    names: tuple[str, ...] = ()
    is_sealed: bool = False
    is_packed: bool = False
    is_sheet: bool = False


def _run_with(config: str) -> tuple[str, ...]:
    return ("run", "--config", config, "--date", str(DAY), "--dry-run")


KINDS: dict[str, Kind] = {
    "orders, CSV": Kind("orders.csv", _run_with("csv.yaml"), names=("orders",)),
    "orders, CSV packed": Kind(
        "orders.csv.gz", _run_with("gz.yaml"), names=("orders",)
    ),
    "orders, CSV inside of a pack": Kind(
        "orders.csv.gz", _run_with("gz.yaml"), names=("orders",), is_packed=True
    ),
    "orders, Parquet": Kind("orders.parquet", RUN, names=("orders",)),
    "orders, Arrow": Kind("orders.arrow", _run_with("arrow.yaml"), names=("orders",)),
    "orders, Excel": Kind("orders.xlsx", _run_with("xlsx.yaml"), names=("orders",)),
    "orders, Excel inside of the sheet": Kind(
        "orders.xlsx", _run_with("xlsx.yaml"), names=("orders",), is_sheet=True
    ),
    "orders, DuckDB": Kind(
        "orders.duckdb", _run_with("duckdb.yaml"), (0, 3), names=("duckdb",)
    ),
    "orders, Delta": Kind(
        "delta/_delta_log/00000000000000000000.json",
        _run_with("delta.yaml"),
        (0, 3),
        names=("delta",),
    ),
    "capacity": Kind(
        f"nights/{DAY}/capacity.csv", RUN, names=("capacity", "carrier_id")
    ),
    "merchants": Kind(f"nights/{DAY}/merchants.parquet", RUN, names=("merchant",)),
    "configuration": Kind(
        "config.yaml", ("validate", "--config", "config.yaml"), (0, 2), ("config.yaml",)
    ),
    "model": Kind(
        "models/model.json", _run_with("model.yaml"), (0, 2, 3), names=("model",)
    ),
    "a previous night's record": Kind(
        "before/run.json", (*RUN, "--previous", "before"), (0, 3), ("before",)
    ),
    "a previous night's lanes": Kind(
        "before/lanes.parquet", (*RUN, "--previous", "before"), (0, 3), ("before",)
    ),
    "a published table": Kind(
        f"{NIGHT}/decisions.parquet", ("verify", NIGHT), (3, 4), is_sealed=True
    ),
    "a published record": Kind(f"{NIGHT}/run.json", ("verify", NIGHT), (0, 3, 4)),
    "published leaves": Kind(
        f"{NIGHT}/evidence.txt", ("verify", NIGHT), (3, 4), is_sealed=True
    ),
    "a published table, explained": Kind(
        f"{NIGHT}/merchants.parquet", ("explain", NIGHT, "ORDER"), (0, 2, 3, 4)
    ),
    "the state": Kind(
        "runs/.state.sqlite",
        ("status", "--config", "config.yaml"),
        (0, 2, 3, 75),
        ("sqlite",),
    ),
    "the chain": Kind(
        "runs/.evidence.jsonl", ("audit", "--config", "config.yaml"), (0, 3, 4)
    ),
}

_RISK = {"intercept": -3.0, "slopes": {}, "levels": {"carrier_id": {"yunda": 0.1}}}
_EFFECT = {
    "intercept": 0.3,
    "levels": {},
    "names": [["", ""]],
    "covariance": [[0.01]],
}
_KEPT = {"num_premium": 100, "num_kept": 90, "mean": 0.9, "low": 0.8, "high": 0.95}
#: A model as ``learn`` writes it, the smallest that there is.
MODEL = {
    "format": 1,
    "version": "2026-11-10-fd52d2f4",
    "first_date": "2026-10-01",
    "last_date": "2026-11-10",
    "regime_breaks": [],
    "kind": "randomised",
    "risk": {"complaint": _RISK, "return": _RISK},
    "effect": {"complaint": _EFFECT, "return": _EFFECT},
    "promises": [{"carrier_id": None, "region_id": None} | _KEPT],
}


def prepare(folder: Path) -> None:
    """One small night, published, and its inputs in every format."""
    import openpyxl
    import polars as pl

    night = make_night(folder, num_orders=300)
    os.chdir(folder)
    night.run()
    before = night.run_dir.resolve()
    shutil.copytree(before, folder / "before")
    orders = night.read("orders")
    orders.write_csv(folder / "orders.csv")
    (folder / "orders.csv.gz").write_bytes(
        gzip.compress((folder / "orders.csv").read_bytes())
    )
    night.input("orders").rename(folder / "orders.parquet")
    orders.write_ipc(folder / "orders.arrow")
    book = openpyxl.Workbook()
    for row in (orders.columns, *orders.rows()):
        book.active.append(row)
    book.save(folder / "orders.xlsx")
    _databases(folder, orders)
    inputs = night.settings()["inputs"]
    _configure(night, inputs, "config", "orders.parquet")
    for name in ("csv", "csv.gz", "arrow", "xlsx"):
        _configure(night, inputs, name.rpartition(".")[2], f"orders.{name}")
    _configure(night, inputs, "duckdb", f"duckdb://{folder}/orders.duckdb?table=orders")
    _configure(night, inputs, "delta", f"delta://{folder}/delta")
    _learn(night, orders.drop(pl.col("^.*_prob_.*$")))


def _configure(
    night: SmallNight, inputs: dict[str, str], name: str, orders: str
) -> None:
    settings = night.settings() | {"inputs": inputs | {"orders": orders}}
    (night.folder / f"{name}.yaml").write_text(json.dumps(settings, indent=1))


def _databases(folder: Path, orders: object) -> None:
    import duckdb
    from deltalake import write_deltalake

    with duckdb.connect(str(folder / "orders.duckdb")) as connection:
        connection.register("given", orders)
        connection.execute("create table orders as select * from given")
    write_deltalake(str(folder / "delta"), orders.to_arrow())  # type: ignore[attr-defined]


def _learn(night: SmallNight, orders: object) -> None:
    """A model from simulated outcomes, and a configuration that uses it."""
    (night.folder / "models").mkdir()
    (night.folder / "models" / "model.json").write_text(json.dumps(MODEL, indent=1))
    orders.write_parquet(night.folder / "bare.parquet")  # type: ignore[attr-defined]
    inputs = night.settings()["inputs"] | {"orders": "bare.parquet"}
    settings = night.settings() | {"inputs": inputs, "model": "models"}
    (night.folder / "model.yaml").write_text(json.dumps(settings))


def call(words: Sequence[str]) -> tuple[int, str]:
    """Call the command line in this process; its code, and its standard error."""
    from optimizer.cli import main as cli

    sys.argv = ["optimizer", *words]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
            return (code if isinstance(code, int) else 1), said.getvalue()
    return 0, said.getvalue()


def tries(
    folder: Path, kind: Kind, numbers: Sequence[int], seed: int, log: Path
) -> Callable[[], int]:
    """Work of a fork: damage, call, note, put back; once for each number."""

    def work() -> int:
        os.chdir(folder)
        path = Path(kind.path)
        original = path.read_bytes()
        words = [_an_order() if word == "ORDER" else word for word in kind.words]
        with log.open("a") as notes:
            for number in numbers:
                changed = damage(kind, original, seed, number)
                if changed == original:
                    notes.write(json.dumps([number, "the same", 0, ""]) + "\n")
                    continue
                path.write_bytes(changed)
                code, said = call(words)
                path.write_bytes(original)
                notes.write(json.dumps([number, "tried", code, said[-4_000:]]) + "\n")
                notes.flush()
        return 0

    return work


def damage(kind: Kind, original: bytes, seed: int, number: int) -> bytes:
    """Damage a file, always in the same way for the same numbers."""
    rng = random.Random(f"{seed} {kind.path} {number}")
    content, packed = _opened(kind, original)
    way = rng.choice(WAYS)
    changed = way(content, rng) if content else content
    return original if changed == content else packed(changed)


def _opened(kind: Kind, data: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """What of a file is damaged, and how the file is made of it again."""
    if kind.is_packed:
        return gzip.decompress(data), gzip.compress
    if not kind.is_sheet:
        return data, lambda changed: changed
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"

    def packed(changed: bytes) -> bytes:
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as book:
            for name, part in (parts | {sheet: changed}).items():
                book.writestr(name, part)
        return whole.getvalue()

    return parts[sheet], packed


def _an_order() -> str:
    import polars as pl

    return str(pl.read_parquet("orders.parquet")["order_id"][0])


def judge(
    tally: Tally, name: str, kind: Kind, number: int, code: int, said: str
) -> None:
    """Hold the end of one try against what it may be."""
    faults = []
    if code not in kind.codes:
        what = "verifies" if kind.is_sealed and code == 0 else f"ended with {code}"
        faults.append(what)
    elif code and kind.names and not any(part in said for part in kind.names):
        faults.append("does not name the file")
    if "Traceback" in said:
        faults.append("shows a traceback")
    told = [f"{name} {number}: {fault}: {said[-300:]}" for fault in faults]
    tally.add(name, f"{code}", told[:1])


def campaign(
    folder: Path,
    count: int,
    seed: int,
    only: str = "",
    minutes: float = float("inf"),
) -> Tally:
    """Damage so many files, spread over all kinds; fewer where the minutes are over."""
    ends = time.monotonic() + 60 * minutes
    tally = Tally()
    apart(lambda: prepare(folder))
    kinds = {name: kind for name, kind in KINDS.items() if only in name}
    share = -(-count // len(kinds))
    for place, (name, kind) in enumerate(kinds.items()):
        # What is left of the time is shared by the kinds that are left.
        now = time.monotonic()
        until = now + (ends - now) / (len(kinds) - place)
        whole = (folder / kind.path).read_bytes()
        left = list(range(share))
        while left and time.monotonic() < until:
            numbers, log = left[:BATCH], folder / "notes.jsonl"
            log.unlink(missing_ok=True)
            begun = time.perf_counter()
            said = folder / "said.txt"
            pid = begin(tries(folder, kind, numbers, seed, log), said)
            code = ended(pid, said, begun).code
            rows = [json.loads(x) for x in log.read_text().splitlines()]
            for number, what, end, text in rows:
                if what == "tried":
                    judge(tally, name, kind, number, end, text)
                else:
                    tally.add(name, "the same", [])
            left = left[len(rows) :]
            if code != 0:  # the fork died in the next try
                number = left.pop(0) if left else -1
                told = f"{name} {number}: the process ended with {code}"
                tally.add(name, f"{code}", [told])
                (folder / kind.path).write_bytes(whole)
    return tally


def main() -> int:
    """Damage as many as asked, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="a word of the kind")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory() as name:
        folder, most = Path(name) / "night", asked.minutes
        tally = campaign(folder, asked.count, asked.seed, asked.only, most)
        return tally.report()


if __name__ == "__main__":
    sys.exit(main())
