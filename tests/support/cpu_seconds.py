"""
The CPU that each test takes, its processes included, to see which are to be ``slow``.

``pytest -p tests.support.cpu_seconds`` writes a line for each test into files named
after ``CPU_SECONDS`` (one for each worker), and
``python -m tests.support.cpu_seconds FILE...`` lists the marks that are missing.
Other work on a machine changes wall seconds several times over, these by a third.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

#: A test that takes more is slow, one that is slow and takes less need not be.
SLOW, NOT_SLOW = 1.0, 0.3
LONGEST = 40


def cpu() -> float:
    """CPU seconds of this process, and of its children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(
            resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Measure a test with the fixtures that it was the first to ask for."""
    start = cpu()
    done = yield
    line = {
        "test": item.nodeid,
        "seconds": round(cpu() - start, 3),
        "is_slow": item.get_closest_marker("slow") is not None,
        "needs": item.get_closest_marker("needs") is not None,
    }
    path = f"{os.environ['CPU_SECONDS']}.{os.environ.get('PYTEST_XDIST_WORKER', '0')}"
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return done


def report(lines: list[dict[str, object]]) -> list[str]:
    """Say where the seconds are, and which marks are missing or not earned."""
    seconds: dict[str, float] = {}
    files: defaultdict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    said = []
    for line in lines:
        test, took = str(line["test"]), float(str(line["seconds"]))
        is_quick = not (line["is_slow"] or line["needs"])
        seconds[test] = took
        files[test.split("::")[0], is_quick].update({"seconds": took, "tests": 1})
        if took > SLOW and is_quick:
            said.append(f"{took:8.2f}  not marked slow: {test}")
    for is_quick in (True, False):
        mine = {file: of for (file, quick), of in files.items() if quick is is_quick}
        total = sum(of["seconds"] for of in mine.values())
        number = sum(of["tests"] for of in mine.values())
        what = "quick" if is_quick else "slow, or of a program"
        said.append(f"{total:8.1f}  {number} tests, {what}")
        longest = sorted(mine.items(), key=lambda found: -found[1]["seconds"])
        said += [
            f"{of['seconds']:8.1f}  {of['tests']:4} tests of {file}"
            for file, of in longest[:LONGEST]
        ]
    slow = {str(line["test"]) for line in lines if line["is_slow"]}
    by_function: defaultdict[str, float] = defaultdict(float)
    for test in slow:
        function = test.split("[")[0]
        by_function[function] = max(by_function[function], seconds[test])
    said += [
        f"{took:8.2f}  need not be slow: {function}"
        for function, took in by_function.items()
        if took < NOT_SLOW
    ]
    return said


if __name__ == "__main__":
    texts = [Path(name).read_text("utf-8") for name in sys.argv[1:]]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    print("\n".join(report(lines)))
