"""What a workflow gives back, and the file it is kept in.

A result is a frozen dataclass of arrays and plain values that inherits `Result`. Its array fields declare their axes::

    @dataclass(frozen=True, eq=False)
    class ImageAnalysis(Result):
        maps: NDArray[np.float32] = dataclasses.field(metadata={"axes": ("component", "y", "x"), "default": True})
        y: NDArray[np.float64] = dataclasses.field(metadata={"units": lambda result: result.image.axes[0].units})
        x: ...
        regions: NDArray[np.int32] = dataclasses.field(metadata={"axes": ("image.y", "image.x")})
        image: Signal
        provenance: Provenance

Metadata of a field, all optional: `axes`, one name per dimension: a field that holds the coordinates, "image.y" for
axis y of the Signal field `image`, any other name just counts; `units` and `long_name`; `default`, True for the one
field a viewer shows first; `labels`, whether whole numbers are those of regions (as they are by default), and `counts`,
what these number ("grain"); `names`, of texts, what they are the names of;
`signal_axes`, how many of the last axes make one signal (default: two, or one for a 1-D
field) when the rest is navigation. Each but `default` may be a function of the result.

From these declarations alone `write_result` lays out one HDF5 file in the NeXus way, which NeXus viewers (silx, nexpy,
h5web) plot; `load_result` gives back an equal result; `to_hyperspy` gives calibrated HyperSpy signals. The layout is in
`emcore.results.nexus`.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, overload

import numpy as np

from emcore.core.drawing import Drawable, backend
from emcore.core.hyperspy_signals import of_patterns, to_hyperspy
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal, same_array
from emcore.io.read import read
from emcore.results.conversion import to_xarray
from emcore.results.fields import array_fields, register
from emcore.results.nexus import read_result, write_result

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

Components: TypeAlias = int | str | Sequence[int | str] | None
Axes = TypeVar("Axes")


class Result(Drawable):
    """What every result of a workflow can do. See the module's first lines for how to declare
    one."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    provenance: Provenance

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        register(cls)
        # Else that of dataclasses, which writes out every array.
        cls.__repr__ = Result.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        from emcore.results.contents import in_words

        return in_words(self)

    def _repr_html_(self) -> str:
        text: str = backend("in_notebook")(self)
        return text

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_same(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))

    __hash__ = None  # type: ignore[assignment]

    @overload
    def plot(self, components: Components = None, *, ax: None = None, cmap: Any = None) -> "Figure": ...
    @overload
    def plot(self, components: Components = None, *, ax: Axes, cmap: Any = None) -> Axes: ...
    def plot(self, components: Components = None, *, ax: Any = None, cmap: Any = None) -> Any:
        """Draw everything that has a picture on one page, or some components, or into axes of a
        figure of your own.

        Parameters
        ----------
        components : int, str, or several of them, optional
            Which components, clusters, grains, regions, phases (or detectors, frames) are
            drawn: the map of each, and beside it its signal. By index, counted from 0 as in
            `maps` and `labels`; by name where the result has names.
        ax : matplotlib Axes, or an array of them, optional
            Where to draw: the main map into one axes; of n components the maps into n of them,
            or maps and signals in turn, as into ``plt.subplots(n, 2)``.
        cmap : str or Colormap, optional
            Of pictures that show values; labels keep the colours of their groups.

        Returns
        -------
        matplotlib.figure.Figure, or `ax`
            pyplot's current one: a window or a notebook shows it, ``plt.savefig`` writes it.
            Where figures are only written to files, pyplot has the latest alone, so that a loop
            leaves none behind.

        Raises
        ------
        ValueError
            Components that there are not, another number of axes than there are pictures, an
            unknown colour map.
        TypeError
            What is no index, name or axes.
        ImportError
            If the extra `plot` is not installed.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import emcore
        >>> from emcore.datasets import eds_phases
        >>> result = emcore.unmix(eds_phases(shape=(30, 30)).signal)
        >>> page = result.plot()
        >>> plt.gcf() is page
        True
        >>> figure, axes = plt.subplots(2, 2, layout="constrained")
        >>> result.plot([0, 2], ax=axes, cmap="inferno") is axes
        True
        >>> [each.get_title("left").partition(",")[0] for each in axes[:, 0]]
        ['Component 1', 'Component 3']
        >>> plt.close("all")
        """
        return backend("plot")(self, components, ax, cmap)

    def show(self, components: Components = None, *, cmap: Any = None) -> None:
        """Plot and show it, as ``plt.show()`` does; without a display, warn of that.

        Parameters
        ----------
        components, cmap
            See `plot`.

        Raises
        ------
        ValueError, TypeError, ImportError
            As `plot`.
        """
        backend("show")(self, components, None, cmap)

    def report(self, path: "str | os.PathLike[str]", overwrite: bool = False) -> Path:
        """Write the PDF report.

        Parameters
        ----------
        path : str or Path
        overwrite : bool, default False
            Replace an existing file.

        Returns
        -------
        Path
            The file written.
        """
        backend("write_report")(self, path, overwrite=overwrite)
        return Path(path)

    def to_html(self, path: "str | os.PathLike[str]", signal: Any = None, overwrite: bool = False) -> Path:
        """Write a page to look into the result with a browser: maps to point at, the signals
        that belong to them.

        Parameters
        ----------
        path : str or Path
            Usually ends in .html. Everything is in this one file, which needs no server and no
            network.
        signal : Signal, path or array_like, optional
            What was analysed: then what was measured at the position pointed at is shown beside
            the mean of its group, binned as far as the page needs to stay under 30 MB, which it
            says.
        overwrite : bool, default False
            Replace an existing file.

        Returns
        -------
        Path
            The file written. It appears whole or not at all.

        Raises
        ------
        ValueError
            A signal that is no scan.
        FileExistsError
            If the file exists and `overwrite` is not set.

        Examples
        --------
        >>> import tempfile
        >>> import emcore
        >>> from emcore.datasets import eds_phases
        >>> sample = eds_phases(shape=(30, 30))
        >>> result = emcore.unmix(sample.signal)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = result.to_html(f"{folder}/phases.html", sample.signal).read_text()
        >>> page.startswith("<!DOCTYPE html>"), "http://" in page or "https://" in page
        (True, False)
        """
        from emcore.io.read import as_signal

        shown = None if signal is None else as_signal(signal)
        backend("write_html")(self, path, shown, overwrite=overwrite)
        return Path(path)

    def export(
        self,
        folder: "str | os.PathLike[str]",
        *,
        maps: str | Iterable[str] = "tif",
        tables: str | Iterable[str] = "csv",
        spectra: str | Iterable[str] = "csv",
        figures: str | Iterable[str] = (),
        stem: str = "",
        overwrite: bool = False,
    ) -> list[Path]:
        """Write maps, tables and spectra for other programs, each to a file of its own.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there.
        maps : {"tif", "png", "ome-zarr"} or several, default "tif"
            TIFF with the calibration as ImageJ keeps it: values as float32, labels as whole
            numbers from 1 on, 0 where there is none; maps of several components are one stack.
            PNG is as shown in a notebook.
        tables : {"csv"} or none, default "csv"
            Units are in the heads.
        spectra : {"csv", "msa"} or several, default "csv"
            Patterns are TIFF stacks in any case, unless this is empty.
        figures : {"pdf", "png", "svg"} or several, default none
            What `plot` draws.
        stem : str, optional
            What names of files begin with; by default the input's name.
        overwrite : bool, default False
            Replace existing files.

        Returns
        -------
        list of Path
            The files written: all of them, or none.

        Raises
        ------
        ValueError
            Another format; uneven axes in an EMSA file.
        FileExistsError
            If a file exists and `overwrite` is not set.
        ImportError
            If what a format needs is not installed.

        Examples
        --------
        >>> import tempfile
        >>> import emcore
        >>> from emcore.datasets import eds_phases
        >>> result = emcore.unmix(eds_phases(shape=(30, 30)).signal)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = result.export(folder, maps=(), stem="map")
        ...     files[0].name, files[0].read_text().splitlines()[0]
        ('map.component.csv', 'component,fraction of the counts')
        """
        wanted = {"maps": maps, "tables": tables, "spectra": spectra, "figures": figures}
        files: list[Path] = backend("export")(self, folder, wanted, stem, overwrite)
        return files

    def save(self, path: "str | os.PathLike[str]", overwrite: bool = False) -> Path:
        """Write everything to one HDF5 file that NeXus viewers open and `load_result` reads
        back.

        Parameters
        ----------
        path : str or Path
            Usually ends in .h5. The folder must exist.
        overwrite : bool, default False
            Replace an existing file.

        Returns
        -------
        Path
            The file written. It appears whole or not at all.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is not set.
        FileNotFoundError, OSError
            If the folder does not exist or cannot be written to.
        ImportError
            If the extra `hdf5` is not installed.
        """
        return write_result(self, path, overwrite=overwrite)

    def to_hyperspy(self) -> dict[str, Any]:
        """The arrays as HyperSpy signals with calibrated axes.

        Returns
        -------
        dict of str to hyperspy BaseSignal
            One for every array field with declared axes, by its name: component maps are a
            Signal2D with a navigation axis over components, spectra likewise, the region map a
            Signal2D; the image itself too.

        Raises
        ------
        ImportError
            If the extra `hyperspy` is not installed.
        """
        signals_by_name = {}
        for name, axes, inside in array_fields(self):
            known = self._instrument(axes, inside)
            signals_by_name[name] = to_hyperspy(getattr(self, name), axes, name, inside, known)
        signals = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        for name, value in list(signals.items()):
            if isinstance(value, tuple):
                signals |= {f"{name}_{number}": each for number, each in enumerate(value)}
        for name, signal in signals.items():
            if isinstance(signal, Signal):
                inside = sum(not axis.navigation for axis in signal.axes)
                known = signal.metadata.get("instrument") or self._instrument(signal.axes, inside)
                array = np.asarray(signal.data)
                signals_by_name[name] = to_hyperspy(array, signal.axes, signal.title or name, inside, known)
        return signals_by_name

    def _instrument(self, axes: Sequence[Axis], inside: int) -> dict[str, Any]:
        """What the file says of signals as they were measured; nothing of others, whose axes
        are not theirs.

        Patterns of which it does not say what they are of are taken for electron diffraction.
        """
        mean = getattr(self, "mean", None)
        if not isinstance(mean, Signal) or inside != len(mean.axes):
            return {}
        if [axis.name for axis in axes[-inside:]] != [axis.name for axis in mean.axes]:
            return {}
        known = self.provenance.instrument
        return of_patterns(known) if inside == 2 else known

    def to_xarray(self) -> Any:
        """The arrays as an xarray Dataset, with their coordinates and units.

        Returns
        -------
        xarray.Dataset
            A variable for every array field with declared axes and every Signal, by its name,
            with attributes `units` and `long_name`. An axis that differs between variables has
            the variable's name before its own.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        return to_xarray(self)

    def to_ome_zarr(self, path: "str | os.PathLike[str]", version: str = "0.5", overwrite: bool = False) -> Path:
        """Write the picture that was analysed, with labels and maps, as OME-Zarr, which napari
        and Fiji open.

        Parameters
        ----------
        path : str or Path
            The folder that is written, usually ending in .ome.zarr. Label images lie in its
            group `labels`, counted from 1 on with 0 for no label; maps in groups of the names
            that they have here.
        version : {"0.5", "0.4"}, default "0.5"
            Of the specification: on Zarr 3 or, for programs that do not read that yet, on Zarr
            2.
        overwrite : bool, default False
            Replace an existing Zarr store.

        Returns
        -------
        Path
            The store. It appears whole or not at all.

        Raises
        ------
        ValueError
            If the result has no picture of two axes, or `version` is another one.
        FileExistsError
            If the folder exists and `overwrite` is not set, or it is no Zarr store.
        ImportError
            If the extra `zarr` is not installed.

        Examples
        --------
        >>> import tempfile
        >>> import emcore
        >>> from emcore.datasets import lattice_micrograph
        >>> result = emcore.analyze_image(lattice_micrograph(shape=(256, 256)).image, window=64)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = result.to_ome_zarr(f"{folder}/regions.ome.zarr")
        ...     labels = emcore.read(store, dataset="labels/regions").data
        >>> bool((labels == result.regions + 1).all())
        True
        """
        from emcore.results.ome_zarr import write_maps

        return write_maps(self, Path(path), version, overwrite)


def load_result(path: "str | os.PathLike[str]") -> Any:
    """Read back a result that `.save` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Result
        Of the class that was saved, equal to it: same bits, same types.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not an emcore result, damaged, or written by a newer version.
    ImportError
        If the extra `hdf5` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import emcore
    >>> from emcore.datasets import lattice_micrograph
    >>> result = emcore.analyze_image(lattice_micrograph(shape=(256, 256)).image, window=64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = result.save(f"{folder}/result.h5")
    ...     again = emcore.load_result(path)
    >>> bool((again.regions == result.regions).all())
    True
    """
    return read_result(path)


def result_or_signal(path: "str | os.PathLike[str]") -> Any:
    """What a file holds: a result that was saved, else a measurement.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As of `emcore.read`.
    """
    try:
        return load_result(path)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, ImportError):  # no file of emcore's
        return read(path)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        both = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
        return both and a.dtype == b.dtype and same_array(a, b)
    if isinstance(a, Provenance) and isinstance(b, Provenance):
        return _same(vars(a), vars(b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and a != a and b != b)
