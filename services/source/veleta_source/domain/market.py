"""The section [generator.market] of a dataset file: how the epochs of generated rows differ.

Epoch 1 is as the rest of [generator] declares it. Levels and trends are in units of the natural logarithm: 0.1 raises a
target by about a tenth.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from veleta.dataset import BatchRule, Name, Section
from veleta.toml_document import place
from veleta.valid_values import did_you_mean

FIRST_EPOCH = 1
SHOWN_EPOCHS = 8
"""A summary names at most this many epochs."""
MAX_LEVEL = 1.0
"""The most that the level of targets moves: a batch has bounds, and would have nearly all targets at one of them."""
LaterEpoch = Annotated[int, Field(ge=2, le=999)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Spread = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Scope(NamedTuple):
    """Whose targets move: those of the rows with this value of a category. Both are empty: those of all rows."""

    column: str = ""
    value: str = ""


class Change(Section):
    """A change of the market: one of the last four keys is set. It begins with `epoch`, and lasts.

    `level` moves the targets once; `trend` moves them in each epoch up to `until`. With `column` and `value` only rows
    with this value of a category are meant. `shares` are new shares of a category, and values that are not named keep
    theirs. `median` is the new median of a number.
    """

    epoch: LaterEpoch
    until: LaterEpoch | None = None
    column: Name | None = None
    value: str | None = None
    level: Finite | None = None
    trend: Finite | None = None
    shares: dict[str, Spread] | None = None
    median: Positive | None = None

    @property
    def kinds(self) -> list[str]:
        """The keys that say what changes. A valid change has one."""
        return [key for key in ("level", "trend", "shares", "median") if getattr(self, key) is not None]

    @property
    def scope(self) -> Scope:
        """Whose targets a level or a trend moves."""
        return Scope(self.column or "", self.value or "")

    @property
    def epochs(self) -> range:
        """The epochs in which something changes: several only with a trend."""
        return range(self.epoch, (self.until or self.epoch) + 1)


class Market(Section):
    """The whole section. `quiet`: epochs in which nothing changes but the drawn rows. A trend pauses there."""

    quiet: list[LaterEpoch] = Field(default_factory=list)
    changes: list[Change] = Field(default_factory=list)

    @property
    def moving_epochs(self) -> list[int]:
        """The epochs that differ from the one before, in ascending order. All others are quiet, declared or not."""
        return sorted({epoch for change in self.changes for epoch in change.epochs} - {*self.quiet})

    def summary(self) -> str:
        """When the market changes, in a few words."""
        epochs = self.moving_epochs
        if not epochs:
            return "its market never changes"
        noun = "epoch" if len(epochs) == 1 else "epochs"
        more = f" and {len(epochs) - SHOWN_EPOCHS} more" if len(epochs) > SHOWN_EPOCHS else ""
        return f"its market changes in {noun} {', '.join(map(str, epochs[:SHOWN_EPOCHS]))}{more}"

    def levels(self, epoch: int) -> dict[Scope, float]:
        """How far the targets of an epoch are from those of epoch 1."""
        levels: dict[Scope, float] = {}
        for change in self.changes:
            moves = len([each for each in change.epochs if each <= epoch and each not in self.quiet])
            size = change.level if change.trend is None else change.trend
            if size is not None and moves:
                levels[change.scope] = levels.get(change.scope, 0.0) + moves * size
        return levels

    def shares(self, epoch: int, column: str, declared: Mapping[str, float]) -> dict[str, float]:
        """The shares of a category in an epoch; `declared`: those of epoch 1."""
        changes = (change.shares for change in self._begun(epoch, column) if change.shares)
        return dict(chain(declared.items(), *(shares.items() for shares in changes)))

    def median(self, epoch: int, column: str, declared: float) -> float:
        """The median of a number in an epoch; `declared`: that of epoch 1."""
        return next((change.median for change in reversed(self._begun(epoch, column)) if change.median), declared)

    def _begun(self, epoch: int, column: str) -> list[Change]:
        """The changes of a column up to an epoch, the latest one last."""
        begun = (change for change in self.changes if change.column == column and change.epoch <= epoch)
        return sorted(begun, key=lambda change: change.epoch)


class Declared(NamedTuple):
    """What [generator] declares for epoch 1: the categories with their shares, the numbers, and the region's column."""

    shares: Mapping[str, Mapping[str, float]]
    numbers: list[str]
    region: str


def market_faults(
    market: Market, document: Mapping[str, Any], declared: Declared, rules: Sequence[BatchRule]
) -> Iterator[str]:
    """A line for each fault. `document` is [generator] as the file has it."""
    for number, change in enumerate(market.changes):
        where = f"{place(document, ('market', 'changes', number), ('generator',))} epoch {change.epoch}"
        faults = chain(_epoch_faults(change, market.quiet), _kind_faults(change, declared))
        yield from (f"{where}: {fault}" for fault in faults)
    yield from _sum_faults(market, declared, rules)


def _epoch_faults(change: Change, quiet: Sequence[int]) -> Iterator[str]:
    if change.epoch in quiet:
        yield "this epoch is quiet: use another one, or remove it from quiet"
    if change.trend is not None and change.until is None:
        yield f"trend = {change.trend:g} has no end: add until, its last epoch"
    if change.trend is None and change.until is not None:
        yield f"until = {change.until} is the end of a trend: remove it"
    elif change.until is not None and change.until < change.epoch:
        yield f"until = {change.until}: use a later epoch"


def _kind_faults(change: Change, declared: Declared) -> Iterator[str]:
    match change.kinds:
        case ["level" | "trend"]:
            yield from _scope_faults(change, declared)
            return
        case ["shares"]:
            yield from _column_faults(change, [*declared.shares], "category")
            known = [*declared.shares.get(change.column or "", change.shares or {})]
            wrong = (name for name in change.shares or {} if name not in known)
            yield from (f"no {change.column} is {name}: {did_you_mean(name, known)}" for name in wrong)
        case ["median"]:
            yield from _column_faults(change, declared.numbers, "number")
        case kinds:
            seen = " and ".join(kinds) or "nothing to change"
            yield f"it has {seen}: use one of level, trend, shares and median"
            return
    if change.value is not None:
        yield f"value = {change.value!r} is for a level or a trend: remove it"


def _scope_faults(change: Change, declared: Declared) -> Iterator[str]:
    if change.column is None and change.value is None:
        return
    yield from _column_faults(change, [*declared.shares], "category")
    known = declared.shares.get(change.column or "", {})
    if change.value is None:
        yield f"column = {change.column!r} needs a value: add value, or remove column"
    elif known and change.value not in known:
        yield f"no {change.column} is {change.value}: {did_you_mean(change.value, known)}"


def _column_faults(change: Change, names: Sequence[str], kind: str) -> Iterator[str]:
    if change.column is None:
        yield f"column is missing: {did_you_mean('', names)}"
    elif change.column not in names:
        yield f"[generator] has no {kind} {change.column}: {did_you_mean(change.column, names)}"


def _sum_faults(market: Market, declared: Declared, rules: Sequence[BatchRule]) -> Iterator[str]:
    """The faults of changes that add up, each with the first epoch that has it."""
    needed = {c.equals: rule.place for rule in rules for c in rule.where if c.column == declared.region and c.equals}
    first: dict[str, int] = {}
    for epoch in market.moving_epochs:
        for fault in chain(_level_faults(market, epoch), _weight_faults(market, epoch, declared, needed)):
            first.setdefault(fault, epoch)
    yield from (f"[generator.market] epoch {epoch}: {fault}" for fault, epoch in first.items())


def _level_faults(market: Market, epoch: int) -> Iterator[str]:
    levels = market.levels(epoch)
    everywhere = levels.pop(Scope(), 0.0)
    if any(abs(everywhere + level) > MAX_LEVEL for level in (0.0, *levels.values())):
        yield f"levels and trends add up to more than {MAX_LEVEL:g}: use smaller ones, or some below 0"


def _weight_faults(market: Market, epoch: int, declared: Declared, needed: Mapping[str, int]) -> Iterator[str]:
    for column, shares in declared.shares.items():
        changed = market.shares(epoch, column, shares)
        if sum(shares.values()) > 0 and not sum(changed.values()) > 0:
            yield f"the sum of the shares of {column} is 0: use shares above 0"
        elif column == declared.region:
            for name in (name for name in needed if shares.get(name) and not changed[name]):
                yield f"{name} has no share, and [[source]] place {needed[name]} needs it: use one above 0"
