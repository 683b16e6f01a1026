"""Tonight under a candidate configuration, compared with the published night."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.compare.runs import compare_runs
from optimizer.config import load_config
from optimizer.errors import OptimizerError, lack_of_memory

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from optimizer.config import Config
    from optimizer.night.run import RunReport

logger = logging.getLogger(__name__)

#: Folder of candidates' nights, within the folder of published ones.
SHADOW = ".shadow"


def run_shadow(
    live: Config,
    live_dir: Path,
    candidate: Path,
    day: dt.date,
    run: Callable[[Config], RunReport],
) -> dict[str, Any]:
    """
    Solve a date under a candidate configuration, on the live inputs, and compare.

    The candidate's night goes to ``OUTPUT/.shadow``, apart from the published one;
    ``explain``, ``verify`` and ``diff`` work on it. Whatever goes wrong with a
    candidate, the live night is kept.

    Parameters
    ----------
    live, live_dir
        The configuration of the live night, and the folder where it is published.
    candidate
        YAML file; its own ``inputs`` and ``output`` are not used.
    day
        The business date.
    run
        Runs the date under a configuration, and publishes it where that says.

    Returns
    -------
    dict
        JSON-ready: ``run_dir``, ``saving_change_cny``, ``num_changed`` by change, and
        the ``rules`` that differ; or ``error``.
    """
    try:
        config = load_config(candidate).model_copy(
            update={"inputs": live.inputs, "output": f"{live.output}/{SHADOW}"}
        )
        report = run(config)
        found = compare_runs(live_dir, Path(report.run_dir))
    except OptimizerError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": str(lack_of_memory(f"the candidate {candidate}"))}
    except Exception as error:
        # A candidate may hit a bug; the night that is published must not.
        logger.exception("the candidate %s failed", candidate)
        return {"error": f"a bug of the candidate: {error!r}"}
    saved = {
        row["metric"]: float(row["after"]) - float(row["before"])
        for row in found.numbers.to_dicts()
        if row["metric"] == "saving_cny"
    }
    counts = found.orders["change"].value_counts().sort("change")
    return {
        "run_dir": str(report.run_dir),
        "saving_change_cny": saved.get("saving_cny", 0.0),
        "num_changed": dict(counts.iter_rows()),
        "rules": found.rules.to_dicts(),
    }


def shadow_lines(found: dict[str, Any]) -> list[str]:
    """A candidate's night in a few lines."""
    if "error" in found:
        return [f"shadow: failed; the live night is unaffected: {found['error']}"]
    changed = ", ".join(f"{n:,} {kind}" for kind, n in found["num_changed"].items())
    rules = ", ".join(row["key"] for row in found["rules"]) or "none"
    return [
        f"shadow: {found['run_dir']}, not published",
        f"  saves      {found['saving_change_cny']:+,.2f} CNY against the live night",
        f"  changed    {changed or 'no recommendation'}",
        f"  rules      {rules}",
    ]
