"""The API at its worst: poller and loader hear one long script, and each hostility has left its trace and no damage."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.hostile import SPELLINGS, Answer, answering, detail, half, hang_up, of_rows, silence
from support.listings import api_rows
from support.world import World, eventually
from veleta.dataset import load_dataset
from veleta.tables import batches, dataset_tables

DATASET = load_dataset("real_estate")
ROWS = 3
NUMBER = next(c.name for c in DATASET.columns if c.kind == "number" and c.name != DATASET.target)
TEXT = next(c.name for c in DATASET.columns if c.kind == "category")
UNFIT = f"values that do not fit: '{NUMBER}' (1 rows)"
Row = dict[str, Any]
Place = tuple[int, int]


def rows(number: int, seed: int = 1) -> list[Row]:
    """The good rows of a batch."""
    return list(api_rows(number % 6, ROWS, 100 * seed + number))


def with_value(number: int, column: str, value: object) -> list[Row]:
    """Good rows, but that the first one holds this."""
    first, *others = rows(number)
    return [{**first, column: value}, *others]


@dataclass
class Case:
    """A hostility: what the API answers, what the ledger says at `place` then, and the word for it in the log."""

    name: str
    answers: list[Answer]
    place: Place
    finding: str
    log: str
    state: str = "loaded"
    arrived: dict[Place, list[Row]] = field(default_factory=dict)
    clean: int = ROWS
    kept: list[bytes] = field(default_factory=list)


def refused(name: str, number: int, bad: tuple[int, bytes], reason: str) -> Case:
    """An answer that is no batch, before the good one of the same number."""
    good = rows(number)
    return Case(
        name, [bad, of_rows(number, good)], (1, number), reason, reason,
        arrived={(1, number): good}, kept=[bad[1]],
    )  # fmt: skip


def lost(name: str, number: int, bad: Answer | None, log: str) -> Case:
    """A batch that never came, before the next one."""
    good = rows(number + 1)
    answers = [*([bad] if bad else []), of_rows(number + 1, good)]
    came = f"missed: batch {number + 1} came instead"
    return Case(name, answers, (1, number), came, log, "missed", arrived={(1, number + 1): good})


def odd(
    name: str, number: int, sent: list[Row], finding: str, received: list[Row] | None = None, clean: int = 2
) -> Case:
    """A batch whose rows are odd."""
    return Case(
        name, [of_rows(number, sent)], (1, number), finding, finding or f"/1/{number}",
        arrived={(1, number): received or sent}, clean=clean,
    )  # fmt: skip


def hostilities() -> list[Case]:
    """In the order of the script."""
    whole = rows(19)
    return [
        refused("status 500", 1, (500, b"Internal Server Error"), "HTTP 500"),
        lost("a time-out", 2, silence, "Timeout"),
        lost("half a body", 4, half, "ClientPayloadError"),
        lost("no answer at all", 6, hang_up, "Disconnected"),
        refused("broken JSON", 8, (200, b'{"batch_number": 8, "da'), "not JSON"),
        refused("no data", 9, (200, b'{"batch_number": 9}'), "data is missing"),
        refused("an empty batch", 10, (200, b'{"batch_number": 10, "data": []}'), "the batch is empty"),
        refused("200 with detail", 11, (200, b'{"detail": "try later"}'), "no number of a batch (detail: try later)"),
        Case(
            "a repeated number", [of_rows(11, rows(11)), of_rows(12, rows(12))], (1, 12), "batch 11 came twice",
            "batch 11 came twice", arrived={(1, 12): rows(12)},
        ),
        lost("a skipped number", 13, None, "missed"),
        odd("nulls", 15, with_value(15, NUMBER, None), f"nulls: '{NUMBER}' (1 rows)"),
        odd("strings for numbers", 16, with_value(16, NUMBER, "many"), UNFIT),
        odd("NaN", 17, with_value(17, NUMBER, float("nan")), UNFIT, with_value(17, NUMBER, "NaN")),
        odd("Infinity", 18, with_value(18, NUMBER, float("inf")), UNFIT, with_value(18, NUMBER, "Infinity")),
        odd("an unknown column", 19, with_value(19, "colour", "red"), "unknown columns: 'colour' (1 rows)", clean=ROWS),
        odd(
            "a missing column", 20, [{k: v for k, v in r.items() if k != TEXT} for r in rows(20)],
            f"missing columns: '{TEXT}' (3 rows)", clean=0,
        ),
        odd(
            "reordered columns", 21, [dict(reversed(r.items())) for r in rows(21)],
            "columns in another order (3 rows)", clean=ROWS,
        ),
        odd(
            "a key with a leading space", 22, [{f" {k}": v for k, v in r.items()} for r in rows(22)], "",
            rows(22), clean=ROWS,
        ),
        Case(
            "other rows under a known number", [of_rows(22, whole)], (2, 22), "came again with other rows",
            "came again with other rows", arrived={(2, 22): whole},
        ),
        Case(
            "somebody else restarted it", [of_rows(0, rows(0, 2))], (3, 0), "batch 0 came after 22",
            "restarted elsewhere", arrived={(3, 0): rows(0, 2)},
        ),
        Case(
            "somebody else moved the cursor", [of_rows(4, rows(4, 2))], (3, 2), "missed: batch 4 came instead",
            "missed", "missed", arrived={(3, 4): rows(4, 2)},
        ),
        *(
            Case(
                f"the end, spelling {i // 2}, status {status}", [detail(text, status), of_rows(0, rows(0, 3 + i))],
                (4 + i, 0), "", f"batch {4 + i}/0", arrived={(4 + i, 0): rows(0, 3 + i)},
            )
            for i, (text, status) in enumerate((text, status) for text in SPELLINGS for status in (200, 400))
        ),
    ]  # fmt: skip


CASES = hostilities()


@dataclass
class Outcome:
    """What one run of the whole script left."""

    world: World
    log: str
    lines: dict[Place, Any]
    raw: dict[Place, list[Any]]
    kept: list[bytes]
    restarted: int


@pytest.fixture(scope="module")
def outcome(world: World) -> Outcome:
    """A poller and a loader hear all of it."""
    first = rows(0)
    script = [of_rows(0, first), *(answer for case in CASES for answer in case.answers)]
    inbox: Path = world.folder / "inbox"
    settings: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "read_timeout": 1, "at_end": "restart"}
    table = dataset_tables(world.dataset).raw
    with (
        answering(script) as (api, url),
        world.service("loader", "loader", on_new_epoch="keep") as loader,
        world.service("poller", api_url=url, inbox=inbox, **settings) as poller,
    ):
        eventually(lambda: api.asked > len(script), 120, "the script is over")
        last = max(place for case in CASES for place in case.arrived)
        eventually(lambda: _lines(world).get(last), 60, "the last batch is in the ledger")
        eventually(lambda: _lines(world)[last].state == "loaded", 60, "the last batch is loaded")
        log = poller.log.read_text() + loader.log.read_text()
    raw: dict[Place, list[Any]] = {}
    for line in world.sql(sa.select(table).order_by(table.c.epoch, table.c.number, table.c.row_no)):
        raw.setdefault((line.epoch, line.number), []).append(line)
    kept = [path.read_bytes() for path in sorted((inbox / "kept").iterdir())]
    return Outcome(world, log, _lines(world), raw, kept, api.restarted)


@pytest.mark.failure("F02", "F03", "F07")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostility_is_told_and_costs_nothing_that_arrived(outcome: Outcome, case: Case) -> None:
    """The finding stands in log and ledger; every row that arrived is in RAW_DATA, in its order; the loop went on."""
    line = outcome.lines[case.place]
    assert line.state == case.state
    assert case.finding in (line.finding or "")
    assert case.log in outcome.log
    for place, arrived in case.arrived.items():
        assert outcome.lines[place].state == "loaded"
        assert [_as_received(row) for row in outcome.raw[place]] == [_expected(row) for row in arrived]
    if case.state == "loaded":
        assert (line.received, line.cleaned) == (ROWS, case.clean)
        assert sum(line.rejected.values()) == ROWS - case.clean
    assert all(body in outcome.kept for body in case.kept)


def test_a_restart_that_failed_is_asked_for_again_and_the_old_answer_is_known(outcome: Outcome) -> None:
    """Each end led to one restart more; the first was refused, later ones were answered in the old and the new way."""
    assert outcome.restarted == 2 * len(SPELLINGS) + 1


def test_nothing_became_a_dead_letter(outcome: Outcome) -> None:
    """An API that misbehaves is no fault of ours."""
    assert outcome.world.events("deadletter") == []


def _lines(world: World) -> dict[Place, Any]:
    return {(line.epoch, line.number): line for line in world.sql(sa.select(batches))}


def _as_received(line: Any) -> Row:
    """A row of RAW_DATA as it came: what fits a column, and the rest."""
    mapped = line._mapping
    typed = {name: mapped[name] for name in DATASET.names if mapped[name] is not None}
    rest = json.loads(line.rest) if isinstance(line.rest, str) else line.rest
    return {**typed, **(rest or {})}


def _expected(row: Row) -> Row:
    values, rest = DATASET.convert(row)
    return {**{name: value for name, value in values.items() if value is not None}, **rest}
