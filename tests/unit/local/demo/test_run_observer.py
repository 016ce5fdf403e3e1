"""What the observer of a run reports."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.http import served
from support.records import message
from support.twins.shared import MemoryLog
from veleta.dataset import load_dataset
from veleta.planted_market import Jump, PlantedMarket
from veleta_local import status
from veleta_local.demo.event_messages import Message
from veleta_local.demo.run_observer import FIRST_READ, RunObserver, compared_levels, newest_offsets
from veleta_local.errors import RunStopped
from veleta_local.run import Run
from veleta_local.variables import Variables

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Observed:
    """An observer of a run whose parts have given states."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path, ready: list[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        monkeypatch.setattr(status, "rows", lambda _run: self.rows)
        monkeypatch.setattr(RunObserver, "_lags", lambda _self: {})
        self._messages: list[Message] = []
        dataset = load_dataset("real_estate")
        self.observer = RunObserver(Run(home), dataset, self._messages.append, lambda: NOON, ready)

    async def poll(self, **ready: bool) -> list[tuple[str, str, str]]:
        """The messages of one look at the parts."""
        doing = {True: "answers", False: "waits for kafka"}
        self.rows = [
            {"part": name, "pid": 1, "ready": is_ready, "doing": doing[is_ready], "warnings": ["look"]}
            for name, is_ready in ready.items()
        ]
        self._messages.clear()
        await self.observer._poll_parts()
        return [(message.subject, message.text, message.level) for message in self._messages]


async def test_a_change_of_readiness_is_reported_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Parts that the start reported before are not reported again."""
    observed = Observed(monkeypatch, tmp_path, ["kafka"])
    assert await observed.poll(kafka=True, poller=True, loader=False) == [("poller", "ready", "success")]
    assert await observed.poll(kafka=True, poller=True, loader=False) == []
    assert await observed.poll(kafka=False, poller=True, loader=True) == [
        ("kafka", "waits for kafka", "warning"),
        ("loader", "ready", "success"),
    ]
    assert [part.warnings for part in observed.observer.parts] == [["look"]] * 3


@pytest.mark.failure("F415")
async def test_a_part_sends_no_commands_to_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its activity, its warnings and the error of an answer can have the text of a record or a response."""
    observed = Observed(monkeypatch, tmp_path, [])
    hostile, shown = "\x1b]0;owned\x07\x9b2J", r"\x1b]0;owned\x07\x9b2J"
    observed.rows = [{"part": "poller", "pid": 1, "ready": True, "doing": hostile, "warnings": [hostile]}]
    await observed.observer._poll_parts()
    observed.observer._on_error(hostile)
    (part,) = observed.observer.parts
    assert (part.doing, part.warnings, observed.observer.example.error) == (shown, [shown], shown)


async def test_a_run_without_a_process_was_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By another command."""
    observed = Observed(monkeypatch, tmp_path, [])
    with pytest.raises(RunStopped, match="another command stopped the run"):
        await observed.poll()


async def test_a_start_that_cannot_succeed_is_an_error_until_each_part_was_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A part that fails later is restarted, and the demo goes on."""
    checks: list[str] = []
    monkeypatch.setattr(Run, "check_start", lambda _run: checks.append("check"))
    monkeypatch.setattr(Run, "end_watch", lambda _run: checks.append("end"))
    observed = Observed(monkeypatch, tmp_path, [])
    await observed.poll(**dict.fromkeys(Run(tmp_path).parts, True) | {"inference": False})
    await observed.observer._check_start()
    assert checks == ["check"]
    await observed.poll(**dict.fromkeys(Run(tmp_path).parts, False) | {"inference": True})
    await observed.observer._check_start()
    assert checks == ["check", "check", "end"]


@pytest.mark.failure("F244")
def test_a_demo_reads_few_of_the_old_events() -> None:
    """Each topic from near its end, whatever its length."""
    log = MemoryLog()
    log.publish([message("d.batches")] * 1_000)
    log.publish([message("d.drift")] * 3)
    assert newest_offsets(log, ["d.batches", "d.drift"]) == {("d.batches", 0): 1_000 - FIRST_READ, ("d.drift", 0): 0}


MARKET: dict[str, Any] = {
    "every": "month", "since": "2024-01", "as_of": "2024-03-31", "factor": 1.043, "error": 0.008, "level_seq": 2,
    "periods": [{"period": "2024-01-01", "factor": 1.0, "error": 0.01}],
}  # fmt: skip
"""`market` of GET /model."""
FOUND = "prices on 2024-03-31 against 2024-01: +4.3 % found (± 0.8), "


def test_the_found_level_is_beside_the_planted_one() -> None:
    """Both against the mean of the first period, on the day that the level follows."""
    fallen = PlantedMarket(start=date(2024, 1, 1), rows=1, jumps=[Jump(on=date(2024, 2, 1), level=-0.1)])
    assert compared_levels(fallen, MARKET) == f"{FOUND}-9.5 % planted"
    later = {**MARKET, "periods": [{"period": "2024-02-01"}]}
    assert compared_levels(fallen, later).endswith("+0.0 % planted")
    rising = PlantedMarket(start=date(2024, 1, 1), rows=1, monthly=0.01)
    assert compared_levels(rising, MARKET) == f"{FOUND}+2.5 % planted"


async def test_each_update_of_the_level_is_compared_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And that of each version. Without an answer, or with another one, nothing is reported."""
    bodies: list[Any] = [
        {"version": 3, "market": MARKET},
        {"version": 3, "market": MARKET},
        {"version": 3, "market": {**MARKET, "level_seq": 3}},
        {"version": 4, "market": {**MARKET, "level_seq": 3}},
        {"version": 5, "market": None},
        {"detail": "no model yet"},
        {"version": 6, "market": {}},
        {"version": 6, "market": {"level_seq": 1}},
        [],
    ]
    answers = iter(bodies)

    async def model(_request: web.Request) -> web.Response:
        return web.json_response(next(answers))

    app = web.Application()
    app.add_routes([web.get("/model", model)])
    messages: list[Message] = []
    with served(app) as url:
        monkeypatch.setattr(Run, "url", lambda *_: url)
        observer = RunObserver(Run(tmp_path), load_dataset("sales"), messages.append, lambda: NOON, [])
        assert observer._planted
        for _ in bodies:
            await observer._compare_levels(observer._planted)
    await observer._compare_levels(observer._planted)  # inference is down
    assert [message.subject for message in messages] == ["market"] * 3
    assert messages[0].text.startswith(FOUND)


def test_nothing_is_planted_in_rows_that_are_not_generated(tmp_path: Path) -> None:
    """Those of a file, of an API, or of a generator that declares no dates."""
    sales, report = load_dataset("sales"), list[Message]().append
    for run, dataset in (
        (Run(tmp_path, Variables(dataset="sales", csv="sales.csv")), sales),
        (Run(tmp_path, Variables(dataset="sales", api_url="http://127.0.0.1:1")), sales),
        (Run(tmp_path), load_dataset("real_estate")),
    ):
        assert RunObserver(run, dataset, report, lambda: NOON, [])._planted is None
