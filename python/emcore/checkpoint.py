"""A long fit that is killed goes on from its last full pass: what it knew then, in one file, written whole."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from emcore.output import check_output, new_file
from emcore.sources import Source

SAMPLED = 16
"""Rows by which data are recognised."""


class Checkpoint:
    """
    What is known after each full pass, kept in a NumPy .npz file; with `path` None in memory only.

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
        self._asked: dict[str, int] = {}
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
                    f"checkpoint={str(path)!r} is of another fit: {key} was {theirs.get(key)}, and is "
                    f"{self.identity.get(key)}; name another file, or remove it to start anew"
                )
        self.kept = found

    def once(self, name: str, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """What `compute` gives, or gave in the run that was killed; of one name always asked in the same order."""
        self._asked[name] = self._asked.get(name, -1) + 1
        name = f"once.{name}.{self._asked[name]}"
        if f"{name}.0" not in self.kept:
            self._write({f"{name}.{i}": np.asarray(value) for i, value in enumerate(compute())})
        found = [self.kept[f"{name}.{i}"] for i in range(sum(key.startswith(f"{name}.") for key in self.kept))]
        return tuple(value.item() if value.ndim == 0 else value for value in found)

    def load(self, phase: str) -> dict[str, Any] | None:
        """What `save` kept last, if it was this phase."""
        if self.kept.get("phase") != phase:
            return None
        found = {key[6:]: value for key, value in self.kept.items() if key.startswith("state.")}
        return {key: value.item() if value.ndim == 0 else value.copy() for key, value in found.items()}

    def save(self, phase: str, **state: Any) -> None:
        """Keep the state after a full pass; that of the phase before is dropped."""
        if self.path is None:
            return
        self.kept = {key: value for key, value in self.kept.items() if not key.startswith("state.")}
        self._write({"phase": np.asarray(phase), **{f"state.{key}": np.asarray(value) for key, value in state.items()}})

    def _write(self, new: dict[str, Any]) -> None:
        self.kept.update(new)
        if self.path is not None:
            with new_file(self.path, overwrite=True) as temporary, open(temporary, "wb") as file:
                np.savez(file, identity=np.asarray(json.dumps(self.identity)), **self.kept)
                file.flush()
                os.fsync(file.fileno())


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
