"""
Kernels are compiled once: their declaration, and the cache of their machine code.

The cache is in the folder that ``NUMBA_CACHE_DIR`` names, else next to the installed
code, else in the user's cache. It is chosen only when there is something to store. If
none can be written, kernels are compiled for one process, into a new private folder:
code that is read from such files is executed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import logging
import os
import pickle
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parent
_NAME = "premium-delivery-optimizer"
#: What a source that declares kernels has in it.
_MARK = b"optimizer.kernel_cache"
#: What reading a file raises that was cut short.
_DAMAGED = (EOFError, ValueError, pickle.UnpicklingError)
_NO_PLACE = (
    "neither the installed code nor the user's cache can be written: kernels are "
    "compiled for this run alone, about 15 s of CPU; run `optimizer warm` once as a "
    "user who may write to the installed code, or let NUMBA_CACHE_DIR name a folder "
    "that this one may write to"
)


def kernel(function: Callable[..., Any]) -> Any:
    """
    Declare a loop that is compiled at its first call, or read from the cache.

    It releases the GIL and uses no fast-math: the same bits on every machine.
    """
    return _declared(function)


def bare_kernel(function: Callable[..., Any]) -> Any:
    """
    Declare a kernel that allocates no arrays, and so needs no reference counts.

    Counting costs more than the work where small kernels pass on many arrays: without
    it, a search for shortest paths takes a ninth of the time. Numba refuses to compile
    such a kernel if it allocates an array.
    """
    return _declared(function, counts=False)


def inner_kernel(function: Callable[..., Any]) -> Any:
    """
    Declare a bare kernel that only kernels call: no Python entry, so cheaper.

    It is compiled into each that calls it: handing on the arrays of a market costs more
    than pricing an order (a pass of choices over all orders takes half of the time).
    """
    return _declared(function, counts=False, is_inner=True)


def _declared(
    function: Callable[..., Any], *, counts: bool = True, is_inner: bool = False
) -> Any:
    # Numba's types do not know these; what two leave out takes long to compile. Where
    # the last is not said, a kernel has its first caller's.
    options: Any = {"no_cfunc_wrapper": True, "no_cpython_wrapper": is_inner}
    options["_nrt"] = counts
    options["forceinline"] = is_inner
    compiled: Any = numba.njit(nogil=True, **options)(function)
    compiled._cache = KernelCache(function)
    return compiled


@dataclass(slots=True)
class Compiled:
    """
    Kernels that this process had to compile.

    Attributes
    ----------
    names
        Kernels, one entry for each combination of argument types.
    folder
        Where they are stored; ``None``: nowhere.
    """

    names: list[str] = field(default_factory=list)
    folder: Path | None = None


#: Of this process.
COMPILED = Compiled()


class KernelCache(FunctionCache):
    """
    The cache of one kernel, in the first folder that has it.

    Numba's own takes a folder when a kernel is declared, fails where none can be
    written, even if it has all that is needed, and misses changes of other files.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = repr(function)
        self._py_func = function
        code = function.__code__
        self._base = f"{function.__module__}.{code.co_name}-{code.co_firstlineno}"
        self.enable()

    @property
    def cache_path(self) -> str | None:
        """The folder that numba reports."""
        return None if COMPILED.folder is None else str(COMPILED.folder)

    def flush(self) -> None:
        """Forget what is kept of the kernel."""
        for folder in kept_folders():
            self._file(folder).flush()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """
        Read the machine code for some types; ``None``: it must be compiled.

        Machine code needs numba's runtime. All that numba can compile is told to it
        when something is compiled: that takes longer than reading all kernels.
        """
        rtsys.initialize(target_context)
        if self._enabled:
            key = self._index_key(sig, target_context.codegen())
            for folder in kept_folders():
                found = _read(self._file(folder), key)
                if found is not None:
                    return CompileResult._rebuild(target_context, *found)
        _note(self._base.rpartition("-")[0])
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store machine code, if there is a folder for it."""
        folder = COMPILED.folder
        if folder is None or not self._enabled or data.library.has_dynamic_globals:
            return
        try:
            with _alone(folder):
                _save(
                    self._file(folder),
                    self._index_key(sig, data.codegen),
                    data._reduce(),
                )
        except OSError as error:
            COMPILED.folder = None
            logger.warning("%s: compiled kernels cannot be kept: %s", folder, error)

    def _file(self, folder: Path) -> Any:
        version = f"py{sys.version_info[0]}{sys.version_info[1]}"
        return IndexDataCacheFile(str(folder), f"{self._base}.{version}", stamp())


def _read(file: Any, key: Any) -> Any:
    """The entry of a cache under a key; damaged files count as empty."""
    try:
        return file.load(key)
    except (OSError, *_DAMAGED):
        return None


def _save(file: Any, key: Any, data: Any) -> None:
    """Add to a cache; a damaged index begins anew."""
    try:
        file.save(key, data)
    except _DAMAGED:
        file.flush()
        file.save(key, data)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out: two that save at once can mix up signatures."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _note(name: str) -> None:
    """Report once that kernels are compiled, and choose where they will be stored."""
    COMPILED.names.append(name)
    if len(COMPILED.names) > 1:
        return
    has_some = first_kept() is not None
    COMPILED.folder = _writable() or _temporary()
    if COMPILED.folder is not None and COMPILED.folder in kept_folders():
        which = "further kernels" if has_some else "the kernels"
        seconds = "" if has_some else ": about 15 s of CPU for a plain night"
        logger.info("compiling %s, once%s", which, seconds)
    else:
        logger.warning(_NO_PLACE)


@cache
def stamp() -> str:
    """
    Digest of the sources of all kernels, and of what compiles them.

    Kernels are inlined into each other, so a change of one is a change of all.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        source = path.read_bytes()
        if _MARK in source:
            digest.update(source)
    return digest.hexdigest()[:16]


def kept_folders() -> tuple[Path, ...]:
    """Folders that may have compiled kernels, and that nobody else can write to."""
    return tuple(folder for folder in _places() if _is_private(folder))


def first_kept() -> Path | None:
    """The first folder that has compiled kernels."""
    folders = kept_folders()
    return next((folder for folder in folders if any(folder.glob("*.nbi"))), None)


@cache
def _places() -> tuple[Path, ...]:
    """Folders for compiled kernels, the best first."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    found = [Path(named).absolute() / _NAME] if named else []
    found.append(_PACKAGE / "__pycache__" / "kernels")
    with contextlib.suppress(RuntimeError):
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        found.append(Path(home) / _NAME / "kernels")
    return tuple(folder / stamp() for folder in found if folder.is_absolute())


def _is_private(folder: Path) -> bool:
    """Whether a folder is there, and only we, root, or who owns the code may write."""
    try:
        found, code = folder.stat(), _PACKAGE.stat()
    except OSError:
        return False
    is_ours = found.st_uid in {os.geteuid(), 0, code.st_uid}
    return is_ours and not found.st_mode & 0o002


def _writable() -> Path | None:
    """The first place that can be written, made where it is not there."""
    for folder in _places():
        mode = 0o755 if folder.is_relative_to(_PACKAGE) else 0o700
        with contextlib.suppress(OSError):
            folder.mkdir(mode, parents=True, exist_ok=True)
        if _is_private(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def _temporary() -> Path | None:
    """A new, private folder that goes with this process."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
