"""How does a file come into being here? Whole or not at all: under a temporary name, renamed when it is complete."""

import csv
import hashlib
import math
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any


def as_path(value: Any, name: str = "path") -> Path:
    """`value` as a path.

    Raises
    ------
    TypeError
        Something else than a string or path.

    Examples
    --------
    >>> as_path("a.tif").suffix
    '.tif'
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; the path of a file is needed")
    return Path(value)


@contextmanager
def new_file(path: str | os.PathLike[str], overwrite: bool = False, at_once: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, which becomes `path` when the block ends and is removed when it fails.

    In a block of `together` that is when the latter ends, unless `at_once`, as a checkpoint must be there.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is False, or is a folder.
    OSError
        If the file cannot be written there, naming `path` and the reason.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with new_file(Path(folder, "note.txt")) as temporary:
    ...         _ = temporary.write_text("complete")
    ...     Path(folder, "note.txt").read_text()
    'complete'
    """
    path = as_path(path)
    check_output(path, overwrite)
    temporary, kept = temporary_beside(path), False
    waiting = None if at_once else _together.get()
    try:
        yield temporary
        check_output(path, overwrite)
        if waiting is None:
            os.replace(temporary, path)
        else:
            waiting.append((temporary, path))
            kept = True
    except FileExistsError:
        raise
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if not kept:
            discard(temporary)


@contextmanager
def together() -> Iterator[None]:
    """What `new_file` writes in the block appears when it ends, all of it, or nothing when it fails.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with together():
    ...         with new_file(Path(folder, "a")) as temporary:
    ...             _ = temporary.write_text("complete")
    ...         there = [Path(folder, "a").exists()]
    ...     there + [Path(folder, "a").exists()]
    [False, True]
    """
    waiting: list[tuple[Path, Path]] = []
    before = _together.set(waiting)
    try:
        yield
        for temporary, path in waiting:
            os.replace(temporary, path)
    finally:
        _together.reset(before)
        for temporary, _ in waiting:
            discard(temporary)


_together: ContextVar[list[tuple[Path, Path]] | None] = ContextVar("together", default=None)
_ours: set[Path] = set()
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def temporary_beside(path: Path) -> Path:
    """A name for what is to become `path`; what processes that are no more have left in its folder is removed."""
    for left in path.parent.glob(f".emcore-{_HOST}-*-*.part"):
        owner = left.name.split("-")[2]
        if owner.isdecimal() and not _is_alive(int(owner)):
            _remove(left)
    temporary = path.with_name(f".emcore-{_HOST}-{os.getpid()}-{secrets.token_hex(6)}.part")
    _ours.add(temporary)
    return temporary


def discard(temporary: Path) -> None:
    """Remove what `temporary_beside` named, if it is there."""
    _remove(temporary)
    _ours.discard(temporary)


def discard_all() -> None:
    """Remove what this process has begun to write, before it ends at once."""
    for temporary in list(_ours):
        _remove(temporary)


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_whole(path: Path, values: bytes) -> None:
    """Write a new file, and wait until the disk has it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "a"), b"abc")
    ...     Path(folder, "a").read_bytes()
    b'abc'
    """
    with open(path, "xb") as file:
        file.write(values)
        file.flush()
        os.fsync(file.fileno())


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, Sequence[Any]], overwrite: bool = False) -> Path:
    """Write a table with commas (CSV): a line of heads, then one for each row; nothing stands for NaN.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_columns(Path(folder, "a.csv"), {"i": [0, 1], "a, b": [0.5, math.nan]}).read_text()
    'i,"a, b"\\n0,0.5\\n1,\\n'
    """
    with new_file(path, overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([_cell(value) for value in row])
    return Path(path)


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.7g}"


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, an output that exists or whose folder does not.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is not set, or is a folder.
    FileNotFoundError, NotADirectoryError, PermissionError
        If its folder does not exist, is a file, or cannot be written to.
    """
    folder = path.parent
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder: name a file in it")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another name, or overwrite=True (--force) to replace it")
    if not folder.exists():
        raise FileNotFoundError(f"folder {folder} does not exist: create it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder: {path.name} cannot be written in it")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"folder {folder} cannot be written to: choose another one")
