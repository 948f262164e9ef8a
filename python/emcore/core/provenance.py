"""How a result came about: the method and its arguments, versions, the input's hash, time."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np

from emcore import _emcore
from emcore.core.signals import Signal


@dataclass(frozen=True)
class Provenance:
    """How a result came about.

    Attributes
    ----------
    method : str
        Function that made it ("analyze_image").
    parameters : dict
        Its arguments as used, by name: plain values.
    versions : dict
        Version of every package that took part.
    input_name, input_sha256 : str
        Name of the input, and the hash of its file (or of the array, when it came from memory).
    created : str
        Date and time, ISO 8601, UTC.
    elapsed : float
        Seconds of work.
    threads : int
        Threads used.
    notes : tuple of str
        What was decided on the way, for a person to read.
    instrument : dict
        What the input says of microscope, detector and sample, by HyperSpy's names, and its `signal_type`; empty where
        it says nothing.
    """

    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    input_name: str = ""
    input_sha256: str = ""
    created: str = ""
    elapsed: float = 0.0
    threads: int = 1
    notes: tuple[str, ...] = ()
    instrument: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", plain(self.parameters, "parameters"))
        object.__setattr__(self, "notes", tuple(self.notes))

    @classmethod
    def record(
        cls,
        method: str,
        parameters: dict[str, Any],
        signal: Signal,
        *,
        elapsed: float,
        threads: int,
        notes: Sequence[str] = (),
        sha256: str = "",
    ) -> Self:
        """Provenance of work that has just been done on `signal`, whose notes come first.

        It finds the versions itself, and the hash if not given.

        Examples
        --------
        >>> from emcore.io.read import as_signal
        >>> record = Provenance.record("mean", {"axis": 0}, as_signal(np.eye(3)), elapsed=0.1, threads=1)
        >>> record.input_name, len(record.input_sha256), sorted(record.versions)
        ('array', 64, ['emcore', 'numpy', 'python'])
        """
        return cls(
            method,
            parameters,
            versions(),
            signal.name,
            sha256 or signal.sha256(),
            datetime.now(UTC).isoformat(timespec="seconds"),
            float(elapsed),
            int(threads),
            tuple(dict.fromkeys((*signal.notes, *notes))),
            plain(signal.metadata.get("instrument", {}), "instrument"),
        )


def versions() -> dict[str, str]:
    """Versions of emcore, Python and NumPy."""
    return {"emcore": _emcore.__version__, "python": sys.version.split()[0], "numpy": np.__version__}


def plain(value: Any, name: str) -> Any:
    """The value in plain Python (NumPy scalars converted), so that a file can keep it exactly.

    Raises
    ------
    TypeError
        If something in it is neither a number, text, bool, None nor a tuple, list or dict of these; `name` says where.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return type(value)(plain(item, f"{name}[{i}]") for i, item in enumerate(value))
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"{name} has keys that are not text: {list(value)[:5]}")
        return {key: plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    raise TypeError(
        f"{name} is a {type(value).__name__}: numbers, text, None and tuples, lists, dicts of them are kept"
    )
