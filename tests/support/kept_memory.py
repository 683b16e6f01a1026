"""What processes hold open of blocks that are kept between passes."""

from __future__ import annotations

from pathlib import Path

LINK = "/memfd:"


def held_by(process):
    """Names of blocks that a process has open, once each; none of one that is gone."""
    found = set()
    try:
        paths = [*Path(f"/proc/{process}/fd").iterdir()]
    except OSError:
        return []
    for path in paths:
        try:
            link = str(path.readlink())
        except OSError:
            continue
        if link.startswith(f"{LINK}optimizer-"):
            found.add(link.removeprefix(LINK).removesuffix(" (deleted)"))
    return sorted(found)


def holders(tokens=None):
    """Processes that hold blocks, each with their names; those of some tokens."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (held := held_by(entry.name)):
            mine = [
                name for name in held if tokens is None or name.split("-")[1] in tokens
            ]
            if mine:
                found[int(entry.name)] = mine
    return found
