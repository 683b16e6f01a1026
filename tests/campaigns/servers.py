"""
A PostgreSQL that is stopped as a power cut would, in the middle of copies.

``python -m tests.campaigns.servers --count 50 --seed 7``: a delivery of three tables is
under way. It ends with 0, or with 75 and the night published; when the server is back,
the same delivery ends with 0, and every table has the night's rows, each once.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns.forks import apart, ended, load_everything, run_command, start
from tests.campaigns.tally import Tally
from tests.support.postgres import PASSWORD, Server, running_server
from tests.support.small_night import DAY, SmallNight, make_night

TABLES = ("decisions", "merchants", "lanes")
WORDS = ["deliver", str(DAY), "--config", "config.yaml", "--again"]


def prepare(night: SmallNight, server: Server, num_orders: int) -> None:
    """A published night, and where its tables are copied to."""
    make_night(night.folder, num_orders=num_orders)
    os.chdir(night.folder)
    night.run()
    place = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
    night.configure(outputs=[{"table": t, "to": f"{place}?table={t}"} for t in TABLES])


def num_rows(night: SmallNight, table: str) -> int:
    """Rows of a published table, by its record."""
    import json

    record = json.loads((night.run_dir / "run.json").read_text())
    return int(record["outputs"][f"{table}.parquet"]["num_rows"])


def campaign(
    folder: Path, server: Server, count: int, seed: int, num_orders: int = 20_000
) -> Tally:
    """Stop the server so many times."""
    tally, rng, night = Tally(), random.Random(seed), SmallNight(folder)
    os.environ["PGPASSWORD"] = PASSWORD
    apart(lambda: prepare(night, server, num_orders))
    begun = time.perf_counter()
    assert run_command(WORDS, folder).code == 0
    whole = time.perf_counter() - begun
    for number in range(count):
        log, begun = folder / "log", time.perf_counter()
        pid = start(WORDS, folder, log)
        time.sleep(rng.uniform(0, whole))
        server.stop()
        found = ended(pid, log, begun)
        server.start()
        faults = []
        if found.code not in (0, 75):
            faults.append(f"ended with {found.code}: {found.text[-300:]}")
        elif found.code == 75 and PASSWORD in found.text:
            faults.append("tells the password")
        again = run_command(WORDS, folder)
        if again.code != 0:
            faults.append(f"again ends with {again.code}: {again.text[-300:]}")
        for table in TABLES:
            there = int(server.psql(f"select count(*) from {table}"))
            if there != num_rows(night, table):
                faults.append(f"{table} has {there} rows")
        told = [f"stop {number}: {fault}" for fault in faults]
        tally.add("server stopped while copies go out", f"{found.code}", told)
    return tally


def main() -> int:
    """Stop it as often as asked, and print what became of the copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        return campaign(Path(name) / "night", server, asked.count, asked.seed).report()


if __name__ == "__main__":
    sys.exit(main())
