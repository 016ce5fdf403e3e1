"""Every event and version that was ever committed: readers accept them all, for ever.

An event's schema (tests/contract/schemas) and golden example (tests/contract/examples) are generated from here and
committed; a change that breaks one is a new version: a new class beside the old one.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["drift", "no drift", "not enough data"]


class Payload(BaseModel):
    """What an event says. Unknown keys are ignored, so that an older reader stands a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @property
    def key(self) -> str:
        """The key of the record that carries it."""
        raise NotImplementedError


class DatasetPayload(Payload):
    """Anything said of a dataset: keyed by it, so that its order is kept."""

    dataset: str

    @property
    def key(self) -> str:
        return self.dataset


class BatchPayload(DatasetPayload):
    """Anything said of a batch. Epochs count from 1, numbers from 0 in each epoch."""

    epoch: int
    number: int

    @property
    def batch(self) -> str:
        """The batch's identity, as `real_estate/3/4`."""
        return f"{self.dataset}/{self.epoch}/{self.number}"


class DatasetDeclared(DatasetPayload):
    """The dataset file that the batches from here on are read by."""

    TYPE = "dataset.declared"
    digest: str
    toml: str


class BatchOpened(BatchPayload):
    """A batch arrived whole and its rows are about to be published. `digest` is that of its rows."""

    TYPE = "batch.opened"
    rows: int
    digest: str


class BatchRows(BatchPayload):
    """Some hundred rows of a batch as received. `chunk` and `first_row` count from 0."""

    TYPE = "batch.rows"
    chunk: int
    first_row: int
    rows: list[dict[str, Any]]

    @property
    def key(self) -> str:
        return self.batch


class OffsetRange(BaseModel):
    """Where chunks lie in one partition of the rows' topic: offsets `first` to `last`, both included."""

    model_config = ConfigDict(frozen=True)
    partition: int
    first: int
    last: int


class BatchClosed(BatchPayload):
    """The manifest: all that is needed to read the batch again, and to see that nothing of it is missing.

    `digest` is the SHA-256 of the rows (see `veleta.batches.RowsDigest`); `findings` say what was odd on the way.
    """

    TYPE = "batch.closed"
    rows: int
    chunks: int
    digest: str
    dataset_digest: str
    ranges: list[OffsetRange]
    findings: list[str] = []


class BatchRefused(BatchPayload):
    """An answer arrived that is no batch. `number` is the one expected; `body` names the file it is kept in."""

    TYPE = "batch.refused"
    reason: str
    status: int
    body: str


class BatchMissed(BatchPayload):
    """The API moved past a batch that never arrived whole; it comes again in the next epoch."""

    TYPE = "batch.missed"
    reason: str


class Statistic(BaseModel):
    """One statistic of one column in two batches. None stands for what is no finite number; `note` says which."""

    model_config = ConfigDict(frozen=True)
    column: str
    statistic: str
    old: float | None
    new: float | None
    change: float | None
    exceeds: bool
    note: str = ""


class DriftAssessed(BatchPayload):
    """The verdict on a batch against the complete one before it (`previous`, a number of the same epoch)."""

    TYPE = "drift.assessed"
    previous: int | None
    verdict: Verdict
    reason: str
    policy: str
    threshold: float
    dataset_digest: str
    figures: list[Statistic] = []


class RetrainRequested(BatchPayload):
    """A new model is due, on the batches of this epoch up to this one. `first` marks the first batch of an epoch."""

    TYPE = "retrain.requested"
    reason: str
    first: bool
    batches: list[str]


class RequestPayload(Payload):
    """Anything said of a request to train."""

    request_id: str

    @property
    def key(self) -> str:
        return self.request_id


class TrainingStarted(RequestPayload):
    """A training began; `recipe` is all that is needed to do it again from the topics."""

    TYPE = "training.started"
    recipe: dict[str, Any]


class TrainingProgress(RequestPayload):
    """How far a training is: `done` of `of` in this phase.

    While trees are fitted, `error` is what the model still errs on the rows it learns from: the root mean square error
    of the target's logarithm.
    """

    TYPE = "training.progress"
    phase: str
    done: int
    of: int
    error: float | None = None


class TrainingFinished(RequestPayload):
    """A training ended in a registered version."""

    TYPE = "training.finished"
    run_id: str
    version: int
    decision: Literal["promoted", "rejected"]
    metrics: dict[str, float]


class TrainingMerged(RequestPayload):
    """Another request that waited stands for this one too."""

    TYPE = "training.merged"
    into: str


class TrainingSkipped(RequestPayload):
    """This request needs no training."""

    TYPE = "training.skipped"
    reason: str


class TrainingFailed(RequestPayload):
    """This request was tried and given up; the champion serves on."""

    TYPE = "training.failed"
    reason: str


class ModelPayload(Payload):
    """Anything said of a version of the registered model."""

    model: str
    version: int
    run_id: str

    @property
    def key(self) -> str:
        return self.model


class ModelRegistered(ModelPayload):
    """A version exists. `native` is where MLflow keeps the CatBoost model of the same run."""

    TYPE = "model.registered"
    recipe: dict[str, Any]
    native: str
    metrics: dict[str, float]


class Causes(BaseModel):
    """Why a model exists, in short: ids of events, and the batches it saw last."""

    model_config = ConfigDict(frozen=True)
    training: str
    request: str
    report: str | None
    reason: str
    batches: list[str]


class ModelPromoted(ModelPayload):
    """This version is the champion now. `seq` grows with each decision and never goes back."""

    TYPE = "model.promoted"
    seq: int
    previous: int | None
    reason: str
    native: str
    metrics: dict[str, float]
    causes: Causes


class ModelRejected(ModelPayload):
    """This version did not beat the champion on the same holdout."""

    TYPE = "model.rejected"
    seq: int
    champion: int
    reason: str
    metrics: dict[str, float]
    causes: Causes


class Command(DatasetPayload):
    """What a person asks of a service, which answers once on the same topic. `actor` names the person."""

    actor: str
    reason: str = ""


class Poll(Command):
    """To the poller: take the next batch now, also while it is paused."""

    TYPE = "poll"


class Pause(Command):
    """To the poller: take no batch by yourself until you are told to go on."""

    TYPE = "pause"


class Resume(Command):
    """To the poller: go on taking batches by yourself."""

    TYPE = "resume"


class CommandAnswer(DatasetPayload):
    """Anything said of a command; `command` is its id."""

    command: str


class CommandAccepted(CommandAnswer):
    """The command takes effect; `effect` says how, for people."""

    TYPE = "command.accepted"
    effect: str


class CommandRefused(CommandAnswer):
    """The command changes nothing."""

    TYPE = "command.refused"
    reason: str


class RecordDeadlettered(Payload):
    """What a service could not process: the record as it was, where it lies, and why."""

    TYPE = "record.deadlettered"
    service: str
    reason: str
    error: str
    topic: str
    partition: int | None
    offset: int | None
    first_key: str
    headers: dict[str, str]
    value: str

    @property
    def key(self) -> str:
        return self.first_key


PAYLOADS: dict[str, type[Payload]] = {
    f"{kind.TYPE}/{kind.VERSION}": kind
    for kind in (
        DatasetDeclared, BatchOpened, BatchRows, BatchClosed, BatchRefused, BatchMissed,
        DriftAssessed, RetrainRequested,
        TrainingStarted, TrainingProgress, TrainingFinished, TrainingMerged, TrainingSkipped, TrainingFailed,
        ModelRegistered, ModelPromoted, ModelRejected,
        Poll, Pause, Resume, CommandAccepted, CommandRefused,
        RecordDeadlettered,
    )
}  # fmt: skip
"""Payload classes by the name and version in `ce_dataschema`."""
