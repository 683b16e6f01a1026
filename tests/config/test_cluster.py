"""Where a night's tables may be, by the engine that reads them."""

from __future__ import annotations

import pytest

from optimizer.config import as_config
from optimizer.errors import ConfigError
from optimizer.testing import make_config


def configured(engine, orders, output="runs"):
    inputs = {"orders": orders, "capacity": "capacity.csv"}
    return as_config(
        make_config() | {"engine": engine, "inputs": inputs, "output": output}
    )


@pytest.mark.parametrize(
    "place",
    [
        "nights/{date}/orders.parquet",
        "s3a://warehouse/orders/dt={date}",
        "hdfs://name:8020/orders",
        "abfss://container@account.dfs.core.windows.net/orders/{date}",
        "file:///srv/orders.parquet",
    ],
)
def test_a_cluster_reads_any_file_system_of_its_own(place):
    """Paths and Hadoop's addresses are taken as they are, for tables and nights."""
    config = configured("spark", place, place)
    assert config.inputs.orders.path == config.output == place


@pytest.mark.parametrize(
    ("engine", "orders", "output", "message"),
    [
        ("local", "hdfs://name/orders", "runs", "inputs.orders: hdfs:// is for engine"),
        ("local", "orders.parquet", "s3a://b/runs", "output: s3a:// is for engine"),
        ("local", "orders.parquet", "s3://b/runs", "output: s3:// is for engine"),
        ("spark", "postgresql://h/d?table=t", "runs", "inputs.orders: engine spark"),
        ("spark", "s3a://b/{day}", "runs", "only placeholder"),
        ("spark", "hdfs://u:secret@name/o", "runs", "must not hold a password"),
        ("spark", "s3a://", "runs", "must be a path"),
    ],
)
def test_a_place_that_the_engine_cannot_reach_is_named(engine, orders, output, message):
    """The key and what it may be are said; what was refused is not repeated."""
    with pytest.raises(ConfigError, match=message) as refused:
        configured(engine, orders, output)
    assert "secret" not in str(refused.value)
