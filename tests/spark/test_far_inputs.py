"""What a far night notices of its inputs, and what it then says, without a cluster."""

from __future__ import annotations

import datetime as dt

import pytest

from optimizer.errors import BusyError, PublishError
from optimizer.night.far_names import forget_names, given_names
from optimizer.spark import far_inputs
from optimizer.spark import run as far_run
from optimizer.spark.far_inputs import look_at, refuse_far_change
from optimizer.spark.run import _noted, _told_errors

DAY = dt.date(2026, 11, 22)
FOLDER = f"s3a://runs/{DAY}"


def write_over(path):
    """Another content of the same size."""
    path.write_text("x")


def replace(path):
    """Another file of the same content."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def vanish(path):
    """No file."""
    path.unlink()


def join(path):
    """One more."""
    path.with_name("c.csv").write_text("c")


@pytest.mark.parametrize("change", [write_over, replace, vanish, join])
@pytest.mark.parametrize("pattern", ["*.csv", "", "b.csv"])
def test_a_change_of_what_the_driver_sees_is_named(tmp_path, change, pattern):
    """By glob, folder or name, whichever way it changes; no cluster is asked."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(name)
    seen = look_at(None, [f"{tmp_path}/{pattern}".rstrip("/")])
    refuse_far_change(seen)
    change(tmp_path / "b.csv")
    if change is join and pattern == "b.csv":
        refuse_far_change(seen)  # of a table that is one file
        return
    named = "c" if change is join else "b"
    with pytest.raises(BusyError, match=rf"/{named}\.csv: changed while the night"):
        refuse_far_change(seen)


FILES = (("s3a://a/1", 5, 1.0), ("s3a://a/2", 5, 1.0))


@pytest.mark.parametrize(
    ("now", "named"),
    [
        (FILES[:1], "a/2"),
        ((*FILES, ("s3a://a/3", 5, 1.0)), "a/3"),
        ((("s3a://a/1", 6, 1.0), FILES[1]), "a/1"),
        ((("s3a://a/1", 5, 2.0), FILES[1]), "a/1"),
    ],
    ids=["fewer", "more", "size", "time"],
)
def test_a_change_of_what_the_cluster_sees_is_named(monkeypatch, now, named):
    """By the list that its store gives before and after."""
    lists = iter([frozenset(FILES), frozenset(FILES), frozenset(now)])
    monkeypatch.setattr(far_inputs, "files_now", lambda *_: next(lists))
    seen = look_at(None, ["s3a://a"])
    refuse_far_change(seen)
    with pytest.raises(BusyError, match=rf"s3a://{named}: changed while"):
        refuse_far_change(seen)


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_a_night_that_may_have_its_name_is_not_unsaid_by_a_change(
    tmp_path, is_looked_at
):
    """What is known of the name is told; before it, that an input changed."""
    path = tmp_path / "orders.parquet"
    path.touch()

    def run():
        with _told_errors(FOLDER, DAY) as so_far:
            so_far.seen = look_at(None, [str(path)])
            if is_looked_at:
                far_run._look_last(so_far)
            path.write_text("more")
            raise PublishError("run.json may name it")

    said = (PublishError, "may name") if is_looked_at else (BusyError, "changed while")
    with pytest.raises(said[0], match=said[1]):
        run()


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (None, [(FOLDER, DAY, True)]),
        (KeyboardInterrupt, [(FOLDER, DAY, False)]),
        (PublishError, []),
    ],
)
def test_the_name_of_a_far_night_is_noted_as_far_as_it_is_known(error, noted):
    """Given; stopped as it was written; or refused, with a message of its own."""
    forget_names()
    try:
        with _noted(FOLDER, DAY):
            if error is not None:
                raise error
    except (KeyboardInterrupt, PublishError):
        pass
    found = [(name.folder, name.day, name.is_sure) for name in given_names()]
    forget_names()
    assert found == noted
