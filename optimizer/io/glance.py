"""Many texts looked at in one go: what small batches cost is the number of calls."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from optimizer.io.words import find_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from optimizer.io.words import Words

#: Fewer values than these are not worth being made distinct.
_FEW = 500
#: With more than these, threads find distinct values sooner.
_MANY = 100_000


def distinct_texts(
    frame: pl.DataFrame,
    names: Iterable[str],
    key: Sequence[str] = (),
    words: Mapping[str, Words] | None = None,
) -> dict[str, pl.Series]:
    """
    Texts of some columns, few of them twice, for rules that hold for each value alone.

    Parameters
    ----------
    frame
        A batch, these columns as text.
    names
        The columns.
    key
        Columns that have each value once, together: one alone is given as it is; of
        one of several, rows with the same value mostly follow each other.
    words
        Those of which the texts are known.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"id": ["b", "a"]})
    >>> {name: texts.to_list() for name, texts in distinct_texts(frame, ["id"]).items()}
    {'id': ['b', 'a']}
    """
    known, is_small = words or {}, len(frame) <= _FEW
    found = {}
    for name in names:
        if name in known:
            found[name] = known[name].texts
        elif is_small or [*key] == [name]:
            found[name] = frame[name]
        elif name in key:
            found[name] = _one_of_each_run(frame[name])
        elif len(frame) <= _MANY:
            found[name] = find_words(frame[name]).texts
        else:
            found[name] = frame[name].unique()
    return found


def _one_of_each_run(texts: pl.Series) -> pl.Series:
    return texts.filter(texts.ne_missing(texts.shift()))


def names_matching(
    texts: Mapping[str, pl.Series], pattern: str, longest: int | None = None
) -> list[str]:
    """
    Which columns have a text that a pattern is found in, or of more than so many bytes.

    Examples
    --------
    >>> import polars as pl
    >>> texts = {"a": pl.Series(["x", None]), "b": pl.Series(["y"])}
    >>> texts |= {"c": pl.Series([""]), "d": pl.Series(["xxx"])}
    >>> names_matching(texts, "y|^$"), names_matching(texts, "y", 2)
    (['b', 'c'], ['b', 'd'])
    """
    if sum(map(len, texts.values())) > _FEW:
        hits = {name: _is_hit(part, pattern, longest) for name, part in texts.items()}
        return [name for name, is_hit in hits.items() if is_hit]
    lists = {name: tuple(dict.fromkeys(part.to_list())) for name, part in texts.items()}
    return [n for n, few in lists.items() if _is_hit_in_few(few, pattern, longest)]


def _is_hit(texts: pl.Series, pattern: str, longest: int | None) -> bool:
    if texts.str.contains(pattern).any():
        return True
    return longest is not None and (texts.str.len_bytes() > longest).any()


@lru_cache(maxsize=128)
def _is_hit_in_few(
    texts: tuple[str | None, ...], pattern: str, longest: int | None
) -> bool:
    """Carriers and regions are the same in every night, and are looked at once."""
    import polars as pl

    return _is_hit(pl.Series(texts, dtype=pl.String), pattern, longest)
