"""Log lines as JSON, each with the id of its run."""

from __future__ import annotations

import logging
import sys
import uuid

#: This process's run: the same in logs and lineage.
RUN_ID = str(uuid.uuid4())


def use_json_lines() -> None:
    """Write one JSON object a line to stderr, from INFO on; safe to call twice."""
    from pythonjsonlogger.json import JsonFormatter

    formatter = JsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        static_fields={"run_id": RUN_ID},
        timestamp="time",
        json_ensure_ascii=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("optimizer").setLevel(logging.INFO)


def are_json() -> bool:
    """Whether :func:`use_json_lines` was called."""
    return any(
        type(handler.formatter).__name__ == "JsonFormatter"
        for handler in logging.getLogger().handlers
    )
