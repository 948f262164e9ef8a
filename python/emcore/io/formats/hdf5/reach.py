"""Which other files does an HDF5 file reach: by links, by data that are stored elsewhere, by virtual data sets?

Only those in its own folder, or below, are read. Else a file from a stranger could show what any other file of the
machine holds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emcore.io.errors import BadFile


def check_reach(path: Path) -> None:
    """
    Refuse an HDF5 file that reaches outside its folder, by itself or by way of a file that it links to.

    Raises
    ------
    BadFile
        With what reaches where.
    """
    import h5py

    seen, left = set[Path](), [path]
    while left:
        current = left.pop()
        if current.resolve() in seen or not current.is_file():
            continue
        seen.add(current.resolve())
        try:
            file = h5py.File(current, "r")
        except OSError:  # which is said by those who read it
            continue
        with file:
            for place, name, linked in _others(file):
                if not (current.parent / name).resolve().is_relative_to(current.parent.resolve()):
                    raise BadFile(
                        f"{current}: {place} takes its values from {name}, outside the folder of the file: if "
                        "that is to be trusted, copy it there and name it without a folder"
                    )
                if linked:
                    left.append(current.parent / name)


def _others(file: Any) -> Iterator[tuple[str, str, bool]]:
    """The other files that links and data sets name, where they do, and whether what is there may name further ones."""
    import h5py

    links = file.id.links
    places: list[tuple[bytes, Any]] = []
    links.visit(lambda place, info: places.append((place, info.type)), info=True)
    for place, kind in places:
        said = place.decode("utf-8", "replace")
        if kind == h5py.h5l.TYPE_EXTERNAL:
            yield said, links.get_val(place)[0].decode("utf-8", "replace"), True
        if kind != h5py.h5l.TYPE_HARD or h5py.h5o.get_info(file.id, place).type != h5py.h5o.TYPE_DATASET:
            continue
        made = h5py.h5d.open(file.id, place).get_create_plist()
        for i in range(made.get_external_count()):
            yield said, made.get_external(i)[0].decode("utf-8", "replace"), False
        if made.get_layout() == h5py.h5d.VIRTUAL:
            for i in range(made.get_virtual_count()):
                name = made.get_virtual_filename(i)
                if name != ".":
                    yield said, name, True
