r"""
Leaves of nights of formats 1 and 2: hashes of the texts of single rows.

Decisions stand by ``order_id`` there. Each row's text is hashed, and
:data:`ROWS_IN_LEAF` hashes in a row make a leaf:

.. math::

   r_i = H(\text{row}_i), \quad
   \ell_b = H(0 \,\|\, r_{128 b} \| \dots \| r_{128 b+127}).

The tree above them is that of :mod:`optimizer.night.merkle`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import DECISIONS
from optimizer.night.merkle import leaves_text, root_from, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

#: Rows whose hashes make a leaf.
ROWS_IN_LEAF = 128


def row_texts(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    r"""
    Write rows of decisions as the text that is hashed.

    Values in the order of ``columns`` with tabs between, money in whole micro-CNY, and
    nothing for a missing value. Ids hold no tabs, and reasons in words come last.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"order_id": ["a"], "saving_cny": [0.29], "reason": [None]})
    >>> row_texts(rows, rows.columns).to_list()
    ['a\t290000\t']
    """
    import polars as pl

    def words(name: str) -> pl.Expr:
        column = pl.col(name)
        if frame.schema[name].is_float():
            column = (column * 1e6).round().cast(pl.Int64)
        return column.cast(pl.String).fill_null("")

    return frame.select(
        text=pl.concat_str(list(map(words, columns)), separator="\t")
    ).to_series()


def row_hashes(frame: pl.DataFrame, columns: Sequence[str]) -> list[bytes]:
    """SHA-256 of each row's text."""
    texts = row_texts(frame, columns).to_list()
    return [hashlib.sha256(text.encode()).digest() for text in texts]


def row_leaf(hashes: Sequence[bytes]) -> bytes:
    """Hash of a leaf from the hashes of its rows."""
    return hashlib.sha256(b"\0" + b"".join(hashes)).digest()


def row_leaves(
    frames: Iterable[pl.DataFrame],
) -> tuple[list[bytes], tuple[str, ...], int]:
    """Leaves of decisions that are read, their columns, and the number of rows."""
    hashes, columns = list[bytes](), DECISIONS.column_names
    for frame in frames:
        known = [name for name in DECISIONS.column_names if name in frame.columns]
        columns = tuple(known)
        hashes += row_hashes(frame, columns)
    leaves = [
        row_leaf(hashes[at : at + ROWS_IN_LEAF])
        for at in range(0, len(hashes), ROWS_IN_LEAF)
    ]
    return leaves, columns, len(hashes)


def row_commitment(frames: Iterable[pl.DataFrame]) -> dict[str, Any]:
    """Commit to a night that an older version published without a commitment."""
    leaves, columns, num_rows = row_leaves(frames)
    return {
        "columns": list(columns),
        "num_rows": num_rows,
        "rows_in_leaf": ROWS_IN_LEAF,
        "leaves_sha256": hashlib.sha256(leaves_text(leaves).encode()).hexdigest(),
        "root": root_of(leaves).hex(),
    }


def proved_row_root(text: str, leaf: Mapping[str, Any]) -> str | None:
    """
    Root that follows from a row and its proof; needs no more than SHA-256.

    Parameters
    ----------
    text
        The row, as :func:`row_texts` writes it.
    leaf
        ``row_hashes`` (of all rows of the leaf), ``position`` (of this one), ``path``.

    Returns
    -------
    str or None
        In hexadecimal; ``None`` where the row is not the one at its position.
    """
    hashes = [bytes.fromhex(found) for found in leaf["row_hashes"]]
    if hashes[leaf["position"]] != hashlib.sha256(text.encode()).digest():
        return None
    return root_from(row_leaf(hashes), leaf["path"])
