"""The parts of the page as the browser gets them."""

from datetime import UTC, datetime

from veleta_monitor.domain.batch_progress import newest_flight
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.formatting import Cell, Head, Table
from veleta_monitor.domain.stages import STAGES, Deed, Health, stages
from veleta_monitor.domain.training_progress import Course
from veleta_monitor.markup import (
    PLACES,
    badge_html,
    course_html,
    flight_html,
    notice_html,
    picture_html,
    sentences_html,
    table_html,
)

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
COURSE = Course("r", NOW, NOW, "fitting", 25, 75, 100, ((25, 0.5), (50, 0.3), (75, 0.25)))


def test_text_from_outside_is_never_markup() -> None:
    """Whatever an event, an error or an address holds, the browser shows it as text."""
    evil = '<img src=x onerror="alert(1)">'
    table = Table([Head(evil)], [[Cell(evil, hint=evil, tone="bad", link=f'"{evil}', note=evil)]])
    healths = {name: Health(doing=evil, waits_for={evil: evil}) for name in STAGES}
    deeds = {name: Deed(evil, evil, NOW) for name in STAGES}
    flight = newest_flight([Batch(1, 0, "loaded", verdict=evil, reason=evil)], [], None, None)
    assert flight
    for html in (
        table_html(table),
        sentences_html([evil]),
        notice_html(evil),
        badge_html(evil, "bad"),
        picture_html(stages(healths, deeds, {}, (), NOW), 0),
        flight_html(flight),
        course_html(COURSE, evil),
    ):
        assert "<img" not in html
        assert "&lt;img" in html


def test_a_tone_is_never_without_its_word() -> None:
    """A badge holds the word; the tone is only its class."""
    html = table_html(Table([Head("Verdict")], [[Cell("no drift", tone="good")]]))
    assert '<span class="badge good">no drift</span>' in html


def test_every_stage_has_a_place_in_the_picture() -> None:
    """On a wide screen each stands where the data passes it."""
    assert list(PLACES) == list(STAGES)


def test_only_a_stage_at_work_moves() -> None:
    """The way into it is set in motion, by the clock: a renewed page goes on where it was."""
    healths = {name: Health(ready=True) for name in STAGES}
    html = picture_html(stages(healths, {}, {}, {"trainer"}, NOW), 100.0)
    assert html.count("stage busy") == 1
    assert 'class="stage busy" data-stage="trainer"' in html
    assert "--phase:-0.80s" in html


def test_a_curve_goes_from_its_highest_to_its_lowest_point() -> None:
    """The axes bear the largest and smallest error and the last tree; the first line is cut along the points."""
    html = course_html(COURSE, "Fitting")
    line = "33.3% calc(0.0% - 1px),66.7% calc(80.0% - 1px),100.0% calc(100.0% - 1px)"
    assert f"clip-path:polygon({line}," in html
    assert [text for text in ("<small>0.5</small>", ">0.25</small>", "<small>75</small>") if text not in html] == []
    assert 'style="width:75%"' in html


def test_a_training_without_a_curve_has_none() -> None:
    """One point is no line; what has ended has no bar."""
    html = course_html(Course("r", NOW, NOW, end="failed: x"), "The last training: failed: x")
    assert html == '<div class="veleta"><p>The last training: failed: x</p></div>'
