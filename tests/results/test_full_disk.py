"""A disk that is full ends every writer with an error that names the file, and leaves nothing behind."""

import subprocess
import sys

import pytest

# In a process of its own, as the limit is one of a process; what is written before the limit is set is small.
CODE = """
import resource, sys, tempfile
from pathlib import Path

import numpy as np
import emcore
from emcore.core.signals import Axis
from emcore.datasets import eds_phases, lattice_micrograph
from emcore.io.scan_files import ScanFile, new_scan

what, folder = sys.argv[1], Path(sys.argv[2])
image = emcore.analyze_image(lattice_micrograph(shape=(256, 256)).image, window=64)
counts = np.asarray(eds_phases(shape=(12, 14)).signal.data)
spectra = Axis("y", 64, navigation=True), Axis("energy", 4096, 1.0, units="eV")
patterns = Axis("y", 8, navigation=True), Axis("x", 8, navigation=True), Axis("ky", 64), Axis("kx", 64)


def scan(name):
    about = ScanFile(np.dtype("f4"), patterns if name.endswith(".emd") else spectra)
    with new_scan(folder / name, about) as file:
        for row in range(64):
            file.write(row, np.ones((1, 4096), "f4"))


writers = {
    "a.h5": lambda: image.save(folder / "a.h5"),
    "a.pdf": lambda: image.report(folder / "a.pdf"),
    "job.npz": lambda: emcore.unmix(counts, 2, checkpoint=folder / "job.npz"),
    "a.npy": lambda: scan("a.npy"),
    "a.hspy": lambda: scan("a.hspy"),
    "a.zspy": lambda: scan("a.zspy"),
    "a.emd": lambda: scan("a.emd"),
}
import matplotlib.backends.backend_pdf
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    writers[what]()
    print("written")
except OSError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.posix
@pytest.mark.parametrize("name", ["a.h5", "a.pdf", "job.npz", "a.npy", "a.hspy", "a.zspy", "a.emd"])
@pytest.mark.parametrize("limit", [1000, 6000])
def test_what_cannot_be_written_is_an_error_that_names_the_file_and_leaves_nothing(name, limit, tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE, name, str(tmp_path), str(limit)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"OSError: cannot write {tmp_path / name}: "), done.stdout
    if name == "job.npz":  # the state before stays
        assert len(list(tmp_path.iterdir())) <= (tmp_path / name).exists()
    else:
        assert list(tmp_path.iterdir()) == []
