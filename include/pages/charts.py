"""Charts as plain SVG, drawn on the server: numbers in, markup out. No script draws anything.

Colours are classes of the style sheet, so that a chart follows the theme. Each mark has a title,
which a browser shows when one points at it, and the page has the same numbers in a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from include.pages.axis import Axis, axis

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 18, 28
MIN_POINTS = 2


@dataclass(frozen=True)
class Mark:
    """One value on a line, in words for who points at it."""

    at: int
    """Its place from left to right, counted from 0."""
    value: float
    title: str
    lower: float | None = None
    upper: float | None = None
    """The ends of its interval, where it has one."""
    link: str | None = None


@dataclass(frozen=True)
class Line:
    """Values of one kind. Its name is the class by which the style sheet colours it."""

    name: str
    marks: Sequence[Mark]
    has_dots: bool = True
    is_limit: bool = False
    """Whether each value holds for its place alone: a step and no dot."""


@dataclass(frozen=True)
class Event:
    """What happened between two places, in words for who points at it."""

    name: str
    """Its class, and what stands beside it."""
    after: int
    """How many places lie before it."""
    title: str


def sparkline(values: Sequence[float | None], title: str) -> Markup:
    """Return a line without axes, the newest value to the right, for the height of a text line.

    Args:
        values: oldest first; None leaves a gap.
        title: says what it shows to who cannot see it.
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < MIN_POINTS:
        return Markup("")
    width, height, edge = 96, 24, 3
    shown = [value for _, value in known]
    room = 0.0 if min(shown) < max(shown) else abs(shown[0]) or 1.0  # equal ones in the middle
    scale = _Scale(min(shown) - room, max(shown) + room, height - edge, edge)
    step = (width - 2 * edge) / (len(values) - 1)
    points = [(edge + place * step, scale.y(value)) for place, value in known]
    last = points[-1]
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img"><title>{title}</title><polyline points="{points}"/>'
        '<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    ).format(width=width, height=height, title=title, points=_points(points), x=last[0], y=last[1])


def chart(
    lines: Sequence[Line], labels: Sequence[str], title: str, events: Sequence[Event] = ()
) -> Markup:
    """Return lines over time with axes, intervals, and a name in the style sheet for each.

    Args:
        lines: each with marks whose places count in ``labels``.
        labels: what each place is called below, oldest first.
        title: says what it shows to who cannot see it.
        events: what happened between the places.
    """
    values = [
        value
        for line in lines
        for mark in line.marks
        for value in (mark.value, mark.lower, mark.upper)
        if value is not None
    ]
    if not values or len(labels) < MIN_POINTS:
        return Markup("")
    vertical = axis(values)
    scale = _Scale(vertical.low, vertical.high, HEIGHT - BOTTOM, TOP)
    # Half a place of room on both sides, for limits and for what happened after the last one.
    step = (WIDTH - LEFT - RIGHT) / len(labels)
    parts = [
        *_grid(vertical, scale),
        *_below(labels, step),
        *(_marked(event, step) for event in events),
        *(part for line in lines for part in _drawn(line, scale, step)),
    ]
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img"><title>{title}</title>'
        "{parts}</svg>"
    ).format(width=WIDTH, height=HEIGHT, title=title, parts=Markup("").join(parts))


def bar(value: float, limit: float, title: str) -> Markup:
    """Return how much of a limit a value takes; what is above the limit fills the bar."""
    share = min(max(value / limit, 0.0), 1.0) if limit > 0 else 1.0
    kind = "over" if value > limit else "high" if share > HIGH_SHARE else "fine"
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" width="100" height="8" role="img">'
        '<title>{title}</title><rect class="all" width="100" height="8" rx="2"/>'
        '<rect class="{kind}" width="{share:.0f}" height="8" rx="2"/></svg>'
    ).format(title=title, kind=kind, share=share * 100)


def paired_bars(parts: Sequence[tuple[str, float, float]], title: str) -> Markup:
    """Return two bars for each part of some values: its share before, and its share now.

    Args:
        parts: what each is called, and its two shares of 1.
        title: says what it shows to who cannot see it.
    """
    if not parts:
        return Markup("")
    height, wide, gap = 48, 7, 4
    most = max(share for _, *shares in parts for share in shares) or 1.0
    bars = []
    for place, (label, *shares) in enumerate(parts):
        for side, (name, share) in enumerate(zip(("before", "now"), shares, strict=True)):
            x, tall = place * (2 * wide + gap) + side * wide, share / most * (height - 2)
            bars.append(
                Markup(
                    '<rect class="{name}" x="{x}" y="{y:.1f}" width="{wide}" height="{tall:.1f}">'
                    "<title>{label}: {share:.1%} {when}</title></rect>"
                ).format(
                    name=name,
                    x=x,
                    y=height - tall,
                    wide=wide,
                    tall=tall,
                    label=label,
                    share=share,
                    when="in training" if name == "before" else "now",
                )
            )
    return Markup(
        '<svg class="paired" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img"><title>{title}</title>{bars}</svg>'
    ).format(
        width=len(parts) * (2 * wide + gap), height=height, title=title, bars=Markup("").join(bars)
    )


HIGH_SHARE = 0.85
"""From which share on a reader should think of giving a step more."""


class _Scale:
    """Where a value lies between two heights."""

    def __init__(self, low: float, high: float, bottom: float, top: float) -> None:
        self._low, self._high = low, high
        self._bottom, self._top = bottom, top

    def y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._bottom - share * (self._bottom - self._top)


def _x(place: float, step: float) -> float:
    return LEFT + (place + 0.5) * step


def _grid(vertical: Axis, scale: _Scale) -> Iterator[Markup]:
    for value, words in vertical.marks():
        y = scale.y(value)
        yield Markup(
            '<line class="grid" x1="{x1}" x2="{x2}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="axis end" x="{x}" y="{below:.1f}">{value}</text>'
        ).format(x1=LEFT, x2=WIDTH - RIGHT, y=y, x=LEFT - 6, below=y + 4, value=words)


def _below(labels: Sequence[str], step: float) -> Iterator[Markup]:
    """Yield the first, the middle and the last label."""
    last = len(labels) - 1
    for place in sorted({0, last // 2, last}):
        yield Markup('<text class="axis middle" x="{x:.1f}" y="{y}">{label}</text>').format(
            x=_x(place, step), y=HEIGHT - 8, label=labels[place]
        )


def _marked(event: Event, step: float) -> Markup:
    """Return a line from top to bottom, with its name at its head."""
    x = _x(event.after - 0.5, step)
    is_right = x > WIDTH / 2
    return Markup(
        '<g class="event {name}"><title>{title}</title>'
        '<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        '<text class="axis {side}" x="{text:.1f}" y="{y}">{name}</text></g>'
    ).format(
        name=event.name,
        title=event.title,
        x=x,
        top=TOP - 4,
        bottom=HEIGHT - BOTTOM,
        side="end" if is_right else "start",
        text=x - 4 if is_right else x + 4,
        y=TOP + 4,
    )


def _drawn(line: Line, scale: _Scale, step: float) -> Iterator[Markup]:
    places = [(_x(mark.at, step), scale.y(mark.value)) for mark in line.marks]
    if line.is_limit:
        yield from (_step(line.name, x, y, step) for x, y in places)
        return
    for (x, _), mark in zip(places, line.marks, strict=True):
        if mark.lower is not None and mark.upper is not None:
            yield Markup(
                '<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{a:.1f}" y2="{b:.1f}"/>'
            ).format(x=x, a=scale.y(mark.lower), b=scale.y(mark.upper))
    yield Markup('<polyline class="{name}" points="{points}"/>').format(
        name=line.name, points=_points(places)
    )
    if line.has_dots:
        for (x, y), mark in zip(places, line.marks, strict=True):
            yield _dot(line.name, x, y, mark)


def _step(name: str, x: float, y: float, step: float) -> Markup:
    return Markup(
        '<line class="{name}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    ).format(name=name, x1=x - step / 2, x2=x + step / 2, y=y)


def _dot(name: str, x: float, y: float, mark: Mark) -> Markup:
    dot = Markup(
        '<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{title}</title></circle>'
    ).format(name=name, x=x, y=y, title=mark.title)
    if mark.link is None:
        return dot
    return Markup('<a href="{link}">{dot}</a>').format(link=mark.link, dot=dot)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return str(escape(" ".join(f"{x:.1f},{y:.1f}" for x, y in points)))
