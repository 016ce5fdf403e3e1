"""The live block: the state of the parts, of the training and of serving, and the addresses."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from veleta.printable import printable
from veleta_local.demo.event_messages import CurrentTraining
from veleta_local.demo.run_observer import ExampleRequests, PartStatus, RunObserver

HINT = "Ctrl-C ends all processes; the data stay, and make demo continues with them."
VIEWER_HINT = "This is a viewer: Ctrl-C ends only the viewer; make stop ends the run."
_INDENT, _HEAD_WIDTH, _BAR_WIDTH = 2, 13, 20
"""In characters."""
_WITHOUT_BAR = 70
"""A narrower terminal shows no bar."""
_SERVERS = ("kafka", "mysql", "mlflow", "retention", "monitor")
"""These parts do not process batches. They share one row."""


def view(observer: RunObserver, now: datetime, width: int, hint: str) -> RenderableType:
    """The state of the run at `now`, in `width` columns. `hint` says what Ctrl-C does."""
    parts = observer.parts
    servers = [Text.assemble(part.name, " ", _state(part)) for part in parts if part.name in _SERVERS]
    addresses = [Text(f"{name} {address}") for name, address in observer.addresses.items()]
    return Group(
        "",
        _services([part for part in parts if part.name not in _SERVERS]),
        _row("servers", _flow(servers, width - _HEAD_WIDTH)),
        *(_row("warning", Text(f"{part.name}: {text}", "yellow")) for part in parts for text in part.warnings),
        _row("training", *_training(observer.messages.training, now, width)),
        _serving(observer.example, observer.unit, width),
        Padding(_flow(addresses, width - _INDENT), (0, 0, 0, _INDENT)),
        *([_row("polling", Text("make poll, in another terminal, fetches a batch"))] if observer.polls_by_hand else []),
        Padding(Text(hint, "dim"), (0, 0, 0, _INDENT)),
    )


def _services(parts: Sequence[PartStatus]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for head in ("  service", "state", "lag"):
        table.add_column(head, no_wrap=True)
    table.add_column("doing", no_wrap=True, overflow="ellipsis", ratio=1)
    for part in parts:
        lag = "" if part.lag is None else f"{part.lag:,}"
        table.add_row(f"  {part.name}", _state(part), lag, Text(part.doing))
    return table


def _state(part: PartStatus) -> Text:
    return Text("ready", "green") if part.ready else Text("not ready", "yellow")


def _row(head: str, *cells: RenderableType) -> RenderableType:
    """A head and cells, whose words continue below their beginning."""
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(no_wrap=True)
    row.add_row(f"  {head}".ljust(_HEAD_WIDTH - 2), *cells)
    return row


def _flow(items: Sequence[Text], width: int) -> RenderableType:
    """As many items in each row as fit. No item is broken."""
    rows = [Text()]
    for item in items:
        if rows[-1] and rows[-1].cell_len + len("  ") + item.cell_len > width:
            rows.append(Text())
        rows[-1].append_text(Text("  " if rows[-1] else "") + item)
    return Group(*rows)


def _training(training: CurrentTraining | None, now: datetime, width: int) -> list[RenderableType]:
    if training is None:
        return [Text("no training is running", "dim")]
    left = training.seconds_left(now)
    subject = training.subject.removeprefix("training ")
    text = printable(f"{subject}: {training.phase} {training.done:,} of {training.of:,}")
    bar = ProgressBar(total=training.of, completed=training.done, width=_BAR_WIDTH)
    label = Text(text if left is None else f"{text}, {left:.0f} s left")
    return [bar, label] if width >= _WITHOUT_BAR else [label]


def _serving(example: ExampleRequests, unit: str, width: int) -> RenderableType:
    if example.error:
        return _row("serving", Text(example.error, "yellow"))
    predictions = [Text(f"v{v} {value:,.0f} {unit}".rstrip(), "bold") for v, value in example.predictions.items()]
    count = Text(f"{example.answered:,} requests, {example.ms:.0f} ms", "dim")
    return _row("serving", _flow([Text("the example:"), *predictions, count], width - _HEAD_WIDTH))
