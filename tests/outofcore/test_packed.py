"""Packed chunks of HDF5 files are what HDF5 reads, unpacked as seldom as the memory allows."""

import re
import subprocess
import sys
import zlib
from collections import Counter

import h5py
import numpy as np
import pytest

from emcore import NMF
from emcore.core.memory import check_memory
from emcore.outofcore import packed as module
from emcore.outofcore.open import as_source
from emcore.outofcore.packed import is_packed, read_packed
from emcore.outofcore.stored import Stored


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("chunks", [(3, 4, 60), (5, 7, 8), (13, 10, 64), (2, 3, 16)])
def test_chunks_are_what_hdf5_reads(dtype, shuffle, chunks, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LEAST", 1)
    data = np.random.default_rng(0).poisson(3, (13, 10, 64)).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset(
            "a", data.shape, dtype, chunks=chunks, compression="gzip", shuffle=shuffle, fillvalue=9
        )
        made[:9, 2:, :50] = data[:9, 2:, :50]  # some chunks are never written, some in part
        assert is_packed(made)
        for first, lines, channels in ((0, 13, slice(None)), (4, 7, slice(3, 61)), (12, 1, slice(8, 16))):
            expected = made[first : first + lines, :, channels]
            observed = np.empty(expected.shape, made.dtype)
            read_packed(made, first, channels, observed)
            assert np.array_equal(observed, expected)
            rows = Stored(made, 1, channels).read(10 * first, 10 * (first + lines))
            assert np.array_equal(rows, expected.reshape(-1, expected.shape[-1]))


@pytest.mark.parametrize("stored", [b"none", zlib.compress(b"few"), zlib.compress(bytes(1 << 17))[:40]], ids=len)
@pytest.mark.parametrize("shuffle", [False, True])
def test_damaged_chunks_are_named(stored, shuffle, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("counts", (256, 256), "u2", chunks=(256, 256), compression="gzip", shuffle=shuffle)
        made.id.write_direct_chunk((0, 0), stored)
        assert is_packed(made)
        with pytest.raises(OSError, match="chunk of /counts is damaged"):
            read_packed(made, 0, slice(None), np.empty((256, 256), "u2"))


def test_what_is_packed_otherwise_is_left_to_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        shape = {"shape": (64, 64, 64), "chunks": (8, 64, 64)}
        for name, options in (
            ("lzf", {"dtype": "u2", "compression": "lzf"}),
            ("checked", {"dtype": "u2", "compression": "gzip", "fletcher32": True}),
            ("scaled", {"dtype": "u2", "compression": "gzip", "scaleoffset": 4}),
            ("bool", {"dtype": "?", "compression": "gzip"}),
            ("as it is", {"dtype": "u2"}),
        ):
            assert not is_packed(file.create_dataset(name, **shape, **options)), name
        assert not is_packed(file.create_dataset("small", (64, 64), "u2", chunks=(8, 8), compression="gzip"))
        assert is_packed(file.create_dataset("gzip", **shape, dtype="u2", compression="gzip"))


@pytest.mark.parametrize(("memory", "held"), [("3 MB", 0.5), ("6 MB", 1)])
def test_a_chunk_is_unpacked_once_a_pass_or_once_where_memory_has_room_for_it(memory, held, tmp_path, monkeypatch):
    data = np.random.default_rng(0).poisson(3, (32, 32, 1024)).astype("u2")
    made, unpack = Counter(), module._chunk

    def counted(data, offset, *args):
        made[tuple(offset)] += 1
        return unpack(data, offset, *args)

    monkeypatch.setattr(module, "_chunk", counted)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = file.create_dataset("a", data=data, chunks=(1, 32, 1024), compression="gzip")
        observed = NMF(2, init="random", random_state=0, max_iter=7, tol=0, memory=memory).fit(as_source(stored))
    # The mean and seven iterations; the maps; their loss.
    assert set(made.values()) == ({3} if held == 1 else {3, 10})
    once = sum(count == 3 for count in made.values()) / len(made)
    assert held - 0.2 <= once <= held
    expected = NMF(2, init="random", random_state=0, max_iter=7, tol=0).fit(data.reshape(-1, 1024))
    assert np.abs(observed.components_ - expected.components_).max() <= 1e-5 * expected.components_.max()


def test_a_damaged_chunk_is_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("a", (40, 64, 64), "u2", chunks=(10, 64, 64), compression="gzip")
        made[...] = 5
        made.id.write_direct_chunk((20, 0, 0), b"no deflate")
        with pytest.raises(ValueError, match=r"rows 1280 to 1920 cannot be read: truncated or damaged"):
            Stored(made).read(1280, 1920)


CODE = """
import re, sys, h5py
import numpy as np
from emcore import NMF

def most(name="VmHWM"):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

with h5py.File(sys.argv[1], "r") as file:
    NMF(4, max_iter=2, tol=0).fit(file["x"][:20].reshape(-1, 500))  # what every process needs once
    open("/proc/self/clear_refs", "w").write("5")
    before = most("VmRSS")
    NMF(4, max_iter=2, tol=0, memory="32 MB").fit(file["x"])
    print(most() - before)
"""


@pytest.mark.linux
def test_the_budget_is_kept_of_packed_chunks_too(tmp_path):
    some = np.random.default_rng(0).poisson(2, (8, 192, 500)).astype("u2")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset(
            "x", (400, 192, 500), "u2", chunks=(8, 48, 500), compression="gzip", compression_opts=1
        )
        for line in range(0, 400, 8):
            made[line : line + 8] = some
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(tmp_path / "x.h5")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    peak = check_memory(re.search(r"predicted peak memory (.+)", done.stderr)[1])
    assert int(done.stdout) <= peak + (8 << 20)  # what Python and its libraries add
    assert peak <= 32.1e6
