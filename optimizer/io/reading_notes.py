"""Notes on the form of a table's files, to be reported once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optimizer.contracts.warnings import some, warn
from optimizer.io.csv_form import SEPARATORS

#: Fivetran, Debezium, Airbyte, Stitch; frameworks of Java and of Python.
_DELETED = re.compile(
    r"_*(?:fivetran_|sdc_|ab_cdc_|row_)?(?:is_?)?(?:soft_?)?"
    r"(?:deleted?|removed|voided)(?:_?(?:at|flag|mark|on|time|date|ind))?"
    r"|_*del_?flag|(?:是否)?(?:已)?(?:删除|作废)(?:标志|标记|标识)?",
    re.IGNORECASE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.csv_form import CsvForm


@dataclass(slots=True)
class ReadingNotes:
    """
    Filled as a table is read; reading it again changes nothing.

    Attributes
    ----------
    form
        Form of its CSV files; ``None`` where they are of another kind.
    deleted_marks
        Columns that mark rows as deleted, which no rule reads.
    num_empty_files
        Parts without a byte that were left out.
    num_empty_rows, num_line_breaks
        Rows of empty cells that were left out, and line breaks inside of quotes, by
        file.
    """

    form: CsvForm | None = None
    deleted_marks: tuple[str, ...] = ()
    num_empty_files: int = 0
    num_empty_rows: dict[str, int] = field(default_factory=dict)
    num_line_breaks: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> Mapping[str, Any]:
        """The guesses, for the record of a night; empty if there were none."""
        said = {} if self.form is None else self.form.to_json()
        if sum(self.num_empty_rows.values()):
            said["has_empty_rows"] = True
        return said

    def warnings(self, table: str) -> list[CodedWarning]:
        """Say what a person should look at."""
        form, found = self.form, []
        if form is not None and (form.separator != "," or form.num_before):
            name = SEPARATORS[form.separator]
            found.append(warn("CSV_SEPARATOR", table=table, separator=name))
        if form is not None and form.renamed:
            named = [f"{written!r} as {name}" for written, name in form.renamed.items()]
            found.append(
                warn(
                    "CSV_HEADER_SPELLING",
                    num_columns=len(named),
                    table=table,
                    columns=some(named),
                )
            )
        for code, name, number in (
            ("CSV_UNNAMED_COLUMNS", "num_columns", form.num_unnamed if form else 0),
            ("CSV_EMPTY_ROWS", "num_rows", sum(self.num_empty_rows.values())),
            ("CSV_LINE_BREAKS", "num_breaks", sum(self.num_line_breaks.values())),
            ("EMPTY_PARTS", "num_files", self.num_empty_files),
        ):
            if number:
                found.append(warn(code, **{name: number}, table=table))
        if self.deleted_marks:
            found.append(
                warn(
                    "DELETED_ROWS_COUNT",
                    num_columns=len(self.deleted_marks),
                    table=table,
                    columns=some(self.deleted_marks),
                )
            )
        return found


def marks_of_deleted(columns: Iterable[str]) -> tuple[str, ...]:
    """
    Columns in which tools that copy databases mark rows that are deleted there.

    Examples
    --------
    >>> marks_of_deleted(["_fivetran_deleted", "_fivetran_synced", "del_flag"])
    ('_fivetran_deleted', 'del_flag')
    """
    return tuple(name for name in columns if _DELETED.fullmatch(name.strip()))
