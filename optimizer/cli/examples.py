"""An example of each command, and the exit codes, for the end of its help."""

from __future__ import annotations

#: Meaning of each exit code, as in docs/how-to/run-every-night.md.
EXIT_CODES = {
    "0": "published, or answered",
    "1": "a bug, with a traceback in the log; or a disk that cannot be written or is "
    "full; or too little memory",
    "2": "usage or configuration",
    "3": "an input was refused",
    "4": "no plan good enough to publish, or a night that does not hold",
    "5": "the date has no night (status)",
    "75": "try again later: the date is locked, an input is late or changed",
    "130, 143, 129": "stopped by Control-C, SIGTERM or SIGHUP",
}

#: Command: one that works in a project as ``make run`` leaves it, or a user's own.
EXAMPLES = {
    "init": "init orders.xlsx history.csv --slots 20",
    "learn": "learn --config premium.yaml",
    "evaluate": "evaluate --config premium.yaml --from 2026-10-01",
    "validate": "validate --config configs/nightly.yaml --date 2026-11-22",
    "run": "run --config configs/nightly.yaml --date yesterday",
    "schema": "schema",
    "explain": "explain runs/2026-11-22 ORDER_ID --language zh",
    "prices": "prices runs/2026-11-22 --top 10",
    "scenarios": "scenarios runs/2026-11-22 --scenarios scenarios.yaml",
    "diff": "diff runs/2026-11-21 runs/2026-11-22",
    "accept": "accept runs/2026-11-22 --against runs/2026-11-21",
    "robustness": "robustness runs/2026-11-22",
    "verify": "verify runs/2026-11-22 --config configs/nightly.yaml",
    "backfill": "backfill --config premium.yaml --from 2026-11-01 --to 2026-11-22",
    "rollback": "rollback --config configs/nightly.yaml 2026-11-22",
    "status": "status --config configs/nightly.yaml 2026-11-22",
    "runs": "runs --config configs/nightly.yaml",
    "evidence": "evidence --config configs/nightly.yaml ORDER_ID",
    "audit": "audit --config configs/nightly.yaml",
    "prune": "prune --config configs/nightly.yaml",
    "warm": "warm",
    "deliver": "deliver --config configs/nightly.yaml 2026-11-22",
    "serve": "serve --config configs/nightly.yaml",
    "simulate": "simulate --out data --orders 100000 --merchants 500 --seed 7",
    "outcomes": "simulate outcomes --runs runs --nights data/nights",
    "upgrade": "state upgrade --config configs/nightly.yaml",
    "repair": "state repair --config configs/nightly.yaml",
}


def end_of_help(name: str) -> str:
    """Lines below a command's options: an example, and what its exit codes mean."""
    codes = ". ".join(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items())
    return f"Example: optimizer {EXAMPLES[name]}\n\nExit codes. {codes}."
