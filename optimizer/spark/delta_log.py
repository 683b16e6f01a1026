"""Which engine wrote a Delta table: its log says so, whatever the cluster runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def last_engine(lines: Iterable[str]) -> str | None:
    """
    The version of Delta Lake in the last commit, or what else names its engine.

    ``None``: nothing does.

    Parameters
    ----------
    lines
        Of a table's log, in any order.

    Examples
    --------
    >>> said = '{"commitInfo": {"timestamp": %d, "engineInfo": "%s"}}'
    >>> last_engine([said % (2, "Apache-Spark/4.2.0 Delta-Lake/4.4.1"), said % (1, "")])
    '4.4.1'
    >>> last_engine([said % (1, "delta-rs:1.6.6"), '{"add": {}}'])
    'delta-rs:1.6.6'
    """
    found: list[dict[str, Any]] = []
    for line in lines:
        action = json.loads(line) if line.strip() else {}
        if info := action.get("commitInfo"):
            found.append(info)
    last = max(found, key=lambda info: info.get("timestamp", 0), default={})
    said = str(last.get("engineInfo") or last.get("clientVersion") or "")
    version = re.search(r"Delta-Lake/(\S+)", said)
    return version[1] if version else said or None
