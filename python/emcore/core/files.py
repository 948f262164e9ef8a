"""How does a file come into being here? Whole or not at all: under a temporary name, renamed when it is complete."""

import csv
import hashlib
import json
import math
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple


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
def new_file(
    path: str | os.PathLike[str],
    overwrite: bool = False,
    at_once: bool = False,
    ending: str = "",
    check: Callable[[Path, bool], None] | None = None,
) -> Iterator[Path]:
    """A temporary path beside `path`, which becomes `path` when the block ends and is removed when it fails.

    In a block of `together` that is when the latter ends, unless `at_once`, as a checkpoint must be there.

    Parameters
    ----------
    path : str or Path
    overwrite : bool, default False
    at_once : bool, default False
    ending : str, default ""
        Of the temporary name, for a writer that looks at it.
    check : callable, optional
        In place of `check_output`, for a store that is a folder.

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
    path, check = as_path(path), check or check_output
    check(path, overwrite)
    temporary, kept = temporary_beside(path, ending), False
    waiting = None if at_once else _together.get()
    try:
        yield temporary
        complete = _Complete(temporary, path, partial(check, path, overwrite))
        if waiting is None:
            _appear([complete])
        else:
            waiting.append(complete)
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
    waiting: list[_Complete] = []
    before = _together.set(waiting)
    try:
        yield
        _appear(waiting)
    finally:
        _together.reset(before)
        for each in waiting:
            discard(each.temporary)


class _Complete(NamedTuple):
    """What is to become `path`, and what refuses that if there is something else by then."""

    temporary: Path
    path: Path
    check: Callable[[], None]


_together: ContextVar[list[_Complete] | None] = ContextVar("together", default=None)
_ours: set[Path] = set()
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_NAME = re.compile(rf"\.emcore-{_HOST}-(\d+)-[0-9a-f]+\.(part|list)(\.\w+)?")


def _appear(waiting: Sequence[_Complete]) -> None:
    """
    Give what is complete its names: where one is refused, all is as before.

    Where the process ends amid it, the next that comes to the folder goes on, see `settle`.
    """
    for each in waiting:
        each.check()
        each.temporary.lstat()
    if len(waiting) == 1 and not waiting[0].path.is_dir():
        os.replace(waiting[0].temporary, waiting[0].path)
        return
    # What has the name goes aside, so that it can come back.
    moves = [(temporary, path, _name_in(path.parent) if path.exists() else None) for temporary, path, _ in waiting]
    _ours.difference_update(each.temporary for each in waiting)
    lists: list[Path] = []
    try:
        for folder in {each.path.parent for each in waiting}:
            lists.append(_name_in(folder, ".list"))
            _write_list(lists[-1], [each for each in waiting if each.path.parent == folder])
        try:
            _rename(moves)
        except KeyboardInterrupt:
            _rename(moves)
            raise
    except OSError:
        for temporary, path, former in reversed(moves):
            if path.exists() and not temporary.exists():
                os.replace(path, temporary)
            if former is not None and former.exists():
                os.replace(former, path)
        raise
    finally:
        for left in (*lists, *(former for *_, former in moves if former is not None)):
            _remove(left)


def _rename(moves: Sequence[tuple[Path, Path, Path | None]]) -> None:
    """What is not renamed yet."""
    for temporary, path, former in moves:
        if not temporary.exists():
            continue
        if former is not None and not former.exists():
            os.replace(path, former)
        os.replace(temporary, path)


def _write_list(path: Path, waiting: Sequence[_Complete]) -> None:
    """What is to appear in a folder under which names, in a file that is there whole or not at all."""
    temporary = _name_in(path.parent)
    names = [(each.temporary.name, each.path.name) for each in waiting]
    write_whole(temporary, json.dumps(names).encode())
    os.replace(temporary, path)


def settle(folder: Path) -> None:
    """Bring to its end what processes that are no more began in a folder: what was complete appears, the rest goes."""
    named = ((each, _NAME.fullmatch(each.name)) for each in folder.glob(f".emcore-{_HOST}-*"))
    left = [each for each, match in named if match and not _is_alive(int(match[1]))]
    for listed in left:
        if listed.suffix == ".list":
            with suppress(OSError, ValueError, TypeError):
                _go_on(folder, listed)
    for each in left:
        _remove(each)


def _go_on(folder: Path, listed: Path) -> None:
    # Where others may write, too, a name may be a trap: only what is of one's own making is renamed.
    me = os.getuid() if hasattr(os, "getuid") else listed.lstat().st_uid
    names = [(folder / Path(name).name, folder / Path(final).name) for name, final in json.loads(listed.read_text())]
    for temporary, path in names:
        if not _NAME.fullmatch(temporary.name) or not temporary.exists():
            continue
        if {listed.lstat().st_uid, temporary.lstat().st_uid} == {me}:
            if path.is_dir():
                os.replace(path, _name_in(folder))
            os.replace(temporary, path)


def _name_in(folder: Path, ending: str = ".part") -> Path:
    return folder / f".emcore-{_HOST}-{os.getpid()}-{secrets.token_hex(6)}{ending}"


def temporary_beside(path: Path, ending: str = "") -> Path:
    """A name for what is to become `path`; the folder is settled."""
    settle(path.parent)
    temporary = _name_in(path.parent, f".part{ending}")
    _ours.add(temporary)
    return temporary


def discard(temporary: Path) -> None:
    """Remove what `temporary_beside` named, if it is there."""
    _remove(temporary)
    _ours.discard(temporary)


def begun() -> bool:
    """Whether something is half-written."""
    return any(temporary.exists() for temporary in list(_ours))


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
    except (OSError, OverflowError):
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
    settle(folder)
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
