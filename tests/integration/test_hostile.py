"""A data API that misbehaves: poller and loader process one long script, which has every kind of fault once."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.hostile import SPELLINGS, Scripted, detail, half, hang_up, hostile_api, of_rows, silence
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from veleta.dataset import load_dataset
from veleta.tables import batches, dataset_tables

DATASET = load_dataset("real_estate")
ROWS = 3
NUMBER = next(c.name for c in DATASET.columns if c.kind == "number" and c.name != DATASET.target)
TEXT = next(c.name for c in DATASET.columns if c.kind == "category")
INVALID_VALUE = f"values that do not fit: '{NUMBER}' (1 rows)"
Row = dict[str, Any]
Place = tuple[int, int]


def rows(number: int, seed: int = 1) -> list[Row]:
    """The valid rows of a batch."""
    return list(api_rows(number % 6, ROWS, 100 * seed + number))


def with_value(number: int, column: str, value: object) -> list[Row]:
    """Valid rows, except that the first one has this value."""
    first, *others = rows(number)
    return [{**first, column: value}, *others]


@dataclass
class Case:
    """A fault of the API: its responses, the finding and state of batch `place` afterwards, and a text of the log."""

    name: str
    responses: list[Scripted]
    place: Place
    finding: str
    log: str
    state: str = "loaded"
    arrived: dict[Place, list[Row]] = field(default_factory=dict)
    clean: int = ROWS
    quarantined: list[bytes] = field(default_factory=list)


def refused(name: str, number: int, bad: tuple[int, bytes], reason: str) -> Case:
    """An invalid response, and then the batch with the expected number."""
    good = rows(number)
    return Case(
        name, [bad, of_rows(number, good)], (1, number), reason, reason,
        arrived={(1, number): good}, quarantined=[bad[1]],
    )  # fmt: skip


def lost(name: str, number: int, bad: Scripted | None, log: str) -> Case:
    """A batch that never came, and then the next one."""
    good = rows(number + 1)
    responses = [*([bad] if bad else []), of_rows(number + 1, good)]
    finding = f"missed: batch {number + 1} came instead"
    return Case(name, responses, (1, number), finding, log, "missed", arrived={(1, number + 1): good})


def irregular(
    name: str, number: int, sent: list[Row], finding: str, received: list[Row] | None = None, clean: int = 2
) -> Case:
    """A batch with irregular rows."""
    return Case(
        name, [of_rows(number, sent)], (1, number), finding, finding or f"/1/{number}",
        arrived={(1, number): received or sent}, clean=clean,
    )  # fmt: skip


def all_cases() -> list[Case]:
    """In the order of the script."""
    other_rows = rows(19)
    return [
        refused("status 500", 1, (500, b"Internal Server Error"), "answered 500 Internal Server Error"),
        lost("a time-out", 2, silence, "Timeout"),
        lost("half a body", 4, half, "ClientPayloadError"),
        lost("no answer at all", 6, hang_up, "Disconnected"),
        refused("broken JSON", 8, (200, b'{"batch_number": 8, "da'), "JSON that breaks off"),
        refused("no data", 9, (200, b'{"batch_number": 9}'), "batch 9 has no `data`, only batch_number"),
        refused("an empty batch", 10, (200, b'{"batch_number": 10, "data": []}'), "batch 10 has no rows"),
        refused("200 with detail", 11, (200, b'{"detail": "try later"}'), "without batch_number"),
        Case(
            "a repeated number", [of_rows(11, rows(11)), of_rows(12, rows(12))], (1, 12), "batch 11 came twice",
            "batch 11 came twice", arrived={(1, 12): rows(12)},
        ),
        lost("a skipped number", 13, None, "missed"),
        irregular("nulls", 15, with_value(15, NUMBER, None), f"nulls: '{NUMBER}' (1 rows)"),
        irregular("strings for numbers", 16, with_value(16, NUMBER, "many"), INVALID_VALUE),
        irregular("NaN", 17, with_value(17, NUMBER, float("nan")), INVALID_VALUE, with_value(17, NUMBER, "NaN")),
        irregular(
            "Infinity", 18, with_value(18, NUMBER, float("inf")), INVALID_VALUE,
            with_value(18, NUMBER, "Infinity"),
        ),
        irregular(
            "an unknown column", 19, with_value(19, "colour", "red"), "unknown columns: 'colour' (1 rows)",
            clean=ROWS,
        ),
        irregular(
            "a missing column", 20, [{k: v for k, v in r.items() if k != TEXT} for r in rows(20)],
            f"missing columns: '{TEXT}' (3 rows)", clean=0,
        ),
        irregular(
            "reordered columns", 21, [dict(reversed(r.items())) for r in rows(21)],
            "columns in another order (3 rows)", clean=ROWS,
        ),
        irregular(
            "a key with a leading space", 22, [{f" {k}": v for k, v in r.items()} for r in rows(22)], "",
            rows(22), clean=ROWS,
        ),
        Case(
            "a repeated number with other rows", [of_rows(22, other_rows)], (2, 22), "came again with other rows",
            "came again with other rows", arrived={(2, 22): other_rows},
        ),
        Case(
            "a restart by another client", [of_rows(0, rows(0, 2))], (3, 0), "batch 0 came after 22",
            "another client restarted the API", arrived={(3, 0): rows(0, 2)},
        ),
        Case(
            "a cursor moved by another client", [of_rows(4, rows(4, 2))], (3, 2), "missed: batch 4 came instead",
            "missed", "missed", arrived={(3, 4): rows(4, 2)},
        ),
        *(
            Case(
                f"the end, spelling {i // 2}, status {status}", [detail(text, status), of_rows(0, rows(0, 3 + i))],
                (4 + i, 0), "", f'"batch": "{4 + i}/0"', arrived={(4 + i, 0): rows(0, 3 + i)},
            )
            for i, (text, status) in enumerate((text, status) for text in SPELLINGS for status in (200, 400))
        ),
    ]  # fmt: skip


CASES = all_cases()


@dataclass
class Outcome:
    """The result of the whole script."""

    testbed: Testbed
    log: str
    batches: dict[Place, Any]
    raw: dict[Place, list[Any]]
    quarantined: list[bytes]
    restarts: int


@pytest.fixture(scope="module")
def outcome(testbed: Testbed) -> Outcome:
    """A poller and a loader process the whole script."""
    first = rows(0)
    script = [of_rows(0, first), *(response for case in CASES for response in case.responses)]
    inbox: Path = testbed.folder / "inbox"
    settings: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "read_timeout": 1, "at_end": "restart"}
    table = dataset_tables(testbed.dataset).raw
    with (
        hostile_api(script) as (api, url),
        testbed.service("loader", "loader", on_new_epoch="keep") as loader,
        testbed.service("poller", api_url=url, inbox=inbox, **settings) as poller,
    ):
        wait_until(lambda: api.requests > len(script), 120, "the script is over")
        last = max(place for case in CASES for place in case.arrived)
        wait_until(lambda: _batch_table(testbed).get(last), 60, "the last batch is in the batch table")
        wait_until(lambda: _batch_table(testbed)[last].state == "loaded", 60, "the last batch is loaded")
        log = poller.log.read_text() + loader.log.read_text()
    raw: dict[Place, list[Any]] = {}
    for row in testbed.sql(sa.select(table).order_by(table.c.epoch, table.c.number, table.c.row_no)):
        raw.setdefault((row.epoch, row.number), []).append(row)
    quarantined = [path.read_bytes() for path in sorted((inbox / "kept").iterdir())]
    return Outcome(testbed, log, _batch_table(testbed), raw, quarantined, api.restarts)


@pytest.mark.failure("F02", "F03", "F07", "F73", "F75", "F84")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_of_the_api_is_reported_and_loses_no_row_that_arrived(outcome: Outcome, case: Case) -> None:
    """The log and the batch table have the finding. Every row that arrived is in RAW_DATA, in order."""
    row = outcome.batches[case.place]
    assert row.state == case.state
    assert case.finding in (row.finding or "")
    assert case.log in outcome.log
    for place, arrived in case.arrived.items():
        assert outcome.batches[place].state == "loaded"
        assert [_as_received(raw) for raw in outcome.raw[place]] == [_expected(sent) for sent in arrived]
    if case.state == "loaded":
        assert (row.received, row.cleaned) == (ROWS, case.clean)
        assert sum(row.rejected.values()) == ROWS - case.clean
    assert all(body in outcome.quarantined for body in case.quarantined)


@pytest.mark.failure("F82")
def test_a_failed_restart_is_repeated_and_both_forms_of_the_confirmation_are_recognized(outcome: Outcome) -> None:
    """Each end caused one restart. The first one failed, and the API confirmed the others in both forms."""
    assert outcome.restarts == 2 * len(SPELLINGS) + 1


def test_nothing_is_dead_lettered(outcome: Outcome) -> None:
    """Faults of the API are no faults of the services."""
    assert outcome.testbed.events("deadletter") == []


def _batch_table(testbed: Testbed) -> dict[Place, Any]:
    return {(row.epoch, row.number): row for row in testbed.sql(sa.select(batches))}


def _as_received(raw: Any) -> Row:
    """A row of RAW_DATA as it came: the values of the columns, and those in `rest`."""
    mapped = raw._mapping
    typed = {name: mapped[name] for name in DATASET.names if mapped[name] is not None}
    rest = json.loads(raw.rest) if isinstance(raw.rest, str) else raw.rest
    return {**typed, **(rest or {})}


def _expected(row: Row) -> Row:
    values, rest = DATASET.convert(row)
    return {**{name: value for name, value in values.items() if value is not None}, **rest}
