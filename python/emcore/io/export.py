"""A stack of patterns in a file that programs for indexing read, with its calibration."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.extras import install
from emcore.core.files import check_output, new_file, write_whole
from emcore.core.hyperspy_signals import of_patterns
from emcore.core.provenance import versions
from emcore.core.signals import Axis


def write_stack(
    path: Path,
    patterns: NDArray[Any],
    name: str,
    axes: Sequence[Axis],
    title: str,
    overwrite: bool = False,
    instrument: dict[str, Any] | None = None,
) -> Path:
    """Write patterns as float32: .hspy with its axes, or .npy and beside it a .json that describes them.

    Parameters
    ----------
    path : Path
    patterns : ndarray, shape (k, ky, kx)
    name : str
        What they are counted by.
    axes : sequence of Axis
        Of one pattern.
    title : str
    overwrite : bool, default False
    instrument : dict, optional
        See `emcore.core.provenance.Provenance`; a .hspy file says it, and that these are electron diffraction patterns.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If `path` ends neither in .hspy nor in .npy.
    FileExistsError
        If a file exists and `overwrite` is not set.
    ImportError
        If RosettaSciIO is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from emcore import Axis
    >>> axes = Axis("ky", 4, 0.1, units="1/nm"), Axis("kx", 5, 0.1, units="1/nm")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_stack(Path(folder, "stack.npy"), np.ones((3, 4, 5)), "grain", axes, "means")
    ...     np.load(file).shape, json.loads(file.with_suffix(".json").read_text())["axes"][2]["units"]
    ((3, 4, 5), '1/nm')
    """
    described = [Axis(name, len(patterns), units=""), *axes]
    values = np.ascontiguousarray(patterns, dtype=np.float32)
    if path.suffix == ".npy":
        beside = path.with_suffix(".json")
        check_output(beside, overwrite)
        whole = BytesIO()  # NumPy does not say why a disk did not take it
        np.save(whole, values)
        with new_file(path, overwrite) as temporary:
            write_whole(temporary, whole.getvalue())
        text = json.dumps({"title": title, "axes": [_axis(axis, i) for i, axis in enumerate(described)]}, indent=1)
        with new_file(beside, overwrite) as temporary:
            temporary.write_text(text + "\n")
    elif path.suffix == ".hspy":
        try:
            from rsciio.hspy import file_writer
        except ImportError as error:
            raise ImportError(f".hspy files need RosettaSciIO: {install('io')}") from error
        signal = {
            "data": values,
            "axes": [_axis(axis, i) | {"_type": "UniformDataAxis"} for i, axis in enumerate(described)],
            "metadata": {
                "General": {"title": title},
                "Signal": {"signal_type": of_patterns(instrument)["signal_type"]},
                "_HyperSpy": {},
                **{key: each for key, each in (instrument or {}).items() if key != "signal_type"},
            },
            "original_metadata": {},
            "package_info": {"package": "emcore", "package_version": versions()["emcore"]},
            "tmp_parameters": {},
            "attributes": {"_lazy": False, "ragged": False},
            "models": {},
            "learning_results": {},
        }
        with new_file(path, overwrite, ending=".hspy") as temporary:  # at which the writer looks
            file_writer(str(temporary), signal)
    else:
        raise ValueError(f"path ends in {path.suffix!r}; a stack is written to .hspy or .npy")
    return path


def _axis(axis: Axis, index: int) -> dict[str, Any]:
    return {
        "name": axis.name,
        "size": axis.size,
        "scale": axis.scale,
        "offset": axis.offset,
        "units": axis.units,
        "navigate": index == 0,
        "is_binned": False,
    }
