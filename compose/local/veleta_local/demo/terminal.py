"""Draws the demo: on a terminal the lines run above a picture of the run as it is now, elsewhere they are all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from veleta.clock import Clock
from veleta_local.demo.story import Line, Tone, Training
from veleta_local.demo.watch import Sample, Stage, Watch

_STYLES: dict[Tone, str] = {"": "", "good": "green", "warn": "yellow", "bad": "red", "quiet": "dim"}
_SUBJECT, _BAR = 14, 30
"""Widths in characters."""
_SERVERS = ("kafka", "mysql", "mlflow", "retention", "monitor")
"""Parts that are no stage of the loop; one line is enough for them."""


class Screen:
    """Standard output."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._live = console.is_terminal and not console.is_dumb_terminal

    def say(self, text: str) -> None:
        """A sentence as it is."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def tell(self, line: Line) -> None:
        """A line of the story."""
        time, said = (f"{line.at.astimezone():%H:%M:%S}  ", "dim"), (line.text, _STYLES[line.tone])
        self._console.print(Text.assemble(time, f"{line.subject:<{_SUBJECT}}  ", said), soft_wrap=True)

    @contextmanager
    def showing(self, watch: Watch) -> Iterator[None]:
        """Keep the picture below the lines, where there is a terminal."""
        if not self._live:
            yield
            return
        live = Live(
            get_renderable=lambda: picture(watch, self._clock()),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        with live:
            yield


def picture(watch: Watch, now: datetime) -> RenderableType:
    """The run as it is at `now`."""
    return Group(
        "",
        _stages(watch.stages),
        _row("training", *_training(watch.story.training, now)),
        _row("serving", *_sample(watch.sample, watch.unit)),
        Text("  Ctrl-C ends everything; the data stay, and make demo goes on with them.", "dim"),
    )


def _stages(stages: Sequence[Stage]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for head in ("  stage", "state", "lag"):
        table.add_column(head, no_wrap=True)
    table.add_column("doing", no_wrap=True, overflow="ellipsis", ratio=1)
    for stage in (each for each in stages if each.name not in _SERVERS):
        lag = "" if stage.lag is None else f"{stage.lag:,}"
        table.add_row(f"  {stage.name}", _state(stage), lag, Text(stage.doing))
    servers = [part for each in stages if each.name in _SERVERS for part in (Text(f"{each.name} "), _state(each), "  ")]
    return Group(table, Text.assemble("  ", *servers))


def _state(stage: Stage) -> Text:
    return Text("ready", "green") if stage.ready else Text("not ready", "yellow")


def _row(head: str, *parts: RenderableType) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_row(f"  {head:<9}", *parts)
    return row


def _training(training: Training | None, now: datetime) -> list[RenderableType]:
    if training is None:
        return [Text("nothing is being trained", "dim")]
    left = training.seconds_left(now)
    words = f"{training.subject.removeprefix('training ')}: {training.phase} {training.done:,} of {training.of:,}"
    bar = ProgressBar(total=training.of, completed=training.done, width=_BAR)
    return [bar, Text(words if left is None else f"{words}, {left:.0f} s left")]


def _sample(sample: Sample, unit: str) -> list[RenderableType]:
    if sample.trouble:
        return [Text(sample.trouble, "yellow")]
    prices = "  ".join(f"v{version} {price:,.0f}" for version, price in sample.prices.items())
    asked = Text(f"asked {sample.answered:,} times, {sample.ms:.0f} ms", "dim")
    return [Text(f"the example: {prices} {unit}", "bold"), asked]
