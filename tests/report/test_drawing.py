"""Laws of the report's drawings: round ticks, true extremes, labels apart."""

import math
import re
from xml.etree import ElementTree

import pytest

from bmjax.report import dots
from bmjax.report.curves import MOST_POINTS, line_plot, thin
from bmjax.report.drawing import nice_ticks
from bmjax.report.maps import LINE, feature_map, keep_apart, map_file
from bmjax.report.panels import panels_file
from bmjax.report.run_files import Point, Series


def test_a_value_that_is_not_finite_breaks_the_line():
    broken = Series("a", [0.0, 1.0, 2.0], [1.0, math.nan, 3.0])
    (path,) = re.findall(
        r'class="line" d="([^"]*)"',
        line_plot(broken, steps=(0.0, 2.0), height=110, ticks=3),
    )
    assert path.count("M") == 2
    assert "nan" not in path


@pytest.mark.parametrize("value", [0.0, 3.0, 1e-9, 1e12, math.nan, -2.0])
def test_one_value_can_be_drawn(value):
    drawing = line_plot(
        Series("a", [5.0], [value]), steps=(5.0, 5.0), height=110, ticks=3
    )
    assert "nan" not in drawing
    assert "inf" not in drawing


def test_long_series_keep_their_extremes():
    values = [0.0] * 10_000
    values[7777] = 9.0
    kept = thin([float(step) for step in range(10_000)], values)
    assert len(kept) <= MOST_POINTS
    assert (7777.0, 9.0) in kept


def test_ticks_are_round_and_inside():
    assert nice_ticks(0.0, 1.0, 4) == [0.0, 0.5, 1.0]
    for low, high in [(0.0, 20000.0), (-3.2, 7.7), (1e-6, 3e-6)]:
        ticks = nice_ticks(low, high, 5)
        assert 2 <= len(ticks) <= 6
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_labels_end_apart():
    spots = keep_apart([(100.0, 100.0)] * 6, [30.0] * 6)
    for i, (x, y) in enumerate(spots):
        for other_x, other_y in spots[i + 1 :]:
            apart = abs(x - other_x) >= 29.9, abs(y - other_y) >= LINE - 0.1
            assert any(apart)


def test_map_of_one_dot_can_be_drawn():
    drawing = feature_map([Point("BLA", 3.0, 4.0)], ["ABE", "BLA"])
    assert drawing.count("<path") == 1
    assert ">BLA</text>" in drawing


def test_files_of_drawings_are_whole_and_need_no_style_sheet():
    drawn_map = map_file([Point("<B>", 3.0, 4.0)], ["ABE", "<B>"], "A <caption>.")
    curve = Series("train/loss", [1.0, 2.0], [3.0, 2.0])
    for text in (drawn_map, panels_file([curve, Series("<odd>", [1.0], [1.0])])):
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text
    assert "&lt;B&gt;" in drawn_map
    assert "ABE" not in drawn_map  # no dot, no legend


def test_an_axis_holds_every_number_and_interval():
    estimates = [
        dots.ScoreInterval(0.8, 0.7, 0.9),
        dots.ScoreInterval(None),
        dots.ScoreInterval(0.2),
    ]
    axis = dots.axis_of(estimates)
    assert axis.low < 0.2
    assert axis.high > 0.9
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert dots.axis_of([dots.ScoreInterval(None)]) == dots.SHARES


def test_a_strip_draws_each_system_that_has_a_value():
    marks = [(0, dots.ScoreInterval(0.5, 0.4, 0.6)), (1, dots.ScoreInterval(None))]
    drawing = dots.strip(marks, dots.SHARES)
    assert drawing.count('class="mark') == 1
    assert 'x1="40.00%" x2="60.00%"' in drawing


def test_systems_differ_in_color_and_shape():
    swatches = [dots.swatch(number) for number in range(24)]
    assert len(set(swatches)) == 24
    shapes = {re.search(r' d="([^"]*)"', swatch)[1] for swatch in swatches[:6]}
    assert len(shapes) == 6
