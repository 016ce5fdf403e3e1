"""Watches a start: reports what changes, and ends it when it cannot succeed any more."""

import time
from collections.abc import Callable, Mapping

from veleta.adapters.kafka import KafkaLog
from veleta.clock import utc_now
from veleta.dataset import load_dataset
from veleta.errors import Reject, Retry
from veleta.events.envelope import decode
from veleta.ports import Subscription
from veleta.topics import TopicName, topic
from veleta_local.attempts import Attempts
from veleta_local.deployment import Deployment
from veleta_local.errors import StartFailed
from veleta_local.health import Health
from veleta_local.run_data import has_rows
from veleta_local.start_failures import FailureDetector

_TOPICS: tuple[TopicName, ...] = ("batches", "training", "models", "deadletter")
_POLL_SECONDS = 0.1
LINE_SECONDS = 5.0
"""At most one line in this time shows what a part that is not ready does."""
MAX_LINE = 100
"""Characters of such a line."""


class StartWatch:
    """One start, from before its first process. `close` ends it."""

    def __init__(self, deployment: Deployment, attempts: Attempts) -> None:
        self._deployment = deployment
        self._attempts = attempts
        self._position = attempts.position
        self._detector = FailureDetector(has_rows=has_rows(deployment.home))
        self._subscription: Subscription | None = None

    def follow_events(self) -> None:
        """Follow the topics from their present ends. They exist, and no service runs yet. Raises StartFailed."""
        log, dataset = KafkaLog(self._deployment.kafka, "start"), load_dataset(self._deployment.dataset).name
        names = [topic(dataset, name) for name in _TOPICS]
        try:
            ends = {(name, part): end for name in names for part, (_, end) in log.bounds(name).items()}
            self._subscription = log.subscribe(names, None, ends)
        except Retry as error:
            raise StartFailed(str(error)) from error
        self._detector.has_model = any(end for (name, _), end in ends.items() if name == topic(dataset, "models"))

    def check(self, reports: Mapping[str, Health]) -> None:
        """Raise StartFailed if the start cannot succeed. `reports` has the present health of parts."""
        for part, attempts in self._attempts.by_part(self._position).items():
            ended = [attempt for attempt in attempts if attempt.end]
            self._detector.on_exits(part, [self._attempts.reason(part, attempt) for attempt in ended])
        self._read_events()
        for part, report in reports.items():
            own_api = part == "poller" and not self._deployment.variables.api_url
            self._detector.on_health(part, {} if own_api else report.waits_for, utc_now())
        if failure := self._detector.failure(utc_now()):
            raise StartFailed(failure)

    def close(self) -> None:
        if self._subscription:
            self._subscription.close()
            self._subscription = None

    def _read_events(self) -> None:
        """Kafka may be down for a moment: then supervisord starts it again, or its end is the failure."""
        try:
            records = self._subscription.poll(_POLL_SECONDS) if self._subscription else ()
        except Retry:
            return
        for record in records:
            try:
                event = decode(record)
            except Reject:
                continue
            self._detector.on_event(event.payload, event.time)


class WaitingLines:
    """The lines of a start about parts that are not ready."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._began = time.monotonic()
        self._last: dict[str, tuple[float, str]] = {}

    def show(self, reports: Mapping[str, Health]) -> None:
        """Report what each part waits for if that changed, and at most every LINE_SECONDS."""
        for part, report in reports.items():
            at, before = self._last.get(part, (self._began, ""))
            text = _short("; ".join(map(_waits, report.waits_for, report.waits_for.values())) or str(report))
            if text != before and time.monotonic() - at >= LINE_SECONDS:
                self._last[part] = time.monotonic(), text
                self._report(f"{part}: {text}")


def _waits(dependency: str, reason: str) -> str:
    """The reason; most reasons name the dependency."""
    return reason if dependency in ("start", "model") or dependency in reason else f"{dependency} {reason}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"


def not_ready_in_time(reports: Mapping[str, Health], attempts: Attempts) -> StartFailed:
    """The failure of a start that took too long: what each part that is not ready does, and its last error."""
    of_parts = attempts.by_part()
    texts = {part: [str(report), attempts.last_error(part, of_parts[part])] for part, report in reports.items()}
    lines = [f"{part}: {'; last error: '.join(filter(None, text))}" for part, text in texts.items()]
    return StartFailed(f"not ready in time (START_TIMEOUT=): {' | '.join(lines)}")
