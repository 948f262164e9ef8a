"""The tags of a DigitalMicrograph file, walked before they are read: do their sizes lie inside the file?

RosettaSciIO reads value by value as many as a tag says, and values of a structure without fields take no bytes: with a
damaged number it would be busy for years. Sizes that reach beyond the file or below zero, and more values than programs
write beside images, are refused here; what else is wrong the reader says.

A file is a head and groups of tags; a tag is a group, or data: simple values, strings, structures, and arrays of these.
Version 3 has sizes of 4 bytes, version 4 of 8, all in big-endian order.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from emcore.io.errors import BadFile

_GROUP, _DATA = 20, 21
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_BYTES = {2: 2, 3: 4, 4: 2, 5: 4, 6: 4, 7: 8, 8: 1, 9: 1, 10: 1, 11: 8, 12: 8}
"""Of a simple value of each type."""
_MOST = 1 << 22
"""Values beside those of images, each of which takes the reader a microsecond."""
_COPIED = 1 << 13
"""Characters of a string and fields of a structure are read with a copy of those before, so many in a microsecond."""
_DEEPEST = 64


class _Other(Exception):
    """The reader does not go on here either, and says why."""


def check_tags(path: Path) -> None:
    """
    Refuse a file whose tags cannot be read in a reasonable time.

    Raises
    ------
    BadFile
        Sizes beyond the file or below zero, more values than are beside images, groups in groups without an end.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.dm3")
    ...     _ = file.write_bytes(bytes([0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 20, 0, 1, 65, 0, 0]))
    ...     check_tags(file)
    Traceback (most recent call last):
        ...
    emcore.io.errors.BadFile: ...a.dm3 cannot be read as DigitalMicrograph: truncated or damaged (tags end at byte 24)
    """
    with path.open("rb") as file:
        walk = _Walk(path, file, path.stat().st_size)
        try:
            walk.file()
        except _Other:
            return


class _Walk:
    """The place in a file, and what reading it up to there costs."""

    def __init__(self, path: Path, file: BinaryIO, there: int) -> None:
        self._path, self._file, self._there = path, file, there
        self._form, self._cost = ">i", 0

    def file(self) -> None:
        """Walk through all of it."""
        version = self._of(">i")
        if version not in (3, 4):
            raise _Other
        self._form = ">q" if version == 4 else ">i"
        self._number()
        self._of(">i")
        self._of(">H")
        self._tags("root", self._number(), 0)

    def _tags(self, group: str, count: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise self._damaged(f"more than {_DEEPEST} groups in each other")
        for _ in range(count):  # which the end of the file limits: each takes bytes
            kind, length = self._of(">b"), self._of(">h")
            name = self._bytes(max(length, 0)).decode("latin-1").replace(".", "")
            if kind == _GROUP:
                self._of(">H")
                if self._form == ">q":
                    self._number()
                self._tags(name, self._number(), depth + 1)
            elif kind == _DATA:
                self._data(skipped=group == "ImageData" and name == "Data")
            else:
                raise _Other

    def _data(self, skipped: bool) -> None:
        """Past the values of a tag, of which those of an image are not read one by one."""
        if self._form == ">q":
            self._of(">q")
        if self._bytes(4) != b"%%%%":
            raise _Other
        described = self._number()
        if described < 1:
            raise _Other
        kind, count = self._number(), 1
        if described == 1:
            cost, size = 1, self._simple(kind)
        elif described == 2:
            cost, size = self._string(kind == _STRING)
        elif described == 3:
            element, count = (self._number(), self._number()) if kind == _ARRAY else (0, 0)
            cost, size = 1, self._simple(element)
        elif kind == _STRUCT:
            cost, size = self._structure()
        elif kind == _ARRAY:
            element = self._number()
            if element == _STRUCT:
                cost, size = self._structure()
            elif element == _STRING:
                cost, size = self._string()
            elif element == _ARRAY:
                cost, size = 1, self._simple(self._number())
                self._number()
            else:
                return
            count = self._number()
        else:
            return
        if min(count, size) < 0 or count * size > self._there - self._file.tell():
            raise self._damaged(f"{count} times {size} bytes at byte {self._file.tell()} of {self._there}")
        if not skipped:
            self._cost += count * cost
            if self._cost > _MOST:
                raise self._damaged(f"{self._cost} values beside those of images")
        self._file.seek(count * size, 1)

    def _simple(self, kind: int) -> int:
        if kind not in _BYTES:
            raise _Other
        return _BYTES[kind]

    def _string(self, known: bool = True) -> tuple[int, int]:
        if not known:
            raise _Other
        length = self._number()
        return max(1, length + length * length // _COPIED), length

    def _structure(self) -> tuple[int, int]:
        """What reading its values once costs, and their bytes."""
        self._number()
        fields, size = self._number(), 0
        self._cost += max(fields, 0) ** 2 // _COPIED
        if self._cost > _MOST:
            raise self._damaged(f"a structure of {fields} fields")
        for _ in range(fields):
            self._number()
            size += self._simple(self._number())
        return max(1, fields), size

    def _number(self) -> int:
        return self._of(self._form)

    def _of(self, form: str) -> int:
        (number,) = struct.unpack(form, self._bytes(struct.calcsize(form)))
        return int(number)

    def _bytes(self, size: int) -> bytes:
        read = self._file.read(size)
        if len(read) < size:
            raise self._damaged(f"tags end at byte {self._there}")
        return read

    def _damaged(self, why: str) -> BadFile:
        return BadFile(f"{self._path} cannot be read as DigitalMicrograph: truncated or damaged ({why})")
