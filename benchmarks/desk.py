"""
The desk under load: many clients at once on loopback, each opening pages in turn.

``python -m benchmarks.desk --config FILE`` serves the nights of a configuration and
prints, by kind of page, how long answers took: the first of each page, and the later
ones, which are kept. The desk has ``--wait`` seconds before, as it has of a morning,
and makes the first pages of the newest night meanwhile; with 0 it is asked at once.
``--what-if`` asks one reader's questions instead: the same night under other rules,
each solved from the last prices, after the first one has let the night be read.
"""

from __future__ import annotations

import argparse
import http.client
import re
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import polars as pl

#: Pages by kind; ``{day}`` is the newest night, ``{order}`` and ``{merchant}`` vary.
PAGES = {
    "nights": "/nights",
    "night": "/nights/{day}",
    "orders, as published": "/nights/{day}/orders",
    "orders, by saving": "/nights/{day}/orders?sort=-saving_cny",
    "orders, their second page": "/nights/{day}/orders?sort=-saving_cny&page=2",
    "orders, one decision by saving": (
        "/nights/{day}/orders?reason=CAPACITY_FULL&sort=-saving_cny"
    ),
    "merchants": "/nights/{day}/merchants",
    "one merchant": "/merchant?id={merchant}",
    "one order": "/order?id={order}",
    "carriers": "/carrier",
}


def timed(port: int, address: str) -> float:
    """Seconds until a page has come; it must be one."""
    start = time.perf_counter()
    page_of(port, address)
    return time.perf_counter() - start


def page_of(port: int, address: str) -> str:
    """The page of an address, in English; it must be one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", address, headers={"Accept-Language": "en"})
    answer = connection.getresponse()
    page = answer.read()
    connection.close()
    assert answer.status == 200, (address, answer.status)
    return page.decode("utf-8")


#: Questions of a planner: another cap, fee, cost, half the slots of the first carrier.
QUESTIONS = ("cap=2", "cap=3.5", "fee=0.5", "fee=1.2", "complaint=40", "slots0=0.5")


def served(config: Path, *more: str) -> tuple[subprocess.Popen[str], int]:
    """Start the desk, and wait until it says where it is."""
    words = (
        *("serve", "--config", str(config), "--port", "0"),
        *("--requests-per-second", "100000", *more),
    )
    desk = subprocess.Popen(
        [sys.executable, "-m", "optimizer", *words], stderr=subprocess.PIPE, text=True
    )
    assert desk.stderr is not None
    told = desk.stderr.readline()
    found = re.search(r":(\d+);", told)
    assert found, told
    return desk, int(found[1])


def load(port: int, addresses: list[str], num_clients: int) -> list[float]:
    """Let all clients begin at once, each with its page."""
    gate = threading.Barrier(num_clients)

    def client(number: int) -> float:
        gate.wait()
        return timed(port, addresses[number % len(addresses)])

    with ThreadPoolExecutor(num_clients) as pool:
        return list(pool.map(client, range(num_clients)))


def ask_what_if(port: int, day: str) -> None:
    """Print how long the night is read, and how long each question takes after it."""
    start = time.perf_counter()
    while not _is_answered(page_of(port, f"/what-if?night={day}")):
        time.sleep(0.2)
    print(f"{'read, and as tonight':<32} {time.perf_counter() - start:8.3f}")
    for question in QUESTIONS:
        start = time.perf_counter()
        page = page_of(port, f"/what-if?night={day}&{question}")
        assert _is_answered(page), question
        print(f"{question:<32} {time.perf_counter() - start:8.3f}")


def _is_answered(page: str) -> bool:
    """Whether the plan that was asked for stands on the page."""
    return "As asked" in page


def main() -> None:
    """Serve, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--night", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--wait", type=float, default=10.0)
    parser.add_argument("--what-if", action="store_true")
    asked = parser.parse_args()
    if asked.what_if:
        desk, port = served(asked.config)
        try:
            ask_what_if(port, asked.night.name)
        finally:
            desk.terminate()
            desk.wait()
        return
    some = pl.scan_parquet(asked.night / "decisions.parquet")
    rows = some.select("order_id", "merchant_id").gather_every(
        max(1, some.select(pl.len()).collect().item() // asked.clients)
    )
    ids = rows.head(asked.clients).collect()
    values = {
        "{day}": [asked.night.name],
        "{order}": [quote(name) for name in ids["order_id"]],
        "{merchant}": [quote(name) for name in ids["merchant_id"]],
    }
    desk, port = served(asked.config, "--what-if-orders", "0")
    try:
        time.sleep(asked.wait)
        print(f"{'page':<32} {'first s':>8} {'median s':>9} {'p95 s':>8} {'most s':>8}")
        for kind, pattern in PAGES.items():
            addresses = [pattern]
            for mark, known in values.items():
                if mark in pattern:
                    addresses = [a.replace(mark, k) for a in addresses for k in known]
            first = timed(port, addresses[0])
            found = sorted(load(port, addresses, asked.clients))
            p95 = found[int(0.95 * len(found)) - 1]
            print(
                f"{kind:<32} {first:8.3f} {statistics.median(found):9.3f} {p95:8.3f} "
                f"{found[-1]:8.3f}"
            )
    finally:
        desk.terminate()
        desk.wait()


if __name__ == "__main__":
    main()
