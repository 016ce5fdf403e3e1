"""The lines of the demo and its live view."""

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from veleta.clock import utc_now
from veleta.events.catalogue import TrainingProgress
from veleta.events.envelope import Event
from veleta_local.demo.event_messages import EventMessages, Message
from veleta_local.demo.run_observer import ExampleRequests, PartStatus, RunObserver
from veleta_local.demo.terminal import Terminal, view

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PARTS = [
    PartStatus("kafka", ready=True, doing="answers", lag=None),
    PartStatus("mlflow", ready=False, doing="does not listen yet", lag=None),
    PartStatus("poller", ready=True, doing="waits for the next batch", lag=None),
    PartStatus("loader", ready=False, doing=f"waits for mysql: {'down ' * 40}", lag=1234),
]


def observed(**attributes: object) -> RunObserver:
    """An observer with these attributes."""
    empty = {"parts": [], "example": ExampleRequests(), "messages": EventMessages(), "unit": "USD"}
    return cast("RunObserver", SimpleNamespace(**{**empty, **attributes}))


def lines(observer: RunObserver, width: int = 80) -> list[str]:
    """The view as lines of plain text."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view(observer, NOON))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_view_shows_parts_training_and_the_example() -> None:
    """Services with state and lag, servers in one line, the training with the time left, each version's prediction."""
    messages = EventMessages()
    for seconds, done in ((-10, 0), (0, 50)):
        progress = TrainingProgress(request_id="homes/1/4/retrain", phase="fitting", done=done, of=100)
        messages.on_event(Event("id", "test", NOON + timedelta(seconds=seconds), progress))
    example = ExampleRequests(12, 4.4, {1: 205057.2, 2: 251000.0}, "")
    shown = lines(observed(parts=PARTS, messages=messages, example=example))
    assert [line for line in shown if line] == [
        "  service  state      lag    doing",
        "  poller   ready             waits for the next batch",
        "  loader   not ready  1,234  waits for mysql: down down down down down down dow…",
        "  kafka ready  mlflow not ready",
        f"  training   {'━' * 15}{' ' * 15}  1/4: fitting 50 of 100, 10 s left",
        "  serving    the example: v1 205,057  v2 251,000 USD  12 requests, 4 ms",
        "  Ctrl-C ends all processes; the data stay, and make demo continues with them.",
    ]


def test_the_view_without_a_model_shows_the_reason() -> None:
    """No training, and the error of inference."""
    shown = lines(observed(example=ExampleRequests(error="no version has been promoted yet")))
    assert "  training   no training is running" in shown
    assert "  serving    no version has been promoted yet" in shown


def test_a_pipe_gets_lines_without_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """A long message stays one line; square brackets are no markup; there is no view."""
    terminal = Terminal(Console(), utc_now)
    with terminal.live_view(cast("RunObserver", None)):
        terminal.print_message(Message(NOON, "batch 1/4", f"refused: [red] {'x' * 200}", "error"))
    assert capsys.readouterr().out == f"{NOON.astimezone():%H:%M:%S}  batch 1/4       refused: [red] {'x' * 200}\n"


def test_a_terminal_shows_lines_above_the_view() -> None:
    """Both are drawn, and the view is erased at the end."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, height=24, color_system=None)
    terminal = Terminal(console, lambda: NOON)
    with terminal.live_view(observed(parts=PARTS)):
        terminal.print_message(Message(NOON, "batch 1/4", "fetched", "info"))
    text = output.getvalue()
    places = [text.index("batch 1/4       fetched"), text.index("no training is running")]
    assert places == sorted(places)
    assert text.rstrip().endswith("\x1b[1A\x1b[2K")
