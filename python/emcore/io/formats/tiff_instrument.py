"""What the makers of electron microscopes say in a TIFF file, or beside it, of the microscope that made the picture.

RosettaSciIO knows the names of FEI and Thermo Fisher, Zeiss, TVIPS, Olympus SIS and JEOL's transmission microscopes;
those of TESCAN, Hitachi and JEOL's scanning microscopes are here.
"""

import re
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from emcore.io.formats.tiff_makers import NUMBER, beside, fei_metadata, tescan_texts, texts_of
from emcore.io.instrument import NOT_UNDERSTOOD, with_mapped

# What HyperSpy has a name for, by that name: the maker's name, and the factor that makes it keV, mm or seconds; no
# factor where it is a text.
_TESCAN: dict[str, tuple[str, float | None]] = {
    "beam_energy": ("HV", 1e-3),
    "magnification": ("Magnification", 1.0),
    "working_distance": ("WD", 1e3),
    "dwell_time": ("DwellTime", 1.0),
    "Stage.x": ("StageX", 1e3),
    "Stage.y": ("StageY", 1e3),
    "Stage.z": ("StageZ", 1e3),
    "Stage.tilt_alpha": ("StageTilt", 1.0),
    "Stage.rotation": ("StageRotation", 1.0),
    "microscope": ("Device", None),
}
_HITACHI: dict[str, tuple[str, float | None]] = {
    "beam_energy": ("AcceleratingVoltage", 1e-3),
    "magnification": ("Magnification", 1.0),
    "working_distance": ("WorkingDistance", 1e-3),
    "microscope": ("InstructName", None),
}
_JEOL: dict[str, tuple[str, float | None]] = {
    "beam_energy": ("CM_ACCEL_VOLT", 1.0),
    "magnification": ("CM_MAG", 1.0),
    "working_distance": ("SM_WD", 1.0),
    "microscope": ("CM_INSTRUMENT", None),
}


def metadata_of(page: Any, path: Path) -> dict[str, Any]:
    """What a page says of the microscope, as HyperSpy's metadata."""
    tags = {tag.name: tag.value for tag in page.tags}
    tags |= {"fei_metadata": fei_metadata(page), "Olympus_SIS_metadata": page.tags.valueof(33560)}
    date, _, time = _date(str(tags.get("DateTime", ""))).partition("T")
    known = {"General": {"date": date, "time": time}}
    try:
        if tags.get("Make") == "JEOL Ltd.":
            xml = import_module("rsciio.utils.xml").XmlToDict()
            tags |= {"ImageDescription": xml.dictionarize(ElementTree.fromstring(page.description))["TemReporter"]}
        known = with_mapped(known, tags, import_module("rsciio.tiff._api").get_metadata_mapping(page, tags))
    except (ImportError, *NOT_UNDERSTOOD):  # nothing depends on it
        pass
    texts = [*texts_of(page), beside(path, path.stem + ".txt")]
    for names, written in (
        (_TESCAN, tescan_texts(page, path)),
        (_HITACHI, [text for text in texts if re.search(r"\[[ST]emImageFile\]", text)]),
        (_JEOL, [text for text in texts if "$CM_FORMAT" in text or "$$SM_MICRON_BAR" in text]),
    ):
        for text in written:
            said = {key: _said(text, key, factor) for key, factor in names.values()}
            mapping = {key: (f"Acquisition_instrument.SEM.{name}", None) for name, (key, _) in names.items()}
            known = with_mapped(known, said, mapping)
    return known


def _said(text: str, key: str, factor: float | None) -> float | str | None:
    """What stands behind a name in a text, in which "=", a space or marks of XML are between; None without one."""
    value = NUMBER if factor else r"([^<\"\r\n]+)"
    observed = re.search(rf"\b{key}\W{{1,3}}{value}", text)
    if observed is None:
        return None
    return float(f"{float(observed[1]) * factor:.12g}") if factor else observed[1].strip()


def _date(written: str) -> str:
    for form in ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M"):
        try:
            return datetime.strptime(written.strip("\0 "), form).isoformat()
        except ValueError:
            continue
    return ""
