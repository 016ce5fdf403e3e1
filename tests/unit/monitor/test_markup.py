"""The HTML of the page."""

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from support.monitor_states import MARKET_BODY
from veleta_monitor.domain.batch_progress import current_batch
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.market import band, parse_market
from veleta_monitor.domain.prices import PriceAnswer
from veleta_monitor.domain.stages import STAGES, LastActivity, ServiceStatus, stages
from veleta_monitor.domain.table import Cell, Column, Table
from veleta_monitor.domain.training_progress import TrainingProgress
from veleta_monitor.markup import (
    GRID_POSITIONS,
    badge_html,
    batch_html,
    loop_html,
    markdown_text,
    market_html,
    notice_html,
    price_html,
    sentences_html,
    table_html,
    training_html,
)

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
CURVE = ((25, 0.5), (50, 0.3), (75, 0.25))
WIDTH, HEIGHT, NEAR = 300.0, 100.0, 4.0
"""A plot, and the distance of places beside its line, in pixels."""
TRAINING = TrainingProgress("r", NOW, NOW, "fitting", 25, 75, 100, CURVE)


def test_external_text_is_never_markup() -> None:
    """The browser shows the text of an event, an error or a URL as text, whatever it contains."""
    evil = '<img src=x onerror="alert(1)">'
    table = Table([Column(evil)], [[Cell(evil, hint=evil, tone="bad", link=f'"{evil}', note=evil)]])
    services = {name: ServiceStatus(activity=evil, unavailable={evil: evil}) for name in STAGES}
    activities = {name: LastActivity(evil, evil, NOW) for name in STAGES}
    batch = current_batch([Batch(1, 0, "loaded", verdict=evil, reason=evil)], [], None, None)
    assert batch
    for html in (
        table_html(table),
        sentences_html([evil]),
        notice_html(evil),
        badge_html(evil, "bad"),
        loop_html(stages(services, activities, {}, (), NOW), 0),
        batch_html(batch),
        training_html(TRAINING, evil),
        price_html(PriceAnswer("good", evil, [evil], [evil])),
    ):
        assert "<img" not in html
        assert "&lt;img" in html


def test_a_colour_never_appears_without_text() -> None:
    """A badge contains the text. The tone is only its class."""
    html = table_html(Table([Column("Verdict")], [[Cell("no drift", tone="good")]]))
    assert '<span class="badge good">no drift</span>' in html


def test_the_warnings_of_a_price_are_a_box_of_their_own() -> None:
    """Only if there are some. A screen reader announces the answer."""
    html = price_html(PriceAnswer("good", "Price: 1 USD", ["Version 3"], ["Broker: was not given"]))
    assert '<p>Version 3</p></div><div class="veleta notice warn"><p>Broker: was not given</p></div>' in html
    assert 'role="status"' in html
    assert "warn" not in price_html(PriceAnswer("good", "Price: 1 USD"))


def test_a_title_is_never_markdown() -> None:
    """Its letters stay, without emphasis, links, formulas, colours or HTML."""
    assert markdown_text("Lot (acres), optional") == "Lot (acres), optional"
    assert markdown_text("**a** $b$ [c](d) :red[e] <f> #g") == (r"\*\*a\*\* \$b\$ \[c\](d) \:red\[e\] \<f\> \#g")


def test_every_stage_has_a_position() -> None:
    """The wide layout has a place for each stage."""
    assert list(GRID_POSITIONS) == list(STAGES)


def test_only_a_busy_stage_is_animated() -> None:
    """The arrow to it moves. The clock sets the phase, so a refresh does not restart the animation."""
    services = {name: ServiceStatus(ready=True) for name in STAGES}
    html = loop_html(stages(services, {}, {}, {"trainer"}, NOW), 100.0)
    assert html.count("stage busy") == 1
    assert 'class="stage busy" data-stage="trainer"' in html
    assert "--phase:-0.80s" in html


Shape = list[tuple[float, float]]


def shapes(html: str) -> list[Shape]:
    """The corners of each shape that is cut out, in pixels from the upper left corner of a plot of WIDTH x HEIGHT."""
    return [
        [
            (pixels(x, WIDTH), pixels(y, HEIGHT))
            for x, y in re.findall(r"([\d.]+%|calc\(.*?\)) ([\d.]+%|calc\(.*?\))", path)
        ]
        for path in re.findall(r"polygon\((.*?)\)\"", html)
    ]


def pixels(length: str, whole: float) -> float:
    """A length of CSS: a share of the whole, or a sum."""
    terms = re.findall(r"([-+]?) ?([\d.]+)(%|px)", length)
    return sum(float(sign + number) * (whole / 100 if unit == "%" else 1) for sign, number, unit in terms)


def contains(shape: Shape, x: float, y: float) -> bool:
    """Whether a place is inside a shape: a ray to the right crosses its edges an odd number of times."""
    edges = zip(shape, [*shape[1:], shape[0]], strict=True)
    crossings = [x1 + (y - y1) * (x2 - x1) / (y2 - y1) for (x1, y1), (x2, y2) in edges if (y1 > y) != (y2 > y)]
    return sum(crossing > x for crossing in crossings) % 2 == 1


@pytest.mark.parametrize("errors", [(0.5, 0.3, 0.25), (0.5, 0.3, 0.4, 0.2), (0.2, 0.3), (0.3, 0.3, 0.3)])
def test_a_curve_shows_each_error_at_its_number_of_trees(errors: tuple[float, ...]) -> None:
    """The line is where the axes' labels say, from one point to the next. The area is below it, and not above."""
    curve = [(10 * number, error) for number, error in enumerate(errors, 1)]
    line, area = shapes(training_html(TrainingProgress("r", NOW, NOW, curve=tuple(curve)), ""))
    for (tree, error), (next_tree, next_error) in pairwise(curve):
        x = WIDTH * (tree + next_tree) / 2 / curve[-1][0]
        range_ = max(errors) - min(errors) or 1
        y = HEIGHT * (max(errors) - (error + next_error) / 2) / range_
        assert [contains(line, x, y + pixel) for pixel in (-NEAR, 0, NEAR)] == [False, True, False]
        assert [contains(area, x, y + pixel) for pixel in (-NEAR, NEAR)] == [False, True]


def test_the_axes_of_a_curve_have_labels() -> None:
    """They are the highest and the lowest error and the number of trees. The bar shows the share that is done."""
    html = training_html(TRAINING, "Fitting")
    assert [label for label in ("<small>0.5</small>", ">0.25</small>", "<small>75</small>") if label not in html] == []
    assert 'style="width:75%"' in html


def test_a_training_without_points_has_no_curve() -> None:
    """One point is no line. A finished training has no progress bar."""
    html = training_html(TrainingProgress("r", NOW, NOW, outcome="failed: x"), "Last training: failed: x")
    assert html == '<div class="veleta"><p>Last training: failed: x</p></div>'
    one_point = TrainingProgress("r", NOW, NOW, done=25, total=100, curve=CURVE[:1])
    assert "polygon" not in training_html(one_point, "Fitting")


def test_an_index_is_inside_its_band_in_each_period() -> None:
    """The line and the band are where the labels of the axis say, by the days between the periods."""
    market = parse_market(MARKET_BODY)
    assert market
    line, area = shapes(market_html(market))
    days = [(point.period - market.points[0].period).days for point in market.points]
    bands = [band(point.factor, point.error) for point in market.points]
    low, high = min(lower for lower, _ in bands), max(upper for _, upper in bands)
    for (day, point), (after, following) in pairwise(zip(days, market.points, strict=True)):
        x, index = WIDTH * (day + after) / 2 / days[-1], (point.factor + following.factor) / 2
        y = HEIGHT * (high - index) / (high - low)
        assert [contains(line, x, y + pixel) for pixel in (-NEAR, 0, NEAR)] == [False, True, False]
        assert contains(area, x, y)
        edge = HEIGHT * (high - (band(point.factor, point.error)[1] + band(following.factor, following.error)[1]) / 2)
        assert [contains(area, x, edge / (high - low) + pixel) for pixel in (-NEAR, NEAR)] == [False, True]


def test_an_index_can_be_read_without_the_picture() -> None:
    """Its text has the figures of each period, and so have the tooltips. The axis has its bounds."""
    market = parse_market(MARKET_BODY)
    assert market
    html = market_html(market)
    assert (
        'role="img" aria-label="price index, 2014-05 = 100, with its 80 % band: 2014-05: 100.0 (99.0 to 101.0);' in html
    )
    assert "2015-05: 107.4 (" in html
    assert html.count("<span title=") == 13
    assert "<small>2015-05</small>" in html


def test_one_period_is_no_line() -> None:
    """As before the second batch."""
    market = parse_market({**MARKET_BODY, "periods": MARKET_BODY["periods"][:1]})
    assert market
    assert market_html(market) == ""
