"""
A long job that is killed goes on from its last full pass: what it knew then, in one file, written whole.

A fit keeps a `Checkpoint` in a `Store`. A `Job` is several fits and passes in a row, kept in one store.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from emcore.core.files import check_output, new_file
from emcore.outofcore.sources import Source

SAMPLED = 16
"""Rows by which data are recognised."""


class Store:
    """
    Arrays by name, in a NumPy .npz file that is written anew with each change; with `path` None in memory only.

    Parameters
    ----------
    path : str, Path or None
    source : Source
        Cut into blocks.
    parameters : dict
        Of the fit: with others, or other data, the file is refused.

    Raises
    ------
    ValueError
        The file is no checkpoint, or one of other data or parameters; the first that differs is named.
    """

    def __init__(self, path: Any, source: Source, parameters: dict[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self.kept: dict[str, Any] = {}
        if self.path is None:
            return
        cut = [len(source.blocks), max(block.rows for block in source.blocks)]
        self.identity = {**_recognised(source), **{key: _plain(value) for key, value in parameters.items()}}
        self.identity["the cut into blocks (by memory, or chunks)"] = cut
        check_output(self.path, overwrite=True)
        if self.path.exists():
            self._read(self.path)

    def _read(self, path: Path) -> None:
        try:
            with ZipFile(path), np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            theirs = json.loads(str(found.pop("identity")))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ValueError(f"checkpoint={str(path)!r} is not a checkpoint: name another file") from error
        for key in {**self.identity, **theirs}:
            if theirs.get(key) != self.identity.get(key):
                raise ValueError(
                    f"checkpoint={str(path)!r} is of another job: {key} was {theirs.get(key)}, and is "
                    f"{self.identity.get(key)}; name another file, or remove it to start anew"
                )
        self.kept = found

    def write(self, new: dict[str, Any], instead_of: str | None = None) -> None:
        """Keep more; of what is kept, not what has names that begin so."""
        if instead_of is not None:
            self.kept = {key: value for key, value in self.kept.items() if not key.startswith(instead_of)}
        self.kept.update(new)
        if self.path is not None:
            with new_file(self.path, overwrite=True) as temporary, open(temporary, "wb") as file:
                np.savez(file, identity=np.asarray(json.dumps(self.identity)), **self.kept)
                file.flush()
                os.fsync(file.fileno())


class Checkpoint:
    """
    What is known of a fit after each full pass.

    Parameters
    ----------
    store : Store
    prefix : str
        Of the names in it.
    """

    def __init__(self, store: Store, prefix: str = "") -> None:
        self._store, self._prefix, self.path = store, prefix, store.path
        self._asked: dict[str, int] = {}

    def once(self, name: str, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """What `compute` gives, or gave in the run that was killed; of one name always asked in the same order."""
        self._asked[name] = self._asked.get(name, -1) + 1
        name = f"{self._prefix}once.{name}.{self._asked[name]}."
        if f"{name}0" not in self._store.kept:
            self._store.write(_numbered(name, compute()))
        return _found(name, self._store.kept)

    def load(self, phase: str) -> dict[str, Any] | None:
        """What `save` kept last, if it was this phase: as after `save`, the arrays are those that are kept."""
        if str(self._store.kept.get(f"{self._prefix}phase")) != phase:
            return None
        start = f"{self._prefix}state."
        found = {key[len(start) :]: value for key, value in self._store.kept.items() if key.startswith(start)}
        return {key: value.item() if value.ndim == 0 else value for key, value in found.items()}

    def save(self, phase: str, **state: Any) -> None:
        """Keep the state after a full pass; that of the phase before is dropped."""
        if self.path is None:
            return
        start = f"{self._prefix}state."
        kept = {f"{start}{key}": np.asarray(value) for key, value in state.items()}
        self._store.write({f"{self._prefix}phase": np.asarray(phase), **kept}, instead_of=start)


class Job:
    """
    Several fits and passes in a row: those that had ended when the job was killed are not made again.

    They are known by their number, so that the job must ask for them in the same order each time. What they keep on
    their way is dropped when the step that they are part of has ended.

    Parameters
    ----------
    path, source, parameters
        As of `Store`; the parameters are those of the whole job.

    Examples
    --------
    >>> import tempfile
    >>> from emcore.outofcore.open import open_rows
    >>> source = open_rows(np.eye(3), checkpoint="job.npz").cut()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for total in (3, 4):  # which the second run does not come to ask
    ...         job = Job(Path(folder, "job.npz"), source, {})
    ...         job.step(lambda total=total: (total,))
    (3,)
    (3,)
    """

    def __init__(self, path: Any, source: Source, parameters: dict[str, Any]) -> None:
        self._store = Store(path, source, parameters)
        self._prefix, self._next = "", 0

    def _name(self) -> str:
        self._next += 1
        return f"{self._prefix}{self._next - 1}/"

    def fit(self) -> Checkpoint:
        """Of the next fit."""
        return Checkpoint(self._store, self._name())

    def step(self, compute: Callable[[], tuple[Any, ...]], known: dict[str, Any] | None = None) -> tuple[Any, ...]:
        """
        What `compute` gives, or gave in the run that was killed: arrays that are not to be changed, numbers, words.

        `known` is what it finds out about the values of a source, see `Source.known`.
        """
        name = self._name()
        if f"{name}0" not in self._store.kept:
            outer, self._prefix, self._next = (self._prefix, self._next), name, 0
            try:
                found = compute()
            finally:
                self._prefix, self._next = outer
            limits = {f"{name}range": np.array(known["range"])} if known and "range" in known else {}
            self._store.write({**_numbered(name, found), **limits}, instead_of=name)
        if known is not None and f"{name}range" in self._store.kept:
            known["range"] = tuple(self._store.kept[f"{name}range"].tolist())
        return _found(name, self._store.kept)


def step(rows: Any, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """What `compute` gives of rows, or of an image: as a step of the job that these are of, if they are of one."""
    job: Job | None = getattr(rows, "job", None)
    return compute() if job is None else job.step(compute, getattr(rows, "known", None))


def _numbered(name: str, values: tuple[Any, ...]) -> dict[str, Any]:
    return {f"{name}{i}": np.asarray(value) for i, value in enumerate(values)}


def _found(name: str, kept: dict[str, Any]) -> tuple[Any, ...]:
    count = sum(key.startswith(name) and key[len(name) :].isdecimal() for key in kept)
    values = [kept[f"{name}{i}"] for i in range(count)]
    return tuple(value.item() if value.ndim == 0 else value for value in values)


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes() + str(value.shape).encode()).hexdigest()[:16]
    return json.loads(json.dumps(value, default=float))


def _recognised(source: Source) -> dict[str, Any]:
    n = source.shape[0]
    rows = source.take(np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(int)).tolist())
    return {
        "the shape of the data": list(source.shape),
        "the type of the data": str(source.dtype),
        "a sample of the data": _plain(rows),
    }
