"""A TIFF file is measured with the pixel size that the maker of its microscope, or a program, left in it."""

import json
from pathlib import Path

import numpy as np
import pytest

from emcore.io.read import read
from emcore.io.registry import read_all

tifffile = pytest.importorskip("tifffile", reason="reading TIFF needs the extra io")
rsciio_tiff = pytest.importorskip("rsciio.tiff", reason="reading microscope files needs the extra io")

PICTURE = np.random.default_rng(0).integers(1, 255, (60, 80), dtype=np.uint8)


def write(path: Path, tags=(), data=PICTURE, **arguments) -> Path:
    """A TIFF file with a maker's tags: code and text or bytes or number."""
    kinds = {str: "s", bytes: "B", float: "d"}
    extra = []
    for code, value in tags:
        stored = (value + "\0").encode("latin-1") if isinstance(value, str) else value
        extra.append((code, kinds[type(value)], 1 if isinstance(value, float) else len(stored), stored, True))
    tifffile.imwrite(path, data, extratags=extra, **{"metadata": None} | arguments)
    return path


def steps(path: Path) -> tuple[tuple[float, str], tuple[float, str]]:
    """Step and unit along y and x."""
    y, x = read(path).axes[-2:]
    return (y.scale, y.units), (x.scale, x.units)


def square(step: float, units: str):
    return ((pytest.approx(step), units),) * 2


@pytest.mark.parametrize(
    ("name", "step", "units"),
    [
        ("fei_sem.tif", 1.82505, "um"),
        ("zeiss_sem.tif", 2.614514, "um"),
        ("cases/zeiss_512.tif", 11.649976, "nm"),
        ("cases/tescan.tif", 2.5012, "um"),
        ("cases/olympus_sis.tif", 0.02392791775876, "nm"),
        ("cases/tvips_line_noise.tif", 1.4208036661148, "nm"),
    ],
)
def test_pictures_of_real_microscopes_have_their_pixel_size(name, step, units, data_folder):
    assert steps(data_folder / name) == square(step, units)


def zeiss(path: Path, width: int, exact: float | None, **named: str) -> Path:
    text = "" if exact is None else f"0\r\n0\r\n0\r\n{exact}\r\n"
    text += "".join(f"{key.upper()}\r\n{key.title()} = {value}\r\n" for key, value in named.items())
    return write(path, [(34118, text)], np.ones((48, width), np.uint8))


@pytest.mark.parametrize(
    ("width", "exact", "named", "step"),
    [
        (512, 4e-9, {}, 8.0),  # the exact one is that of a display of 1024 pixels
        (2048, 4e-9, {"ap_image_pixel_size": "2.0 nm"}, 2.0),
        (512, 5.824988e-9, {"ap_pixel_size": "5.825 nm", "ap_width": "5.965 µm"}, 11.649976),
        (1024, 4e-9, {"ap_image_pixel_size": "7.0 µm"}, 7000.0),  # says something else, and of the image
        (1024, 4e-9, {"ap_image_pixel_size": "4.001 nm"}, 4.0),  # is rounded
        (512, None, {"ap_image_pixel_size": "3.0 nm", "ap_pixel_size": "1.5 nm"}, 3.0),
        (512, None, {"ap_width": "1.024 µm", "ap_pixel_size": "1.0 nm"}, 2.0),
        (512, None, {"ap_pixel_size": "1.0 nm"}, 2.0),
    ],
)
def test_of_the_pixel_sizes_that_zeiss_writes_that_of_the_picture_is_taken(width, exact, named, step, tmp_path):
    y, x = read(zeiss(tmp_path / "a.tif", width, exact, **named)).axes
    assert [axis.to("nm").scale for axis in (y, x)] == pytest.approx([step, step])


@pytest.mark.parametrize(
    ("text", "y", "x"),
    [
        (
            "[Beam]\nScan=IScan\n[EScan]\nPixelWidth=3e-9\nPixelHeight=3e-9\n[IScan]\nPixelWidth=5e-9\nPixelHeight=6e-9\n",
            6,
            5,
        ),
        ("[Scan]\nPixelWidth=5e-9\nPixelHeight=6e-9\n", 6, 5),
        ("[Scan]\nHorFieldsize=8e-7\nVerFieldsize=6e-7\n", 10, 10),
        ("[Beam]\nBeam=IBeam\n[IBeam]\nHFW=8e-7\nVFW=3e-7\n[Image]\nResolutionX=80\nResolutionY=60\n", 5, 10),
    ],
)
@pytest.mark.parametrize("code", [34680, 34682])
def test_the_pixel_size_of_fei_is_that_of_the_beam_that_made_the_picture(code, text, y, x, tmp_path):
    assert steps(write(tmp_path / "a.tif", [(code, text)])) == ((pytest.approx(y), "nm"), (pytest.approx(x), "nm"))


PHENOM = (
    '<?xml version="1.0"?><FeiImage><pixelWidth unit="nm">7.25</pixelWidth><pixelHeight unit="nm">7.5</pixelHeight>'
)
BINARY = (
    '<Metadata><BinaryResult><PixelSize><X unit="m" unitPrefixPower="1">6.5E-09</X><Y unit="m">7E-09</Y></PixelSize>'
)
FIBICS = (
    '<Fibics><Scan><FOV_X units="um">2</FOV_X><Ux>0.003</Ux><Uy>0.004</Uy><Vx>0.006</Vx><Vy>-0.008</Vy></Scan></Fibics>'
)
TESCAN = (
    b"\x00\xff\xd8JPEG\xff\xd9\x1d\x01AccFrames=1\r\nImageStripSize=9\r\nPixelSizeX=2.5e-9\r\nPixelSizeY=3e-9\r\n\0"
)
AMT = "AMT Camera System\r11/18/09\r14:12\r8000\rXpixCal=50.0\rYpixCal=25.0\rUnit=micron\r##fv3\r"
FIBSEM = {"image": {"resolution": [80, 60], "hfw": 8e-7}, "version": "v1", "pixel_size": {"x": 2e-9, "y": 3e-9}}
LENGTH = (
    "<TemReporter2><a_MeasurementUnitType>UnitType_Length</a_MeasurementUnitType>"
    "<a_LengthPerPixel>0.125</a_LengthPerPixel></TemReporter2>"
)


@pytest.mark.parametrize(
    ("tags", "description", "y", "x"),
    [
        ([(34683, PHENOM)], None, 7.5, 7.25),
        ([(34683, BINARY)], None, 7.0, 6.5),
        ([(51023, FIBICS)], None, 10.0, 5.0),
        ([(50431, TESCAN)], None, 3.0, 2.5),
        ([(50431, b"<Meta><PixelSizeX>2.5E-9</PixelSizeX><PixelSizeY>3E-9</PixelSizeY></Meta>")], None, 3.0, 2.5),
        ([(50431, b'<Meta PixelSizeX="2.5E-9"/>')], None, 2.5, 2.5),
        ([], json.dumps(FIBSEM), 3.0, 2.0),
        ([], json.dumps({"image": FIBSEM["image"]}), 10.0, 10.0),
        ([], json.dumps({"hfw": 8e-7, "resolution": "80x60", "pixel_size": {"x": 0.0, "y": 0.0}}), 10.0, 10.0),
        ([(40000, "[SemImageFile]\r\nPixelSize=24.8\r\n")], None, 24.8, 24.8),
        ([], "$CM_FORMAT JEOL\n$$SM_MICRON_BAR 160\n$$SM_MICRON_MARKER 100nm\n", 0.625, 0.625),
        ([], AMT, 40.0, 20.0),
        ([], "JEM-1400 XpixCal=50.0YpixCal=25.0Unit=um ", 40.0, 20.0),
        ([], LENGTH, 0.125, 0.125),
        ([(65003, "nm"), (65004, "um"), (65009, 2.0), (65010, 0.5)], None, 500.0, 2.0),
        ([(65003, b"nm\0"), (65004, b"nm\0"), (65009, 2.0), (65010, 4.0)], None, 4.0, 2.0),
        ([(65003, b"n\0m\0\0\0"), (65004, b"n\0m\0\0\0"), (65009, 2.0), (65010, 4.0)], None, 4.0, 2.0),
    ],
)
def test_every_maker_is_understood(tags, description, y, x, tmp_path):
    observed = read(write(tmp_path / "a.tif", tags, description=description)).axes
    assert [axis.to("nm").scale for axis in observed] == pytest.approx([y, x])


def test_openfibsem_writes_its_json_by_way_of_tifffile(tmp_path):
    assert steps(write(tmp_path / "a.tif", metadata=FIBSEM)) == ((pytest.approx(3), "nm"), (pytest.approx(2), "nm"))


SIGHTX = (
    "<?xml version='1.0'?><TemReporter><Eos><EosMode>eosTEM</EosMode></Eos><ElectronGun><AccelerationVoltage>200000"
    "</AccelerationVoltage></ElectronGun><IlluminationSystem><ImageField>ImageBF</ImageField></IlluminationSystem>"
    "<ImageFormingSystem><ImageFormingMode>ModeMAG</ImageFormingMode><SelectorString>x</SelectorString>"
    "<ModeString>{mode}</ModeString><SelectorValue>{value}</SelectorValue><SelectorUnitString>{unit}"
    "</SelectorUnitString></ImageFormingSystem></TemReporter>"
)


@pytest.mark.parametrize(("mode", "value", "unit"), [("MAG", 50000, "x"), ("DIFF", 80, "cm"), ("DIFF", 800, "mm")])
def test_sightx_of_jeol_is_read_as_rosettasciio_does(mode, value, unit, tmp_path):
    path = write(
        tmp_path / "a.tif",
        [(271, "JEOL Ltd.")],
        description=SIGHTX.format(mode=mode, value=value, unit=unit),
        resolution=(254, 254),
        resolutionunit="INCH",
    )
    expected, observed = rsciio_tiff.file_reader(str(path))[0]["axes"], read(path)
    assert observed.metadata["instrument"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200
    for axis, other in zip(observed.axes, expected, strict=True):
        assert axis.scale == pytest.approx(other["scale"])
        assert axis.units == other["units"].replace(" ", "")


def test_what_hyperspy_writes_for_digitalmicrograph_comes_back(tmp_path):
    axes = [
        {"name": n, "units": u, "scale": s, "offset": 0.0, "size": size, "navigate": False, "index_in_array": i}
        for i, (n, u, s, size) in enumerate((("y", "nm", 2.0, 60), ("x", "um", 0.3, 80)))
    ]
    rsciio_tiff.file_writer(str(tmp_path / "a.tif"), {"data": PICTURE, "axes": axes, "metadata": {}})
    assert steps(tmp_path / "a.tif") == ((2.0, "nm"), (pytest.approx(0.3), "um"))


HITACHI = "[SemImageFile]\r\nInstructName=SU8000\r\nPixelSize=24.8\r\nDataSize={size}\r\nMicronMarker=5000\r\n"
JEOL_SEM = "$CM_FORMAT JEOL\n$CM_FULL_SIZE {size}\n$CM_MAG 5000\n$$SM_MICRON_BAR 160\n$$SM_MICRON_MARKER 5um\n"


@pytest.mark.parametrize(
    ("name", "text", "encoding", "nm"),
    [
        ("a.txt", HITACHI.format(size="80x60"), "utf-8", 24.8),
        ("a.TXT", HITACHI.format(size="80x60"), "utf-16", 24.8),
        ("a.txt", HITACHI.format(size="160x120") + "Comment=µ", "latin-1", 49.6),  # saved with half of its pixels
        ("a.txt", JEOL_SEM.format(size="80 60"), "utf-8", 31.25),
        ("a.txt", JEOL_SEM.format(size="160 120"), "utf-8", 62.5),
        ("a.txt", JEOL_SEM.format(size="160 112"), "utf-8", 62.5),  # with a bar below
        ("a.hdr", "[MAIN]\nPixelSizeX=1.5e-9\nPixelSizeY=1.5e-9\n", "utf-8", 1.5),
        ("a-tif.hdr", "[MAIN]\nPixelSizeX=1.5e-9\nPixelSizeY=1.5e-9\n", "utf-8", 1.5),
        ("a.txt", "A diary: PixelSize=3, and other things.\n", "utf-8", None),
    ],
)
def test_a_text_file_beside_the_picture_is_asked(name, text, encoding, nm, tmp_path):
    path = write(tmp_path / "a.tif")
    (tmp_path / name).write_bytes(text.encode(encoding))
    axes = read(path).axes
    assert [axis.units == "px" if nm is None else axis.to("nm").scale for axis in axes] == [
        nm is None or pytest.approx(nm)
    ] * 2


def test_a_text_file_of_another_picture_is_said_and_left_out(tmp_path):
    (tmp_path / "a.txt").write_text(HITACHI.format(size="640x120"))
    signal = read(write(tmp_path / "a.tif"))
    assert [axis.units for axis in signal.axes] == ["px", "px"]
    assert signal.notes == (
        "the pixel size of Hitachi was not understood (it is that of 640 x 120 pixels, of which these 80 x 60 are a "
        "part): left out",
    )


def test_metadata_that_are_damaged_cost_the_calibration_only_and_are_said(tmp_path):
    signal = read(write(tmp_path / "a.tif", [(34682, "[Scan]\nPixelWidth=wide\nPixelHeight=5e-9\n")]))
    np.testing.assert_array_equal(signal.data, PICTURE)
    assert [axis.units for axis in signal.axes] == ["px", "px"]
    assert "the pixel size of FEI was not understood" in signal.notes[0]


def test_the_preview_of_olympus_is_told_from_the_picture(data_folder):
    preview, picture = read_all(data_folder / "cases/olympus_sis.tif")
    assert (preview.title, picture.title) == ("page 0, coloured", "page 1")
    assert preview.axes[0].units == "px"
    assert read(data_folder / "cases/olympus_sis.tif").data.dtype == np.uint16


def test_the_rows_of_an_information_bar_are_known_where_its_maker_tells(data_folder, tmp_path):
    for name, rows in (("fei_sem.tif", 79), ("cases/tescan.tif", 120), ("zeiss_sem.tif", None)):
        assert read(data_folder / name).metadata.get("information_bar") == rows
    phenom = write(tmp_path / "a.tif", [(34683, PHENOM + "<databarHeight>14</databarHeight></FeiImage>")])
    assert read(phenom).metadata == {"information_bar": 14}
    for rows, bar in ((46, {"information_bar": 14}), (60, {})):  # saved without its bar
        text = f"[Image]\nResolutionY={rows}\n[PrivateFei]\nDatabarHeight=14\n"
        assert read(write(tmp_path / "b.tif", [(34682, text)])).metadata == bar


def test_imagej_may_have_another_unit_for_every_axis(tmp_path):
    metadata = {
        "axes": "TZYX",
        "unit": "nm",
        "yunit": "um",
        "zunit": "um",
        "spacing": 3.0,
        "finterval": 0.5,
        "tunit": "ms",
    }
    data = np.zeros((2, 3, 4, 5), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, resolution=(4.0, 50.0), metadata=metadata)
    t, z, y, x = read(tmp_path / "a.tif").axes
    assert [(a.name, a.scale, a.units) for a in (t, z)] == [("time", 0.5, "ms"), ("z", 3.0, "um")]
    assert [(a.name, pytest.approx(a.scale), a.units) for a in (y, x)] == [("y", 0.02, "um"), ("x", 0.25, "nm")]


def test_axes_of_ome_have_their_units_and_each_picture_its_own(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        for name, size in (("overview", 2.0), ("detail", 0.25)):
            metadata = {
                "axes": "TCZYX",
                "Name": name,
                "PhysicalSizeX": size,
                "PhysicalSizeXUnit": "Å",
                "PhysicalSizeY": size * 2,
                "PhysicalSizeZ": 3.0,
                "PhysicalSizeZUnit": "nm",
                "TimeIncrement": 0.5,
                "TimeIncrementUnit": "ms",
            }
            tiff.write(np.zeros((2, 5, 3, 6, 7), np.uint8), metadata=metadata)
    overview, detail = read_all(tmp_path / "a.ome.tif")
    assert (overview.title, detail.title) == ("overview", "detail")
    observed = [(axis.name, axis.scale, axis.units) for axis in detail.axes]
    steps = [("time", 0.5, "ms"), ("channel", 1.0, "px"), ("z", 3.0, "nm"), ("y", 0.5, "um"), ("x", 0.25, "A")]
    assert observed == steps
    assert overview.axis("x").scale == 2.0


def test_a_unit_in_the_json_of_tifffile_goes_with_a_resolution_without_one(tmp_path):
    arguments = {"resolution": (4.0, 2.0), "resolutionunit": "NONE", "metadata": {"unit": "nm"}}
    assert steps(write(tmp_path / "a.tif", **arguments)) == ((0.5, "nm"), (0.25, "nm"))


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected", "units"),
    [("micron", 50.0, 0.02, "um"), ("nm", 4.0, 0.25, "nm"), ("\\u00B5m", 50.0, 0.02, "um"), ("pixel", 1.0, 1.0, "px")],
)
def test_the_unit_imagej_writes_is_kept(unit, per_unit, expected, units, tmp_path):
    path = tmp_path / "imagej.tif"
    stack = np.arange(5 * 8 * 9, dtype=np.uint16).reshape(5, 8, 9)
    tifffile.imwrite(
        path,
        stack,
        imagej=True,
        resolution=(per_unit, per_unit / 2),
        metadata={"axes": "ZYX", "unit": unit, "spacing": 3.0},
    )
    for lazy in (False, True):
        z, y, x = read(path, lazy=lazy).axes
        assert (x.name, x.units, y.units, z.units) == ("x", units, units, units)
        assert x.scale == pytest.approx(expected)
        assert y.scale == pytest.approx(expected * (2 if units != "px" else 1))
        assert (z.name, z.navigation) == ("z", True)
        assert z.scale == (3.0 if units != "px" else 1.0)


def test_a_print_resolution_is_no_calibration_but_a_fine_one_is(tmp_path):
    for unit, density, expected in (
        ("INCH", 300, (1.0, "px")),
        ("CENTIMETER", 1e6, (10.0, "nm")),
        ("NONE", 5, (1.0, "px")),
    ):
        tifffile.imwrite(
            tmp_path / "a.tif", np.eye(9, dtype=np.uint8), resolution=(density, density), resolutionunit=unit
        )
        axis = read(tmp_path / "a.tif").axis("x")
        assert (axis.scale, axis.units) == (pytest.approx(expected[0]), expected[1])


def test_ome_tiff_is_calibrated(tmp_path):
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", np.eye(9, dtype=np.float32), metadata=metadata)
    y, x = read(tmp_path / "a.ome.tif").axes
    assert (y.scale, y.units, x.scale, x.units) == (0.5, "nm", 0.25, "nm")
