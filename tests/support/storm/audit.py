"""The audit: compares what the API served and the clients received with the state of the system. No I/O."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from support.storm.api import ServedBatch
from support.storm.client import DISCONNECTED, NO_ANSWER, Response
from support.storm.expected_rows import canonical, clean_numbers, verdict
from veleta.dataset import Dataset

BatchId = tuple[int, int]
"""Epoch and number of a batch."""
Lines = list[tuple[int, str]]
"""Rows of a batch: number in the batch, canonical text."""
Kills = Mapping[str, Sequence[float]]
"""When each part was killed, in time.monotonic()."""
T = TypeVar("T")

RESTART_SECONDS = 90.0
"""How long after a kill of inference a connection may be refused."""
ARRIVAL_SECONDS = 105.0
"""How long after a request its response may be undelivered: a frozen poller reads nothing."""
SHOWN = 5
PROBLEM = "application/problem+json"
UNEXPLAINED = ("", "there is no champion")
"""Reasons of a decision that only the first version may have."""
ENDS = ("finished", "merged", "skipped", "failed")


@dataclass(frozen=True)
class BatchRow:
    """A row of PIPELINE.batches."""

    batch_id: BatchId
    state: str
    received: int = 0
    cleaned: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class StoredPrediction:
    """A row of RAW_DATA.new_<dataset>."""

    request_id: str
    item: int
    name: str
    version: int
    price: float


@dataclass(frozen=True)
class Version:
    """A registered version, with the status of its run."""

    number: int
    run_id: str
    run_status: str
    champion: bool = False


@dataclass(frozen=True)
class Decision:
    """A row of PIPELINE.promotions."""

    seq: int
    version: int
    decision: str
    cause: str | None
    reason: str = ""


@dataclass(frozen=True)
class Deletion:
    """A champion that was deleted by hand. `outcome` is `shown` or `replaced`; empty if it was neither in time."""

    version: int
    outcome: str

    def __str__(self) -> str:
        return f"version {self.version} ({self.outcome or 'not shown'})"


@dataclass(frozen=True)
class TopicEvent:
    """An event in a topic; one for each record."""

    id: str
    type: str
    value: Mapping[str, Any] = field(default_factory=dict)

    @property
    def batch_id(self) -> BatchId:
        """The batch that the event is about."""
        return self.value["epoch"], self.value["number"]


@dataclass(frozen=True)
class SystemState:
    """The content of topics, tables and registry. `rows` are the rows at the offsets of each manifest."""

    batches: list[TopicEvent]
    drift: list[TopicEvent]
    retrain: list[TopicEvent]
    training: list[TopicEvent]
    models: list[TopicEvent]
    deadletter: list[TopicEvent]
    rows: dict[BatchId, list[str]]
    batch_rows: list[BatchRow]
    raw: dict[BatchId, Lines]
    clean: dict[BatchId, Lines]
    reports: list[tuple[BatchId, str]]
    trainings: list[tuple[str, str, int | None]]
    """Request, state and version."""
    decisions: list[Decision]
    outbox: int
    versions: list[Version]
    running: list[str]
    """Runs in MLflow that are still RUNNING."""
    served: int
    requests: list[StoredPrediction]

    def places(self, kind: str) -> set[BatchId]:
        """The batches with an event of this type."""
        return {event.batch_id for event in self.batches if event.type == kind}


@dataclass(frozen=True)
class Check:
    """One check of the audit. `wrong` lists what differs, whatever the numbers."""

    what: str
    expected: int
    actual: int
    wrong: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return self.expected == self.actual and not self.wrong


def audit_checks(
    dataset: Dataset,
    served: Sequence[ServedBatch],
    state: SystemState,
    responses: Sequence[Response],
    kills: Kills,
    deletions: Sequence[Deletion] = (),
) -> list[Check]:
    """All checks."""
    return [
        *_batches(served, state, kills["poller"]),
        *_rows(dataset, served, state),
        *_verdicts(dataset, served, state),
        *_trainings(state),
        *_models(state, [deletion.version for deletion in deletions]),
        *_deletions(state, deletions),
        *_requests(state, responses, kills["inference"]),
    ]


def table(counts: Iterable[Check]) -> str:
    """The audit as a table: check, expected, actual, and the first examples of what differs."""
    lines = [f"{'what':<62} {'expected':>9} {'actual':>9}  ok"]
    for each in counts:
        lines.append(f"{each.what:<62} {each.expected:>9,} {each.actual:>9,}  {'yes' if each.ok else 'NO'}")
        lines += [f"    {text[:200]}" for text in each.wrong[:SHOWN]]
        if len(each.wrong) > SHOWN:
            lines.append(f"    … and {len(each.wrong) - SHOWN:,} more")
    return "\n".join(lines)


def _batches(served: Sequence[ServedBatch], state: SystemState, kills: Sequence[float]) -> list[Check]:
    given = {batch.batch_id: batch for batch in served}
    closed, missed = state.places("batch.closed"), state.places("batch.missed")
    lost = [batch for batch_id, batch in given.items() if batch_id not in closed]
    states = {each.batch_id: each.state for each in state.batch_rows}
    manifests = {(event.batch_id, event.value["digest"]) for event in state.batches if event.type == "batch.closed"}
    return [
        _all_hold(
            "served batches: closed, missed, or the last of an epoch",
            given,
            lambda batch_id: batch_id in closed | missed or (batch_id[0], batch_id[1] + 1) not in given,
        ),
        _all_hold(
            "batches not closed, explained by a kill of the poller",
            [_undelivered(b, kills) for b in lost],
            _explained_by_kill,
        ),
        _empty("batches closed or missed that were never served", (closed | missed) - given.keys()),
        _empty("batches both closed and missed", closed & missed),
        _empty("responses refused", state.places("batch.refused")),
        _equal("manifests: one content for each closed batch", closed, [batch_id for batch_id, _ in manifests]),
        _equal("rows in the batch table", closed | missed, [each.batch_id for each in state.batch_rows]),
        _all_hold("closed batches that are loaded", closed, lambda batch_id: states.get(batch_id) == "loaded"),
        _all_hold(
            "missed batches that the batch table marks as missed",
            missed,
            lambda batch_id: states.get(batch_id) == "missed",
        ),
        _empty("events left in the outbox", range(state.outbox)),
    ]


def _undelivered(batch: ServedBatch, kills: Sequence[float]) -> tuple[BatchId, float]:
    """A batch that did not arrive, and the seconds from its request to the next kill of the poller.

    Only the API knows the last batch of an epoch: the next response is the end of the data.
    """
    later = [kill - batch.requested_at for kill in kills if kill >= batch.requested_at]
    return batch.batch_id, min(later, default=math.inf)


def _explained_by_kill(undelivered: tuple[BatchId, float]) -> bool:
    """Whether the poller was killed before it can have received the response."""
    return undelivered[1] <= ARRIVAL_SECONDS


def _rows(dataset: Dataset, served: Sequence[ServedBatch], state: SystemState) -> list[Check]:
    closed = state.places("batch.closed")
    given = {batch.batch_id: batch for batch in served if batch.batch_id in closed}
    raw = {batch_id: list(enumerate(canonical(row) for row in batch.rows)) for batch_id, batch in given.items()}
    good = {batch_id: clean_numbers(dataset, batch.rows) for batch_id, batch in given.items()}
    clean = {batch_id: [raw[batch_id][number] for number in numbers] for batch_id, numbers in good.items()}
    read = {batch_id: list(enumerate(lines)) for batch_id, lines in state.rows.items()}
    batch_rows = [each for each in state.batch_rows if each.batch_id in closed]
    reported = {each.batch_id: (each.received, each.cleaned) for each in batch_rows}
    return [
        _equal("rows in the topic, by the offsets of the manifests", _flat(raw), _flat(read)),
        _equal("rows in RAW_DATA, as served", _flat(raw), _flat(state.raw)),
        _equal("rows in CLEAN_DATA, as cleaned by the test", _flat(clean), _flat(state.clean)),
        _all_hold(
            "batches with their received and cleaned counts in the batch table",
            raw,
            lambda batch_id: reported.get(batch_id) == (len(raw[batch_id]), len(clean[batch_id])),
        ),
        _all_hold(
            "batch rows where cleaned + rejected = received",
            batch_rows,
            lambda each: each.cleaned + each.rejected == each.received,
        ),
    ]


def _verdicts(dataset: Dataset, served: Sequence[ServedBatch], state: SystemState) -> list[Check]:
    closed = state.places("batch.closed")
    due = _due_verdicts(dataset, [batch for batch in served if batch.batch_id in closed])
    opening = {min(batch_id for batch_id in due if batch_id[0] == epoch) for epoch, _ in due}
    requested = [batch_id for batch_id, word in due.items() if word == "drift" or batch_id in opening]
    assessed = [event for event in state.drift if event.type == "drift.assessed"]
    reported = {(event.batch_id, event.value["verdict"], event.id) for event in assessed}
    return [
        _equal("verdicts in drift_reports, as computed with pandas", due.items(), state.reports),
        _equal(
            "verdicts in the topic, each id once", due.items(), [(batch_id, word) for batch_id, word, _ in reported]
        ),
        _equal(
            "training requests, each id once",
            requested,
            [batch_id for _, batch_id in {(s.id, s.batch_id) for s in state.retrain}],
        ),
    ]


def _due_verdicts(dataset: Dataset, complete: Sequence[ServedBatch]) -> dict[BatchId, str]:
    due: dict[BatchId, str] = {}
    before: ServedBatch | None = None
    for batch in sorted(complete, key=lambda each: each.batch_id):
        old = before.rows if before and before.epoch == batch.epoch else None
        due[batch.batch_id] = verdict(dataset, old, batch.rows)
        before = batch
    return due


def _trainings(state: SystemState) -> list[Check]:
    requested = {event.id for event in state.retrain}
    kinds = {f"training.{end}": end for end in ENDS}
    reported = {(s.value["request_id"], kinds[s.type], s.id) for s in state.training if s.type in kinds}
    in_table = [(request, state) for request, state, _ in state.trainings]
    started = {event.value["request_id"] for event in state.training if event.type == "training.started"}
    return [
        _equal("requests in trainings", requested, [request for request, _ in in_table]),
        _all_hold("training requests that ended, by the table", in_table, lambda each: each[1] in ENDS),
        _equal("final events in the topic, each request once", requested, [request for request, _, _ in reported]),
        _equal(
            "final events in the topic, equal to the table", in_table, [(request, end) for request, end, _ in reported]
        ),
        _all_hold("finished trainings with a start event", _finished(state), lambda each: each[0] in started),
    ]


def _models(state: SystemState, deleted: Collection[int]) -> list[Check]:
    """`deleted` are the versions that were deleted by hand."""
    finished = _finished(state)
    versions = [version for _, version in finished]
    numbers = [version.number for version in state.versions]
    decisions = sorted(state.decisions, key=lambda each: each.seq)
    made = [each for each in decisions if each.decision != "deleted"]
    promoted = [each.version for each in made if each.decision == "promoted"]
    outcomes = ("model.promoted", "model.rejected")
    reported = {(s.id, s.value["seq"], s.value["version"], s.type) for s in state.models if s.type in outcomes}
    registered = {(s.id, s.value["version"]) for s in state.models if s.type == "model.registered"}
    champions = [version.number for version in state.versions if version.champion]
    return [
        _equal(
            "versions in MLflow, one for each finished training", [v for v in versions if v not in deleted], numbers
        ),
        _equal(
            "runs of versions, each its own", {v.run_id for v in state.versions}, [v.run_id for v in state.versions]
        ),
        _all_hold("versions whose run is FINISHED", state.versions, lambda version: version.run_status == "FINISHED"),
        _empty("runs that are still RUNNING", state.running),
        _equal("decisions: seq from 1 without a gap", range(1, len(decisions) + 1), [each.seq for each in decisions]),
        _equal("decisions, one for each finished training", finished, [(each.cause, each.version) for each in made]),
        _equal("registered events, each id once", versions, [version for _, version in registered]),
        _equal(
            "decision events, each id once",
            [(each.seq, each.version, f"model.{each.decision}") for each in made],
            [(seq, version, kind) for _, seq, version, kind in reported],
        ),
        _equal(
            "versions with the alias champion: the last promoted",
            [version for version in promoted[-1:] if version not in deleted],
            champions,
        ),
        _equal("the version that inference serves", promoted[-1:], [state.served]),
    ]


def _deletions(state: SystemState, deletions: Sequence[Deletion]) -> list[Check]:
    """A champion that was replaced while it was deleted may be recorded too."""
    made = sorted((each for each in state.decisions if each.decision != "deleted"), key=lambda each: each.seq)
    replaced = {deletion.version for deletion in deletions if deletion.outcome == "replaced"}
    shown = [deletion.version for deletion in deletions if deletion.version not in replaced]
    recorded = [each.version for each in state.decisions if each.decision == "deleted" and each.version not in replaced]
    return [
        _equal("deleted champions that were shown, each recorded once", shown, recorded),
        _all_hold("deleted champions that the trainer showed or replaced", deletions, lambda each: bool(each.outcome)),
        _all_hold(
            "decisions after the first, each compared or explained",
            made[1:],
            lambda each: each.reason not in UNEXPLAINED,
        ),
    ]


def _requests(state: SystemState, responses: Sequence[Response], kills: Sequence[float]) -> list[Check]:
    answered = [response for response in responses if response.status == 200]
    reported = [each for response in answered for each in _predictions(response)]
    ids = {response.body.get("request_id") for response in answered}
    predictions = [(k.request_id, k.item, k.version, k.price) for k in state.requests if k.request_id in ids]
    posted = Counter({response.name: response.items for response in responses})
    stored = Counter(each.name for each in state.requests)
    other = [response for response in responses if response.status not in (200, 503, DISCONNECTED)]
    return [
        _equal("predictions answered with 200: stored once, same version and price", reported, predictions),
        _empty("requests stored more than once", [name for name in stored if stored[name] > posted.get(name, 0) > 0]),
        _empty("stored requests that no client sent", [name for name in stored if name not in posted]),
        _all_hold(
            "responses 200 with a price for each item",
            answered,
            lambda response: len(_predictions(response)) == response.items,
        ),
        _all_hold("responses 503 with a reason", [r for r in responses if r.status == 503], _names_reason),
        _all_hold(
            "disconnections explained by a kill",
            [r for r in responses if r.status == DISCONNECTED],
            _after_kill(kills),
        ),
        _empty("responses with another status", [_status(response) for response in other]),
    ]


def _predictions(response: Response) -> list[tuple[Any, int, Any, Any]]:
    prices = [prediction.get("price") for prediction in response.body.get("predictions", [])]
    version = response.body.get("model", {}).get("version")
    return [(response.body.get("request_id"), item, version, price) for item, price in enumerate(prices)]


def _names_reason(response: Response) -> bool:
    """The detail is `dependency: reason`, as in `mysql: ...`."""
    what, _, reason = str(response.body.get("detail", "")).partition(": ")
    return response.media == PROBLEM and bool(what.strip()) and bool(reason.strip())


def _after_kill(kills: Sequence[float]) -> Callable[[Response], bool]:
    return lambda response: any(kill <= response.ended and response.sent <= kill + RESTART_SECONDS for kill in kills)


def _status(response: Response) -> str:
    return (
        f"{'no answer' if response.status == NO_ANSWER else response.status} {response.body.get('detail', '')}".strip()
    )


def _finished(state: SystemState) -> list[tuple[str, int]]:
    return [(request, version or 0) for request, state, version in state.trainings if state == "finished"]


def _flat(lines: Mapping[BatchId, Lines]) -> list[tuple[BatchId, int, str]]:
    return [(batch_id, number, text) for batch_id, rows in lines.items() for number, text in rows]


def _equal(what: str, expected: Iterable[T], state: Iterable[T]) -> Check:
    """Both hold the same items, each equally often."""
    due, there = Counter(expected), Counter(state)
    lacking, more = due - there, there - due
    wrong = [f"missing: {each}" for each in islice(lacking.elements(), SHOWN)]
    wrong += [f"unexpected: {each}" for each in islice(more.elements(), SHOWN)]
    return Check(what, due.total(), there.total(), wrong)


def _all_hold(what: str, things: Collection[T], holds: Callable[[T], bool]) -> Check:
    """The predicate is true for all items."""
    wrong = [str(each) for each in things if not holds(each)]
    return Check(what, len(things), len(things) - len(wrong), wrong)


def _empty(what: str, things: Collection[T]) -> Check:
    """There are no items."""
    return Check(what, 0, len(things), [str(each) for each in things])
