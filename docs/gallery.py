"""Draw the gallery: `make pictures` writes docs/gallery.md, and a page with its picture from the code it shows."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from docs_pictures import trimmed
from PIL import Image

import emcore
from emcore import datasets
from emcore.reporting.pages import pages as report_pages
from emcore.reporting.plotting import style

HERE = Path(__file__).parent
# Pixels to an inch, of a result's picture and of other figures; colours.
RESOLUTION, RESOLUTION_OF_OWN, COLOURS = 62, 90, 256
# Width of a small picture, and its height in widths.
SMALL, CUT = 320, 0.3
HEAD = """# Gallery

A picture for each question, and some that answer questions of your own. Each is drawn by the lines on its page, on data
whose truth is known (`make pictures`)."""


@dataclass(frozen=True)
class Entry:
    """A page of the gallery.

    Attributes
    ----------
    heading, question : str
    code : str
        Lines that end with a `result`, which is plotted, or with a `figure`.
    seen : str
        What the picture shows.
    names : str
        Public names that the lines use, for links to the reference.
    shown : str
        The last line on the page; none where a figure is drawn.
    explained : str
        The explanation and tutorial, where they have another name than the page.
    """

    heading: str
    question: str
    code: str
    seen: str
    names: str
    shown: str = "result.plot()"
    explained: str = ""


VERBS: dict[str, Entry] = {
    "image": Entry(
        "Regions of an image",
        "Which lattices does a micrograph hold, and where is each?",
        """
        sample = datasets.lattice_micrograph(shape=(600, 800))
        result = emcore.analyze_image(sample.image)
        """,
        """Three lattices, of which the eye sees none: the noise is as strong as they are. Below the regions each
        component has a spectrum, in which rings mark the peaks that spacing and direction were read from, and a map
        of where it is strong. Maps are as coarse as windows lie apart; the regions' borders are finer.""",
        "analyze_image",
    ),
    "symmetry": Entry(
        "Local symmetry",
        "Where do lattice and orientation of an atomic-resolution image change?",
        """
        sample = datasets.crystal_grains()
        result = emcore.local_symmetry(sample.image)
        """,
        """Two grains of one lattice, turned by 22°. The squares at the bottom are the mean correlation of a patch with
        its shifted copies: the same net of bright spots in two directions. Where the confidence is low, in a thin
        line along the border, both explain the image equally well.""",
        "local_symmetry",
    ),
    "particles": Entry(
        "Particles",
        "Where are particles, how large, and of which shape?",
        """
        sample = datasets.shaped_particles()
        result = emcore.find_particles(sample.image)
        """,
        """Outlines over the image, classes of shape, sizes. Discs, triangles, rods and squares are told apart by the
        distance of their edges from their middle in all directions, the curves at the bottom. The fifth class, of
        two percent, are rods that came out longer than the others: outliers.""",
        "find_particles",
    ),
    "unmix": Entry(
        "Phases of a spectrum image",
        "Which phases does an EDS map hold, where is each, and what is its spectrum?",
        """
        sample = datasets.eds_phases(minority=0.01)
        result = emcore.unmix(sample.signal)
        """,
        """Aluminium, iron-cobalt, and copper in four inclusions with one percent of the counts. The scree has three
        points above the dashed line, which is what counting noise can do. The residual is about 1 everywhere:
        nothing was missed.""",
        "unmix",
    ),
    "denoise": Entry(
        "A scan without its noise",
        "What is left of spectra of fifty counts without their noise?",
        """
        sample = datasets.eds_phases(counts=50)
        result = emcore.denoise(sample.signal)
        """,
        """The channel in which positions differ most, before and after, and a single spectrum: grey bars are its
        counts, the line what is left of them. The residual map must not show the sample; it is only rougher above,
        since aluminium's counts lie in fewer channels.""",
        "denoise",
    ),
    "phases": Entry(
        "Phases whose signals are known",
        "Which phase is every position, and how reliable is that?",
        """
        sample = datasets.absorption_phases()
        result = emcore.phase_map(sample.signal, sample.references)
        """,
        """Four oxidation states, whose absorption edges lie 1.5 eV apart, on a film so uneven that its mean shows
        nothing. Reliability is small, since the references are much alike, but well above zero for each phase: the
        histogram. Dashed curves are the references, coloured ones the means of the phases.""",
        "phase_map",
    ),
    "peaks": Entry(
        "Peaks of a hyperspectral stack",
        "At which energies are peaks, how many, and where is which spectrum?",
        """
        sample = datasets.energy_series()
        result = emcore.map_peaks(sample.stack)
        """,
        """All peaks of all blocks make one histogram, in which five energies stand up. Each has a mean spectrum, in
        colour beside the grey mean of all, and each position goes to the spectrum at the smallest angle. White
        positions are farther from every spectrum than noise explains.""",
        "map_peaks",
    ),
    "groups": Entry(
        "Plasmons in groups",
        "Which spectra of energy loss are alike, and where does their peak lie?",
        """
        sample = datasets.plasmon_spectra()
        result = emcore.group_signals(sample.signal)
        """,
        """Five phases by their plasmons, and in white what belongs to none: a region that is graded in composition.
        The blue table has the number of groups for fifteen settings; five in most of them is why the number can be
        relied on.""",
        "group_signals",
    ),
    "series": Entry(
        "A series of images of one region",
        "Which positions change alike through a series, and which grains do they make?",
        """
        sample = datasets.deformed_series()
        result = emcore.group_signals(emcore.image_series(sample.stack))
        """,
        """A metal turned by 180°. Each grain goes dark at angles of its own, the dips of its curve. What is white has
        no such profile in common with anything: it is deformed, thirty percent of the area.""",
        "image_series group_signals",
    ),
    "diffraction": Entry(
        "Groups of diffraction patterns",
        "Which positions of a scan have the same pattern?",
        """
        sample = datasets.polycrystal_scan()
        result = emcore.cluster_diffraction(sample.patterns)
        """,
        """The bright field shows bands of thickness; the patterns without the direct beam, dashed, show five grains.
        Each has one set of spots, the same lattice turned.""",
        "cluster_diffraction",
    ),
    "grains": Entry(
        "Grains",
        "Which grains does a scan of patterns hold, bent as they are?",
        """
        sample = datasets.bent_polycrystal((64, 80), n_grains=12)
        result = emcore.segment_grains(sample.patterns)
        """,
        """The curve of mergings is the whole argument: within a grain neighbouring segments differ by 14° at most,
        between grains by 90°, and merging ends in the gap. The confidence is highest where a grain is like none of
        its neighbours. The dead rows and columns of the detector, black in the patterns, were found and left out.""",
        "segment_grains",
    ),
    "reflections": Entry(
        "Grains by their reflections",
        "Where do the same reflections shine?",
        """
        sample = datasets.polycrystal_scan()
        result = emcore.cluster_reflections(sample.patterns)
        """,
        """The standard deviation over the scan shows which detector pixels change; circles are the discs that were
        measured, each in the colour of the grain in which it is strongest.""",
        "cluster_reflections",
    ),
    "detector": Entry(
        "The best virtual detector",
        "Which virtual detector shows the difference of two groups best?",
        """
        sample = datasets.ring_phases()
        result = emcore.best_detector(sample.patterns, sample.labels)
        """,
        """Bright field shows thickness, the usual dark field the two phases, the best annulus the same at one and a
        half times the contrast to noise. The map over both radii is the landscape in which it was chosen; the table
        was measured on positions that chose nothing.""",
        "best_detector",
    ),
    "stitch": Entry(
        "Scans side by side",
        "How do overlapping scans lie, and which grains do they show together?",
        """
        sample = datasets.overlapping_scans()
        result = emcore.stitch(sample.scans)
        """,
        """Two scans turned against each other by five degrees, laid on one another by the patterns of the grains they
        share. Green in the seam: both say the same grain. Eleven grains go on from one scan into the other.""",
        "stitch",
    ),
    "correlate": Entry(
        "Patterns and spectra together",
        "Which phases do diffraction and chemistry tell apart together that neither tells apart alone?",
        """
        sample = datasets.correlated_scan()
        result = emcore.correlate([sample.diffraction, sample.eds])
        """,
        """Clusters 1 and 2 have the same pattern and the opposite ratio of iron to cobalt, 3 and 4 the same spectrum,
        and 4 faint spots between the others. Only both signals together make four.""",
        "correlate",
    ),
    "curves": Entry(
        "Curves at every position",
        "Which current-voltage curves are alike?",
        """
        sample = datasets.iv_curves()
        result = emcore.cluster_curves(sample.curves)
        """,
        """Ohmic, insulating, and diode-like places. Light bands hold nine tenths of a group's curves: the ohmic fan
        is one kind of curve, at conductances that scatter by a fifth.""",
        "cluster_curves",
    ),
    "volume": Entry(
        "Textures of a volume",
        "Which textures does a volume hold, and how is each oriented where?",
        """
        sample = datasets.quasi_ordered_volume((192, 192, 192))
        result = emcore.analyze_volume(sample.volume)
        """,
        """Nine grains of four textures, turned at random. Classes are what has one spectrum; the bars, which no
        rotation changes, say which classes are one texture. The table at the right says by how much each is turned
        against its like.""",
        "analyze_volume",
    ),
    "view": Entry(
        "A page to point at",
        "What is there, where I point?",
        """
        sample = datasets.eds_phases(shape=(48, 48))
        result = emcore.unmix(sample.signal)
        """,
        """What `plot()` draws a page for a browser has alive, in one file without a server: maps, the signal under the
        pointer, components to switch off, PNG and CSV to save. [Try one](../tutorials/results.md#after-look).""",
        "load_result",
        'result.to_html("map.html")',
        "results",
    ),
    "export": Entry(
        "Maps in other programs",
        "How do I take a map to Fiji, and is it still calibrated there?",
        """
        import tempfile

        import tifffile
        from matplotlib.figure import Figure

        result = emcore.unmix(datasets.eds_phases(shape=(48, 48)).signal)
        folder = tempfile.mkdtemp()
        result.export(folder, stem="map")
        with tifffile.TiffFile(f"{folder}/map.maps.tif") as file:  # as Fiji does
            stack, said = file.asarray(), file.imagej_metadata
            step = np.divide(*file.pages[0].tags["XResolution"].value[::-1])
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        for axes, picture, label in zip(figure.subplots(1, 3), stack, said["Labels"]):
            axes.imshow(picture, extent=(0, 48 * step, 48 * step, 0))
            axes.set(title=label, xlabel=f"x ({said['unit']})")
        """,
        """The three component maps as one stack of floats, read back as ImageJ reads it: names of the slices, step and
        unit are in the file. Labels are whole numbers, tables CSV with units in their heads, spectra CSV or EMSA.""",
        "load_result",
        "",
        "results",
    ),
    "report": Entry(
        "A page of the report",
        "What does the PDF look like?",
        """
        sample = datasets.ring_phases()
        result = emcore.best_detector(sample.patterns, sample.labels)
        """,
        """The first of its pages. The last ones have every parameter, version, note and the hash of the input: what is
        needed to do it again. `emcore report FILE.h5` draws it from the results file years later.""",
        "load_result",
        'result.report("detector.pdf")',
        "results",
    ),
}
"""Pages of the verbs, by their names."""

MORE: dict[str, Entry] = {
    "frames": Entry(
        "A boundary in situ",
        "How do areas change from frame to frame?",
        """
        sample = datasets.moving_boundary(6, shape=(160, 220))
        result = emcore.local_symmetry_series(sample.frames)
        """,
        """A hexagonal crystal grows into a square one. Regions were found in the first frame, and labels mean the same
        in all, so that the curve below is a measurement.""",
        "local_symmetry_series",
        explained="symmetry",
    ),
    "spectra": Entry(
        "The power spectrum around a place",
        "What is the power spectrum around every position?",
        """
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        image = datasets.lattice_micrograph(shape=(600, 800)).image.data
        spectra = emcore.full_plane(emcore.windowed_power_spectra(image, window=128, step=64))
        y, x = emcore.window_centers(image.shape, window=128, step=64)
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        whole, *boxes = figure.subplots(1, 4)
        whole.imshow(image, cmap="gray")
        for axes, (i, j), colour in zip(boxes, ((1, 1), (6, 2), (4, 9)), ("C1", "C2", "C3")):
            whole.add_patch(Rectangle((x[j] - 64, y[i] - 64), 128, 128, fill=False, color=colour, linewidth=2))
            axes.imshow(spectra[i, j, 40:89, 40:89], cmap="magma")
            axes.set_title(f"around ({y[i]:.0f}, {x[j]:.0f})", color=colour)
        for axes in (whole, *boxes):
            axes.set_axis_off()
        """,
        """The kernel below `analyze_image`, for work of your own: one spectrum for each window, in a fraction of a
        second for a whole micrograph.""",
        "windowed_power_spectra full_plane window_centers",
        "",
        "image",
    ),
    "overlay": Entry(
        "Grains over an image",
        "Where do grain borders lie in an image of mine?",
        """
        from matplotlib.figure import Figure

        result = emcore.segment_grains(datasets.bent_polycrystal((64, 80), n_grains=12).patterns)
        y, x = (axis.values for axis in result.image.axes)
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
        left.pcolormesh(x, y, result.image.data, cmap="gray")
        for grain in range(result.n_grains):
            left.contour(x, y, result.labels == grain, levels=[0.5], colors="tab:cyan", linewidths=1)
            rows, columns = np.nonzero(result.labels == grain)
            left.text(x[columns].mean(), y[rows].mean(), grain + 1, color="yellow", weight="bold", ha="center")
        left.set(aspect="equal", xlabel=f"x ({result.image.axes[1].units})", ylim=(y[-1], y[0]))
        ky, kx = (axis.values for axis in result.mean.axes)
        right.pcolormesh(kx, ky, np.sqrt(result.signals[2]), cmap="magma")
        right.set(aspect="equal", xlabel=f"kx ({result.mean.axes[1].units})", title="the pattern of grain 3")
        """,
        """`labels` is an array of whole numbers on the scan's own axes: matplotlib's contours of it go over any image
        of the same region.""",
        "segment_grains",
        "",
        "grains",
    ),
    "settings": Entry(
        "Two settings side by side",
        "What does weighting for counting noise do?",
        """
        from matplotlib.figure import Figure

        sample = datasets.eds_phases(minority=0.01)
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        for row, weighting in zip(figure.subplots(2, 2, width_ratios=[1, 2.6]), ("poisson", "none")):
            result = emcore.unmix(sample.signal, n_components=3, weighting=weighting)
            energy = result.mean.axes[0].values / 1000
            row[0].imshow(result.maps[2])
            row[0].set_title(f'weighting="{weighting}"')
            row[1].plot(energy, result.spectra[2], label="third component")
            row[1].plot(energy, sample.spectra[2], ":", label="the copper's true spectrum")
            row[1].set(xlim=(0, 12), xlabel="energy (keV)")
            row[1].legend(loc="upper right")
        """,
        """Copper has one percent of the counts. With every count weighted by its noise it is the third component;
        without, the third component is a second half of the strongest phase, and the copper is lost in the noise of
        lines that are a hundred times stronger.""",
        "unmix",
        "",
        "unmix",
    ),
    "dose": Entry(
        "How many counts does it take?",
        "How long must I measure until a minority phase is seen?",
        """
        from matplotlib.figure import Figure

        counts = [1, 2, 3, 5, 10, 20]
        figure = Figure(figsize=(6, 3), layout="constrained")
        axes = figure.subplots()
        for minority, offset in ((0.003, -0.03), (0.01, 0), (0.03, 0.03)):
            samples = [datasets.eds_phases(counts=float(each), minority=minority) for each in counts]
            found = [emcore.unmix(sample.signal).n_components for sample in samples]
            axes.semilogx(counts, np.add(found, offset), "o-", label=f"{minority:.1%} of the area")
        axes.set(xlabel="counts at a position", ylabel="phases found", yticks=[1, 2, 3], ylim=(0.8, 3.2))
        axes.set_xticks(counts, counts)
        axes.set_xticks([], minor=True)
        axes.legend(title="copper", loc="lower right")
        """,
        """Three phases are there at every dose; lines are drawn a little apart. A simulation of a few seconds before
        the session says which are found.""",
        "unmix",
        "",
        "unmix",
    ),
    "out-of-core": Entry(
        "A scan that stays in its file",
        "Is the result of a scan larger than memory the same?",
        """
        import tempfile

        import h5py
        from matplotlib.figure import Figure

        scan = datasets.polycrystal_scan((96, 128)).patterns
        path = tempfile.mkdtemp() + "/scan.h5"
        with h5py.File(path, "w") as file:
            file["scan"] = scan
        in_memory = emcore.cluster_diffraction(scan)
        visited = emcore.cluster_diffraction(path, memory="20 MiB")
        figure = Figure(figsize=(9, 3), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.imshow(in_memory.labels, cmap="tab10", interpolation="nearest")
        left.set_title("in memory")
        right.imshow(visited.labels, cmap="tab10", interpolation="nearest")
        same = (visited.labels == in_memory.labels).all()
        right.set_title(f"{scan.nbytes / 2**20:.0f} MiB visited with 20 MiB: equal {same}")
        """,
        """The file is read in blocks, as often as in memory; each block leaves sums that are merged in a fixed order.
        So the labels are the same to the last one.""",
        "cluster_diffraction",
        "",
        "diffraction",
    ),
    "profile": Entry(
        "A profile across a border",
        "How sharp is an interface?",
        """
        from matplotlib.figure import Figure

        sample = datasets.correlated_scan()
        result = emcore.correlate([sample.diffraction, sample.eds])
        y, x = (axis.values for axis in result.image.axes)
        line, units = 20, result.image.axes[1].units
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 2])
        left.pcolormesh(x, y, result.labels, cmap="tab10")
        left.axhline(y[line], color="white")
        left.set(aspect="equal", xlabel=f"x ({units})", ylim=(y[-1], y[0]))
        for cluster, membership in enumerate(result.memberships):
            right.plot(x, membership[line], label=f"phase {cluster + 1}")
        right.set(xlabel=f"x ({units})", ylabel="membership on the line")
        right.legend(loc="center right")
        """,
        """Memberships are continuous: along a line they say where one phase ends and over how many positions the next
        begins, which labels cannot.""",
        "correlate",
        "",
        "correlate",
    ),
    "pipeline": Entry(
        "In a pipeline of scikit-learn",
        "How do the estimators fit into what I have?",
        """
        from matplotlib.figure import Figure
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        sample = datasets.eds_phases(minority=0.03)
        rows = sample.signal.data.reshape(-1, sample.signal.shape[-1])
        reduce = make_pipeline(FunctionTransformer(np.sqrt), emcore.PCA(2))
        scores = reduce.fit_transform(rows)
        labels = emcore.FuzzyCMeans(3, random_state=0).fit(scores).labels_
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.scatter(*scores.T, s=3, c=labels, cmap="tab10")
        left.set(xlabel="component 1", ylabel="component 2")
        right.imshow(labels.reshape(sample.signal.shape[:2]), cmap="tab10", interpolation="nearest")
        """,
        """`PCA`, `NMF`, `KMeans`, `FuzzyCMeans` and `GustafsonKessel` pass scikit-learn's own checks: they clone, pipe
        and search like its own. Counts go in as the detector wrote them.""",
        "PCA FuzzyCMeans",
        "",
        "unmix",
    ),
}
"""Pages beside those of the verbs."""

ENTRIES = VERBS | MORE
# On which page of the reference names are that are no workflows.
_ELSEWHERE = {"load_result": "results"} | dict.fromkeys(
    ("PCA", "FuzzyCMeans", "windowed_power_spectra", "full_plane", "window_centers"), "estimators"
)


def page(name: str, entry: Entry) -> str:
    """A page of the gallery."""
    lines = textwrap.dedent(entry.code).strip().splitlines()
    own = next(i for i, line in enumerate(lines) if line and not line.startswith(("import", "from")))
    needed = ["import numpy as np"] * ("np." in entry.code) + ["import emcore", "from emcore import datasets"]
    shown = "\n".join([*lines[: max(own - 1, 0)], *needed, "", *lines[own:], *[entry.shown] * bool(entry.shown)])
    explained = entry.explained or name
    links = [f"[Tutorial](../tutorials/{explained}.md)"]
    if explained != "results":
        links.append(f"[what is computed](../explanations/{explained}.md)")
    for each in entry.names.split():
        links.append(f"[`{each}`](../reference/{_ELSEWHERE.get(each, 'workflows')}.md#emcore.{each})")
    terminal = [f"In a terminal: `emcore {name} FILE`."] * (name in VERBS)
    parts = [f"# {entry.heading}", f"*{entry.question}*", f"```python\n{shown}\n```", f"![{entry.heading}]({name}.png)"]
    return "\n\n".join([*parts, " ".join(entry.seen.split()), " ".join([*terminal, ", ".join(links) + "."])]) + "\n"


def contents() -> str:
    """The page with a small picture of each."""
    parts = [HEAD]
    for heading, entries in (("A question, a verb", VERBS), ("Figures of your own", MORE)):
        lines = [f"## {heading}", "", "| | |", "| --- | --- |"]
        for name, entry in entries.items():
            verb = f"<br>`emcore {name}`" if name in VERBS else ""
            small = f"[![{entry.heading}](gallery/small/{name}.png)](gallery/{name}.md)"
            lines.append(f"| {small} | [**{entry.heading}**](gallery/{name}.md)<br>{entry.question}{verb} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def drawn(name: str, entry: Entry) -> None:
    """Run the code of a page and draw what it ends with."""
    scope: dict[str, Any] = {"emcore": emcore, "datasets": datasets, "np": np}
    exec(textwrap.dedent(entry.code), scope)
    path, small = HERE / "gallery" / f"{name}.png", HERE / "gallery" / "small" / f"{name}.png"
    small.parent.mkdir(parents=True, exist_ok=True)
    if "figure" in scope:
        picture = trimmed(scope["figure"], RESOLUTION_OF_OWN)
    elif "report(" in entry.shown:
        with style():
            picture = trimmed(next(iter(report_pages(scope["result"]))), RESOLUTION)
    else:
        picture = trimmed(scope["result"].plot(), RESOLUTION)
    wide, high = picture.width, min(picture.height, round(picture.width * CUT))
    top = picture.crop((0, 0, wide, high)).resize((SMALL, SMALL * high // wide), Image.Resampling.LANCZOS)
    for image, place in ((picture, path), (top, small)):
        image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2).save(place, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} + {small.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    """Every picture, and the pages."""
    for name, entry in ENTRIES.items():
        drawn(name, entry)
        (HERE / "gallery" / f"{name}.md").write_text(page(name, entry))
    (HERE / "gallery.md").write_text(contents())


if __name__ == "__main__":
    main()
