"""The wheel from Python, with nothing else installed; prints a chosen order's id."""

import sys
from pathlib import Path

import optimizer

environment, version = Path(sys.argv[1]), sys.argv[2]
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
