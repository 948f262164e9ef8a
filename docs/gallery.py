"""Draw the gallery: `make pictures` writes docs/gallery.md and a picture for each verb, from the code it shows."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import emcore
from emcore import datasets

HERE = Path(__file__).parent
# Pixels to an inch of a picture, and its colours.
RESOLUTION, COLOURS = 62, 96

HEAD = """# Gallery

One picture for each question: `result.plot()` of the code above it, on data whose truth is known (`make pictures`)."""
# Heading, what is asked, and lines that end in `result`.
ENTRIES: dict[str, tuple[str, str, str]] = {
    "image": (
        "Regions of an image",
        "Which lattices does a micrograph hold, and where is each?",
        """
        sample = datasets.lattice_micrograph(shape=(600, 800))
        result = emcore.analyze_image(sample.image)
        """,
    ),
    "symmetry": (
        "Local symmetry",
        "Where do lattice and orientation of an atomic-resolution image change?",
        """
        sample = datasets.crystal_grains()
        result = emcore.local_symmetry(sample.image)
        """,
    ),
    "unmix": (
        "Phases of a spectrum image",
        "Which phases does an EDS map hold, where is each, and what is its spectrum?",
        """
        sample = datasets.eds_phases(minority=0.01)
        result = emcore.unmix(sample.signal)
        """,
    ),
    "denoise": (
        "A scan without its noise",
        "What is left of spectra of fifty counts without their noise?",
        """
        sample = datasets.eds_phases(shape=(64, 64), counts=50)
        result = emcore.denoise(sample.signal)
        """,
    ),
    "phases": (
        "Phases whose signals are known",
        "Which phase is every position, and how reliable is that?",
        """
        sample = datasets.absorption_phases()
        result = emcore.phase_map(sample.signal, sample.references)
        """,
    ),
    "peaks": (
        "Peaks of a hyperspectral stack",
        "At which energies are peaks, how many, and where is which spectrum?",
        """
        sample = datasets.energy_series()
        result = emcore.map_peaks(sample.stack)
        """,
    ),
    "groups": (
        "Plasmons in groups",
        "Which spectra of energy loss are alike, and where does their peak lie?",
        """
        sample = datasets.plasmon_spectra()
        result = emcore.group_signals(sample.signal)
        """,
    ),
    "series": (
        "A series of images of one region",
        "Which positions change alike through a series, and which grains do they make?",
        """
        sample = datasets.deformed_series()
        result = emcore.group_signals(emcore.image_series(sample.stack))
        """,
    ),
    "particles": (
        "Particles",
        "Where are particles, how large, of which shape and composition?",
        """
        sample = datasets.shaped_particles()
        result = emcore.find_particles(sample.image)
        """,
    ),
    "diffraction": (
        "Groups of diffraction patterns",
        "Which positions of a scan have the same pattern?",
        """
        sample = datasets.polycrystal_scan()
        result = emcore.cluster_diffraction(sample.patterns)
        """,
    ),
    "grains": (
        "Grains",
        "Which grains does a scan of patterns hold, bent as they are?",
        """
        sample = datasets.bent_polycrystal((64, 80), n_grains=12)
        result = emcore.segment_grains(sample.patterns)
        """,
    ),
    "reflections": (
        "Grains by their reflections",
        "Where do the same reflections shine?",
        """
        sample = datasets.polycrystal_scan()
        result = emcore.cluster_reflections(sample.patterns)
        """,
    ),
    "detector": (
        "The best virtual detector",
        "Which virtual detector shows the difference of two groups best?",
        """
        sample = datasets.ring_phases()
        result = emcore.best_detector(sample.patterns, sample.labels)
        """,
    ),
    "stitch": (
        "Scans side by side",
        "How do overlapping scans lie, and which grains do they show together?",
        """
        sample = datasets.overlapping_scans()
        result = emcore.stitch(sample.scans)
        """,
    ),
    "correlate": (
        "Patterns and spectra together",
        "Which phases do diffraction and chemistry tell apart together that neither tells apart alone?",
        """
        sample = datasets.correlated_scan()
        result = emcore.correlate([sample.diffraction, sample.eds])
        """,
    ),
    "curves": (
        "Curves at every position",
        "Which current-voltage curves are alike?",
        """
        sample = datasets.iv_curves()
        result = emcore.cluster_curves(sample.curves)
        """,
    ),
    "volume": (
        "Textures of a volume",
        "Which textures does a volume hold, and how is each oriented where?",
        """
        sample = datasets.quasi_ordered_volume((192, 192, 192))
        result = emcore.analyze_volume(sample.volume)
        """,
    ),
}


def drawn(name: str, code: str) -> None:
    """Run the code and draw its result."""
    scope: dict[str, Any] = {"emcore": emcore, "datasets": datasets, "np": np}
    exec(code, scope)
    path = HERE / "gallery" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    scope["result"].plot().savefig(path, dpi=RESOLUTION)
    picture = Image.fromarray(np.asarray(Image.open(path).convert("RGB"))).quantize(COLOURS)
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    """Every picture, and the page."""
    page = [HEAD]
    for name, (heading, question, code) in ENTRIES.items():
        lines = textwrap.dedent(code).strip()
        drawn(name, lines)
        shown = f"```python\nimport emcore\nfrom emcore import datasets\n\n{lines}\nresult.plot()\n```"
        page += [f"## {heading}", f"{question} `emcore {name} FILE`", shown, f"![{heading}](gallery/{name}.png)"]
    (HERE / "gallery.md").write_text("\n\n".join(page) + "\n")


if __name__ == "__main__":
    main()
