"""What went wrong while a file was read, said truly: damage, what is not supported or installed, or a fault of ours.

"Truncated or damaged" is only what ends too early, fails its checksum or has another structure than its format. What no
decoder foresaw is an `UnexpectedError`, which names the exception and where it came from.
"""

import math
import re
import traceback
from pathlib import Path

from emcore.core.extras import install

EXTRAS = {
    "rsciio": "io",
    "tifffile": "io",
    "imagecodecs": "io",
    "skimage": "io",
    "sparse": "io",
    "mrcz": "formats",
    "numba": "formats",
    "h5py": "hdf5",
    "hdf5plugin": "hdf5plugin",
    "dask": "dask",
    "zarr": "zarr",
    "hyperspy": "hyperspy",
    "matplotlib": "plot",
}
"""Which of emcore's extras brings a package."""

_NAMES = {"rsciio": "RosettaSciIO", "dask": "Dask", "zarr": "Zarr", "hyperspy": "HyperSpy", "skimage": "scikit-image"}
_DAMAGE = {
    "builtins.EOFError",
    "builtins.UnicodeError",
    "struct.error",
    "zlib.error",
    "zipfile.BadZipFile",
    "gzip.BadGzipFile",
    "_lzma.LZMAError",
    "binascii.Error",
    "json.decoder.JSONDecodeError",
    "xml.etree.ElementTree.ParseError",
    "tifffile.tifffile.TiffFileError",
}
# How numpy, h5py, zarr and the decoders say that a file ends early, fails its checksum or has another structure.
_SIGNS = re.compile(
    r"truncat|end of file|\beof\b|unexpected end|ends? (too )?early|no directory|incomplete|checksum|\bcrc\b|corrupt"
    r"|damaged|signature|filter returned failure|decompress|addr(ess)? overflow|overlaps with|bad (object|heap|symbol)"
    r"|(wrong|bad|unknown) .*(version|type|magic)|^(unable to|can't) .*\(.*\)$|mmap length|not enough values to unpack"
    r"|buffer (size|is smaller|too small)|cannot reshape|could not broadcast|size mismatch|negative dimensions"
    r"|invalid (magic|header|chunk|block|code|data|file|literal|shape)|cannot parse|could not convert string"
    r"|failed to read|could only read|not fully written|not a multiple of|out of bounds of the file"
    r"|expected \d+ bytes|requested \d+ bytes|header (is|has)|not a (valid|recogni[sz]ed)",
    re.IGNORECASE,
)
_LIBRARIES = ("imagecodecs.", "rsciio.exceptions.")  # whose own exceptions are of damage
_PLUGIN = re.compile(r"required filter|plugin|dlopen|filter .*not (available|registered)", re.IGNORECASE)
_PARTNER = re.compile(r"external (file|link|raw)", re.IGNORECASE)
_COMPRESSION = 1100  # how many times as large as a deflated file what is in it can be


class BadFile(ValueError):
    """A finding about a file, said in our words already."""


class UnexpectedError(ValueError):
    """What no decoder foresaw: an error in emcore or in a library, or damage that is not recognised as such."""


def explained(error: Exception, name: str, form: str = "") -> Exception:
    """What to raise instead of what a decoder raised.

    Parameters
    ----------
    error : Exception
    name : str
        What was read: the path of a file, or a part of it.
    form : str, default ""
        Its format, for people.

    Returns
    -------
    Exception
        A `BadFile` for damage and what is not supported; ImportError, PermissionError, OSError, MemoryError for what
        they are; what is said already as it is; else an `UnexpectedError`. All say what was read.

    Examples
    --------
    >>> explained(EOFError("no data left in file"), "a.npy", "NumPy .npy")
    BadFile('a.npy cannot be read as NumPy .npy: truncated or damaged (no data left in file)')
    >>> type(explained(KeyError("axes"), "a.dm3")).__name__
    'UnexpectedError'
    """
    if isinstance(error, BadFile | UnexpectedError):
        return error
    what = f"{name} cannot be read" + (f" as {form}" if form else "")
    said = _said(error)
    if isinstance(error, ImportError):
        ours = re.search(r"pip install '.+\[\w+\]'", str(error))
        return error if ours else ImportError(f"{what}: {_missing(error, said)}")
    if isinstance(error, NotImplementedError):
        return BadFile(f"{name} is a variant of {form or 'its format'} that is not supported ({said})")
    if isinstance(error, MemoryError):
        return _too_large(error, what, said, name)
    if isinstance(error, OSError):
        return _from_system(error, what, said)
    return _in_decoder(error, what, said)


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] if text else type(error).__name__


def _missing(error: ImportError, said: str) -> str:
    words = [*(error.name or "").split("."), *re.findall(r"\w+", said)]
    module = next((word for word in words if word in EXTRAS), None)
    if module:
        return f"it needs {_NAMES.get(module, module)}: {install(EXTRAS[module])}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"it needs {error.name}: pip install {error.name.split('.')[0]}"
    return said


def _too_large(error: MemoryError, what: str, said: str, name: str) -> Exception:
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    path = Path(name)
    if shape is not None and dtype is not None and path.is_file():
        needed, there = math.prod(shape) * dtype.itemsize, path.stat().st_size
        if needed > _COMPRESSION * there:
            return BadFile(f"{what}: truncated or damaged (its header asks for {needed:.3g} bytes, it has {there})")
    return MemoryError(f"{what}: it does not fit in memory ({said}); lazy=True leaves it in the file")


def _from_system(error: OSError, what: str, said: str) -> Exception:
    if isinstance(error, PermissionError):
        return PermissionError(f"{what}: no permission to read {error.filename or 'it'}")
    if isinstance(error, FileNotFoundError) and error.filename:
        return FileNotFoundError(f"{what}: {error.filename} is missing, which holds part of it")
    if isinstance(error, BlockingIOError) or "unable to lock file" in said.lower():
        return PermissionError(f"{what}: another program has it open and locked ({said})")
    if error.errno and error.strerror:
        return OSError(f"{what}: {error.strerror}")
    return _in_decoder(error, what, said)


def _in_decoder(error: Exception, what: str, said: str) -> Exception:
    kinds = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}
    from_library = isinstance(error, OSError | ValueError | RuntimeError)
    if from_library and _PLUGIN.search(said):
        return ImportError(f"{what}: its compression needs hdf5plugin: {install('hdf5plugin')} ({said})")
    if _PARTNER.search(said):
        return BadFile(f"{what}: a file that holds part of it is missing ({said})")
    if (
        kinds & _DAMAGE
        or any(kind.startswith(_LIBRARIES) for kind in kinds)
        or (from_library and _SIGNS.search(said))
        or _in_hdf5(error, said)
    ):
        return BadFile(f"{what}: truncated or damaged ({said})")
    return UnexpectedError(
        f"{what}: unexpected {type(error).__name__}: {said} ({_where(error)}); "
        "if other programs open it, please report this error of emcore"
    )


def _in_hdf5(error: Exception, said: str) -> bool:
    """Whether HDF5 itself met what it did not expect; of what merely is not there it says so."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = bool(frames) and "h5py" in Path(frames[-1].filename).parts
    return inside and isinstance(error, KeyError | RuntimeError | ValueError | OSError) and "doesn't exist" not in said


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "in emcore"
    return f"in {'/'.join(Path(frames[-1].filename).parts[-3:])}, line {frames[-1].lineno}"
