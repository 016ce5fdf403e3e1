"""PredictionService: requests that arrive together are predicted and stored together, and each gets its response."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from support.memory_inference import DATASET, MOST_BEDS, NOW, GatedJournal, MemoryProvider
from veleta.dataset import Values
from veleta.errors import Retry
from veleta.holdout_errors import MIN_ROWS, HoldoutErrors
from veleta.intervals import MIN_SIZE, Calibration
from veleta.service.health import ServiceHealth
from veleta_inference import handlers
from veleta_inference.domain.error_window import ErrorWindow
from veleta_inference.domain.errors import MAX_PROBLEMS, InvalidRequest
from veleta_inference.handlers import (
    MAX_GROUP_ROWS,
    MAX_INLINE_ROWS,
    MAX_ROWS,
    REQUEST_FIELDS,
    RESERVED_ROWS,
    PredictionRequest,
    PredictionResponse,
    PredictionService,
    VersionNotServed,
)

LIMIT = 4
ROW = DATASET.convert(DATASET.example)[0]


class Setup:
    """A running PredictionService with a model and a journal in memory."""

    def __init__(self, *, strict: bool = False) -> None:
        self.provider = MemoryProvider()
        self.journal = GatedJournal()
        self.health = ServiceHealth("inference")
        self.recent_rows: deque[Values] = deque(maxlen=2)
        self.service = PredictionService(
            DATASET, self.provider, self.journal, self.health, lambda: NOW, LIMIT, self.recent_rows, strict=strict
        )

    def predict(self, name: str, *beds: int, version: int | None = None) -> asyncio.Task[PredictionResponse]:
        return self.predict_rows(name, [{**ROW, "bed": float(bed)} for bed in beds], version)

    def predict_rows(
        self, name: str, rows: list[Values], version: int | None = None
    ) -> asyncio.Task[PredictionResponse]:
        return asyncio.create_task(
            self.service.predict(PredictionRequest(name, rows, f"their {name}", "ada", "192.0.2.7", NOW, version))
        )

    @property
    def stored(self) -> list[str]:
        return [line["request_id"] for group in self.journal.groups for line in group]


@pytest.fixture(params=[False])
async def setup(request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    """Not strict, unless a test's parameter says so."""
    made = Setup(strict=request.param)
    running = asyncio.create_task(made.service.run())
    yield made
    running.cancel()


@pytest.mark.failure("F397")
async def test_the_latency_does_not_follow_the_clock(setup: Setup) -> None:
    """It went back by an hour while the price was predicted."""
    rows = [DATASET.convert(DATASET.example)[0]]
    await setup.service.predict(PredictionRequest("a", rows, None, None, None, NOW + timedelta(hours=1)))
    ((line,),) = setup.journal.groups
    assert 0 <= line["latency_ms"] < 60_000


@pytest.mark.failure("F21")
async def test_a_response_is_sent_after_its_request_is_stored(setup: Setup) -> None:
    """The line in the journal has all fields of the table."""
    setup.journal.gate.clear()
    predicting = setup.predict("a", 1, 2)
    await asyncio.sleep(0.01)
    assert not predicting.done()
    setup.journal.gate.set()
    response = await predicting
    assert (response.request.request_id, response.model.version) == ("a", 7)
    assert response.prices == pytest.approx([7.389056, 20.085537])
    ((line,),) = setup.journal.groups
    no_interval = dict.fromkeys(["low", "high", "coverage"])
    assert line.pop("items") == [
        {**DATASET.example, "bed": bed, "prediction": price, **no_interval}
        for bed, price in zip((1, 2), response.prices, strict=True)
    ]
    assert list(line) == list(REQUEST_FIELDS)
    assert 0 < line.pop("latency_ms") < 60_000
    assert list(line.values()) == [
        "a",
        "their a",
        "2026-01-02T03:04:05.678901",
        "2026-01-02T03:04:05.678901",
        7,
        200,
        "ada",
        "192.0.2.7",
    ]


async def test_requests_that_arrive_together_are_one_group(setup: Setup) -> None:
    """One call of the model and one append; each response has its own prices."""
    setup.journal.gate.clear()
    first = setup.predict("a", 0)
    await asyncio.sleep(0.01)
    others = [setup.predict("b", 1), setup.predict("c", 2, 3), setup.predict("d", 4)]
    await asyncio.sleep(0.01)
    setup.journal.gate.set()
    responses = await asyncio.gather(first, *others)
    assert setup.provider.booster.calls == [1, 4]
    assert [len(group) for group in setup.journal.groups] == [1, 3]
    assert [len(response.prices) for response in responses] == [1, 1, 2, 1]
    assert [r.prices[0] for r in responses] == pytest.approx([2.718282, 7.389056, 20.085537, 148.413159])


async def test_many_rows_are_predicted_in_a_thread(setup: Setup) -> None:
    """With the same prices."""
    response = await setup.predict("a", *([1] * (MAX_INLINE_ROWS + 1)))
    assert response.prices == pytest.approx([7.389056] * (MAX_INLINE_ROWS + 1))


@pytest.mark.failure("F54")
async def test_too_many_requests_in_flight_are_refused_at_once(setup: Setup) -> None:
    """Above the limit a request fails with Retry, and is not stored."""
    setup.journal.gate.clear()
    predicting = [setup.predict("a", 1)]
    await asyncio.sleep(0.01)
    predicting += [setup.predict(name, 1) for name in "bcd"]
    await asyncio.sleep(0.01)
    with pytest.raises(Retry, match="4 requests are in flight"):
        await setup.predict("e", 1)
    setup.journal.gate.set()
    await asyncio.gather(*predicting)
    await setup.predict("f", 1)
    assert setup.stored == ["a", "b", "c", "d", "f"]


@pytest.mark.failure("F372")
async def test_too_many_rows_in_flight_are_refused_at_once(setup: Setup) -> None:
    """Large requests may not use the last RESERVED_ROWS. So small ones are accepted beside them."""
    setup.journal.gate.clear()
    large = MAX_ROWS - RESERVED_ROWS - 1
    predicting = [setup.predict("a", 1)]
    await asyncio.sleep(0.01)
    predicting.append(setup.predict("b", *[1] * large))
    await asyncio.sleep(0.01)
    with pytest.raises(Retry, match="19,000 rows are in flight, and 19,000 may be"):
        await setup.predict("c", *[1] * (MAX_INLINE_ROWS + 1))
    predicting.append(setup.predict("d", *[1] * MAX_INLINE_ROWS))
    await asyncio.sleep(0.01)
    setup.journal.gate.set()
    assert [len(response.prices) for response in await asyncio.gather(*predicting)] == [1, large, MAX_INLINE_ROWS]
    await setup.predict("e", *[1] * (MAX_INLINE_ROWS + 1))


async def test_a_request_alone_may_have_any_number_of_rows(setup: Setup) -> None:
    """INFERENCE_ITEMS_LIMIT may be above MAX_ROWS."""
    assert len((await setup.predict("a", *[1] * (MAX_ROWS + 1))).prices) == MAX_ROWS + 1


@pytest.mark.failure("F372")
async def test_a_small_request_does_not_wait_for_many_large_ones(setup: Setup) -> None:
    """A group has the oldest request and the shortest others, up to MAX_GROUP_ROWS rows. No request is left out."""
    setup.journal.gate.clear()
    first = setup.predict("a", 1)
    await asyncio.sleep(0.01)
    others = [setup.predict("b", *[1] * MAX_GROUP_ROWS), setup.predict("c", *[1] * MAX_GROUP_ROWS)]
    small = setup.predict("d", 1)
    await asyncio.sleep(0.01)
    setup.journal.gate.set()
    await asyncio.gather(first, *others, small)
    assert setup.provider.booster.calls == [1, MAX_GROUP_ROWS + 1, MAX_GROUP_ROWS]
    assert setup.stored == ["a", "b", "d", "c"]


@pytest.mark.failure("F55")
async def test_a_request_that_makes_the_model_fail_does_not_affect_its_group(setup: Setup) -> None:
    """Each request of the group is predicted alone. Only the one fails, and it is not stored."""
    setup.journal.gate.clear()
    first = setup.predict("a", 0)
    await asyncio.sleep(0.01)
    predicting = [setup.predict(name, beds) for name, beds in (("b", 1), ("bad", 13), ("c", 2))]
    await asyncio.sleep(0.01)
    setup.journal.gate.set()
    await first
    results = await asyncio.gather(*predicting, return_exceptions=True)
    assert [type(result) for result in results] == [PredictionResponse, ValueError, PredictionResponse]
    assert setup.stored == ["a", "b", "c"]


@pytest.mark.failure("F53")
async def test_without_the_journal_no_price_is_sent(setup: Setup) -> None:
    """The request fails with Retry, and the service is not ready. Both recover when the journal does."""
    setup.journal.full = True
    with pytest.raises(Retry, match="journal: full"):
        await setup.predict("a", 1)
    assert setup.health.unavailable["journal"] == "journal: full"
    setup.journal.full = False
    await setup.predict("b", 1)
    assert setup.stored == ["b"]
    assert "journal" not in setup.health.unavailable


async def test_without_a_model_a_request_fails_with_retry(setup: Setup) -> None:
    """It is not stored."""
    setup.provider.has_model = False
    with pytest.raises(Retry, match="no model yet: no training has started"):
        await setup.predict("a", 1)
    assert setup.journal.groups == []


async def test_a_request_for_another_version_is_refused(setup: Setup) -> None:
    """It is not stored, and the others of its group get responses."""
    setup.journal.gate.clear()
    first = setup.predict("a", 1, version=7)
    await asyncio.sleep(0.01)
    predicting = [setup.predict("b", 1, version=6), setup.predict("c", 1, version=7), setup.predict("d", 1)]
    await asyncio.sleep(0.01)
    setup.journal.gate.set()
    results = await asyncio.gather(first, *predicting, return_exceptions=True)
    assert [type(r) for r in results] == [PredictionResponse, VersionNotServed, PredictionResponse, PredictionResponse]
    assert setup.stored == ["a", "c", "d"]
    with pytest.raises(VersionNotServed, match="version 7 is served"):
        await setup.predict("e", 1, version=8)


async def test_an_unusual_value_gets_a_warning(setup: Setup) -> None:
    """Each request of a group gets its own, and the request is stored as every other."""
    usual, unusual = await asyncio.gather(setup.predict("a", 1, 2), setup.predict("b", 3, MOST_BEDS + 1))
    assert usual.warnings == []
    assert [(warning.item, warning.field) for warning in unusual.warnings] == [(1, "bed")]
    assert len(unusual.prices) == 2
    assert setup.stored == ["a", "b"]


@pytest.mark.parametrize("setup", [False, True], indirect=True)
async def test_a_field_that_was_not_given_gets_a_warning(setup: Setup) -> None:
    """In strict mode too: the model does not need it. The row counts as one that was learnt."""
    response = await setup.predict_rows("a", [{**ROW, "street": None}])
    assert [(each.field, each.message) for each in response.warnings] == [
        ("street", "was not given; the model does not use it")
    ]
    assert response.unusual == []
    assert setup.stored == ["a"]


@pytest.mark.parametrize("setup", [True], indirect=True)
async def test_in_strict_mode_an_unusual_value_is_refused(setup: Setup) -> None:
    """With the texts of the warnings, before a price is computed. The others of the group are answered."""
    answers = await asyncio.gather(
        setup.predict("a", 1), setup.predict("b", 1, MOST_BEDS + 1), setup.predict("c", *[99] * 30),
        return_exceptions=True,
    )  # fmt: skip
    assert isinstance(answers[0], PredictionResponse)
    assert isinstance(answers[1], InvalidRequest)
    message = f"{MOST_BEDS + 1} is outside 1 .. {MOST_BEDS}, what the model has learnt"
    assert [(p.item, p.field, p.message) for p in answers[1].problems] == [(1, "bed", message)]
    assert isinstance(answers[2], InvalidRequest)
    assert len(answers[2].problems) == MAX_PROBLEMS
    assert (setup.stored, setup.provider.booster.calls) == (["a"], [1])


async def test_one_row_of_each_group_is_remembered(setup: Setup) -> None:
    """For the smoke check of the next model."""
    for name, beds in (("a", (1, 2)), ("b", (3,)), ("c", (4, 5))):
        await setup.predict(name, *beds)
    assert [row["bed"] for row in setup.recent_rows] == [3.0, 4.0]


@pytest.mark.failure("F125")
async def test_a_request_is_stored_although_its_client_disconnects(setup: Setup) -> None:
    """The others of its group get responses."""
    setup.journal.gate.clear()
    first = setup.predict("a", 1)
    await asyncio.sleep(0.01)
    disconnected, connected = setup.predict("b", 1), setup.predict("c", 1)
    await asyncio.sleep(0.01)
    disconnected.cancel()
    setup.journal.gate.set()
    await asyncio.gather(first, connected)
    assert setup.stored == ["a", "b", "c"]


def measured_model(setup: Setup) -> None:
    """Give the model errors of size 0.1, and a holdout whose errors were twice what was expected."""
    booster = setup.provider.booster
    booster.calibration = Calibration(edges=[], quantiles=[[2.0] * 50], rows=100)
    booster.holdout_errors = HoldoutErrors(ratio=2.0, outside=0.02)
    setup.provider.window = ErrorWindow(booster.holdout_errors)


async def test_rows_that_were_answered_count_for_the_estimate(setup: Setup) -> None:
    """With their warnings. A row without an answer does not: its client repeats it."""
    measured_model(setup)
    setup.journal.full = True
    with pytest.raises(Retry):
        await setup.predict("a", *[1] * 300)
    setup.journal.full = False
    await setup.predict("b", *[1] * 190)
    await setup.predict("c", *[MOST_BEDS + 1] * 10)
    error = pytest.approx(2 * (0.1 - MIN_SIZE))
    figures = {"rows": 200, "expected_error": error, "outside": 0.05, "outside_of_holdout": 0.02}
    assert setup.service.model()["estimate"] == figures


@pytest.mark.failure("F447", "F449")
async def test_a_metric_without_a_value_is_not_a_number(setup: Setup) -> None:
    """0 would be an error of zero. There is no value without a model, with few rows and beyond the bound."""

    def shown() -> list[float | None]:
        setup.service.report_estimate()
        return [REGISTRY.get_sample_value(f"veleta_{name}") for name in ("expected_error", "rows_outside_learnt")]

    measured_model(setup)
    setup.provider.has_model = False
    nothing = pytest.approx([math.nan, math.nan], nan_ok=True)
    assert shown() == nothing
    setup.provider.has_model = True
    await setup.predict("a", *[1] * (MIN_ROWS - 1))
    assert shown() == nothing
    await setup.predict("b", 1)
    assert shown() == pytest.approx([0.16, 0.0])
    await setup.predict("c", *[MOST_BEDS + 1] * MIN_ROWS)
    assert shown() == pytest.approx([math.nan, 0.5], nan_ok=True)
    measured_model(setup)
    assert shown() == nothing


async def test_a_worker_without_new_rows_leaves_the_metrics_to_others(setup: Setup) -> None:
    """With several workers they have the values of the last one that set them."""
    measured_model(setup)
    setup.service.report_estimate()
    handlers.EXPECTED_ERROR.set(0.3)
    setup.service.report_estimate()
    assert REGISTRY.get_sample_value("veleta_expected_error") == 0.3
