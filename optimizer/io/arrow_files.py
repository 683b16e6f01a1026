"""Arrow files in batches, each checked before another library trusts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa


def arrow_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """
    Read some columns, batch by batch.

    Raises
    ------
    OSError, pyarrow.ArrowException
        When the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.ipc

    with pyarrow.ipc.open_file(path) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            batch.validate(full=True)
            table = pa.Table.from_batches([batch]).select(columns)
            yield _without_views(table)


def _without_views(table: pa.Table) -> pa.Table:
    """
    Copy texts out of views.

    What stands in a view beside its text is checked by nobody; polars reads it, and has
    ended the process over one bit of it.
    """
    import pyarrow as pa

    fields = [
        field.with_type(pa.large_string())
        if pa.types.is_string_view(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
