"""What `make demo` says and draws, on events and looks of its own."""

import io
import os
import signal
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console
from veleta_local.demo.screen import Screen, picture
from veleta_local.demo.show import until_stopped
from veleta_local.demo.story import Line, Story, Tone
from veleta_local.demo.watch import Sample, Stage, Watch

from veleta.clock import utc_now
from veleta.events import catalogue as said
from veleta.events.envelope import Event
from veleta.topics import declared

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BATCH = {"dataset": "homes", "epoch": 1, "number": 4}
REQUEST = {"request_id": "homes/1/4/retrain"}
CAUSES = said.Causes(training="t", request="r", report=None, reason="first of the epoch", batches=[])
MODEL = {"model": "homes", "version": 3, "run_id": "abc"}
LETTER = {
    "error": "",
    "topic": "homes.batches",
    "partition": 0,
    "offset": 7,
    "first_key": "",
    "headers": {},
    "value": "",
}
TOLD: list[tuple[said.Payload, str, str, Tone]] = [
    (said.BatchOpened(**BATCH, rows=1476, digest="d"), "batch 1/4", "arrives with 1,476 rows", ""),
    (
        said.BatchClosed(**BATCH, rows=1476, chunks=1, digest="d", dataset_digest="e", ranges=[]),
        "batch 1/4",
        "taken: 1,476 rows are in Kafka",
        "",
    ),
    (
        said.BatchClosed(**BATCH, rows=2, chunks=1, digest="d", dataset_digest="e", ranges=[], findings=["odd", "so"]),
        "batch 1/4",
        "taken: 2 rows are in Kafka; odd; so",
        "warn",
    ),
    (said.BatchRefused(**BATCH, reason="no JSON", status=200, body="f"), "batch 1/4", "refused: no JSON", "bad"),
    (said.BatchMissed(**BATCH, reason="the API moved on"), "batch 1/4", "missed: the API moved on", "bad"),
    (
        said.DriftAssessed(
            **BATCH, previous=3, verdict="drift", reason="mean by 0.4", policy="", threshold=0.1, dataset_digest=""
        ),
        "batch 1/4",
        "drift: mean by 0.4",
        "warn",
    ),
    (
        said.RetrainRequested(**BATCH, reason="drift", first=False, batches=["homes/1/3", "homes/1/4"]),
        "batch 1/4",
        "asks for a model: drift",
        "",
    ),
    (said.TrainingStarted(**REQUEST, recipe={}), "training 1/4", "starts", ""),
    (said.TrainingMerged(**REQUEST, into="homes/1/5/retrain"), "training 1/4", "is part of training 1/5", "quiet"),
    (said.TrainingSkipped(**REQUEST, reason="no news"), "training 1/4", "is not needed: no news", "quiet"),
    (said.TrainingFailed(**REQUEST, reason="too few rows"), "training 1/4", "failed: too few rows", "bad"),
    (
        said.ModelRegistered(**MODEL, recipe={}, native="n", metrics={"mae": 54399.4}),
        "version 3",
        "is registered with an MAE of 54,399",
        "",
    ),
    (
        said.ModelPromoted(**MODEL, seq=3, previous=2, reason="better", native="n", metrics={}, causes=CAUSES),
        "version 3",
        "promoted: better",
        "good",
    ),
    (
        said.ModelRejected(**MODEL, seq=3, champion=2, reason="worse", metrics={}, causes=CAUSES),
        "version 3",
        "rejected, version 2 stays: worse",
        "warn",
    ),
    (said.Poll(dataset="homes", actor="ana", reason="to see"), "tap", "ana asks: poll (to see)", ""),
    (said.Pause(dataset="homes", actor="ana"), "tap", "ana asks: pause", ""),
    (said.Resume(dataset="homes", actor="ana"), "tap", "ana asks: resume", ""),
    (said.CommandAccepted(dataset="homes", command="c", effect="it goes on"), "tap", "it goes on", "good"),
    (said.CommandRefused(dataset="homes", command="c", reason="at the end"), "tap", "refused: at the end", "bad"),
    (
        said.RecordDeadlettered(**LETTER, service="loader", reason="no JSON"),
        "dead letter",
        "from loader: no JSON (make dead shows it)",
        "bad",
    ),
]  # fmt: skip
SILENT = {said.DatasetDeclared, said.BatchRows, said.TrainingFinished}
"""What others say, or what is no news; progress has tests of its own."""


def heard(story: Story, payload: said.Payload, seconds: float = 0) -> Line | None:
    return story.hear(Event("id", "test", NOON + timedelta(seconds=seconds), payload))


@pytest.mark.parametrize(("payload", "subject", "text", "tone"), TOLD, ids=lambda value: getattr(value, "TYPE", ""))
def test_an_event_is_a_sentence(payload: said.Payload, subject: str, text: str, tone: Tone) -> None:
    """Golden sentences."""
    assert heard(Story(), payload) == Line(NOON, subject, text, tone)


def test_every_declared_event_has_its_sentence_or_is_left_out_on_purpose() -> None:
    """An event that joins the topics has to be thought of here."""
    known = {type(payload) for payload, *_ in TOLD} | SILENT | {said.TrainingProgress}
    assert {event for topic in declared("homes") for event in topic.events} == known


def test_progress_is_a_line_for_each_phase_and_a_pace() -> None:
    """Ten trees in five seconds: the ninety that remain take forty-five; time that passes is taken off."""
    story = Story()
    assert heard(story, said.TrainingProgress(**REQUEST, phase="fitting", done=0, of=100)) == Line(
        NOON, "training 1/4", "fitting", "quiet"
    )
    assert story.training is not None
    assert story.training.seconds_left(NOON) is None
    assert heard(story, said.TrainingProgress(**REQUEST, phase="fitting", done=10, of=100), 5) is None
    assert story.training.seconds_left(NOON + timedelta(seconds=5)) == pytest.approx(45)
    assert story.training.seconds_left(NOON + timedelta(seconds=15)) == pytest.approx(35)
    assert story.training.seconds_left(NOON + timedelta(seconds=500)) == 0
    assert heard(story, said.TrainingProgress(**REQUEST, phase="explaining", done=0, of=1), 60) == Line(
        NOON + timedelta(seconds=60), "training 1/4", "explaining", "quiet"
    )


@pytest.mark.parametrize(
    "end",
    [
        said.TrainingFinished(**REQUEST, run_id="abc", version=3, decision="promoted", metrics={}),
        said.TrainingFailed(**REQUEST, reason="too few rows"),
    ],
    ids=lambda end: end.TYPE,
)
def test_an_ended_training_is_not_shown_any_longer(end: said.Payload) -> None:
    """Whether it went well or not."""
    story = Story()
    heard(story, said.TrainingProgress(**REQUEST, phase="fitting", done=0, of=100))
    heard(story, end)
    assert story.training is None


def drawn(width: int, **seen: object) -> list[str]:
    """The picture as lines of plain text."""
    nothing = {"stages": [], "sample": Sample(), "story": Story(), "unit": "USD"}
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(picture(cast("Watch", SimpleNamespace(**{**nothing, **seen})), NOON))
    return [line.rstrip() for line in console.export_text().splitlines()]


STAGES = [
    Stage("kafka", ready=True, doing="answers", lag=None),
    Stage("mlflow", ready=False, doing="does not listen yet", lag=None),
    Stage("poller", ready=True, doing="waits for the next batch", lag=None),
    Stage("loader", ready=False, doing=f"waits for mysql: {'away ' * 40}", lag=1234),
]


def test_the_picture_shows_stages_training_and_the_example() -> None:
    """Stages with state and lag, one line for the servers, the bar with the time left, and each version's price."""
    story = Story()
    heard(story, said.TrainingProgress(**REQUEST, phase="fitting", done=0, of=100), -10)
    heard(story, said.TrainingProgress(**REQUEST, phase="fitting", done=50, of=100), 0)
    sample = Sample(12, 4.4, {1: 205057.2, 2: 251000.0}, "")
    lines = drawn(80, stages=STAGES, story=story, sample=sample)
    assert [line for line in lines if line] == [
        "  stage   state      lag    doing",
        "  poller  ready             waits for the next batch",
        "  loader  not ready  1,234  waits for mysql: away away away away away away away…",
        "  kafka ready  mlflow not ready",
        f"  training   {'━' * 15}{' ' * 15}  1/4: fitting 50 of 100, 10 s left",
        "  serving    the example: v1 205,057  v2 251,000 USD  asked 12 times, 4 ms",
        "  Ctrl-C ends everything; the data stay, and make demo goes on with them.",
    ]


def test_the_picture_without_a_model_says_why() -> None:
    """No training, and what inference answers."""
    lines = drawn(80, sample=Sample(trouble="no version has been promoted yet"))
    assert "  training   nothing is being trained" in lines
    assert "  serving    no version has been promoted yet" in lines


def test_elsewhere_than_on_a_terminal_there_are_lines_and_no_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain text that goes on in one line however long it is; square brackets are no markup."""
    screen = Screen(Console(), utc_now)
    with screen.showing(cast("Watch", None)):
        screen.tell(Line(NOON, "batch 1/4", f"refused: [red] {'x' * 200}", "bad"))
    assert capsys.readouterr().out == f"{NOON.astimezone():%H:%M:%S}  batch 1/4       refused: [red] {'x' * 200}\n"


def test_on_a_terminal_lines_run_above_the_picture() -> None:
    """Both are drawn, and the picture is wiped at the end."""
    output = io.StringIO()
    screen = Screen(Console(file=output, force_terminal=True, width=80, height=24, color_system=None), lambda: NOON)
    seen = SimpleNamespace(stages=STAGES, sample=Sample(), story=Story(), unit="USD")
    with screen.showing(cast("Watch", seen)):
        screen.tell(Line(NOON, "batch 1/4", "arrives", ""))
    text = output.getvalue()
    places = [text.index("batch 1/4       arrives"), text.index("nothing is being trained")]
    assert places == sorted(places)
    assert text.rstrip().endswith("\x1b[1A\x1b[2K")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo(number: signal.Signals) -> None:
    """What runs is left, and a second signal changes nothing, so that the run is stopped in peace."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    console = Console(file=io.StringIO())
    try:
        with until_stopped(Screen(console, utc_now)):
            os.kill(os.getpid(), number)
            pytest.fail("the block goes on")
        os.kill(os.getpid(), number)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert cast("io.StringIO", console.file).getvalue() == "ending everything\n"
