"""Pictures of everyday formats, PNG and JPEG: values without a calibration."""

from pathlib import Path

from emcore.core.extras import install
from emcore.core.signals import Signal
from emcore.io.convert import signal_of
from emcore.io.errors import BadFile

_LOSSY = "JPEG keeps no fine detail: blocks of 8 px may show as a period; save micrographs as TIFF or PNG"


def read_picture(path: Path, lazy: bool) -> list[Signal]:
    """The picture in a PNG or JPEG file, grey or colour; opaque transparency is left out."""
    try:
        import imagecodecs
    except ImportError as error:
        raise ImportError(f"reading {path} needs imagecodecs: {install('io')}") from error
    raw = path.read_bytes()
    jpeg = raw.startswith(b"\xff\xd8")
    if raw[-2:] != b"\xff\xd9" and jpeg and b"\xff\xd9" not in raw:
        raise BadFile(f"{path} cannot be read as JPEG: truncated (it has no end)")
    data = imagecodecs.jpeg_decode(raw) if jpeg else imagecodecs.png_decode(raw)
    if data.ndim == 3 and data.shape[-1] in (2, 4):  # transparency is the last
        data = data[..., :-1]
    if data.ndim == 3 and data.shape[-1] == 1:
        data = data[..., 0]
    signal = signal_of(data)
    return [Signal(signal.data, signal.axes, notes=(_LOSSY,) * jpeg)]
