"""Learning keeps to one thread, so that its sums do not depend on a machine's cores."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.linear_model  # noqa: F401  (only what is loaded can be limited)
from threadpoolctl import threadpool_info, threadpool_limits

from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.one_thread import on_one_thread


def num_threads(*_) -> set[int]:
    """Threads of the libraries of linear algebra."""
    return {pool["num_threads"] for pool in threadpool_info()}


def products(rows) -> bytes:
    """Sums that threads would share."""
    return (rows.T @ rows).tobytes()


def test_the_machines_cores_change_no_sum():
    """A product has the same bits on any number of threads, which stay as they were."""
    rows = np.random.default_rng(1).normal(size=(40_000, 40))
    with threadpool_limits(1):
        alone = products(rows)
    for threads in (2, 3):
        with threadpool_limits(threads):
            assert on_one_thread(num_threads)() == {1}
            assert on_one_thread(products)(rows) == alone
            assert num_threads() == {threads}


@pytest.mark.parametrize("function", [learn, evaluate])
def test_what_is_learned_and_measured_is_on_one_thread(function, monkeypatch):
    """Both read their history when the threads are limited already."""
    seen = []

    def look(*_):
        seen.append(num_threads())
        raise InterruptedError

    monkeypatch.setitem(function.__wrapped__.__globals__, "read_history", look)
    with threadpool_limits(2), pytest.raises(InterruptedError):
        function(None, None, None)
    assert seen == [{1}]
