"""
Coverage-guided fuzzing of our own parsers: YAML, CSV headers and quotes, addresses.

``pip install atheris``, then ``python tests/fuzz_parsers.py -runs=100000``: every input
must end in a value or in one of our messages; anything else stops it with the input.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path


def main() -> None:
    """Fuzz until the runs are used up, or something else than a message comes out."""
    import atheris

    with atheris.instrument_imports(include=["optimizer", "yaml"]):
        from optimizer.config.address import check_sink, check_source
        from optimizer.config.limits import Limits
        from optimizer.config.load import as_config
        from optimizer.config.yaml_reader import read_yaml
        from optimizer.contracts.tables import CAPACITY
        from optimizer.errors import OptimizerError
        from optimizer.io.csv import csv_batches, csv_form, csv_schema
        from optimizer.io.reading_notes import ReadingNotes
    path = Path(tempfile.mkdtemp()) / "fuzz.csv"

    def one_input(data: bytes) -> None:
        kind, rest = data[:1], data[1:]
        if kind < b"\x55":
            with suppress(OptimizerError):
                found, _ = read_yaml(rest.decode("utf-8", "replace"), "fuzz")
                if isinstance(found, dict):
                    as_config(found)
        elif kind < b"\xaa":
            for check in (check_source, check_sink):
                with suppress(ValueError):
                    check(rest.decode("utf-8", "replace"))
        else:
            path.write_bytes(rest)
            with suppress(OptimizerError):
                known = CAPACITY.column_names
                names = csv_schema(csv_form(path, known)).names
                notes, limits = ReadingNotes(), Limits()
                for batch in csv_batches(path, names, known, notes, limits):
                    batch.validate(full=True)

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
