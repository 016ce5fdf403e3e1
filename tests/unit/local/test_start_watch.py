"""What a start shows while it waits."""

import pytest

from veleta_local import start_watch
from veleta_local.health import Health
from veleta_local.start_watch import WaitingLines


def waiting(reason: str) -> Health:
    return Health(ready=False, doing="starting", waits_for={"model": reason})


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines without a pause between them."""
    monkeypatch.setattr(start_watch, "LINE_SECONDS", 0.0)
    return []


def test_a_line_is_shown_when_what_a_part_waits_for_changes(lines: list[str]) -> None:
    """Once. A part that waits for nothing shows what it does."""
    shown = WaitingLines(lines.append)
    for text in ("no model yet: training 1/0 is at tree 0 of 500", "no model yet: training 1/0 is at tree 25 of 500"):
        shown.show({"inference": waiting(text), "source": Health(ready=False, doing="splitting")})
        shown.show({"inference": waiting(text)})
    assert lines == [
        "inference: no model yet: training 1/0 is at tree 0 of 500",
        "source: splitting",
        "inference: no model yet: training 1/0 is at tree 25 of 500",
    ]


def test_a_part_has_one_line_in_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones, while everything starts, are not shown."""
    lines: list[str] = []
    shown = WaitingLines(lines.append)
    shown.show({"inference": waiting("not yet started")})
    assert lines == []
    monkeypatch.setattr(start_watch, "LINE_SECONDS", 0.0)
    shown.show({"inference": waiting("not yet started")})
    monkeypatch.setattr(start_watch, "LINE_SECONDS", 60.0)
    shown.show({"inference": waiting("no model yet")})
    assert lines == ["inference: not yet started"]
