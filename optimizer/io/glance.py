"""Many texts looked at in one go: what small batches cost is the number of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from optimizer.io.words import Words

#: Fewer values than these are not worth being made distinct.
_FEW = 500


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
        else:
            found[name] = frame[name].unique()
    return found


def _one_of_each_run(texts: pl.Series) -> pl.Series:
    return texts.filter(texts.ne_missing(texts.shift()))


def names_matching(texts: Mapping[str, pl.Series], pattern: str) -> list[str]:
    """
    Which columns have a text that a pattern is found in.

    Examples
    --------
    >>> import polars as pl
    >>> texts = {"a": pl.Series(["x", None]), "b": pl.Series(["y"])}
    >>> texts["c"] = pl.Series([""])
    >>> names_matching(texts, "y|^$")
    ['b', 'c']
    """
    if not texts:
        return []
    return _names_of(texts, _together(texts).str.contains(pattern))


def found_anywhere(
    texts: Mapping[str, pl.Series], patterns: Sequence[str], num_bytes: int
) -> tuple[bool, ...]:
    """
    Whether each pattern is in some text; at last, whether one has more bytes than that.

    Examples
    --------
    >>> import polars as pl
    >>> texts = {"a": pl.Series(["x", None]), "b": pl.Series(["yy"])}
    >>> found_anywhere(texts, ["^$", "y"], 2)
    (False, True, False)
    """
    import polars as pl

    if not texts:
        return (False,) * (len(patterns) + 1)
    text = pl.col("")
    asked = [*map(text.str.contains, patterns), text.str.len_bytes() > num_bytes]
    numbered = [is_hit.any().alias(str(n)) for n, is_hit in enumerate(asked)]
    return _together(texts).to_frame().select_seq(numbered).row(0)


def names_longer(texts: Mapping[str, pl.Series], num_bytes: int) -> list[str]:
    """
    Which columns have a text of more than so many bytes.

    Examples
    --------
    >>> import polars as pl
    >>> names_longer({"a": pl.Series(["x"]), "b": pl.Series(["xyz", None])}, 2)
    ['b']
    """
    if not texts:
        return []
    return _names_of(texts, _together(texts).str.len_bytes() > num_bytes)


def _together(texts: Mapping[str, pl.Series]) -> pl.Series:
    import polars as pl

    return pl.concat([part.alias("") for part in texts.values()])


def _names_of(texts: Mapping[str, pl.Series], is_hit: pl.Series) -> list[str]:
    """Columns that have a hit, of all of their texts together."""
    if not is_hit.any():
        return []
    found, first = [], 0
    for name, part in texts.items():
        if is_hit.slice(first, len(part)).any():
            found.append(name)
        first += len(part)
    return found
