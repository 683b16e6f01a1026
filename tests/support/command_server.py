"""
Runs commands one after another in one process: what a test starts many times.

A line of JSON on standard input, ``{"folder": ..., "words": [...]}``, is a call of the
command line there; its answer is a line with the code and what was printed. Imports and
kernels, which take ten times as long as a command, are loaded once.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path

from optimizer.cli import main as cli


def run(folder: str, words: list[str]) -> dict[str, object]:
    """Call the command line, with its real streams, into files."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        for number, file in enumerate(files, start=1):
            os.dup2(file.fileno(), number)
        os.chdir(folder)
        sys.argv = ["optimizer", *words]
        code: object = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        except BaseException:  # noqa: BLE001 - as Python would end
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        said = []
        for file in files:
            file.seek(0)
            said.append(file.read().decode())
    os.chdir("/")
    return {"code": code, "out": said[0], "err": said[1]}


def serve() -> None:
    """Answer each line until there are no more."""
    with Path(f"/proc/self/fd/{os.dup(1)}").open("w") as answers:
        for line in sys.stdin:
            answers.write(json.dumps(run(**json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    serve()
