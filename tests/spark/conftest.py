"""Fixtures: a cluster for all tests, a driver for each file."""

from __future__ import annotations

import warnings

import pytest

from tests.support.spark_cluster import running_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def spark(cluster):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support")
        session = cluster.session("tests")
    yield session
    session.stop()
