"""
Disk that forced reruns of one date take, before and after a prune.

``python -m tests.support.reruns 100 20000`` runs a date of so many orders so often.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from optimizer.config import load_config
from optimizer.evidence.audit import audit
from optimizer.night.prune import prune
from optimizer.verify.night import verify_night
from tests.support.small_night import SmallNight, make_night


def disk_bytes(folder: Path) -> int:
    """Space on the disk; what several names share is counted once."""
    found = {
        (stat.st_dev, stat.st_ino): stat.st_blocks * 512
        for stat in (path.lstat() for path in folder.rglob("*"))
    }
    return sum(found.values())


def rerun(night: SmallNight, num_reruns: int) -> dict[str, int]:
    """
    Publish a date again and again, each time with other orders or another rule.

    Every other time the orders are a new export, in between the cap's rate changes.
    """
    orders, policy = night.read("orders"), night.settings()["policy"]
    night.configure(keep={"versions": 3})
    for number in range(num_reruns + 1):
        night.write("orders", orders[: len(orders) - number // 2])
        policy[0]["cap"]["rate"] = (300 + (number + 1) // 2) / 10_000
        night.configure(policy=policy)
        assert night.run(is_forced=number > 0).outcome == "published"
    found = {"before": disk_bytes(night.runs)}
    config = load_config(night.config)
    prune(config)
    found["after"] = disk_bytes(night.runs)
    assert audit(config).findings == ()
    assert verify_night(night.run_dir).findings == ()
    assert prune(config) == []
    return found


def main() -> None:
    """Rerun so many times, with so many orders."""
    num_reruns, num_orders = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        night = make_night(Path(name) / "night", num_orders=num_orders)
        os.chdir(night.folder)
        found = rerun(night, num_reruns)
        kept = len([*(night.runs / ".versions" / night.run_dir.name).iterdir()])
        print(
            f"{num_reruns} forced reruns of {num_orders:,} orders: "
            f"{found['before']:,} bytes before a prune, {found['after']:,} after; "
            f"{kept} versions kept"
        )


if __name__ == "__main__":
    main()
