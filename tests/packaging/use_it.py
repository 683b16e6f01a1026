"""The wheel from Python, with nothing else installed; prints a chosen order's id."""

from __future__ import annotations

import sys
from pathlib import Path


def main(environment: str, version: str) -> None:
    """Solve the simulated night by the package that an environment has."""
    import optimizer

    home = Path(optimizer.__file__)
    assert home.is_relative_to(environment), f"{home} is not the installed package"
    assert version == f"{sys.version_info.major}.{sys.version_info.minor}", sys.version
    night = optimizer.allocate(
        "data/nights/2026-11-22/orders.parquet",
        "data/nights/2026-11-22/capacity.csv",
        config="night.yaml",
        merchants="data/nights/2026-11-22/merchants.parquet",
    )
    assert night.certificate.gap == 0
    assert night.orders.height == 5_000
    best = night.recommendations.sort("saving_cny")["order_id"][-1]
    assert night.explain(best)
    print(best)


if __name__ == "__main__":
    main(*sys.argv[1:])
