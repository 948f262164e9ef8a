"""Results that are a table too, which is written as CSV."""

import os
from pathlib import Path
from typing import Any

from emcore.core.files import write_columns


class Tabled:
    """A result with a table."""

    def table(self) -> dict[str, list[Any]]:
        """The columns by their heads, with units, all of one length."""
        raise NotImplementedError

    def write_table(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write the table with commas (CSV): a line of heads, then one for each row; see
        `table`.

        Parameters
        ----------
        path : str or Path
            Usually ends in .csv. It appears whole or not at all.
        overwrite : bool, default False
            Replace an existing file.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is not set.

        Examples
        --------
        >>> import tempfile
        >>> import emcore
        >>> from emcore.datasets import moving_boundary
        >>> frames = moving_boundary(2, (160, 200)).frames
        >>> result = emcore.local_symmetry_series(frames, n_regions=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(result.write_table(f"{folder}/areas.csv").read_text().splitlines()[0])
        frame,region 1,region 2
        """
        return write_columns(path, self.table(), overwrite)
