r"""
Proofs that one decision is part of a night, without showing the others.

Each row of ``decisions.parquet`` is hashed, :data:`ROWS_IN_LEAF` hashes in a row make a
leaf, and leaves make the tree of RFC 9162 (2.1), with SHA-256:

.. math::

   r_i = H(\text{row}_i), \quad
   \ell_b = H(0 \,\|\, r_{128 b} \| \dots \| r_{128 b+127}), \quad
   \text{node} = H(1 \,\|\, \text{left} \,\|\, \text{right}).

A leaf never spans two row groups, so one order's proof needs one row group and the
leaves, of which a night of ten million orders has 78,125. The other rows of a leaf
appear only as hashes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.tables import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

#: Rows whose hashes make a leaf; a row group is a whole number of leaves.
ROWS_IN_LEAF = 128
_HASH_BYTES = 32


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


def row_hashes(frame: pl.DataFrame, columns: Sequence[str]) -> bytes:
    """SHA-256 of each row's text, 32 bytes a row."""
    import pyarrow

    from optimizer.night.sha256_kernel import sha256_rows

    if len(frame) == 0:
        return b""
    arrow = row_texts(frame, columns).rechunk().to_arrow().cast(pyarrow.large_binary())
    _, ends, text = arrow.buffers()
    places = np.frombuffer(ends, np.int64)[arrow.offset : arrow.offset + len(arrow) + 1]
    return sha256_rows(np.frombuffer(text, np.uint8), places).tobytes()


def leaf_hash(hashes: bytes) -> bytes:
    """Hash of a leaf from the hashes of its rows."""
    return hashlib.sha256(b"\0" + hashes).digest()


@dataclass(slots=True)
class Leaves:
    """
    The leaves of a night, built while its decisions pass by.

    Attributes
    ----------
    columns
        What of a row is hashed: of a night of an older format, what it has.
    done
        Whole leaves, 32 bytes each.
    num_rows
        Rows so far.
    """

    columns: tuple[str, ...] = DECISIONS.column_names
    done: list[bytes] = field(default_factory=list)
    num_rows: int = 0
    _open: bytes = b""

    def add(self, frame: pl.DataFrame) -> None:
        """Take more rows, in order; the batch sizes do not matter."""
        hashes = self._open + row_hashes(frame, self.columns)
        size = ROWS_IN_LEAF * _HASH_BYTES
        whole = len(hashes) - len(hashes) % size
        self.done += [leaf_hash(hashes[at : at + size]) for at in range(0, whole, size)]
        self._open = hashes[whole:]
        self.num_rows += len(frame)

    def close(self) -> list[bytes]:
        """All leaves; the last may hold fewer rows."""
        return self.done + ([leaf_hash(self._open)] if self._open else [])


def leaves_of(frames: Iterable[pl.DataFrame]) -> Leaves:
    """Leaves of decisions that are read, batch by batch."""
    leaves: Leaves | None = None
    for frame in frames:
        known = [name for name in DECISIONS.column_names if name in frame.columns]
        leaves = leaves or Leaves(tuple(known))
        leaves.add(frame)
    return leaves or Leaves()


def leaves_text(leaves: Sequence[bytes]) -> str:
    """Leaves as the file of a night holds them, one a line."""
    return "".join(f"{leaf.hex()}\n" for leaf in leaves)


def commitment(read: Leaves, leaves: Sequence[bytes]) -> dict[str, Any]:
    """
    Commit to a night's decisions in one hash; JSON-ready.

    Parameters
    ----------
    read
        What went into the leaves.
    leaves
        Of its :meth:`Leaves.close`.
    """
    return {
        "columns": list(read.columns),
        "num_rows": read.num_rows,
        "rows_in_leaf": ROWS_IN_LEAF,
        "leaves_sha256": hashlib.sha256(leaves_text(leaves).encode()).hexdigest(),
        "root": root_of(leaves).hex(),
    }


def root_of(leaves: Sequence[bytes]) -> bytes:
    """
    Root of a tree.

    Examples
    --------
    >>> root_of([]) == hashlib.sha256(b"").digest()
    True
    """
    level = list(leaves)
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_to(leaves: Sequence[bytes], number: int) -> list[dict[str, str]]:
    """
    Neighbors on the path from a leaf to the root, the lowest first.

    Returns
    -------
    list of dict
        ``side`` of the neighbor, and its ``hash``.
    """
    level, path = list(leaves), []
    while len(level) > 1:
        beside = number ^ 1
        if beside < len(level):
            side = "left" if beside < number else "right"
            path.append({"side": side, "hash": level[beside].hex()})
        level, number = _above(level), number // 2
    return path


def _above(level: list[bytes]) -> list[bytes]:
    """The next level; a node without a neighbor goes up unchanged."""
    pairs = zip(level[::2], level[1::2], strict=False)
    nodes = [_node(left, right) for left, right in pairs]
    return nodes + level[len(level) - len(level) % 2 :]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def proved_root(text: str, leaf: Mapping[str, Any]) -> str | None:
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
    node = leaf_hash(b"".join(hashes))
    for step in leaf["path"]:
        beside = bytes.fromhex(step["hash"])
        is_left = step["side"] == "left"
        node = _node(beside, node) if is_left else _node(node, beside)
    return node.hex()
