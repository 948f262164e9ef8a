"""What the makers of electron microscopes say about a picture in its TIFF file, or in a text file beside it.

Each maker has a function that takes a page and its path and gives the step of every axis it knows: of FEI and Thermo
Fisher (xT, Phenom, TIA), Zeiss (SmartSEM, Atlas), TVIPS, Olympus SIS, TESCAN, OpenFIBSEM, JEOL, AMT, Gatan and Hitachi.
Nothing said is no step. Steps are those of the pixels in the file: where a maker gives those of a display or of a scan
of another size, they are converted.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emcore.core.units import tidy_units

# Axis letter -> (step, units); "*" is an axis that is neither x nor y.
Steps = dict[str, tuple[float, str]]
NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"


def per_pixel(page: Any, tag: str) -> float:
    """Units per pixel of XResolution or YResolution, which hold pixels per unit; 0 where they are not given."""
    value = getattr(page.tags.get(tag), "value", None)
    above, below = value if isinstance(value, tuple) else (0, 0)
    return float(below / above) if above else 0.0


def metres_per_pixel(page: Any) -> Steps:
    """What TIFF's own resolution says, in metres; nothing where it has no unit."""
    metres = {2: 0.0254, 3: 0.01}.get(int(getattr(page.tags.get("ResolutionUnit"), "value", 2)), 0.0)
    sizes = {letter: per_pixel(page, f"{letter}Resolution") * metres for letter in "XY"}
    return {letter: (size, "m") for letter, size in sizes.items() if size > 0}


def fei(page: Any, path: Path) -> Steps:
    """FEI and Thermo Fisher: the scan of the beam that made the picture, else its field of view."""
    metadata = fei_metadata(page)
    used = metadata.get("Beam", {})  # the names of the parts that belong to the beam that made the picture
    for part in (used.get("Scan"), "Scan"):
        scan = metadata.get(part, {})
        if scan.get("PixelWidth") and scan.get("PixelHeight"):
            return {"X": (float(scan["PixelWidth"]), "m"), "Y": (float(scan["PixelHeight"]), "m")}
    scan, image = metadata.get("Scan", {}), metadata.get("Image", {})
    if scan.get("HorFieldsize"):  # of XL and early Quanta, whose pixels are square
        step = float(scan["HorFieldsize"]) / page.imagewidth
        return _metres(step, step)
    for part in (used.get("Beam"), "IRBeam"):
        beam = metadata.get(part, {})
        if beam.get("HFW") and beam.get("VFW") and image.get("ResolutionX") and image.get("ResolutionY"):
            width, height = float(beam["HFW"]) / image["ResolutionX"], float(beam["VFW"]) / image["ResolutionY"]
            return {"X": (width, "m"), "Y": (height, "m")}
    return {}


def fei_metadata(page: Any) -> dict[str, Any]:
    observed = [page.tags.valueof(tag) for tag in (34680, 34682)]
    return {key: part for each in observed if isinstance(each, dict) for key, part in each.items()}


def fei_xml(page: Any, path: Path) -> Steps:
    """The XML of newer FEI programs: Phenom's pixelWidth with its unit, PixelSize in metres of the others."""
    text = text_of(page, 34683)
    if "pixelWidth" in text:
        width, height = (
            re.search(rf"<{key}\s+unit=\"([^\"]+)\"\s*>\s*{NUMBER}", text) for key in ("pixelWidth", "pixelHeight")
        )
        if width:
            height = height or width
            return {"X": (float(width[2]), width[1]), "Y": (float(height[2]), height[1])}
    size = re.search(rf"<PixelSize>\s*<X\b[^>]*>\s*{NUMBER}\s*</X>\s*<Y\b[^>]*>\s*{NUMBER}", text)
    return _metres(size[1], size[2]) if size else {}


def zeiss(page: Any, path: Path) -> Steps:
    """Zeiss SmartSEM: the exact pixel size of a display of 1024 pixels, which only that of the image may overrule.

    AP_PIXEL_SIZE is that of the display, too; AP_WIDTH is the width of the picture.
    """
    metadata = page.tags.valueof(34118)
    if not isinstance(metadata, dict):
        return {}
    width = page.imagewidth
    exact = metadata.get("", ())
    size = float(exact[3]) * 1024 / width if len(exact) > 3 else 0.0
    image = _zeiss_metres(metadata, "ap_image_pixel_size")
    if image and not (size and abs(size / image - 1) < 0.02):  # it is rounded to four digits
        size = image
    size = size or _zeiss_metres(metadata, "ap_width") / width
    size = size or _zeiss_metres(metadata, "ap_pixel_size") * 1024 / width
    return _metres(size, size)


def _zeiss_metres(metadata: dict[Any, Any], key: str) -> float:
    named = metadata.get(key)
    if not named or len(named) < 3:
        return 0.0
    metres = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "pm": 1e-12, "fm": 1e-15}
    return float(named[1]) * metres.get(tidy_units(named[2]), 0.0)


def fibics(page: Any, path: Path) -> Steps:
    """Zeiss Atlas, of Fibics: two vectors from pixel to pixel, in um."""
    text = text_of(page, 51023)
    parts = {key: re.search(rf"<{key}>\s*{NUMBER}\s*</{key}>", text) for key in ("Ux", "Uy", "Vx", "Vy")}
    ux, uy, vx, vy = (float(observed[1]) if observed else 0.0 for observed in parts.values())
    return {"X": (math.hypot(ux, uy), "um"), "Y": (math.hypot(vx, vy), "um")}


def tvips(page: Any, path: Path) -> Steps:
    """TVIPS EM-MENU: pixel sizes in nm."""
    metadata = page.tags.valueof(37706)
    if not isinstance(metadata, dict) or "PixelSizeX" not in metadata:
        return {}
    return {letter: (float(metadata[f"PixelSize{letter}"]), "nm") for letter in "XY"}


def olympus(page: Any, path: Path) -> Steps:
    """Olympus SIS, and iTEM: pixel sizes in metres. Their files hold a coloured preview before the picture."""
    for tag in (33560, 33471):
        metadata = page.tags.valueof(tag)
        if isinstance(metadata, dict) and "pixelsizex" in metadata and "pixelsizey" in metadata:
            # 12 digits: 2.392791775876109e-11 and 2.3927917758761087e-11 are one size.
            return _metres(f"{metadata['pixelsizex']:.12g}", f"{metadata['pixelsizey']:.12g}")
    return {}


def tescan(page: Any, path: Path) -> Steps:
    """TESCAN: PixelSizeX in metres, in a private tag or in a text file beside the picture."""
    sizes = [_tescan(page, path, f"PixelSize{letter}") for letter in "XY"]
    return _metres(sizes[0], sizes[1] or sizes[0]) if sizes[0] else {}


def _tescan(page: Any, path: Path, key: str) -> float:
    for text in tescan_texts(page, path):  # key=value, or an element or attribute of that name
        if observed := re.search(rf"\b{key}\W{{1,3}}{NUMBER}", text):
            return float(observed[1])
    return 0.0


def tescan_texts(page: Any, path: Path) -> list[str]:
    """Where TESCAN's programs may write: a tag of their own, others in their files, and a text beside the picture."""
    texts = [text_of(page, 50431)]
    if "TESCAN" in str(page.tags.valueof("Make")).upper():
        texts += [text_of(page, 700), page.description]
    return texts + [beside(path, f"{path.stem}{ending}.hdr") for ending in (f"-{path.suffix[1:]}", "")]


def openfibsem(page: Any, path: Path) -> Steps:
    """OpenFIBSEM: JSON in the description, with pixel size or width of field in metres."""
    metadata = described(page)
    size, image = metadata.get("pixel_size"), metadata.get("image", metadata)  # which older versions did not keep apart
    if isinstance(size, dict) and size.get("x"):
        return _metres(size["x"], size.get("y") or size["x"])
    if isinstance(image, dict) and image.get("hfw") and image.get("resolution"):
        across = re.findall(r"\d+", str(image["resolution"]))[0]  # [1536, 1024], or "1536x1024"
        step = float(image["hfw"]) / float(across)
        return _metres(step, step)
    return {}


def described(page: Any) -> dict[str, Any]:
    """The JSON of a page's descriptions, of all of them in one; empty where there is none."""
    observed: dict[str, Any] = {}
    for text in (page.description, page.description1):
        if text.lstrip()[:1] == "{":
            try:
                values = json.loads(text)
            except ValueError:  # no JSON, however it begins
                continue
            observed |= values if isinstance(values, dict) else {}
    return observed


def jeol(page: Any, path: Path) -> Steps:
    """JEOL's electron microscopes: SightX gives magnification or camera length, Analysis Center a length per pixel."""
    text = page.description
    if "TemReporter" not in text:
        return {}
    if observed := re.search(rf"LengthPerPixel>\s*{NUMBER}", text):
        unit = re.search(r"MeasurementUnitType>\s*(\w+)", text)
        of_length = unit is not None and unit[1] in ("UnitType_Scanning", "UnitType_Length")
        return {letter: (float(observed[1]), "nm") for letter in "XY"} if of_length else {}
    imaging = text.partition("<ImageFormingSystem")[2].partition("</ImageFormingSystem>")[0]
    mode, value = _element(imaging, "ModeString"), _element(imaging, "SelectorValue")
    steps = metres_per_pixel(page)
    if _element(text, "EosMode") != "eosTEM" or not value:
        return {}
    if mode == "MAG":
        return {letter: (step / float(value), "m") for letter, (step, _) in steps.items()}
    if mode == "DIFF":
        camera = float(value) * {"mm": 1e-3, "cm": 1e-2}.get(_element(imaging, "SelectorUnitString"), 1.0)
        reach = camera * _wavelength(float(_element(text, "AccelerationVoltage")))
        return {letter: (step / reach * 1e-9, "1/nm") for letter, (step, _) in steps.items()}
    return {}


def _wavelength(volts: float) -> float:
    """Of electrons, in metres."""
    mass, charge, light, planck = 9.1093837015e-31, 1.602176634e-19, 299792458.0, 6.62607015e-34
    momentum = 2 * mass * charge * volts * (1 + charge * volts / (2 * mass * light**2))
    return planck / math.sqrt(momentum)


def amt(page: Any, path: Path) -> Steps:
    """Cameras of AMT: pixels per unit in the description."""
    sizes = [re.search(rf"{letter}pixCal={NUMBER}", page.description) for letter in "XY"]
    unit = re.search(r"(?<!Resolution)Unit=([^\W\d_]+)", page.description)
    if not unit or not all(sizes):
        return {}
    return {letter: (1 / float(size[1]), unit[1]) for letter, size in zip("XY", sizes, strict=True) if size}


def gatan(page: Any, path: Path) -> Steps:
    """Gatan DigitalMicrograph, and what HyperSpy writes for it: a step and a unit for x, y and z."""
    steps: Steps = {}
    for letter, step, units in (("X", 65009, 65003), ("Y", 65010, 65004), ("*", 65011, 65005)):
        size, unit = page.tags.valueof(step), page.tags.valueof(units)
        if isinstance(unit, bytes):
            unit = unit.decode("utf-16-le" if unit[1:2] == b"\0" else "latin-1", "ignore")
        if isinstance(size, int | float) and isinstance(unit, str):
            steps[letter] = (float(size), unit.strip("\0 "))
    return steps


def hitachi(page: Any, path: Path) -> Steps:
    """Hitachi: PixelSize in nm of a scan of DataSize pixels, in a text file of the same name or in a tag."""
    for text in (*texts_of(page), beside(path, path.stem + ".txt")):
        if not re.search(r"\[[ST]emImageFile\]", text):
            continue
        size = re.search(rf"^\s*PixelSize\s*=\s*{NUMBER}", text, re.MULTILINE)
        scan = re.search(r"^\s*DataSize\s*=\s*(\d+)\s*x\s*(\d+)", text, re.MULTILINE)
        if size and float(size[1]) > 0:
            step = float(size[1]) * _reduction(page, scan)
            return {"X": (step, "nm"), "Y": (step, "nm")}
    return {}


def jeol_sem(page: Any, path: Path) -> Steps:
    """JEOL's scanning electron microscopes: a scale bar of so many pixels, in a text file of the same name."""
    texts = (*texts_of(page), beside(path, path.stem + ".txt"))
    text = next((each for each in texts if "$$SM_MICRON_BAR" in each), "")
    bar = re.search(rf"^\$\$SM_MICRON_BAR\s+{NUMBER}", text, re.MULTILINE)
    marker = re.search(rf"^\$\$SM_MICRON_MARKER\s+{NUMBER}\s*(\w+)", text, re.MULTILINE)
    if not bar or not marker or float(bar[1]) <= 0:
        return {}
    scan = re.search(r"^\$CM_FULL_SIZE\s+(\d+)\s+(\d+)", text, re.MULTILINE)
    step = float(marker[1]) / float(bar[1]) * _reduction(page, scan)
    return {"X": (step, marker[2]), "Y": (step, marker[2])}


def _reduction(page: Any, scan: re.Match[str] | None) -> float:
    """How many pixels of the scan one of the picture is, which may have been saved smaller."""
    if scan is None or int(scan[1]) == page.imagewidth:
        return 1.0
    width, height = int(page.imagewidth), int(page.imagelength)
    across, down = int(scan[1]) / width, int(scan[2]) / height
    if not 0.98 < across / down < 1.15:  # below the scan there may be an information bar
        raise ValueError(f"it is that of {scan[1]} x {scan[2]} pixels, of which these {width} x {height} are a part")
    return across


def bar_height(page: Any, path: Path) -> int:
    """Rows of the information bar below a picture, where its maker tells; 0 where there is none or nothing is said."""
    metadata = fei_metadata(page)
    bar, scan = metadata.get("PrivateFei", {}).get("DatabarHeight"), metadata.get("Image", {}).get("ResolutionY")
    said: list[Any] = [bar if not scan or page.imagelength == scan + (bar or 0) else None]
    said += re.findall(r"<databarHeight>\s*(\d+)", text_of(page, 34683))
    said.append(_tescan(page, path, "ImageStripSize"))
    rows = next((int(each) for each in said if each), 0)
    return rows if 0 < rows < page.imagelength / 2 else 0


def beside(path: Path, name: str) -> str:
    """The text of a file that lies beside the picture, in whatever case its name is; "" where there is none."""
    observed = path.with_name(name)
    if not observed.is_file():
        other = [
            each
            for each in (path.with_name(name.upper()), observed.with_suffix(observed.suffix.upper()))
            if each.is_file()
        ]
        if not other:
            return ""
        observed = other[0]
    with observed.open("rb") as file:
        return decoded(file.read(1 << 20))


def texts_of(page: Any) -> list[str]:
    """The texts of all tags, without those of another structure."""
    return [text for tag in page.tags if tag.count < 1 << 20 and (text := text_of(page, tag.code))]


def text_of(page: Any, tag: int) -> str:
    value = page.tags.valueof(tag)
    return value if isinstance(value, str) else decoded(value) if isinstance(value, bytes) else ""


def decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _element(text: str, name: str) -> str:
    observed = re.search(rf"<{name}(?:\s[^>]*)?>\s*([^<]*?)\s*</{name}>", text)
    return observed[1] if observed else ""


def _metres(x: Any, y: Any) -> Steps:
    return {"X": (float(x), "m"), "Y": (float(y), "m")}


# In the order in which they are asked: tags of their own first, then what may stand in a file of anybody.
MAKERS: dict[str, Callable[[Any, Path], Steps]] = {
    "FEI": fei,
    "FEI's XML": fei_xml,
    "Zeiss": zeiss,
    "Fibics": fibics,
    "TVIPS": tvips,
    "Olympus": olympus,
    "TESCAN": tescan,
    "OpenFIBSEM": openfibsem,
    "JEOL": jeol,
    "AMT": amt,
    "Gatan": gatan,
}
# Files beside the picture say least: it may have been changed since.
BESIDE: dict[str, Callable[[Any, Path], Steps]] = {"Hitachi": hitachi, "JEOL's text file": jeol_sem}
