"""How do overlapping scans of one sample lie, and which grains do they show together?

Each scan is segmented, or was before; their grains and images are registered pair by pair, all transforms fitted
together to the frame of the first scan, labels carried through them, and grains joined that lie on one another in the
seams and whose mean patterns correlate (Selby et al., EMC 2024 no. 395). A map of another modality is registered onto
the mosaic and averaged over every grain.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import Floats, check_number, check_option
from emcore.core.wording import count_of
from emcore.methods.registration.canvas import Canvas, blended, canvas_of
from emcore.methods.registration.carrying import carried
from emcore.methods.registration.joining import joined_grains, seam_of, seams
from emcore.methods.registration.joint import Joint, weakest
from emcore.methods.registration.modalities import of_labels, on_mosaic, register_map
from emcore.methods.registration.pairs import Match
from emcore.methods.registration.patterns import likeness, turned
from emcore.methods.registration.together import Apart, all_together
from emcore.methods.registration.transforms import MODELS, angle_of, apart, inverse
from emcore.results.mosaic import Mosaic
from emcore.scans.choosing import measurement
from emcore.scans.images import select_image, suits_image
from emcore.workflows.stitch_scans import Prepared, Scan, mosaic_axes, prepare, read_scan

TRANSFORMS = ("auto", *MODELS)
"""Kinds of transforms between scans."""

# Of the smaller of two grains in the seam, the part that they must share to be one.
_SHARE = 0.5
# Turns in degrees from which on patterns can be seen to turn; by how much more alike they must be then.
_TURNED, _MORE_ALIKE = 2.0, 0.05
# A score from which on scans are not looked at the other way, too.
_SURE = 20.0
# The offsets of axes are said to be wrong from so many positions on.
_OFF = 2.0


@with_progress_bar
@documented()
def stitch(
    scans: Sequence[Any],
    *,
    transform: str = "auto",
    patterns_turn: bool | str = "auto",
    min_correlation: float = 0.5,
    maps: Mapping[str, Any] | None = None,
    grains: Mapping[str, Any] | None = None,
    dataset: str | int | None = None,
) -> Mosaic:
    """Lay overlapping scans, or images, on one grid, and join their grains across the seams.

    Parameters
    ----------
    scans : sequence of Segmentation, array_like, Signal, HyperSpy signal or path
        Two or more, in any order, of any overlaps that hold all of them together; the first is
        the frame of the others. Results of `emcore.segment_grains` or their files; scans of
        shape (y, x, ky, kx), which are segmented one after another (a file may be larger than
        memory, see there); or images of shape (y, x). Where all axes have units, scans may have
        different steps, and offsets that differ are a first guess.
    transform : {"auto", "translation", "rigid", "similarity", "affine"}, default "auto"
        Between scans. "auto": rigid, or similarities where scales differ for certain.
    patterns_turn : bool or "auto", default "auto"
        Whether the patterns turn with the scan, as where the sample was turned; a turned scan
        of a sample that stays has patterns that stay. "auto": whichever makes patterns in the
        seams more alike.
    min_correlation : float, default 0.5
        Least correlation of the mean patterns of grains that are joined, of square roots less
        the mean of their scan.
    maps : dict of str to array_like, Signal or path, or to a pair of them, optional
        Maps of other modalities, shape (h, w), by name. The second of a pair, a mask or an
        image of the same shape, is what is registered, by cross-correlation with the mosaic,
        bright on bright or bright on dark. Without units a map has the step of the first scan.
    grains : dict, optional
        Further arguments of `emcore.segment_grains`, for scans.
    %(dataset)s

    Returns
    -------
    Mosaic

    Raises
    ------
    ValueError
        Fewer than two scans; scans that overlap with none of the others, by their numbers and
        names; segmentations together with images; patterns that cannot be compared; a map that
        cannot be registered.
    TypeError
        Data that are not real numbers.
    ImportError
        Without the extra `image` (scikit-image), for images.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import overlapping_scans
    >>> sample = overlapping_scans((40, 40), pattern_shape=(32, 32), grain_size=12.0)
    >>> mosaic = emcore.stitch(sample.scans)
    >>> mosaic.n_scans, mosaic.model, mosaic.length_units
    (2, 'rigid', 'nm')
    """
    started = time.perf_counter()
    check_option(transform, TRANSFORMS, "transform")
    if isinstance(patterns_turn, str):
        check_option(patterns_turn, ("auto",), "patterns_turn")
    check_number(min_correlation, "min_correlation", -1, 1)
    if isinstance(scans, str | bytes) or not isinstance(scans, Sequence):
        raise TypeError(f"scans is a {type(scans).__name__}; a list of two scans or more is needed")
    if maps is not None and not isinstance(maps, Mapping):
        raise TypeError(f"maps is a {type(maps).__name__}; a mapping of names to maps is needed")
    if len(scans) < 2:
        raise ValueError(f"{count_of(len(scans), 'scan')} was given; two or more are needed to stitch them")
    read = [read_scan(each, number, dict(grains or {}), dataset) for number, each in enumerate(scans, start=1)]
    of_grains = [scan.segmentation is not None for scan in read]
    if any(of_grains) and not all(of_grains):
        number = of_grains.index(not of_grains[0]) + 1
        raise ValueError(
            f"scan {number}, {read[number - 1].name}, is {'a scan' if of_grains[number - 1] else 'an image'} and the "
            "first is not: give scans only, or images only"
        )
    names = _names(read)
    prepared = prepare(read)
    joint, model, turning, said = _registered(prepared, transform, patterns_turn, names)
    first = inverse(prepared.to_common[0])
    transforms = np.stack([first @ t @ c for t, c in zip(joint.transforms, prepared.to_common, strict=True)])
    canvas = canvas_of(transforms, [scan.mask for scan in read])
    image, gain, offset = blended(canvas, [np.asarray(scan.image.data) for scan in read])
    y, x = mosaic_axes(read[0].image, canvas.origin, canvas.shape)
    picture = Signal(image, (y, x), title=read[0].image.title or "mosaic")
    notes = (*_notes(read, names), *said, *_offset_notes(prepared, joint, names))
    fields = _of_grains(read, prepared, joint, canvas, turning, min_correlation, picture) if all(of_grains) else {}
    of_maps, more = _of_maps(maps or {}, picture, fields)
    matches = joint.matches
    parameters = {
        "transform": transform,
        "patterns_turn": patterns_turn,
        "min_correlation": float(min_correlation),
        "maps": list(maps or {}),
        "grains": {
            key: value if not isinstance(value, tuple) else list(value) for key, value in (grains or {}).items()
        },
        "scans": list(names),
    }
    digest = hashlib.sha256("".join(scan.sha256 for scan in read).encode()).hexdigest()
    everything = Signal(
        image, (y, x), title=" + ".join(names) if len(names) < 4 else f"{names[0]} + {len(names) - 1} more"
    )
    return Mosaic(
        image=picture,
        coverage=canvas.covered.sum(axis=0).astype(np.int32).reshape(canvas.shape),
        names=names,
        shapes=np.array([scan.image.shape for scan in read], dtype=np.int64),
        transforms=transforms,
        uncertainty=joint.uncertainty * abs(first[0, 0]),
        origin=canvas.origin,
        model=model,
        reason=_reason(transform, model),
        patterns_turn=turning,
        gain=gain,
        offset=offset,
        pairs=np.array([_pair(m) for m in matches], dtype=np.int64).reshape(-1, 2),
        pair_how=tuple(m.how for m in matches),
        pair_overlap=np.array([m.refined.overlap for m in matches], dtype=np.int64),
        pair_correlation=np.array([m.refined.correlation for m in matches]),
        pair_score=np.array([m.score for m in matches]),
        pair_inliers=np.array([m.inliers for m in matches], dtype=np.int64),
        pair_residual=np.array([m.residual for m in matches]),
        pair_miss=joint.misses,
        **fields,
        **of_maps,
        provenance=Provenance.record(
            "stitch",
            parameters,
            everything,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=(*notes, *more),
            sha256=digest,
        ),
    )


def _names(scans: Sequence[Scan]) -> tuple[str, ...]:
    """Their names, where these tell them apart."""
    names = [scan.name for scan in scans]
    plain = len(set(names)) < len(names) or "array" in names
    return tuple(f"scan {i}" if plain else name for i, name in enumerate(names, start=1))


def _notes(scans: Sequence[Scan], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {note}" for scan, name in zip(scans, names, strict=True) for note in scan.notes)


def _reason(asked: str, model: str) -> str:
    if asked != "auto":
        return "as asked for"
    return "the scales of scans differ" if model == "similarity" else "no two scans differ in scale for certain"


def _registered(
    prepared: Prepared, transform: str, patterns_turn: bool | str, names: Sequence[str]
) -> tuple[Joint, str, bool, tuple[str, ...]]:
    """All scans in the frame of the first, the kind of transforms, and whether patterns turn."""
    materials, near = prepared.materials, prepared.near
    grains = all(each.grains is not None for each in materials)
    ways = [bool(patterns_turn)] if isinstance(patterns_turn, bool) else [False, True]
    ways = ways if grains else [False]
    failed: Apart | None = None
    done: list[tuple[float, bool, Joint, str]] = []
    # Small turns first, then any; of the ways in which patterns may go the surer one.
    for everywhere in (False, True):
        for turning in ways if not done else []:
            try:
                joint, model = all_together(materials, transform, turning, near, everywhere)
            except Apart as error:
                failed = error if failed is None or len(error.parts) < len(failed.parts) else failed
                continue
            done.append((weakest(len(materials), joint.matches), turning, joint, model))
            if done[-1][0] > _SURE:
                break
    if not done:
        assert failed is not None
        raise ValueError(_apart(failed, names))
    _, turning, joint, model = max(done, key=lambda each: each[0])
    if grains and len(ways) == 2 and not turning and _better_turned(prepared, joint):
        turning = True
        joint, model = all_together(materials, model, turning, _where(joint, near), False)
    said = tuple(
        f"the overlap of {names[m.fixed]} and {names[m.moving]} contradicts the others and was left out"
        for m in joint.left_out
    )
    if turning:
        said += ("the patterns turn with the scans: they were turned back before they were compared",)
    return joint, model, turning, said


def _where(joint: Joint, near: Mapping[tuple[int, int], Floats]) -> dict[tuple[int, int], Floats]:
    """Where each scan that overlaps another is known to lie on it, and else what was known before."""
    known = {(i, j): inverse(joint.transforms[j]) @ joint.transforms[i] for i, j in map(_pair, joint.matches)}
    return {**near, **known}


def _pair(match: Match) -> tuple[int, int]:
    return min(match.fixed, match.moving), max(match.fixed, match.moving)


def _apart(error: Apart, names: Sequence[str]) -> str:
    """Which scans match nothing, or hang together but not with the first."""
    groups = [[f"scan {i + 1} ({names[i]})" for i in group] for group in error.parts]
    alone = [group[0] for group in groups if len(group) == 1]
    several = [" + ".join(group) for group in groups if len(group) > 1]
    if not several:
        return f"no two of {', '.join(alone)} overlap for certain: nothing can be stitched"
    if len(several) == 1:
        verb = "overlaps" if len(alone) == 1 else "overlap"
        return f"{', '.join(alone)} {verb} with none of the others for certain: leave out what does not belong to them"
    also = f"; {', '.join(alone)} match nothing" if alone else ""
    return f"the scans fall apart into {' and '.join(several)}, between which no overlap is certain{also}"


def _likeness(prepared: Prepared, joint: Joint, turning: bool, i: int, j: int) -> Floats:
    """Correlation of the mean pattern of each grain of scan `i` with each of scan `j`."""
    a, b = prepared.materials[i].grains, prepared.materials[j].grains
    assert a is not None
    assert b is not None
    angle = angle_of(inverse(joint.transforms[j]) @ joint.transforms[i])
    return likeness(a.vectors, turned(b.vectors, angle) if turning else b.vectors)


def _better_turned(prepared: Prepared, joint: Joint) -> bool:
    """Whether patterns in the seams are more alike once they are turned as the scans are."""
    turns = [angle_of(inverse(joint.transforms[m.moving]) @ joint.transforms[m.fixed]) for m in joint.matches]
    if max((abs(turn) for turn in turns), default=0.0) < _TURNED:
        return False
    masks = [material.image.mask for material in prepared.materials]
    canvas = canvas_of(joint.transforms, masks)
    labels = carried(canvas, [m.grains.labels for m in prepared.materials if m.grains is not None])
    alike = []
    for turning in (False, True):
        pairs = seams(labels, lambda i, j, turning=turning: _likeness(prepared, joint, turning, i, j))  # type: ignore[misc]
        whole = [each for each in pairs if each.share >= _SHARE]
        alike.append(np.average([s.likeness for s in whole], weights=[s.shared for s in whole]) if whole else 0.0)
    return bool(alike[1] > alike[0] + _MORE_ALIKE)


def _offset_notes(prepared: Prepared, joint: Joint, names: Sequence[str]) -> tuple[str, ...]:
    """Where the offsets of axes put a scan elsewhere than the data do."""
    said = []
    for k in range(1, len(names)):
        if (0, k) in prepared.near:
            shape = prepared.materials[k].image.shape
            off = apart(inverse(prepared.near[0, k]), joint.transforms[k], shape)
            if off > _OFF:
                said.append(f"{names[k]} lies up to {off:.1f} positions from where the offsets of its axes put it")
    return tuple(said)


def _of_grains(
    scans: Sequence[Scan],
    prepared: Prepared,
    joint: Joint,
    canvas: Canvas,
    turning: bool,
    min_correlation: float,
    picture: Signal,
) -> dict[str, Any]:
    """The grains of the mosaic and their table."""
    results = [scan.segmentation for scan in scans if scan.segmentation is not None]
    of_scans = [result.labels for result in results]
    labels = carried(canvas, of_scans)
    pairs = seams(labels, lambda i, j: _likeness(prepared, joint, turning, i, j))
    found = joined_grains(canvas, of_scans, labels, pairs, _SHARE, min_correlation)
    count = len(found.parts)
    there = found.labels >= 0
    size = np.bincount(found.labels[there], minlength=count)
    y, x = picture.axes
    step = (y.scale, x.scale) if y.units == x.units else (1.0, 1.0)
    places = np.stack(np.unravel_index(np.flatnonzero(there), canvas.shape), axis=1)
    middle = [np.bincount(found.labels[there], places[:, axis], count) / np.maximum(size, 1) for axis in (0, 1)]
    in_scan = np.zeros((count, len(scans)), dtype=bool)
    for grain, parts in enumerate(found.parts):
        in_scan[grain, [scan for scan, _ in parts]] = True
    fields: dict[str, Any] = {
        "labels": found.labels.reshape(canvas.shape),
        "seam": seam_of(labels, pairs, _SHARE, min_correlation).reshape(canvas.shape),
        "size": size,
        "area": size * abs(step[0] * step[1]),
        "y": (y.offset if y.units == x.units else 0.0) + middle[0] * step[0],
        "x": (x.offset if y.units == x.units else 0.0) + middle[1] * step[1],
        "in_scan": in_scan,
        "agreement": found.agreement,
        "likeness": found.likeness,
    }
    if len({result.mean.shape for result in results}) == 1:
        largest = [max(parts, key=lambda part: int(results[part[0]].size[part[1]])) for parts in found.parts]
        fields["signals"] = np.stack([results[scan].signals[grain] for scan, grain in largest])
        fields["mean"] = results[0].mean
    return fields


def _of_maps(
    maps: Mapping[str, Any], picture: Signal, of_grains: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Maps of other modalities on the mosaic, their transforms, and what they are in each grain."""
    if not maps:
        return {}, ()
    laid, transforms, correlations, notes = [], [], [], []
    mosaic = np.asarray(picture.data)
    for name, given in maps.items():
        pair = given if isinstance(given, tuple) else (given, None)
        if len(pair) != 2:
            raise ValueError(f"maps[{name!r}] has {len(pair)} images; a map, or a map and what it is registered on")
        image, _ = select_image(measurement(pair[0], suits_image))
        values = np.asarray(image.data, dtype=np.float64)
        fiducial = values if pair[1] is None else np.asarray(select_image(measurement(pair[1], suits_image))[0].data)
        if fiducial.shape != values.shape:
            raise ValueError(f"maps[{name!r}] has shape {values.shape} and what it is registered on {fiducial.shape}")
        steps = [theirs.to(ours.units) for theirs, ours in zip(image.axes, picture.axes, strict=True)]
        known = all(axis is not None and axis.calibrated for axis in steps)
        step = [
            abs(axis.scale / ours.scale) if known and axis is not None else 1.0
            for axis, ours in zip(steps, picture.axes, strict=True)
        ]
        if not known:
            notes.append(f"{name} has no units: its step was taken for that of the first scan")
        found = register_map(mosaic, fiducial, (step[0], step[1]))
        if found is None:
            raise ValueError(
                f"maps[{name!r}] does not correlate with the mosaic for certain: give as the second of a pair a mask "
                "or an image of something that both show"
            )
        transforms.append(found.transform)
        correlations.append(found.correlation)
        laid.append(on_mosaic(values, found.transform, (mosaic.shape[0], mosaic.shape[1])))
    fields: dict[str, Any] = {
        "map_names": tuple(maps),
        "maps": np.stack(laid),
        "map_transforms": np.stack(transforms),
        "map_correlation": np.array(correlations),
    }
    labels = of_grains.get("labels")
    if labels is not None:
        columns = [of_labels(each, labels, len(of_grains["size"])) for each in laid]
        fields["map_mean"] = np.stack([mean for mean, _ in columns], axis=1)
        fields["map_spread"] = np.stack([spread for _, spread in columns], axis=1)
    return fields, tuple(notes)
