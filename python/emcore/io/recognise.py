"""What a file or a folder holds, by its first bytes or its members, whatever its name says."""

import struct
from pathlib import Path

_STARTS = {
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "NumPy .npy": (b"\x93NUMPY",),
    "TIA .ser": (b"II\x97\x01",),
    "TIA .emi": (b"JK\0\2",),
    "DigitalMicrograph": (b"\0\0\0\3", b"\0\0\0\4"),
    "blockfile": (b"IMGBLO",),
    "Merlin .mib": (b"MQ1,",),
    "Bruker .bcf": (b"AAMVHFSS",),
    "Renishaw .wdf": (b"WDF1",),
    "Digital Surf": (b"DIGITAL SURF", b"DSCOMPRESSED"),
    "EDAX .spd": (b"MAPSPECTRA_DATA",),
    "EMSA/MAS .msa": (b"#FORMAT",),
    "Nanonis .sxm": (b":NANONIS_VERSION:",),
    "Nanonis .3ds": (b"Grid dim=",),
    "PNG": (b"\x89PNG",),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF8",),
    "PDF": (b"%PDF",),
    "gzip": (b"\x1f\x8b\x08",),
}
_HDF5 = b"\x89HDF\r\n\x1a\n"


def kind_of(path: Path) -> str:
    """What a file is by what is in it; "" where that says nothing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "picture.dat")
    ...     _ = file.write_bytes(b"II*\\0" + bytes(20))
    ...     kind_of(file)
    'TIFF'
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return _packed(path)
    if any(head.startswith(_HDF5, start) for start in (0, 512, 1024, 2048)):  # what stands before is the user's
        return "HDF5"
    if _is_mrc(head, path.stat().st_size):
        return "MRC"
    if _is_igor(head):
        return "Igor .ibw"
    return next((name for name, starts in _STARTS.items() if head.lstrip(b"\xef\xbb\xbf").startswith(starts)), "")


def store_of(path: Path) -> str:
    """What a folder is: "OME-Zarr", "HyperSpy (Zarr)", "Zarr", or "" where it is no store."""
    if not any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")):
        return ""
    about = [(path / name).read_bytes() for name in ("zarr.json", ".zattrs") if (path / name).is_file()]
    return _zarr_kind(about, (path / "Experiments").is_dir())


_OF_OME = (b'"multiscales"', b'"plate"', b'"well"', b'"bioformats2raw.layout"', b'"ome"')


def _zarr_kind(about: list[bytes], hyperspy: bool) -> str:
    """Of a store, by the attributes of its root."""
    if hyperspy:
        return "HyperSpy (Zarr)"
    return "OME-Zarr" if any(word in text for text in about for word in _OF_OME) else "Zarr"


def _packed(path: Path) -> str:
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            about = [archive.read(name) for name in ("zarr.json", ".zattrs") if name in names]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError):
        return "zip"  # damaged, or of a kind that Python's zip files do not have
    if {"meta_data.npy", "meta_data_json.npy"} & set(names):
        return "Panta Rhei .prz"
    if any(name.split("/")[-1] in ("zarr.json", ".zgroup", ".zarray") for name in names):
        return _zarr_kind(about, any(name.startswith("Experiments/") for name in names))
    return "NumPy .npz" if not names or any(name.endswith(".npy") for name in names) else "zip"


def _is_mrc(head: bytes, size: int) -> bool:
    if head[208:212] in (b"MAP ", b"MAP\0"):
        return True
    if len(head) < 1024:
        return False
    # Before 2000 nothing said so, but that the file is as long as its header has it.
    (nx, ny, nz, mode), (extended,) = struct.unpack_from("<4i", head), struct.unpack_from("<i", head, 92)
    width = {0: 1, 1: 2, 2: 4, 4: 8, 6: 2}.get(mode, 0)
    return bool(min(nx, ny, nz) > 0 and width and size == 1024 + extended + nx * ny * nz * width)


def _is_igor(head: bytes) -> bool:
    # The sum of the header's 16-bit numbers is zero, in the byte order in which the version is a small number.
    for order in "<>":
        if len(head) < 110:
            return False
        (version,) = struct.unpack_from(f"{order}h", head)
        length = {1: 118, 2: 126, 3: 130, 5: 384}.get(version)
        if length is not None and len(head) >= length:
            return bool(sum(struct.unpack_from(f"{order}{length // 2}h", head)) & 0xFFFF == 0)
    return False
