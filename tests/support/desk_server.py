"""A desk that browsers can reach: nights with names that attack, on loopback."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import uvicorn
from starlette.applications import Starlette

from optimizer.desk.server import listening
from tests.support.hostile_names import HOSTILE
from tests.support.small_night import DAY, SmallNight, make_night

#: Markup in ids; what no id may hold is refused before a night is published.
NAMES = HOSTILE[:5]


def hostile_night(folder: Path) -> SmallNight:
    """A night, not yet published, with names that attack wherever an id stands."""
    night = make_night(folder)
    orders, lanes = night.read("orders"), night.read("capacity")
    columns = ("merchant_id", "order_id", "region_id", "carrier_id")
    renamed = {
        column: dict(zip(orders[column].unique().sort(), NAMES[:2], strict=False))
        for column in columns
    }
    merchants = night.read("merchants")
    for name, table in (
        ("orders", orders),
        ("capacity", lanes),
        ("merchants", merchants),
    ):
        there = [column for column in columns if column in table.columns]
        night.write(
            name,
            table.with_columns(pl.col(c).cast(str).replace(renamed[c]) for c in there),
        )
    policy = night.settings()["policy"][0]
    known = renamed["carrier_id"]
    policy["carriers"] = [known.get(name, name) for name in policy["carriers"]]
    night.configure(policy=[policy])
    return night


def repeat_night(night: SmallNight, num_days: int) -> None:
    """Let the same night stand for the days before it, so that there are lines."""
    version = night.run_dir.resolve()
    for back in range(1, num_days + 1):
        day = (DAY - dt.timedelta(days=back)).isoformat()
        shutil.copytree(version, night.runs / ".versions" / day / version.name)
        (night.runs / day).symlink_to(f".versions/{day}/{version.name}")


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application in a thread; its address."""
    with listening("127.0.0.1", 0) as taken:
        settings = uvicorn.Config(app, log_level="warning", lifespan="off")
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
