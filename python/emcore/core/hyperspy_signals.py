"""Arrays with their axes as HyperSpy signals, of the kind that their file says."""

from collections.abc import Mapping, Sequence
from typing import Any

from emcore.core.extras import install


def to_hyperspy(
    array: Any,
    axes: Sequence[Any],
    title: str = "",
    signal_axes: int = 2,
    instrument: dict[str, Any] | None = None,
) -> Any:
    """A HyperSpy signal of an array with an `Axis` for each dimension: the last `signal_axes` are signal axes.

    With what is known of the instrument, see `emcore.core.provenance.Provenance`, it is of its kind ("EDS_TEM",
    "electron_diffraction"), for which the package is needed that makes such signals. That of a Dask array is lazy.
    """
    try:
        from hyperspy import signals
    except ImportError as error:
        raise ImportError(f"HyperSpy signals need hyperspy: {install('hyperspy')}") from error
    kind = {1: signals.Signal1D, 2: signals.Signal2D}.get(signal_axes, signals.BaseSignal)
    of_kind = (instrument or {}).get("signal_type", "")
    if of_kind.startswith("EDS"):  # in keV, as all packages for it have it
        axes = [axis.to("keV") or axis for axis in axes]
    described = [_described(axis, navigate=i < len(axes) - signal_axes) for i, axis in enumerate(axes)]
    signal = kind(array, axes=described, metadata={"General": {"title": title}})
    signal = signal.as_lazy() if hasattr(array, "dask") else signal
    if of_kind:
        signal.metadata.Signal.signal_type = of_kind
        signal = _of_kind(signal, of_kind, signal_axes)
    signal.metadata.add_dictionary({key: each for key, each in (instrument or {}).items() if key != "signal_type"})
    return signal


def of_patterns(instrument: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of the instrument; patterns of which it does not say what they are of are of electrons.

    Examples
    --------
    >>> of_patterns(None), of_patterns({"signal_type": "EBSD"})
    ({'signal_type': 'electron_diffraction'}, {'signal_type': 'EBSD'})
    """
    known = dict(instrument or {})
    return known if known.get("signal_type") else known | {"signal_type": "electron_diffraction"}


def _of_kind(signal: Any, kind: str, signal_axes: int) -> Any:
    """Of the class for such signals, where it is installed."""
    from hyperspy.extensions import ALL_EXTENSIONS

    for known in ALL_EXTENSIONS["signals"].values():
        names = (known["signal_type"], *known.get("signal_type_aliases", ()))
        if kind in names and known["signal_dimension"] == signal_axes:
            signal.set_signal_type(kind)
            break
    return signal


def _described(axis: Any, navigate: bool) -> dict[str, Any]:
    where = {"scale": axis.scale, "offset": axis.offset} if axis.even else {"axis": axis.values}
    units = {"units": axis.units} if axis.units else {}
    return {"name": axis.name, "size": axis.size, "navigate": navigate} | where | units
