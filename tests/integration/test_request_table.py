"""The table of requests on a real database: a line that it refuses is not taken for an outage."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from support.journals import REFUSALS
from support.testbed import Testbed
from veleta.adapters.async_mysql import async_mysql_engine
from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.tables import dataset_tables
from veleta_inference.adapters.request_table import MysqlRequestTable
from veleta_inference.handlers import REQUEST_FIELDS

DATASET = load_dataset("real_estate")
NUMBER = next(column.name for column in DATASET.inputs if column.kind == "number")
TEXT = next(column.name for column in DATASET.inputs if column.kind == "category")
DATE = next(column.name for column in DATASET.inputs if column.kind == "date")


def line(name: str, item: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    """A line of the journal with one item. `item` and `changes` replace values of the item and of the request."""
    time = "2026-01-02T03:04:05.678901"
    request = {
        "request_id": name,
        "client_request_id": None,
        "received_at": time,
        "answered_at": time,
        "model_version": 1,
        "latency_ms": 0.5,
        "http_status": 200,
        "items": [{**DATASET.example, "prediction": 1.0, **(item or {})}],
    }
    return json.dumps({**request, **changes}).encode()


REFUSED = {
    "text too long": line("bad", {TEXT: "x" * 256}),
    "id too long": line("x" * 37),
    "number out of range": line("bad", model_version=10**12),
    "number above all floats": line("bad", {NUMBER: 12345.5}).replace(b"12345.5", b"1e999"),
    "text for a number": line("bad", {NUMBER: "many"}),
    "object for a number": line("bad", {NUMBER: {"a": 1}}),
    "list for a text": line("bad", {TEXT: ["a"]}),
    "no time": line("bad", received_at="yesterday"),
    "no date": line("bad", {DATE: "2026-02-31"}),
    "null where a value is required": line("bad", model_version=None),
    "items that are no list": line("bad", items=5),
    "half a surrogate pair": line("bad", {TEXT: "\ud800"}),
    "a control character": line("bad", {TEXT: "?"}).replace(b'"?"', b'"\x01"'),
    "broken off": line("bad")[:-9],
    "no JSON": b"hello",
    "zeros": b"\0" * 4096,
    "not UTF-8": line("bad", {TEXT: "?"}).replace(b'"?"', b'"\xff"'),
    "nested deeply": line("bad", {TEXT: 7}).replace(b"7", b"[" * 200 + b"]" * 200),
    "no object": b"5",
}


@pytest.fixture
async def table(testbed: Testbed) -> AsyncIterator[MysqlRequestTable]:
    """The table, as inference's user sees it."""
    engine = async_mysql_engine(testbed.mysql("inference"))
    yield MysqlRequestTable(engine, dataset_tables(testbed.dataset).requests, REQUEST_FIELDS)
    await engine.dispose()


@pytest.mark.failure("F409")
async def test_a_row_shows_who_sent_the_request(testbed: Testbed, table: MysqlRequestTable) -> None:
    """A line that an earlier version left in the journal has no sender."""
    await table.insert([line("earlier"), line("new", key_name="ada", client_address="192.0.2.7")])
    stored = dataset_tables(testbed.dataset).requests
    senders = sa.select(stored.c.request_id, stored.c.key_name, stored.c.client_address)
    rows = testbed.sql(senders.where(stored.c.request_id.in_(["earlier", "new"])).order_by(stored.c.request_id))
    assert [*map(tuple, rows)] == [("earlier", None, None), ("new", "ada", "192.0.2.7")]


@pytest.mark.failure("F284")
@pytest.mark.parametrize("fault", REFUSED)
async def test_a_line_that_does_not_fit_is_refused(testbed: Testbed, table: MysqlRequestTable, fault: str) -> None:
    """Whatever is wrong with it, and none of the lines beside it is stored. Alone they are. No value is shortened.

    The unit tests of the drain know each of the errors.
    """
    good = line(f"good {fault}")
    for lines in ([REFUSED[fault]], [good, REFUSED[fault]]):
        with pytest.raises(Reject) as refused:
            await table.insert(lines)
        if isinstance(error := refused.value.__cause__, DBAPIError) and error.orig:
            assert (error.orig.args[0], error.orig.sqlstate) in REFUSALS  # type: ignore[attr-defined]  # as in the driver
    assert _stored(testbed, f"good {fault}") == 0
    await table.insert([good])
    assert _stored(testbed, f"good {fault}") == 1


def _stored(testbed: Testbed, name: str) -> int:
    requests = dataset_tables(testbed.dataset).requests
    counted = sa.select(sa.func.count()).select_from(requests).where(requests.c.request_id == name)
    return int(testbed.sql(counted)[0][0])
