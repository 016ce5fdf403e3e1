"""The newest values of all sources at one moment, and what the page derives from several of them."""

from dataclasses import dataclass
from datetime import datetime

from veleta_monitor.adapters.database import History, RequestSummary
from veleta_monitor.adapters.services import ServiceStatuses
from veleta_monitor.adapters.topics import TopicSummary
from veleta_monitor.background_cache import CachedValue
from veleta_monitor.command_sender import CommandStatus
from veleta_monitor.domain.batch_progress import BatchProgress, current_batch
from veleta_monitor.domain.stages import LastActivity, Stage, busy_stages, stages
from veleta_monitor.domain.versions import ServedModel


@dataclass(frozen=True)
class Snapshot:
    """What the page shows. A value is None until its source responds."""

    now: datetime
    history: CachedValue[History]
    requests: CachedValue[RequestSummary]
    topics: CachedValue[TopicSummary]
    statuses: CachedValue[ServiceStatuses]
    command: CommandStatus

    @property
    def request_summary(self) -> RequestSummary:
        """The stored predictions, unknown until MySQL responds."""
        return self.requests.value or RequestSummary(None, None)

    @property
    def model(self) -> ServedModel | None:
        """The served version; None if there is none, or until inference responds."""
        return self.statuses.value.model if self.statuses.value else None

    @property
    def batch(self) -> BatchProgress | None:
        """The current batch."""
        history, topics = self.history.value, self.topics.value
        if history is None:
            return None
        last = topics.activities.get("poller") if topics else None
        return current_batch(history.batches, history.trainings, self.model, last)

    @property
    def stages(self) -> list[Stage]:
        """The stages of the loop."""
        statuses, history, topics = self.statuses.value, self.history.value, self.topics.value
        last = self.request_summary.last_at
        stored = {"inference": LastActivity("prediction stored", "", last)} if last else {}
        activities = {**stored, **(history.activities if history else {}), **(topics.activities if topics else {})}
        lags = topics.lags if topics else {}
        training = bool(topics and topics.training and not topics.training.outcome)
        loading = self.batch is not None and self.batch.current_step == "served"
        busy = busy_stages(activities, lags, training=training, loading_model=loading)
        return stages(statuses.services if statuses else None, activities, lags, busy, self.now)
