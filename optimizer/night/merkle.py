r"""
Proofs that decisions are part of a night, without showing another merchant's.

All decisions of a merchant make a leaf, and leaves, in the order of merchant ids, make
the tree of RFC 9162 (2.1), with SHA-256:

.. math::

   \ell_m = H(0 \,\|\, \text{head}_m \,\|\, H(\text{piece}_1) \,\|\, \dots), \quad
   \text{node} = H(1 \,\|\, \text{left} \,\|\, \text{right}).

The head of a leaf is the merchant's id and its number of rows; a piece is up to
:data:`ROWS_IN_PIECE` of its rows in the order of the file. All numbers are big-endian:

- head: bytes of the id (4 bytes), the id in UTF-8, the number of rows (8 bytes);
- piece: the records of its rows, then their texts;
- record: each column but ``merchant_id``, in the order of the table: an amount or a
  share in whole millionths (8 bytes, signed; missing: the least number), a flag (1
  byte: 0, 1; missing: 255), a text's bytes (4 bytes; missing: all bits set);
- texts: row by row, each text in UTF-8, in the order of the columns.

Nights of formats 1 and 2 have other leaves: :mod:`optimizer.night.row_leaves`.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.contracts.tables import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    import polars as pl
    from numpy.typing import NDArray

#: Rows of a merchant that are hashed together.
ROWS_IN_PIECE = 65_536
#: What a leaf stands for, in the commitment of a night.
LEAF_OF = "merchant"
#: Of the columns that are hashed: all, and a merchant's id stands in the head.
HASHED = tuple(name for name in DECISIONS.column_names if name != "merchant_id")
_MISSING_NUMBER, _MISSING_FLAG, _MISSING_TEXT = -(1 << 63), 255, (1 << 32) - 1
#: Records that are filled in at a time: so many stay in the processor's cache.
_CACHED_ROWS = 8_192
#: Pieces of a merchant that wait for the rest of its rows, at most.
_WAITING_PIECES = 16
#: Frames whose hashes are not done; more would fill the memory.
_MOST_OPEN = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """Rows as they are hashed: fixed records, and texts with where each row's begin."""

    records: NDArray[np.void]
    texts: memoryview
    begins: NDArray[np.int64]

    def piece_hash(self, first: int, last: int) -> bytes:
        """Hash of the rows ``first:last``."""
        found = hashlib.sha256(self.records[first:last].view(np.uint8).data)
        found.update(self.texts[int(self.begins[first]) : int(self.begins[last])])
        return found.digest()


def _form(frame: pl.DataFrame) -> _Form:
    import polars as pl
    import pyarrow

    kinds = frame.select(HASHED).schema
    texts = [name for name, kind in kinds.items() if kind == pl.String]
    fields = [(name, _record_type(kind)) for name, kind in kinds.items()]
    records = np.empty(len(frame), np.dtype(fields))
    values = {}
    for name, kind in kinds.items():
        column, missing = frame[name], _MISSING_NUMBER
        if kind == pl.String:
            column, missing = column.str.len_bytes(), _MISSING_TEXT
        elif kind == pl.Boolean:
            column, missing = column.cast(pl.UInt8), _MISSING_FLAG
        else:
            column = (column * 1e6).round().cast(pl.Int64)
        values[name] = column.fill_null(missing).to_numpy()
    for first in range(0, len(frame), _CACHED_ROWS):
        some = slice(first, first + _CACHED_ROWS)
        for name, whole in values.items():
            records[name][some] = whole[some]
    joined = frame.select(pl.concat_str(texts, ignore_nulls=True)).to_series()
    arrow = joined.rechunk().to_arrow().cast(pyarrow.large_binary())
    _, ends, data = arrow.buffers()
    begins = np.frombuffer(ends, np.int64)[arrow.offset : arrow.offset + len(arrow) + 1]
    return _Form(records, memoryview(data or b""), begins)


def _record_type(kind: Any) -> str:
    import polars as pl

    return {pl.String: ">u4", pl.Boolean: "u1"}.get(kind.base_type(), ">i8")


class _Run(NamedTuple):
    """Rows of a merchant that stand together, and the hashes of their pieces."""

    merchant_id: str
    num_rows: int
    pieces: list[bytes]


def merchant_leaves(frame: pl.DataFrame) -> list[bytes]:
    """
    Leaves of decisions, in their order.

    Parameters
    ----------
    frame
        All decisions of some merchants, one merchant after the other.
    """
    return [leaf_hash(*run) for run in _runs(frame)]


def _runs(frame: pl.DataFrame) -> list[_Run]:
    if len(frame) == 0:
        return []
    form, runs = _form(frame), frame["merchant_id"].rle().struct.unnest()
    found, first = [], 0
    for num_rows, merchant_id in runs.select("len", "value").iter_rows():
        last = first + num_rows
        pieces = [
            form.piece_hash(at, min(at + ROWS_IN_PIECE, last))
            for at in range(first, last, ROWS_IN_PIECE)
        ]
        found.append(_Run(merchant_id, num_rows, pieces))
        first = last
    return found


def leaf_hash(merchant_id: str, num_rows: int, pieces: Sequence[bytes]) -> bytes:
    """Hash of a leaf from the hashes of its pieces."""
    name = merchant_id.encode()
    head = len(name).to_bytes(4, "big") + name + num_rows.to_bytes(8, "big")
    return hashlib.sha256(b"\0" + head + b"".join(pieces)).digest()


def piece_hashes(rows: pl.DataFrame) -> list[bytes]:
    """Hashes of the pieces of one merchant's rows."""
    form, size = _form(rows), len(rows)
    return [
        form.piece_hash(at, min(at + ROWS_IN_PIECE, size))
        for at in range(0, size, ROWS_IN_PIECE)
    ]


@dataclass(slots=True)
class Leaves:
    """
    The leaves of a night, hashed in a thread while its decisions pass by.

    Attributes
    ----------
    num_rows
        Rows so far.
    """

    num_rows: int = 0
    _done: list[bytes] = field(default_factory=list)
    _last: _Run | None = None
    _open: list[Future[list[_Run]]] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def add(self, frame: pl.DataFrame) -> None:
        """
        Take more rows, in order.

        A merchant may go on in the next call, after whole pieces of
        :data:`ROWS_IN_PIECE` rows.
        """
        self._open.append(self._pool.submit(_runs, frame))
        self.num_rows += len(frame)
        if len(self._open) > _MOST_OPEN:
            self._take(self._open.pop(0).result())

    def _take(self, runs: list[_Run]) -> None:
        """Add what is hashed, and make leaves of merchants that are complete."""
        for run in runs:
            last = self._last
            if last is not None and last.merchant_id == run.merchant_id:
                if last.num_rows % ROWS_IN_PIECE:
                    raise ValueError(f"{run.merchant_id}: parted within a piece")
                num_rows = last.num_rows + run.num_rows
                run = _Run(run.merchant_id, num_rows, last.pieces + run.pieces)
            elif last is not None:
                self._done.append(leaf_hash(*last))
            self._last = run

    def close(self) -> list[bytes]:
        """All leaves."""
        for late in self._open:
            self._take(late.result())
        self._open.clear()
        self._pool.shutdown()
        if self._last is not None:
            self._done.append(leaf_hash(*self._last))
            self._last = None
        return self._done


def _whole_pieces(left: list[pl.DataFrame], leaves: Leaves) -> list[pl.DataFrame]:
    """Hash what is long enough of the rows of a merchant that goes on; what is left."""
    import polars as pl

    num_rows = sum(map(len, left))
    if num_rows <= _WAITING_PIECES * ROWS_IN_PIECE:
        return left
    cut = (num_rows - 1) // ROWS_IN_PIECE * ROWS_IN_PIECE
    whole = pl.concat(left)
    leaves.add(whole[:cut])
    return [whole[cut:]]


def leaves_of(frames: Iterable[pl.DataFrame]) -> Leaves:
    """Leaves of decisions that are read, in pieces of any size."""
    import polars as pl

    leaves, left = Leaves(), list[pl.DataFrame]()
    for frame in frames:
        if len(frame) == 0:
            continue
        last = frame["merchant_id"][-1]
        if left and left[-1]["merchant_id"][-1] != last:
            ends = frame["merchant_id"].search_sorted(last)
            leaves.add(pl.concat([*left, frame[:ends]]))
            left = [frame[ends:]]
        elif left:
            left = _whole_pieces([*left, frame], leaves)
        else:
            begins = int(frame["merchant_id"].search_sorted(last))
            if begins:
                leaves.add(frame[:begins])
            left = [frame[begins:]]
    if left:
        leaves.add(pl.concat(left))
    return leaves


def leaves_text(leaves: Sequence[bytes]) -> str:
    """Leaves as the file of a night holds them, one a line."""
    return "".join(f"{leaf.hex()}\n" for leaf in leaves)


def commitment(num_rows: int, leaves: Sequence[bytes]) -> dict[str, Any]:
    """
    Commit to a night's decisions in one hash; JSON-ready.

    Parameters
    ----------
    num_rows
        Decisions.
    leaves
        Of their merchants.
    """
    return {
        "columns": list(DECISIONS.column_names),
        "leaf_of": LEAF_OF,
        "num_rows": num_rows,
        "num_leaves": len(leaves),
        "rows_in_piece": ROWS_IN_PIECE,
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


def root_from(leaf: bytes, path: Sequence[Mapping[str, Any]]) -> str:
    """Root that a leaf and its path lead to, in hexadecimal."""
    for step in path:
        beside = bytes.fromhex(step["hash"])
        is_left = step["side"] == "left"
        leaf = _node(beside, leaf) if is_left else _node(leaf, beside)
    return leaf.hex()


def plain_rows(rows: pl.DataFrame) -> list[list[Any]]:
    """
    Rows with their values as they are hashed: whole millionths, flags and texts.

    Examples
    --------
    >>> import polars as pl
    >>> plain_rows(pl.DataFrame({"saving_cny": [0.29], "arm": [None]}))
    [[290000, None]]
    """
    import polars as pl

    whole = [
        (pl.col(name) * 1e6).round().cast(pl.Int64)
        for name, kind in rows.schema.items()
        if kind.is_float()
    ]
    return [list(row) for row in rows.with_columns(whole).iter_rows()]


def proved_root(leaf: Mapping[str, Any], columns: Sequence[str]) -> str:
    """
    Root that follows from a merchant's rows; needs no more than SHA-256.

    Parameters
    ----------
    leaf
        ``merchant_id``, ``num_rows``, ``rows`` (those of one piece, as
        :func:`plain_rows` gives them), ``piece`` (its number), ``piece_hashes``,
        ``path``.
    columns
        Of the rows, as the night's commitment has them.

    Returns
    -------
    str
        In hexadecimal.
    """
    pieces = [bytes.fromhex(found) for found in leaf["piece_hashes"]]
    pieces[leaf["piece"]] = plain_piece_hash(leaf["rows"], columns)
    name = leaf["merchant_id"]
    return root_from(leaf_hash(name, leaf["num_rows"], pieces), leaf["path"])


def plain_piece_hash(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> bytes:
    """Hash of rows as :func:`plain_rows` gives them, value by value."""
    kinds = {column.name: column.kind for column in DECISIONS.columns}
    places = [
        (number, kinds[name])
        for number, name in enumerate(columns)
        if name != "merchant_id"
    ]
    records, texts = bytearray(), bytearray()
    for row in rows:
        for number, kind in places:
            value = row[number]
            if kind == "flag":
                records.append(_MISSING_FLAG if value is None else value)
            elif kind in ("money", "probability"):
                value = _MISSING_NUMBER if value is None else value
                records += value.to_bytes(8, "big", signed=True)
            else:
                text = b"" if value is None else value.encode()
                size = _MISSING_TEXT if value is None else len(text)
                records += size.to_bytes(4, "big")
                texts += text
    return hashlib.sha256(bytes(records + texts)).digest()
