"""
A long job that is killed goes on from its last full pass: its state then, in one file that is written whole.

A fit saves its state in a `Checkpoint`. A `Job` is several fits and steps in a row. Both are views of a `Store`, the
file, which is recognised by the version that wrote it, the settings, the shape and type of the data, and the data
themselves: a run that goes on reads all of them first, for their hash, which the first pass of the first run took.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import __version__
from emcore.core.files import check_output, new_file
from emcore.outofcore.hashing import Digest, combined, hash_of, view_of
from emcore.outofcore.sources import Source

FORMAT = 3
"""Of the file; that of emcore 0.1.0 named neither itself nor its version, the second had no seal."""
SAMPLED = 16
"""Rows that are compared at once."""


# What zipfile, zlib, NumPy and JSON say of a file that is damaged or another.
_DAMAGES = (
    *(
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ),
    *(BadZipFile, struct.error, zlib.error),
)


class Store:
    """
    Arrays by name, in a NumPy .npz file that is written anew with each change; with `path` None in memory only.

    Parameters
    ----------
    path : str, Path or None
    source : Source
        Cut into blocks.
    settings : dict
        Of the fit: with others, or other data, the file is refused.

    Raises
    ------
    ValueError
        The file is no checkpoint, or one of other data, settings or another version; the first that differs is named.
    """

    def __init__(self, path: Any, source: Source, settings: dict[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self.saved: dict[str, Any] = {}
        self._digests: dict[str, str] = {}
        self._compared: set[str] = set()
        if self.path is None:
            return
        cut = [len(source.blocks), max(block.rows for block in source.blocks)]
        self.identity = {"the format of checkpoints": FORMAT, "the version of emcore": __version__}
        self.identity |= {**_sampled(source), **{key: _plain(value) for key, value in settings.items()}}
        self.identity["the cut into blocks (by memory, or chunks)"] = cut
        check_output(self.path, overwrite=True)
        if self.path.exists():
            self._read(self.path)

    def _read(self, path: Path) -> None:
        try:
            with ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
                saved, seal = {name: file[name] for name in file.files}, _seal(archive)
            identity = json.loads(str(saved.pop("identity")))
            digests = json.loads(str(saved.pop("digests", "{}")))
            keys = identity.keys()
        except _DAMAGES as error:
            raise ValueError(f"checkpoint={str(path)!r} is not a checkpoint: name another file") from error
        if "the format of checkpoints" not in identity:
            raise ValueError(
                f"checkpoint={str(path)!r} was written by emcore 0.1.0, which saved neither its version nor a hash of "
                "all data: a job cannot go on from it; name another file, or remove it to start anew"
            )
        for key in {**self.identity, **dict.fromkeys(keys)}:
            if identity.get(key) != self.identity.get(key):
                raise ValueError(
                    f"checkpoint={str(path)!r} is of another job: {key} was {identity.get(key)}, and is "
                    f"{self.identity.get(key)}; name another file, or remove it to start anew"
                )
        if str(saved.pop("seal", "")) != seal:
            raise ValueError(
                f"checkpoint={str(path)!r} is damaged: what is in it was not written together; name another file, or "
                "remove it to start anew"
            )
        self.saved, self._digests = saved, digests

    def hashes(self, view: str) -> bool:
        """Whether the next pass over this view of the data is to take their hash: the first one of every run does."""
        return self.path is not None and view not in self._compared

    def compare_all(self, source: Source, at_once: bool = False) -> None:
        """Read all data for their hash if there is one to compare it with or, `at_once`, in any case."""
        view = view_of(source)
        if self.path is not None and (view in self._digests or at_once):
            self.compare(view, hash_of(source))

    def compare(self, view: str, digest: str) -> None:
        """
        Refuse to go on if this hash is not that which an earlier run took of the same view of the data.

        Raises
        ------
        ValueError
            The data have changed. The file stays as it is.
        """
        if self._digests.setdefault(view, digest) != digest:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is of other data: values have changed since it was written, though not "
                "in the rows that are sampled; name another file, or remove it to start anew"
            )
        self._compared.add(view)

    def write(self, new: dict[str, Any], instead_of: str | None = None) -> None:
        """Save more; of what is saved, drop what has names that begin with `instead_of`."""
        if instead_of is not None:
            self.saved = {key: value for key, value in self.saved.items() if not key.startswith(instead_of)}
        self.saved.update(new)
        if self.path is not None:
            texts = {"identity": self.identity, "digests": self._digests}
            arrays = {**{key: np.asarray(json.dumps(text)) for key, text in texts.items()}, **self.saved}
            with new_file(self.path, overwrite=True, at_once=True) as temporary:
                write_sealed(temporary, arrays)
                with open(temporary, "rb+") as file:
                    os.fsync(file.fileno())


def write_sealed(path: Path, arrays: dict[str, Any]) -> None:
    """Write a NumPy .npz file that ends with a seal, by which parts of other files among its own are recognised."""
    # By its path: an archive that an interrupt leaves open would seek, when it is collected, in a file that is closed.
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            _add(archive, name, array)
        _add(archive, "seal", np.asarray(_seal(archive)))


def _add(archive: ZipFile, name: str, array: Any) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
        np.lib.format.write_array(part, np.asarray(array), allow_pickle=False)


def _seal(archive: ZipFile) -> str:
    """Of all parts but the seal: their names, sizes and checksums, which are compared as each is read."""
    parts = [each for each in archive.infolist() if each.filename != "seal.npy"]
    return combined([f"{each.filename} {each.file_size} {each.CRC:08x}" for each in parts])


class _Names:
    """Names of a scope, each of which is asked for once."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    def add(self, name: str) -> str:
        if name in self._asked:
            raise RuntimeError(f"{name!r} is asked for twice in one job: what it saves needs a name of its own")
        self._asked.add(name)
        return name


class Checkpoint:
    """
    The state of a fit after each full pass.

    Parameters
    ----------
    store : Store
    prefix : str
        Of the names in it.
    """

    def __init__(self, store: Store, prefix: str = "") -> None:
        self.store, self._prefix, self.path = store, prefix, store.path
        self._names = _Names()

    def once(self, name: str, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """
        What `compute` gives, or gave in the run that was killed.

        Raises
        ------
        RuntimeError
            The name was asked for before: number what is repeated.
        """
        name = self._names.add(f"{self._prefix}once.{name}.")
        if f"{name}0" not in self.store.saved:
            self.store.write(_numbered(name, compute()), instead_of=f"{name}part.")
        return _values(name, self.store.saved)

    def load_part(self, name: str) -> dict[str, Any]:
        """What `save_part` saved last of what `once` is computing: nothing where it did not."""
        start = f"{self._prefix}once.{name}.part."
        return {key[len(start) :]: value for key, value in self.store.saved.items() if key.startswith(start)}

    def save_part(self, name: str, **state: Any) -> None:
        """Save how far `once` has come with what it is computing; it is dropped when that has ended."""
        start = f"{self._prefix}once.{name}.part."
        self.store.write({f"{start}{key}": np.asarray(value) for key, value in state.items()}, instead_of=start)

    def load(self, phase: str) -> dict[str, Any] | None:
        """What `save` saved last, if it was in this phase: the arrays are those in the store, as after `save`."""
        if str(self.store.saved.get(f"{self._prefix}phase")) != phase:
            return None
        start = f"{self._prefix}state."
        state = {key[len(start) :]: value for key, value in self.store.saved.items() if key.startswith(start)}
        return {key: value.item() if value.ndim == 0 else value for key, value in state.items()}

    def save(self, phase: str, **state: Any) -> None:
        """Save the state after a full pass; that of the phase before is dropped."""
        if self.path is None:
            return
        start = f"{self._prefix}state."
        arrays = {f"{start}{key}": np.asarray(value) for key, value in state.items()}
        self.store.write({f"{self._prefix}phase": np.asarray(phase), **arrays}, instead_of=start)


class Job:
    """
    Several fits and steps in a row: those that had ended when the job was killed are not made again.

    Each has a name, by which it is recognised. The names asked for within a step are its own; what is saved under them
    is dropped when the step has ended.

    Parameters
    ----------
    path, source, settings
        As of `Store`; the settings are those of the whole job.
    at_once : bool, default False
        Take the hash of the data now, as no pass is over all of them.

    Examples
    --------
    >>> import tempfile
    >>> from emcore.outofcore.open import open_rows
    >>> source = open_rows(np.eye(3), checkpoint="job.npz").cut()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for total in (3, 4):  # which the second run does not come to ask
    ...         job = Job(Path(folder, "job.npz"), source, {})
    ...         job.step("total", lambda total=total: (total,))
    (3,)
    (3,)
    """

    def __init__(self, path: Any, source: Source, settings: dict[str, Any], at_once: bool = False) -> None:
        self._store, self._names = Store(path, source, settings), _Names()
        self._store.compare_all(source, at_once)
        self._scope = ""

    def fit(self, name: str) -> Checkpoint:
        """
        Of the fit of this name.

        Raises
        ------
        RuntimeError
            There was one before in the same step.
        """
        return Checkpoint(self._store, self._names.add(f"{self._scope}{name}/"))

    def step(
        self, name: str, compute: Callable[[], tuple[Any, ...]], observed: dict[str, Any] | None = None
    ) -> tuple[Any, ...]:
        """
        What `compute` gives, or gave in the run that was killed: arrays that are not to be changed, numbers, words.

        Parameters
        ----------
        name : str
        compute : callable
        observed : dict, optional
            What it observes of the values of a source, see `Source.observed`.

        Raises
        ------
        RuntimeError
            There was a step or fit of this name before in the same step.
        """
        name = self._names.add(f"{self._scope}{name}/")
        if f"{name}0" not in self._store.saved:
            outer, self._scope = self._scope, name
            try:
                values = compute()
            finally:
                self._scope = outer
            limits = {f"{name}range": np.array(observed["range"])} if observed and "range" in observed else {}
            self._store.write({**_numbered(name, values), **limits}, instead_of=name)
        if observed is not None and f"{name}range" in self._store.saved:
            observed["range"] = tuple(self._store.saved[f"{name}range"].tolist())
        return _values(name, self._store.saved)

    def hashes(self, view: str) -> bool:
        """Whether what visits all of this view next is to take their hash."""
        return self._store.hashes(view)

    def compare_digest(self, view: str, digest: Digest) -> None:
        """Refuse to go on if the data that this is the hash of have changed; see `Store.compare`."""
        self._store.compare(view, digest.hex())

    def compare(self, view: str, rows: NDArray[Any]) -> None:
        """Refuse to go on if these rows, which are read without a pass, have changed; see `Store.compare`."""
        if self.hashes(view):
            digest = Digest(1)
            digest.add([rows])
            self.compare_digest(view, digest)


def step(rows: Any, name: str, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """What `compute` gives of rows, or of an image: as a step of the job that these are of, if they are of one."""
    job: Job | None = getattr(rows, "job", None)
    return compute() if job is None else job.step(name, compute, getattr(rows, "observed", None))


def _numbered(name: str, values: tuple[Any, ...]) -> dict[str, Any]:
    return {f"{name}{i}": np.asarray(value) for i, value in enumerate(values)}


def _values(name: str, saved: dict[str, Any]) -> tuple[Any, ...]:
    count = sum(key.startswith(name) and key[len(name) :].isdecimal() for key in saved)
    values = [saved[f"{name}{i}"] for i in range(count)]
    return tuple(value.item() if value.ndim == 0 else value for value in values)


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes() + str(value.shape).encode()).hexdigest()[:16]
    return json.loads(json.dumps(value, default=float))


def _sampled(source: Source) -> dict[str, Any]:
    n = source.shape[0]
    rows = source.take(np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(int)).tolist())
    return {
        "the shape of the data": list(source.shape),
        "the type of the data": str(source.dtype),
        "a sample of the data": _plain(rows),
    }
