"""
The desk in the eyes of Lighthouse: how fast, how accessible, how soundly made.

``python -m benchmarks.lighthouse --config FILE --night RUN_FOLDER`` serves the nights
of a configuration on loopback and lets Lighthouse open each kind of page as a telephone
on a slow line does and as a desktop computer. It prints the scores, of 100, and the
audits that are not passed. Lighthouse comes from npm (``npm install --global
lighthouse@12``, which Node 18 runs) and opens Chromium, whose path ``CHROME_PATH`` may
name; neither is a dependency of this project.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from benchmarks.desk import PAGES, served

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMS = ("mobile", "desktop")
#: What is scored; ``seo`` is left out: no search engine is to find a desk.
CATEGORIES = ("performance", "accessibility", "best-practices")
MORE_PAGES = {"what if": "/what-if", "health": "/health"}
#: Seconds that one page may take.
PATIENCE_SECONDS = 180


def scored(command: str, address: str, form: str, folder: Path) -> dict[str, Any]:
    """The categories of one page, and the audits below 0.9 that a category counts."""
    path = folder / "found.json"
    words = [
        *(command, address, "--quiet", "--output", "json", "--output-path", str(path)),
        "--chrome-flags=--headless=new --no-sandbox",
        f"--only-categories={','.join(CATEGORIES)}",
    ]
    if form == "desktop":
        words.append("--preset=desktop")
    subprocess.run(words, check=True, timeout=PATIENCE_SECONDS, capture_output=True)
    return json.loads(path.read_text("utf-8"))


def missed(found: dict[str, Any]) -> Iterator[str]:
    """Names of the audits that cost a category something."""
    for category in CATEGORIES:
        for part in found["categories"][category]["auditRefs"]:
            score = found["audits"][part["id"]]["score"]
            if part["weight"] and score is not None and score < 0.9:
                yield part["id"]


def main() -> None:
    """Serve, look at each page in both forms, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--night", type=Path, required=True)
    asked = parser.parse_args()
    command = shutil.which("lighthouse")
    if command is None:
        sys.exit("lighthouse is not here: npm install --global lighthouse@12")
    rows = pl.scan_parquet(asked.night / "decisions.parquet")
    order, merchant = rows.select("order_id", "merchant_id").first().collect().row(0)
    marks = {
        "{day}": asked.night.name,
        "{order}": quote(order),
        "{merchant}": quote(merchant),
    }
    desk, port = served(asked.config, "--what-if-orders", "2000000")
    try:
        print("| page | as | " + " | ".join(CATEGORIES) + " | not passed |")
        print("|---|---|" + "--:|" * len(CATEGORIES) + "---|")
        for kind, pattern in (PAGES | MORE_PAGES).items():
            for mark, value in marks.items():
                pattern = pattern.replace(mark, value)
            for form in FORMS:
                with tempfile.TemporaryDirectory() as name:
                    address = f"http://127.0.0.1:{port}{pattern}"
                    found = scored(command, address, form, Path(name))
                scores = (found["categories"][name]["score"] for name in CATEGORIES)
                # What it could not measure has no score, and says so.
                cells = ("-" if s is None else f"{100 * s:.0f}" for s in scores)
                told = ", ".join(dict.fromkeys(missed(found)))
                print(f"| {kind} | {form} | " + " | ".join(cells) + f" | {told} |")
    finally:
        desk.terminate()
        desk.wait()


if __name__ == "__main__":
    main()
