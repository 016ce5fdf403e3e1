"""What the audit judges: the truth of the API and of the clients against what was found. No I/O."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from support.storm.api import Handed
from support.storm.client import CUT, NO_ANSWER, Reply
from support.storm.rows import clean_numbers, line, verdict
from veleta.dataset import Dataset

Place = tuple[int, int]
"""Epoch and number of a batch."""
Lines = list[tuple[int, str]]
"""Rows of a batch by their number in it."""
Kills = Mapping[str, Sequence[float]]
"""When each part was killed, in time.monotonic()."""
T = TypeVar("T")

RESTART_SECONDS = 90.0
"""So long after inference was killed a connection may still be refused."""
ARRIVAL_SECONDS = 15.0
"""So long after its question an answer may still not have arrived: a frozen poller leaves it lying."""
SHOWN = 5
PROBLEM = "application/problem+json"
ENDS = ("finished", "merged", "skipped", "failed")


@dataclass(frozen=True)
class BatchRow:
    """A line of PIPELINE.batches."""

    place: Place
    state: str
    received: int = 0
    cleaned: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Kept:
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
    """A line of PIPELINE.promotions."""

    seq: int
    version: int
    decision: str
    cause: str


@dataclass(frozen=True)
class Said:
    """An event as it lies in a topic: once for each record."""

    id: str
    type: str
    value: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """The batch it is about."""
        return self.value["epoch"], self.value["number"]


@dataclass(frozen=True)
class Found:
    """All that topics, tables and registry say. `rows` are the lines that each manifest's offsets lead to."""

    batches: list[Said]
    drift: list[Said]
    retrain: list[Said]
    training: list[Said]
    models: list[Said]
    deadletter: list[Said]
    rows: dict[Place, list[str]]
    batch_rows: list[BatchRow]
    raw: dict[Place, Lines]
    clean: dict[Place, Lines]
    reports: list[tuple[Place, str]]
    trainings: list[tuple[str, str, int | None]]
    """Request, state and version."""
    decisions: list[Decision]
    outbox: int
    versions: list[Version]
    running: list[str]
    """Runs in MLflow that never ended."""
    served: int
    requests: list[Kept]

    def places(self, kind: str) -> set[Place]:
        """The batches of which this was said."""
        return {said.place for said in self.batches if said.type == kind}


@dataclass(frozen=True)
class Count:
    """One line of the audit. `wrong` names what is not as it should be, whatever the numbers."""

    what: str
    expected: int
    found: int
    wrong: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.expected == self.found and not self.wrong


def judge(
    dataset: Dataset, handed: Sequence[Handed], found: Found, replies: Sequence[Reply], kills: Kills
) -> list[Count]:
    """Every count."""
    return [
        *_batches(handed, found, kills["poller"]),
        *_rows(dataset, handed, found),
        *_verdicts(dataset, handed, found),
        *_trainings(found),
        *_models(found),
        *_requests(found, replies, kills["inference"]),
    ]


def table(counts: Iterable[Count]) -> str:
    """The audit for people: what, expected, found, and the first examples of what is wrong."""
    lines = [f"{'what':<62} {'expected':>9} {'found':>9}  ok"]
    for each in counts:
        lines.append(f"{each.what:<62} {each.expected:>9,} {each.found:>9,}  {'yes' if each.ok else 'NO'}")
        lines += [f"    {text[:200]}" for text in each.wrong[:SHOWN]]
        if len(each.wrong) > SHOWN:
            lines.append(f"    … and {len(each.wrong) - SHOWN:,} more")
    return "\n".join(lines)


def _batches(handed: Sequence[Handed], found: Found, kills: Sequence[float]) -> list[Count]:
    given = {batch.place: batch for batch in handed}
    closed, missed = found.places("batch.closed"), found.places("batch.missed")
    lost = [batch for place, batch in given.items() if place not in closed]
    states = {each.place: each.state for each in found.batch_rows}
    manifests = {(said.place, said.value["digest"]) for said in found.batches if said.type == "batch.closed"}
    return [
        _each(
            "batches handed out: closed, missed, or the last of an epoch",
            given,
            lambda place: place in closed | missed or (place[0], place[1] + 1) not in given,
        ),
        _each("batches not closed, as a kill of the poller explains", [_unheard(b, kills) for b in lost], _explains),
        _none("batches closed or missed that were never handed out", (closed | missed) - given.keys()),
        _none("batches both closed and missed", closed & missed),
        _none("answers refused", found.places("batch.refused")),
        _same("manifests: one content for each closed batch", closed, [place for place, _ in manifests]),
        _same("lines in the ledger", closed | missed, [each.place for each in found.batch_rows]),
        _each("closed batches that are loaded", closed, lambda place: states.get(place) == "loaded"),
        _each("missed batches that the ledger calls so", missed, lambda place: states.get(place) == "missed"),
        _none("events that wait in the outbox", range(found.outbox)),
    ]


def _unheard(batch: Handed, kills: Sequence[float]) -> tuple[Place, float]:
    """A batch that did not arrive, and the seconds from its question to the next kill of the poller.

    When it was the last of an epoch, only the API knows that there was a batch: the next answer is the end.
    """
    later = [kill - batch.asked for kill in kills if kill >= batch.asked]
    return batch.place, min(later, default=math.inf)


def _explains(unheard: tuple[Place, float]) -> bool:
    """Whether the poller died before it can have had the answer."""
    return unheard[1] <= ARRIVAL_SECONDS


def _rows(dataset: Dataset, handed: Sequence[Handed], found: Found) -> list[Count]:
    closed = found.places("batch.closed")
    given = {batch.place: batch for batch in handed if batch.place in closed}
    raw = {place: list(enumerate(line(row) for row in batch.rows)) for place, batch in given.items()}
    good = {place: clean_numbers(dataset, batch.rows) for place, batch in given.items()}
    clean = {place: [raw[place][number] for number in numbers] for place, numbers in good.items()}
    read = {place: list(enumerate(lines)) for place, lines in found.rows.items()}
    batch_rows = [each for each in found.batch_rows if each.place in closed]
    told = {each.place: (each.received, each.cleaned) for each in batch_rows}
    return [
        _same("rows in the topic, by the offsets of the manifests", _flat(raw), _flat(read)),
        _same("rows in RAW_DATA, as handed out", _flat(raw), _flat(found.raw)),
        _same("rows in CLEAN_DATA, as cleaned here", _flat(clean), _flat(found.clean)),
        _each(
            "batches whose ledger tells received and cleaned",
            raw,
            lambda place: told.get(place) == (len(raw[place]), len(clean[place])),
        ),
        _each(
            "lines where cleaned + rejected = received",
            batch_rows,
            lambda each: each.cleaned + each.rejected == each.received,
        ),
    ]


def _verdicts(dataset: Dataset, handed: Sequence[Handed], found: Found) -> list[Count]:
    closed = found.places("batch.closed")
    due = _due_verdicts(dataset, [batch for batch in handed if batch.place in closed])
    opening = {min(place for place in due if place[0] == epoch) for epoch, _ in due}
    asked = [place for place, word in due.items() if word == "drift" or place in opening]
    told = {(said.place, said.value["verdict"], said.id) for said in found.drift}
    return [
        _same("verdicts in drift_reports, as pandas gives them", due.items(), found.reports),
        _same("verdicts in the topic, each id once", due.items(), [(place, word) for place, word, _ in told]),
        _same(
            "requests to train, each id once", asked, [place for _, place in {(s.id, s.place) for s in found.retrain}]
        ),
    ]


def _due_verdicts(dataset: Dataset, complete: Sequence[Handed]) -> dict[Place, str]:
    due: dict[Place, str] = {}
    before: Handed | None = None
    for batch in sorted(complete, key=lambda each: each.place):
        old = before.rows if before and before.epoch == batch.epoch else None
        due[batch.place] = verdict(dataset, old, batch.rows)
        before = batch
    return due


def _trainings(found: Found) -> list[Count]:
    asked = {said.id for said in found.retrain}
    kinds = {f"training.{end}": end for end in ENDS}
    told = {(s.value["request_id"], kinds[s.type], s.id) for s in found.training if s.type in kinds}
    kept = [(request, state) for request, state, _ in found.trainings]
    started = {said.value["request_id"] for said in found.training if said.type == "training.started"}
    return [
        _same("requests in trainings", asked, [request for request, _ in kept]),
        _each("requests that ended, by their table", kept, lambda each: each[1] in ENDS),
        _same("ends in the topic, each request once", asked, [request for request, _, _ in told]),
        _same("ends in the topic as in the table", kept, [(request, end) for request, end, _ in told]),
        _each("trainings finished that were said to start", _finished(found), lambda each: each[0] in started),
    ]


def _models(found: Found) -> list[Count]:
    finished = _finished(found)
    numbers = [version.number for version in found.versions]
    decisions = sorted(found.decisions, key=lambda each: each.seq)
    promoted = [each.version for each in decisions if each.decision == "promoted"]
    outcomes = ("model.promoted", "model.rejected")
    told = {(s.id, s.value["seq"], s.value["version"], s.type) for s in found.models if s.type in outcomes}
    registered = {(s.id, s.value["version"]) for s in found.models if s.type == "model.registered"}
    champions = [version.number for version in found.versions if version.champion]
    return [
        _same("versions in MLflow, one for each finished training", [version for _, version in finished], numbers),
        _same("runs of versions, each its own", {v.run_id for v in found.versions}, [v.run_id for v in found.versions]),
        _each("versions whose run is FINISHED", found.versions, lambda version: version.run_status == "FINISHED"),
        _none("runs that are still RUNNING", found.running),
        _same("decisions: seq from 1 without a gap", range(1, len(decisions) + 1), [each.seq for each in decisions]),
        _same(
            "decisions, one for each finished training", finished, [(each.cause, each.version) for each in decisions]
        ),
        _same("versions said to be registered, each id once", numbers, [version for _, version in registered]),
        _same(
            "decisions said in the topic, each id once",
            [(each.seq, each.version, f"model.{each.decision}") for each in decisions],
            [(seq, version, kind) for _, seq, version, kind in told],
        ),
        _same("versions with the alias champion: the last promoted", promoted[-1:], champions),
        _same("the version that inference serves", promoted[-1:], [found.served]),
    ]


def _requests(found: Found, replies: Sequence[Reply], kills: Sequence[float]) -> list[Count]:
    answered = [reply for reply in replies if reply.status == 200]
    told = [each for reply in answered for each in _told(reply)]
    ids = {reply.body.get("request_id") for reply in answered}
    kept = [(k.request_id, k.item, k.version, k.price) for k in found.requests if k.request_id in ids]
    posted = Counter({reply.name: reply.items for reply in replies})
    stored = Counter(each.name for each in found.requests)
    other = [reply for reply in replies if reply.status not in (200, 503, CUT)]
    return [
        _same("predictions answered 200: kept once, same version and price", told, kept),
        _none("requests kept more than once", [name for name in stored if stored[name] > posted.get(name, 0) > 0]),
        _none("requests kept that no client sent", [name for name in stored if name not in posted]),
        _each("answers 200 with a price for each item", answered, lambda reply: len(_told(reply)) == reply.items),
        _each("answers 503 that say what is missing", [r for r in replies if r.status == 503], _says_why),
        _each("connections cut that a kill explains", [r for r in replies if r.status == CUT], _explained(kills)),
        _none("answers with another status", [_status(reply) for reply in other]),
    ]


def _told(reply: Reply) -> list[tuple[Any, int, Any, Any]]:
    prices = [prediction.get("price") for prediction in reply.body.get("predictions", [])]
    version = reply.body.get("model", {}).get("version")
    return [(reply.body.get("request_id"), item, version, price) for item, price in enumerate(prices)]


def _says_why(reply: Reply) -> bool:
    """`what: reason`, as `mysql: ...` or `model: ...`."""
    what, _, reason = str(reply.body.get("detail", "")).partition(": ")
    return reply.media == PROBLEM and bool(what.strip()) and bool(reason.strip())


def _explained(kills: Sequence[float]) -> Callable[[Reply], bool]:
    return lambda reply: any(kill <= reply.ended and reply.sent <= kill + RESTART_SECONDS for kill in kills)


def _status(reply: Reply) -> str:
    return f"{'no answer' if reply.status == NO_ANSWER else reply.status} {reply.body.get('detail', '')}".strip()


def _finished(found: Found) -> list[tuple[str, int]]:
    return [(request, version or 0) for request, state, version in found.trainings if state == "finished"]


def _flat(lines: Mapping[Place, Lines]) -> list[tuple[Place, int, str]]:
    return [(place, number, text) for place, rows in lines.items() for number, text in rows]


def _same(what: str, expected: Iterable[T], found: Iterable[T]) -> Count:
    """The same things, each as often."""
    due, there = Counter(expected), Counter(found)
    lacking, more = due - there, there - due
    wrong = [f"lacking: {each}" for each in islice(lacking.elements(), SHOWN)]
    wrong += [f"unexpected: {each}" for each in islice(more.elements(), SHOWN)]
    return Count(what, due.total(), there.total(), wrong)


def _each(what: str, things: Collection[T], holds: Callable[[T], bool]) -> Count:
    """It holds for all of them."""
    wrong = [str(each) for each in things if not holds(each)]
    return Count(what, len(things), len(things) - len(wrong), wrong)


def _none(what: str, things: Collection[T]) -> Count:
    """There are none."""
    return Count(what, 0, len(things), [str(each) for each in things])
