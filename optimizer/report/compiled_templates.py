"""
Templates are compiled once, and kept where Python keeps its own compiled code.

To compile those of a night's report takes a tenth of a small night. They are trusted
as Python's own files there are; what is damaged or of other sources is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import BytecodeCache

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

_HERE = Path(__file__).parent
_DIGEST_BYTES = hashlib.sha256().digest_size


class CompiledTemplates(BytecodeCache):
    """Keeps compiled templates in a folder of its own, if that can be written."""

    def __init__(self) -> None:
        own = importlib.util.cache_from_source(__file__)
        self._folder = Path(own).parent / f"templates-{sys.implementation.cache_tag}"

    def get_source_checksum(self, source: str) -> str:
        """Checksum of a template, and of all else that its code comes from."""
        return hashlib.sha256(_compiler() + source.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a template's code, where it is kept whole."""
        with contextlib.suppress(OSError):
            kept = self._path(bucket).read_bytes()
            digest, code = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
            if hashlib.sha256(code).digest() == digest:
                bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code, whole or not at all."""
        if sys.dont_write_bytecode:
            return
        code = bucket.bytecode_to_string()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                Path(name).chmod(0o644)
                Path(name).replace(self._path(bucket))
            except OSError:
                Path(name).unlink(missing_ok=True)

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / bucket.key


@cache
def _compiler() -> bytes:
    """Versions and sources that a template's code depends on beside its own."""
    ours = (_HERE / "filters.py", _HERE / "render.py")
    return version("jinja2").encode() + b"".join(path.read_bytes() for path in ours)
