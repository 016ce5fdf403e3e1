"""The live block of the demo."""

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from veleta.events.catalogue import TrainingProgress
from veleta.events.envelope import Event
from veleta_local.demo.event_messages import EventMessages
from veleta_local.demo.run_observer import ExampleRequests, PartStatus, RunObserver
from veleta_local.demo.view import HINT, view

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PARTS = [
    PartStatus("kafka", ready=True, doing="answers", lag=None),
    PartStatus("mysql", ready=True, doing="answers", lag=None),
    PartStatus("mlflow", ready=False, doing="does not listen yet", lag=None),
    PartStatus("source", ready=True, doing="serving 6 batches", lag=None, warnings=["9 of 12 rows are left out"]),
    PartStatus("loader", ready=False, doing=f"waits for mysql: {'down ' * 40}", lag=1234),
    PartStatus("retention", ready=False, doing="", lag=None),
    PartStatus("monitor", ready=False, doing="", lag=None),
]
ADDRESSES = {
    "monitor": "http://127.0.0.1:8501",
    "predict": "http://127.0.0.1:8000/predict",
    "MLflow": "http://127.0.0.1:5000",
}


def observed(**attributes: object) -> RunObserver:
    """An observer with these attributes."""
    empty = {
        "parts": [],
        "example": ExampleRequests(),
        "messages": EventMessages(),
        "unit": "USD",
        "addresses": ADDRESSES,
        "polls_by_hand": False,
    }
    return cast("RunObserver", SimpleNamespace(**{**empty, **attributes}))


def training_messages() -> EventMessages:
    """After half of a training's trees."""
    messages = EventMessages()
    for seconds, done in ((-10, 0), (0, 250)):
        progress = TrainingProgress(request_id="homes/1/4/retrain", phase="fitting", done=done, of=500)
        messages.on_event(Event(f"id {done}", "test", NOON + timedelta(seconds=seconds), progress))
    return messages


def lines(observer: RunObserver, width: int = 80) -> list[str]:
    """The rows of the view without the empty one."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view(observer, NOON, width, HINT))
    return [line.rstrip() for line in console.export_text().splitlines() if line.strip()]


def test_the_view_in_80_columns() -> None:
    """Services with state and lag, servers, warnings, the training with the time left, predictions, addresses."""
    example = ExampleRequests(12, 4.4, {1: 205057.2, 2: 251000.0, 3: 251001.0, 4: 251002.0}, "")
    assert lines(observed(parts=PARTS, messages=training_messages(), example=example)) == [
        "  service  state      lag    doing",
        "  source   ready             serving 6 batches",
        "  loader   not ready  1,234  waits for mysql: down down down down down down dow…",
        "  servers    kafka ready  mysql ready  mlflow not ready  retention not ready",
        "             monitor not ready",
        "  warning    source: 9 of 12 rows are left out",
        f"  training   {'━' * 10}{' ' * 10}  1/4: fitting 250 of 500, 10 s left",
        "  serving    the example:  v1 205,057 USD  v2 251,000 USD  v3 251,001 USD",
        "             v4 251,002 USD  12 requests, 4 ms",
        "  monitor http://127.0.0.1:8501  predict http://127.0.0.1:8000/predict",
        "  MLflow http://127.0.0.1:5000",
        f"  {HINT}",
    ]


def test_the_view_in_120_columns() -> None:
    """The addresses, the servers and the predictions have one row each."""
    example = ExampleRequests(12, 4.4, {1: 205057.2, 2: 251000.0}, "")
    shown = lines(observed(parts=PARTS, example=example), 120)
    assert len(shown) == 9
    assert shown[-2] == (
        "  monitor http://127.0.0.1:8501  predict http://127.0.0.1:8000/predict  MLflow http://127.0.0.1:5000"
    )


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_word_is_broken(width: int) -> None:
    """Each word of the rows below the table is whole in a row."""
    text = " ".join(lines(observed(parts=PARTS, messages=training_messages()), width)[3:])
    words = f"servers kafka retention not ready left out training 1/4: fitting 250 of 500, {HINT}"
    assert set(words.split()) <= set(text.split())
    assert set(ADDRESSES.values()) <= set(text.split())


def test_the_view_without_a_model_shows_the_reason() -> None:
    """No training, and the words of inference."""
    shown = lines(observed(example=ExampleRequests(error="no model yet: training 1/0 is at tree 120 of 500")))
    assert "  training   no training is running" in shown
    assert "  serving    no model yet: training 1/0 is at tree 120 of 500" in shown


def test_the_view_shows_how_to_poll_by_hand() -> None:
    """With POLL=manual nothing happens before."""
    assert "  polling    make poll, in another terminal, fetches a batch" in lines(observed(polls_by_hand=True))


@pytest.mark.failure("F415")
def test_a_training_sends_no_commands_to_the_terminal() -> None:
    """Its phase and its id are from an event."""
    messages = EventMessages()
    progress = TrainingProgress(request_id="homes/1/4/retrain", phase="fitting\x1b[2J", done=1, of=2)
    messages.on_event(Event("id", "test", NOON, progress))
    assert any("fitting\\x1b[2J 1 of 2" in line for line in lines(observed(messages=messages)))
