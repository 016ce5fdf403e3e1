"""The payload of every event, in every version that was ever committed. Readers accept all of them.

Each field has bounds, so that every value fits its column (`veleta.tables`) and costs a reader little. They are wider
than what was ever written.

The schema of each event (tests/contract/schemas) is generated from here and committed, beside a golden example
(tests/contract/examples). A change that breaks one must become a new version: a new class beside the old one.
"""

from collections.abc import Sized
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    FiniteFloat,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

T = TypeVar("T")
MAX_INTEGER = 2_000_000_000
"""Below 2^31 - 1, the greatest value of an INTEGER, so that there is a next epoch, batch, version and decision."""
MAX_TEXT_BYTES = 65_535
"""The bytes of a TEXT in MySQL."""
MAX_ITEMS = 10_000
"""The most entries of a list or of names with values."""


def _fits_text(text: str) -> str:
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"more than {MAX_TEXT_BYTES} bytes")
    return text


def _has_few(value: T) -> T:
    """Refuse too many entries at once: pydantic would look at all of them first, and describe each fault."""
    if isinstance(value, Sized) and len(value) > MAX_ITEMS:
        raise ValueError(f"more than {MAX_ITEMS} entries")
    return value


def _keep_rows(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Keep the rows of a JSON document as they are: pydantic would copy each, which takes as long as to decode it."""
    is_valid = isinstance(value, list) and len(value) <= MAX_ITEMS and {dict}.issuperset(map(type, value))
    return value if is_valid else validate(value)


Name = Annotated[str, Field(max_length=64)]
MAX_ID_LENGTH = 128
MAX_SLICE = 512
"""Characters of a slice of the holdout: a column and its value."""
Id = Annotated[str, Field(max_length=MAX_ID_LENGTH)]
"""The id of a batch, of a request, or of an event about one."""
Digest = Annotated[str, Field(max_length=64, pattern="^[0-9a-z]*$")]
Text = Annotated[str, Field(max_length=MAX_TEXT_BYTES), AfterValidator(_fits_text)]
Epoch = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
"""A number of things, or of one among them: it counts from 0."""
VersionNumber = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
MODEL_ADDRESS = r"^(models|runs):/\w[\w.@-]*(/\w[\w.@-]*)*$"
"""The address of a model or of a run's artifact in our registry: of no file and of no other host."""
Address = Annotated[str, Field(max_length=1_024, pattern=f"^$|{MODEL_ADDRESS}")]
"""The address of a CatBoost model. It is empty for a version that a person registered without one."""
Day = Annotated[date, Field(ge=date(1000, 1, 1), le=date(9999, 12, 31))]
"""A day that MySQL can store."""
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Offset = Annotated[int, Field(ge=0, le=2**63 - 1)]
Partition = Annotated[int, Field(ge=0, le=9_999)]
Few = Annotated[list[T], FailFast(), Field(max_length=MAX_ITEMS), BeforeValidator(_has_few)]
Named = Annotated[dict[Name, T], Field(max_length=MAX_ITEMS), BeforeValidator(_has_few)]
Metrics = Named[FiniteFloat]
LeftOutIfEmpty = Annotated[T, Field(exclude_if=lambda value: value in (None, [], {}, ""))]
"""A field that was added later: without it an event is written as in earlier versions."""
LeftOutIfNone = Annotated[T, Field(exclude_if=lambda value: value is None)]
"""An optional number, which may be 0."""
Sha256 = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal."""
Verdict = Literal["drift", "no drift", "not enough data"]
RetrainVerdict = Literal["helped", "no difference", "harmed"]
LevelOutcome = Literal["moved", "confirmed", "waiting", "held", "late", "copy", "pinned", "accepted", "reset"]
"""What became of a level. By a batch: it moved; it moved as two batches in a row show; a too large move waits; it is
pinned and stays; the rows are of other periods; the rows were seen before. And by a command."""
ComparedWith = Literal["champion", "previous"]
"""What a batch is compared with: what the champion learnt from, or the batch before."""


class Payload(BaseModel):
    """The content of an event. Unknown keys are ignored, so an older reader accepts a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    KEY: ClassVar[str]
    """The field or property that is the key of the event's record."""

    @property
    def key(self) -> str:
        """The key of the event's record."""
        return str(getattr(self, self.KEY))


class DatasetPayload(Payload):
    """An event about a dataset. Its key is the dataset, so all such events of a topic have one order."""

    KEY = "dataset"
    dataset: Name


class BatchPayload(DatasetPayload):
    """An event about a batch. Epochs count from 1, numbers from 0 in each epoch."""

    epoch: Epoch
    number: Count

    @property
    def batch(self) -> str:
        """The id of the batch, as `real_estate/3/4`."""
        return f"{self.dataset}/{self.epoch}/{self.number}"


class DatasetDeclared(DatasetPayload):
    """The dataset file of all following batches."""

    TYPE = "dataset.declared"
    digest: Digest
    toml: Text


class BatchOpened(BatchPayload):
    """A batch arrived completely, and its rows are published next. `digest` is the SHA-256 of the rows."""

    TYPE = "batch.opened"
    rows: Count
    digest: Digest


class BatchRows(BatchPayload):
    """A chunk of a batch: up to 500 rows as received. `chunk` and `first_row` count from 0."""

    TYPE = "batch.rows"
    KEY = "batch"
    chunk: Count
    first_row: Count
    rows: Annotated[Few[dict[str, Any]], WrapValidator(_keep_rows)]


class OffsetRange(BaseModel):
    """The position of chunks in one partition of the topic `rows`: offsets `first` to `last`, both included."""

    model_config = ConfigDict(frozen=True)
    partition: Partition
    first: Offset
    last: Offset


class BatchClosed(BatchPayload):
    """The manifest of a batch. A reader finds all rows with it, and detects a missing or a changed row.

    `digest` is the SHA-256 of the rows (see `veleta.batches.RowsDigest`). `findings` describe unusual properties of the
    batch, such as an unknown column. `group` is the group of the data API whose batch it is.
    """

    TYPE = "batch.closed"
    rows: Count
    chunks: Count
    digest: Digest
    dataset_digest: Digest
    ranges: Annotated[list[OffsetRange], FailFast(), Field(max_length=100)]
    findings: Few[Text] = []
    group: LeftOutIfEmpty[Annotated[int, Field(ge=0, le=999_999_999_999)] | None] = None


class BatchRefused(BatchPayload):
    """A response of the data API was not a valid batch. `number` is the expected one; `body` names the stored file."""

    TYPE = "batch.refused"
    reason: Text
    status: Count
    body: Annotated[str, Field(max_length=255)]


class BatchMissed(BatchPayload):
    """The data API moved past a batch that never arrived completely. The next epoch contains it again."""

    TYPE = "batch.missed"
    reason: Text


class Statistic(BaseModel):
    """One statistic of one column in two batches. None is a value that is no finite number; `note` names its kind.

    `previous` is the batch that has `old`, if that is an earlier one than the report's `previous`.
    """

    model_config = ConfigDict(frozen=True)
    column: Name
    statistic: Annotated[str, Field(max_length=16)]
    old: FiniteFloat | None
    new: FiniteFloat | None
    change: FiniteFloat | None
    exceeds: bool
    note: Annotated[str, Field(max_length=128)] = ""
    previous: LeftOutIfEmpty[Count | None] = None


class Reference(BaseModel):
    """A finite statistic of one column, and the number of the last batch that has it."""

    model_config = ConfigDict(frozen=True)
    column: Name
    statistic: Annotated[str, Field(max_length=16)]
    value: FiniteFloat
    number: Count


class Baseline(BaseModel):
    """What the next batch of the epoch is compared with.

    `number` is the last complete batch. It has `rows` rows, and `values` counts those with a value, by column. All
    values were read as the dataset file `dataset_digest` declares them.
    """

    model_config = ConfigDict(frozen=True)
    number: Count
    dataset_digest: Digest
    rows: Count
    values: Named[Count]
    statistics: Few[Reference]


class DriftTest(BaseModel):
    """A test of the policy `evidence`, of the champion's errors or of the rows themselves (`inputs`).

    A batch is compared with the reference of the champion, which decides, and with the batch before (`previous`).
    `subject` is a slice of the rows or a column. `p_value` is adjusted for the number of tests. The test fires if it is
    at most `level`, and if the effect is above `limit`. `note` names new and vanished categories.
    """

    model_config = ConfigDict(frozen=True)
    reference: ComparedWith = "champion"
    arm: Literal["errors", "inputs"]
    subject: Annotated[str, Field(max_length=MAX_SLICE)]
    test: Name
    p_value: Share
    effect: FiniteFloat
    limit: FiniteFloat
    level: Share
    fires: bool
    note: LeftOutIfEmpty[Annotated[str, Field(max_length=1_024)]] = ""


class HistogramBin(BaseModel):
    """The share of a batch's rows whose number is above `lower`, up to `upper`, or that have a category.

    A bin of categories without `category` has those that have no bin of their own. `reference_share` is the share in
    what the batch is compared with.
    """

    model_config = ConfigDict(frozen=True)
    lower: LeftOutIfEmpty[FiniteFloat | None] = None
    upper: LeftOutIfEmpty[FiniteFloat | None] = None
    category: Annotated[str | None, Field(max_length=255, exclude_if=lambda value: value is None)] = None
    share: Share
    reference_share: LeftOutIfEmpty[Share | None] = None


class Histogram(BaseModel):
    """How the clean rows of a batch are distributed in one column, by a sample of them.

    `reference` is what they are compared with, and None if there is nothing to compare with.
    """

    model_config = ConfigDict(frozen=True)
    column: Name
    reference: LeftOutIfEmpty[ComparedWith | None] = None
    bins: Annotated[list[HistogramBin], FailFast(), Field(max_length=100)]


class RiskState(BaseModel):
    """What the policy `sequential` knows of a version after a batch: sums of the losses of `rows` rows.

    `lower` is the lower bound of the mean loss, which is drift above `threshold`.
    """

    model_config = ConfigDict(frozen=True)
    version: VersionNumber
    threshold: FiniteFloat
    rows: Count
    total: FiniteFloat
    variation: FiniteFloat
    lower: FiniteFloat


class PairErrors(BaseModel):
    """The errors of a champion and of the version that it replaced, on the same rows since the promotion.

    These are `rows` rows of `batches` batches, which neither has learnt. Each batch counts by its number of rows as
    received, whose sum is `weight`. `error` and `previous_error` are the weighted sums of the mean absolute errors, and
    `difference` is that of the mean differences of the absolute log errors. `variance` is the variance of `difference`.

    `numbers` has the numbers of the batches, if the rules choose the rows of a batch by the target. `complete` is true
    if the batches are enough for a verdict.
    """

    model_config = ConfigDict(frozen=True)
    version: VersionNumber
    previous: VersionNumber
    batches: Count = 0
    numbers: Few[Count] = []
    complete: bool = False
    rows: Count = 0
    weight: Count = 0
    error: FiniteFloat = 0.0
    previous_error: FiniteFloat = 0.0
    difference: FiniteFloat = 0.0
    variance: FiniteFloat = 0.0


class Growth(BaseModel):
    """The rows since the training of a champion, which learnt from batches with `learnt` rows.

    `rows` are those of later batches, without copies. At `requested` of them a training for more data was requested
    last, 0 if none was.
    """

    model_config = ConfigDict(frozen=True)
    version: VersionNumber
    learnt: Count
    rows: Count
    requested: Count = 0


class PolicyVerdict(BaseModel):
    """The verdict of one policy on a batch. `parameters` is the SHA-256 of its parameters.

    If columns have weights, `unweighted` is the verdict that the policy would have without them.
    """

    model_config = ConfigDict(frozen=True)
    policy: Name
    parameters: Sha256
    verdict: Verdict
    reason: Text
    unweighted: LeftOutIfEmpty[Verdict | None] = None


class VersionErrors(BaseModel):
    """How wrong a version is about a batch: its mean absolute error, and the mean of log(price) - log(prediction)."""

    model_config = ConfigDict(frozen=True)
    version: VersionNumber
    rows: Count
    mae: FiniteFloat
    bias: FiniteFloat


class DriftAssessed(BatchPayload):
    """The drift report on a batch, compared with the last complete batch before it (`previous`, of the same epoch).

    `verdict` and `reason` are those of `policy`, and `verdicts` are those of all policies. `findings` are unusual
    properties that do not decide the verdict. `baseline` is None if no batch was complete yet, and in reports of
    earlier versions, as everything after it. `importance` is each column's share of the champion's SHAP values.
    `growth` counts the rows since the champion's training.
    """

    TYPE = "drift.assessed"
    previous: Count | None
    verdict: Verdict
    reason: Text
    policy: Name
    threshold: FiniteFloat
    dataset_digest: Digest
    figures: Few[Statistic] = []
    findings: LeftOutIfEmpty[Few[Text]] = []
    baseline: LeftOutIfEmpty[Baseline | None] = None
    champion: LeftOutIfEmpty[VersionNumber | None] = None
    verdicts: LeftOutIfEmpty[Few[PolicyVerdict]] = []
    tests: LeftOutIfEmpty[Few[DriftTest]] = []
    errors: LeftOutIfEmpty[Few[VersionErrors]] = []
    risk: LeftOutIfEmpty[RiskState | None] = None
    histograms: LeftOutIfEmpty[Few[Histogram]] = []
    importance: LeftOutIfEmpty[Metrics] = {}
    pair: LeftOutIfEmpty[PairErrors | None] = None
    growth: LeftOutIfEmpty[Growth | None] = None


class RetrainJudged(BatchPayload):
    """A batch showed whether the training of a champion helped: it was compared with the version that it replaced.

    Both predict the same `rows`, which neither has learnt, of the last `batches` batches. `change` is that of the mean
    absolute error, and `p_value` the probability of such a difference by chance.
    """

    TYPE = "retrain.judged"
    version: VersionNumber
    previous: VersionNumber
    rows: Count
    mae: FiniteFloat
    previous_mae: FiniteFloat
    change: FiniteFloat
    p_value: Share
    verdict: RetrainVerdict
    batches: Annotated[Count, Field(exclude_if=lambda value: value == 1)] = 1


class RollbackProposed(BatchPayload):
    """The version that the champion replaced predicts a batch better, beyond chance. Nothing was changed."""

    TYPE = "rollback.proposed"
    version: VersionNumber
    previous: VersionNumber
    reason: Text


class RetrainRequested(BatchPayload):
    """A training request for the newest batches up to this one.

    `first` marks one without evidence: it is there because its batch is the first of an epoch.
    """

    TYPE = "retrain.requested"
    reason: Text
    first: bool
    batches: Few[Id]


def short_request_id(request_id: str) -> str:
    """Epoch and number of the batch that caused a training request: `1/4` for `real_estate/1/4/retrain`.

    The id of a request that a person sent begins with that of the command: `by command`.
    """
    parts = request_id.split("/")[1:3]
    return "by command" if parts[:1] == [Retrain.TYPE] else "/".join(parts) or request_id


class TrainingRequestPayload(Payload):
    """An event about a training request."""

    KEY = "request_id"
    request_id: Id

    @property
    def short_id(self) -> str:
        """See `short_request_id`."""
        return short_request_id(self.request_id)


class TrainingStarted(TrainingRequestPayload):
    """A training started. `recipe` contains everything to repeat it from the topics."""

    TYPE = "training.started"
    recipe: dict[str, Any]


class TrainingProgress(TrainingRequestPayload):
    """The progress of a training: `done` of `of` steps in this phase.

    While trees are fitted, `error` is the error on the training rows: the root mean square error of the logarithm of
    the target.
    """

    TYPE = "training.progress"
    phase: Name
    done: Count
    of: Count
    error: float | None = None


class TrainingFinished(TrainingRequestPayload):
    """A training registered a version, and it was compared with the champion."""

    TYPE = "training.finished"
    run_id: Name
    version: Count
    decision: Literal["promoted", "rejected"]
    metrics: Metrics


class TrainingMerged(TrainingRequestPayload):
    """The training of another waiting request replaces this one."""

    TYPE = "training.merged"
    into: Id


class TrainingSkipped(TrainingRequestPayload):
    """The request required no training."""

    TYPE = "training.skipped"
    reason: Text


class TrainingFailed(TrainingRequestPayload):
    """The training failed for good. The champion is still served."""

    TYPE = "training.failed"
    reason: Text


class ModelPayload(Payload):
    """An event about a version of the registered model."""

    KEY = "model"
    model: Name
    version: Count
    run_id: Name


class Measures(BaseModel):
    """How well a model predicts a slice of the holdout, with so many rows."""

    model_config = ConfigDict(frozen=True)
    model: Name
    slice: Annotated[str, Field(max_length=MAX_SLICE)]
    rows: Count
    metrics: Metrics


class NumberProfile(BaseModel):
    """A number or a date in `rows` rows: its quantiles at 0, 5, 25, 50, 75, 95 and 100 %. A date is a year."""

    model_config = ConfigDict(frozen=True)
    rows: Count
    quantiles: Annotated[list[FiniteFloat], FailFast(), Field(max_length=100)]


class CategoryProfile(BaseModel):
    """A category in `rows` rows: how many values it has, and the shares of the most frequent ones, in no order."""

    model_config = ConfigDict(frozen=True)
    rows: Count
    categories: Count
    shares: Annotated[dict[Annotated[str, Field(max_length=255)], Share], Field(max_length=100)]


class ErrorProfile(BaseModel):
    """How wrong a version is about `rows` rows of its holdout, by log(price) - log(prediction).

    `bias` is its mean, `deviation` its standard deviation, and `median` that of its absolute value.
    """

    model_config = ConfigDict(frozen=True)
    rows: Count
    bias: FiniteFloat
    deviation: FiniteFloat
    median: FiniteFloat


class Profile(BaseModel):
    """What a version learnt from, and how wrong it is: what later batches are compared with, in short.

    `numbers` and `categories` are those of a sample of the `train_rows` rows, in which each batch number has the same
    share, and `errors` those of such a sample of the holdout. `importance` is each column's share of
    the influence on predictions.
    """

    model_config = ConfigDict(frozen=True)
    train_rows: Count
    numbers: Named[NumberProfile]
    categories: Named[CategoryProfile]
    errors: ErrorProfile
    importance: Named[Share]


class ModelRegistered(ModelPayload):
    """A version was registered. `native` is the artifact URI of the CatBoost model of the same run in MLflow.

    `native_digest` is the SHA-256 of that model's file. `measures` are those of the version, the champion and a linear
    baseline, on all rows of the holdout and on its largest slices. `profile` is what the version learnt from. Events of
    earlier releases have none of the three.
    """

    TYPE = "model.registered"
    recipe: dict[str, Any]
    native: Address
    native_digest: LeftOutIfEmpty[Sha256 | None] = None
    metrics: Metrics
    measures: LeftOutIfEmpty[Few[Measures]] = []
    profile: LeftOutIfEmpty[Profile | None] = None


class Causes(BaseModel):
    """Why a model exists: the ids of the events that led to it, and the two compared batches."""

    model_config = ConfigDict(frozen=True)
    training: Id
    request: Id
    report: Id | None
    reason: Text
    batches: Few[Id]


class Gate(BaseModel):
    """A gate of the promotion policy: what it found, in words and as numbers."""

    model_config = ConfigDict(frozen=True)
    name: Name
    figures: Text
    passed: bool
    values: Annotated[dict[str, FiniteFloat], Field(max_length=MAX_ITEMS), BeforeValidator(_has_few)] = {}


class ModelPromoted(ModelPayload):
    """A version became the champion. `seq` increases with each decision and never decreases.

    `native`, `native_digest` and `profile` are those of `model.registered`. If a person promoted it by a command,
    `actor` is that person, and `command` the type of the command. The cause of the event is then the command.
    """

    TYPE = "model.promoted"
    seq: Count
    previous: Count | None
    reason: Text
    native: Address
    native_digest: LeftOutIfEmpty[Sha256 | None] = None
    metrics: Metrics
    causes: Causes
    actor: LeftOutIfEmpty[Name | None] = None
    command: LeftOutIfEmpty[Literal["promote", "rollback"] | None] = None
    gates: LeftOutIfEmpty[Few[Gate]] = []
    profile: LeftOutIfEmpty[Profile | None] = None


class ModelRejected(ModelPayload):
    """A version did not become the champion, by the dataset's promotion policy. `champion` is 0 if there is none."""

    TYPE = "model.rejected"
    seq: Count
    champion: Count
    reason: Text
    metrics: Metrics
    causes: Causes
    gates: LeftOutIfEmpty[Few[Gate]] = []


class IntervalsAdjusted(ModelPayload):
    """The intervals of a version were measured on a batch, and have another level since.

    Of `rows` prices of the batch's holdout, the share `coverage` was in the intervals at `level_before`.
    """

    TYPE = "intervals.adjusted"
    epoch: Epoch
    number: Count
    rows: Count
    coverage: Share
    level_before: Share
    level: Share


class PeriodLevel(BaseModel):
    """The level of a period, by its first day: see `LevelUpdated`."""

    model_config = ConfigDict(frozen=True)
    period: Day
    value: FiniteFloat
    error: Annotated[FiniteFloat, Field(ge=0)]


class LevelUpdated(ModelPayload):
    """The level of prices of a version after a batch, or after a command. `seq` grows with each of these events.

    `value` is the level as a logarithm, relative to the version's first period, `error` its standard error, and `slope`
    the part of it that is the expected change. `period` is the first day of the period that it follows, and `as_of` the
    date of the newest row. The batch of `rows` usable rows and this `digest` shows the level `seen` with its error. If
    it would move the level too far, `waiting` is what it shows of the days up to `waiting_as_of`. `earlier` has the
    levels of further periods of the batch. If `pinned`, a person decided on the level.

    `cause` is the id of the event or command that led here.
    """

    TYPE = "level.updated"
    seq: VersionNumber
    period: Day
    as_of: Day
    value: FiniteFloat
    error: Annotated[FiniteFloat, Field(ge=0)]
    slope: FiniteFloat = 0.0
    rows: Count
    outcome: LevelOutcome
    reason: Text
    cause: Id
    epoch: LeftOutIfEmpty[Epoch | None] = None
    number: LeftOutIfNone[Count | None] = None
    digest: LeftOutIfEmpty[Digest] = ""
    seen: LeftOutIfNone[FiniteFloat | None] = None
    seen_error: LeftOutIfNone[FiniteFloat | None] = None
    waiting: LeftOutIfNone[FiniteFloat | None] = None
    waiting_error: LeftOutIfNone[FiniteFloat | None] = None
    waiting_as_of: LeftOutIfNone[Day | None] = None
    earlier: LeftOutIfEmpty[Few[PeriodLevel]] = []
    pinned: bool = False
    actor: LeftOutIfEmpty[Name | None] = None


class Command(DatasetPayload):
    """A command of a person to a service, which answers once on the same topic. `actor` names the person.

    `address` is where a command of the monitor came from. The id of the event is that of the command.
    """

    actor: Annotated[str, Field(max_length=255)]
    reason: Text = ""
    address: LeftOutIfEmpty[Name | None] = None


class Poll(Command):
    """To the poller: fetch the next batch now, even while polling is paused."""

    TYPE = "poll"


class Pause(Command):
    """To the poller: fetch no batch automatically until `resume`."""

    TYPE = "pause"


class Resume(Command):
    """To the poller: fetch batches automatically again."""

    TYPE = "resume"


class SignedCommand(Command):
    """A command whose actor and reason are stored with its effect."""

    actor: Name
    reason: Annotated[str, Field(max_length=1_000), AfterValidator(_fits_text)] = ""


class TrainerCommand(SignedCommand):
    """A command to the trainer. Actor and reason get into PIPELINE.promotions and into tags in MLflow."""


class Retrain(TrainerCommand):
    """To the trainer: request a training for the newest closed batch."""

    TYPE = "retrain"


class Promote(TrainerCommand):
    """To the trainer: make a version the champion.

    With `expect` it is refused if another version than that is the champion. With `dry` the answer has the results of
    all checks, and nothing changes.
    """

    TYPE = "promote"
    version: VersionNumber
    expect: LeftOutIfEmpty[VersionNumber | None] = None
    dry: bool = False


class Rollback(TrainerCommand):
    """To the trainer: make the version the champion that the current one replaced."""

    TYPE = "rollback"


class Cancel(TrainerCommand):
    """To the trainer: end the training in progress. Its request has failed then."""

    TYPE = "cancel"


class LevelCommand(SignedCommand):
    """A command to drift about the level of the champion. Actor and reason get into PIPELINE.market_levels."""


class PinLevel(LevelCommand):
    """To drift: keep the level at `factor` times the prices of the version's first period, whatever batches show."""

    TYPE = "pin_level"
    factor: Annotated[FiniteFloat, Field(ge=0.01, le=100)]


class AcceptLevel(LevelCommand):
    """To drift: move the level to what the waiting batch shows."""

    TYPE = "accept_level"


class ResetLevel(LevelCommand):
    """To drift: return to the level of the version's training. Later batches move it again."""

    TYPE = "reset_level"


class CommandAnswer(DatasetPayload):
    """The answer to a command. `command` is its id."""

    command: Annotated[str, Field(max_length=255)]


class CommandAccepted(CommandAnswer):
    """The command was accepted. `effect` describes its effect for people."""

    TYPE = "command.accepted"
    effect: Text


class CommandRefused(CommandAnswer):
    """The command was refused and changes nothing."""

    TYPE = "command.refused"
    reason: Text


class RecordDeadlettered(Payload):
    """A dead letter: a record that a service could not process, with its position and the reason."""

    TYPE = "record.deadlettered"
    KEY = "first_key"
    service: Name
    reason: Text
    error: Text
    topic: Annotated[str, Field(max_length=255)]
    partition: Partition | None
    offset: Offset | None
    first_key: Annotated[str, Field(max_length=1_024)]
    headers: Annotated[dict[str, str], Field(max_length=MAX_ITEMS), BeforeValidator(_has_few)]
    value: str


PAYLOADS: dict[str, type[Payload]] = {
    f"{kind.TYPE}/{kind.VERSION}": kind
    for kind in (
        DatasetDeclared, BatchOpened, BatchRows, BatchClosed, BatchRefused, BatchMissed,
        DriftAssessed, RetrainJudged, RollbackProposed, RetrainRequested,
        TrainingStarted, TrainingProgress, TrainingFinished, TrainingMerged, TrainingSkipped, TrainingFailed,
        ModelRegistered, ModelPromoted, ModelRejected, IntervalsAdjusted,
        LevelUpdated,
        Poll, Pause, Resume, Retrain, Promote, Rollback, Cancel, PinLevel, AcceptLevel, ResetLevel,
        CommandAccepted, CommandRefused,
        RecordDeadlettered,
    )
}  # fmt: skip
"""Payload classes by name and version, as in the header `ce_dataschema`."""
