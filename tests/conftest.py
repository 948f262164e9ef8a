"""What the tests share: where the real files are, and which emcore is tested."""

import os
from pathlib import Path

import pytest

import emcore
from emcore import _emcore

DATA = Path(os.environ.get("EMCORE_TEST_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()


def pytest_report_header() -> str:
    where = Path(emcore.__file__).parent
    return f"emcore {emcore.__version__} in {where}, {_emcore.instruction_set()}, real files in {DATA}"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real files; the test is skipped where they are not at hand."""
    if not DATA.is_dir():
        pytest.skip(f"the real files are not in {DATA} (set EMCORE_TEST_DATA)")
    return DATA
