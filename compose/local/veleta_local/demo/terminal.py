"""Prints the demo: lines, and on a terminal a live view of the run below them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from veleta.clock import Clock
from veleta_local.demo.event_messages import CurrentTraining, Level, Message
from veleta_local.demo.run_observer import ExampleRequests, PartStatus, RunObserver

_STYLES: dict[Level, str] = {"info": "", "success": "green", "warning": "yellow", "error": "red", "detail": "dim"}
_SUBJECT_WIDTH, _BAR_WIDTH = 14, 30
"""In characters."""
_SERVERS = ("kafka", "mysql", "mlflow", "retention", "monitor")
"""These parts do not process batches. They share one line."""


class Terminal:
    """Standard output, which may be no terminal."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._can_redraw = console.is_terminal and not console.is_dumb_terminal

    def print_text(self, text: str) -> None:
        """Print text as it is."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def print_message(self, message: Message) -> None:
        """Print a message as one line with its time."""
        time, text = (f"{message.at.astimezone():%H:%M:%S}  ", "dim"), (message.text, _STYLES[message.level])
        self._console.print(Text.assemble(time, f"{message.subject:<{_SUBJECT_WIDTH}}  ", text), soft_wrap=True)

    @contextmanager
    def live_view(self, observer: RunObserver) -> Iterator[None]:
        """Show the state of the run below the lines, if this is a terminal."""
        if not self._can_redraw:
            yield
            return
        live = Live(
            get_renderable=lambda: view(observer, self._clock()),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        with live:
            yield


def view(observer: RunObserver, now: datetime) -> RenderableType:
    """The state of the run at `now`."""
    return Group(
        "",
        _parts(observer.parts),
        _row("training", *_training(observer.messages.training, now)),
        _row("serving", *_example(observer.example, observer.unit)),
        Text("  Ctrl-C ends all processes; the data stay, and make demo continues with them.", "dim"),
    )


def _parts(parts: Sequence[PartStatus]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for head in ("  service", "state", "lag"):
        table.add_column(head, no_wrap=True)
    table.add_column("doing", no_wrap=True, overflow="ellipsis", ratio=1)
    for part in (part for part in parts if part.name not in _SERVERS):
        lag = "" if part.lag is None else f"{part.lag:,}"
        table.add_row(f"  {part.name}", _state(part), lag, Text(part.doing))
    servers = [cell for part in parts if part.name in _SERVERS for cell in (Text(f"{part.name} "), _state(part), "  ")]
    return Group(table, Text.assemble("  ", *servers))


def _state(part: PartStatus) -> Text:
    return Text("ready", "green") if part.ready else Text("not ready", "yellow")


def _row(head: str, *cells: RenderableType) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_row(f"  {head:<9}", *cells)
    return row


def _training(training: CurrentTraining | None, now: datetime) -> list[RenderableType]:
    if training is None:
        return [Text("no training is running", "dim")]
    left = training.seconds_left(now)
    text = f"{training.subject.removeprefix('training ')}: {training.phase} {training.done:,} of {training.of:,}"
    bar = ProgressBar(total=training.of, completed=training.done, width=_BAR_WIDTH)
    return [bar, Text(text if left is None else f"{text}, {left:.0f} s left")]


def _example(example: ExampleRequests, unit: str) -> list[RenderableType]:
    if example.error:
        return [Text(example.error, "yellow")]
    predictions = "  ".join(f"v{version} {value:,.0f}" for version, value in example.predictions.items())
    count = Text(f"{example.answered:,} requests, {example.ms:.0f} ms", "dim")
    return [Text(f"the example: {predictions} {unit}", "bold"), count]
