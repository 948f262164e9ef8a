import re
from dataclasses import replace
from itertools import islice

import pytest

from emcore.reporting.pages import pages
from emcore.reporting.report import write_report


def text_of(figure):
    words = [text.get_text() for text in figure.texts]
    return "\n".join(words + [t.get_text() for axes in figure.axes for t in (*axes.texts, axes._left_title)])


def page_count(path):
    return len(re.findall(rb"/Type /Page\b", path.read_bytes()))


def test_a_report_is_a_small_pdf_with_truetype_fonts(make_analysis, tmp_path):
    path = tmp_path / "a.pdf"
    write_report(make_analysis(shape=(1500, 2500)), path)
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    assert len(content) < 5e6
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("k", "count"), [(1, 2), (4, 2), (5, 3), (10, 3), (11, 4), (20, 5)])
def test_every_component_has_its_place_however_many_there_are(make_analysis, k, count):
    figures = list(pages(make_analysis(k)))
    assert len(figures) == count
    titles = [axes.get_title("left") for page in figures for axes in page.axes]
    numbers = [title.removeprefix("Map ") for title in titles if title.startswith("Map")]
    assert numbers == [str(i + 1) for i in range(k)]


def test_nothing_of_a_page_lies_outside_it_or_under_its_foot(make_analysis):
    for page in pages(make_analysis(11)):
        width, height = page.get_size_inches()
        for axes in page.axes:
            box = axes.get_tightbbox(page.canvas.get_renderer() if hasattr(page.canvas, "get_renderer") else None)
            inches = box.transformed(page.dpi_scale_trans.inverted())
            assert inches.x0 > 0.2
            assert inches.x1 < width - 0.05
            assert inches.y0 > 0.36
            assert inches.y1 < height - 0.5


@pytest.mark.parametrize(("k", "page"), [(1, 0), (21, 0), (60, 1)])
def test_every_region_stands_in_a_table(make_analysis, k, page):
    result = make_analysis(k, units="um")
    table = text_of(list(islice(pages(result), page + 1))[page])
    for index in range(k):
        assert f"{result.spacing[index]:.3g} µm" in table
        assert f"{result.direction[index]:.1f}°" in table
        assert f"{100 * result.area[index]:.1f} %" in table


def test_the_first_page_says_size_scale_choice_and_notes(make_analysis):
    result = make_analysis(shape=(200, 300), notes=("frame 3 was analysed",))
    first = text_of(next(pages(result)))
    assert "300 × 200 px, 30 nm × 20 nm (0.1 nm per pixel)" in first
    assert "3 components by rule gap: largest ratio of neighbouring EVR." in first
    assert "frame 3 was analysed" in first


def test_an_uncalibrated_image_gets_no_invented_unit(make_analysis):
    words = "".join(text_of(page) for page in pages(make_analysis(scale=1.0, units="px")))
    assert not re.search(r"\d [munpµ]?m\b|Å", words)
    assert "300 × 200 px" in words


def test_a_region_without_a_lattice_has_a_dash_and_no_circle(make_analysis):
    result = make_analysis(k=2)
    nothing = result.spacing.copy()
    nothing[1] = float("nan")
    first, second = pages(replace(result, spacing=nothing, direction=nothing))
    assert "–" in text_of(first)
    circles = [len(a.lines) for a in second.axes if a.get_title("left").startswith("Spectrum")]
    assert circles == [1, 0]


@pytest.mark.parametrize("shape", [(40, 3000), (3000, 40), (32, 32), (33, 5000)])
def test_any_shape_of_image_can_be_reported(make_analysis, tmp_path, shape):
    write_report(make_analysis(k=2, shape=shape), tmp_path / "a.pdf")
    assert page_count(tmp_path / "a.pdf") == 3


def test_odd_names_and_many_notes_do_not_break_a_report(make_analysis, tmp_path):
    name = "a $x_1$ \\frac{ 金 \u202e" + "long" * 60
    result = make_analysis(name=name, notes=tuple(f"note {i}: " + "words " * 60 for i in range(40)))
    write_report(result, tmp_path / "a.pdf")
    assert page_count(tmp_path / "a.pdf") > 4


def test_the_same_result_gives_the_same_bytes(make_analysis, tmp_path):
    for name in "ab":
        write_report(make_analysis(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_existing_report_is_replaced_only_when_asked(make_analysis, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"a\.pdf exists"):
        write_report(make_analysis(), path)
    assert path.read_text() == "precious"
    write_report(make_analysis(), path, overwrite=True)
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("?")])
def test_a_report_that_fails_half_way_leaves_nothing_behind(make_analysis, tmp_path, monkeypatch, failure):
    from matplotlib.backends.backend_pdf import PdfPages

    def savefig(self, figure):
        raise failure

    monkeypatch.setattr(PdfPages, "savefig", savefig)
    with pytest.raises(type(failure)):
        write_report(make_analysis(), tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_named(make_analysis, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist"):
        write_report(make_analysis(), tmp_path / "nowhere" / "a.pdf")


def test_something_else_has_no_report(tmp_path):
    with pytest.raises(TypeError, match="no report: found dict, expected ImageAnalysis"):
        write_report({}, tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []
