"""The HTML of the page."""

import re
from datetime import UTC, datetime

from veleta_monitor.domain.batch_progress import current_batch
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.stages import STAGES, LastActivity, ServiceStatus, stages
from veleta_monitor.domain.table import Cell, Column, Table
from veleta_monitor.domain.training_progress import TrainingProgress
from veleta_monitor.markup import (
    GRID_POSITIONS,
    badge_html,
    batch_html,
    loop_html,
    notice_html,
    sentences_html,
    table_html,
    training_html,
)

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
CURVE = ((25, 0.5), (50, 0.3), (75, 0.25))
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
    ):
        assert "<img" not in html
        assert "&lt;img" in html


def test_a_colour_never_appears_without_text() -> None:
    """A badge contains the text. The tone is only its class."""
    html = table_html(Table([Column("Verdict")], [[Cell("no drift", tone="good")]]))
    assert '<span class="badge good">no drift</span>' in html


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


def polygons(html: str) -> list[list[tuple[float, float]]]:
    """The points of each polygon, in percent from the upper left corner."""
    return [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.]+)% (?:calc\()?([\d.]+)%", polygon)]
        for polygon in re.findall(r"polygon\((.*?)\)\"", html)
    ]


def test_a_curve_goes_from_the_highest_error_to_the_lowest() -> None:
    """The line has an upper and a lower edge with one point per point of the curve. The area ends at the bottom."""
    line, area = polygons(training_html(TRAINING, "Fitting"))
    upper, lower = line[: len(CURVE)], line[len(CURVE) :]
    assert len(line) == 2 * len(CURVE)
    assert lower == upper[::-1]
    assert [x for x, _ in upper] == [33.3, 66.7, 100]
    assert [y for _, y in upper] == [0, 80, 100]
    assert area == [*upper, (100, 100), (33.3, 100)]


def test_a_curve_stays_inside_its_box() -> None:
    """Trees grow to the right. A higher error is nearer to the top, also if errors increase or are all the same."""
    for errors in ((0.5, 0.3, 0.4, 0.2), (0.3, 0.3, 0.3, 0.3)):
        points = tuple((10 * (index + 1), error) for index, error in enumerate(errors))
        (line, _) = polygons(training_html(TrainingProgress("r", NOW, NOW, curve=points), ""))
        places = line[: len(points)]
        assert [x for x, _ in places] == sorted(x for x, _ in places)
        assert all(0 <= value <= 100 for place in line for value in place)
        by_error = sorted(zip(errors, (y for _, y in places), strict=True), reverse=True)
        assert [y for _, y in by_error] == sorted(y for _, y in places)


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
