"""Charts: what they draw, and that nothing in them is taken for markup."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from include.pages.axis import axis
from include.pages.charts import Event, Line, Mark, bar, chart, paired_bars, sparkline


def numbers(text: str) -> list[tuple[float, float]]:
    """The points of a polyline."""
    return [tuple(map(float, pair.split(","))) for pair in text.split()]  # type: ignore[misc]


def test_a_line_rises_where_its_values_do() -> None:
    """The newest value is to the right and the greatest on top."""
    svg = ElementTree.fromstring(sparkline([1.0, None, 3.0, 2.0], "three values"))
    (line,) = svg.findall("polyline")
    points = numbers(line.attrib["points"])
    assert len(points) == 3
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[1][1] < points[2][1] < points[0][1]  # SVG counts from the top
    assert svg.findtext("title") == "three values"


def test_nothing_is_drawn_of_a_single_value() -> None:
    """A line needs two."""
    assert sparkline([1.0], "one") == ""
    assert sparkline([None, None], "none") == ""
    assert chart([Line("challenger", [Mark(0, 1.0, "x")])], ["a"], "one") == ""


def test_a_chart_has_intervals_dots_and_links() -> None:
    """Each mark with its words and its page, each interval between its ends."""
    marks = [
        Mark(0, 0.8, "first <b>", lower=0.7, upper=0.9, link="/runs/1"),
        Mark(1, 0.9, "second", link="/runs/2"),
    ]
    limit = Line("minimum", [Mark(0, 0.5, ""), Mark(1, 0.5, "")], is_limit=True)
    svg = ElementTree.fromstring(chart([limit, Line("challenger", marks)], ["a", "b"], "t"))
    assert [line.attrib["class"] for line in svg.findall("polyline")] == ["challenger"]
    steps = svg.findall("line[@class='minimum']")
    assert len(steps) == 2
    assert steps[0].attrib["x2"] == steps[1].attrib["x1"]
    assert [link.attrib["href"] for link in svg.findall("a")] == ["/runs/1", "/runs/2"]
    titles = [title.text for title in svg.findall("a/circle/title")]
    assert titles == ["first <b>", "second"]
    (interval,) = svg.findall("line[@class='interval']")
    assert float(interval.attrib["y1"]) > float(interval.attrib["y2"])


def test_a_rollback_is_marked_behind_the_run_that_it_followed() -> None:
    """Between the two runs, or behind the last one, with its words."""
    marks = [Mark(0, 0.8, "a"), Mark(1, 0.9, "b")]
    for after in (1, 2):
        event = Event("rollback", after, "rolled back by <ann>")
        svg = ElementTree.fromstring(chart([Line("challenger", marks)], ["a", "b"], "t", [event]))
        (marked,) = svg.findall("g[@class='event rollback']")
        assert marked.findtext("title") == "rolled back by <ann>"
        assert marked.findtext("text") == "rollback"
        x = float(marked.find("line").attrib["x1"])  # type: ignore[union-attr]
        dots = [float(dot.attrib["cx"]) for dot in svg.findall("circle")]
        assert [x > dot for dot in dots] == [True, after == 2]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.713, 0.86], ["0.70", "0.75", "0.80", "0.85", "0.90"]),
        ([45.2, 51.9], ["44", "46", "48", "50", "52"]),
        ([-3.0, 2.0], ["-4", "-2", "0", "2"]),
        ([123_456.0, 223_456.0], ["100,000", "150,000", "200,000", "250,000"]),
        ([0.1, 0.3], ["0.10", "0.15", "0.20", "0.25", "0.30"]),
        ([0.8, 0.8 + 1e-16], ["0.76", "0.78", "0.80", "0.82", "0.84"]),
        ([0.0], ["-0.5", "0.0", "0.5"]),
    ],
)
def test_an_axis_is_round(values: list[float], words: list[str]) -> None:
    """Its marks are multiples of 1, 2 or 5 times a power of ten, and hold all values between."""
    vertical = axis(values)
    assert [text for _, text in vertical.marks()] == words
    assert vertical.low <= min(values)
    assert max(values) <= vertical.high + 1e-12


def test_equal_values_are_a_flat_line() -> None:
    """No division by nothing."""
    points = numbers(re.findall(r'polyline points="([^"]+)"', sparkline([2.0, 2.0, 2.0], "t"))[0])
    assert len({y for _, y in points}) == 1
    assert "nan" not in sparkline([0.0, 0.0], "t")


def test_markup_in_a_name_is_text() -> None:
    """Names of slices come from data."""
    assert "<script>" not in sparkline([1.0, 2.0], "<script>")
    assert "<script>" not in chart(
        [Line("challenger", [Mark(0, 1.0, "<script>"), Mark(1, 1.0, "x")])], ["<script>", "b"], "t"
    )


def test_a_bar_says_how_near_the_limit_is() -> None:
    """Fine, nearly all of it, and more than there is."""
    kinds = [
        re.findall(r'class="(\w+)" width="(\d+)"', bar(value, 100, "t"))[1]
        for value in (50, 90, 120)
    ]
    assert kinds == [("fine", "50"), ("high", "90"), ("over", "100")]


def test_paired_bars_are_shares_of_before_and_of_now() -> None:
    """The greatest share fills the height, and what is drawn of data is text."""
    drawn = paired_bars([("<script>", 0.5, 0.25), ("b", 0.5, 0.75)], "t")
    assert "<script>" not in drawn
    heights = re.findall(r'class="(\w+)" x="\d+" y="[\d.]+" width="7" height="([\d.]+)"', drawn)
    assert heights == [("before", "30.7"), ("now", "15.3"), ("before", "30.7"), ("now", "46.0")]
    assert "b: 75.0% now" in drawn
    assert paired_bars([], "t") == ""
