"""Reads the champion with its present levels, as a process of inference that starts now would serve it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from veleta.batches import read_events
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject, Stop
from veleta.events.catalogue import IntervalsAdjusted, LevelUpdated, ModelPromoted, Payload
from veleta.intervals import AdjustedLevel
from veleta.ports import CHAMPION, EventLog, Registry
from veleta.smoke_check import smoke_check
from veleta.topics import TopicName
from veleta_inference.domain.interval_predictor import IntervalBooster, IntervalPredictor
from veleta_inference.domain.promotions import LoadedModel, Promotion, promotion_of_alias, promotion_of_event
from veleta_inference.domain.served_market import LevelUpdates
from veleta_inference.model_loader import ModelLoader


class ChampionReader:
    """Reads the champion once. Later promotions and updates change nothing that was read."""

    def __init__(
        self,
        dataset: Dataset,
        registry: Registry,
        event_log: EventLog,
        load: Callable[[Path], IntervalBooster],
        clock: Clock,
    ) -> None:
        """`load` reads the file of a model."""
        self._dataset = dataset
        self._registry = registry
        self._event_log = event_log
        self._load = load
        self._clock = clock

    def read(self, folder: Path) -> LoadedModel:
        """The champion. Its file is in a folder of its own in `folder` as long as the model is in use.

        Raises:
            Stop: there is no champion yet.
            Reject: its model does not load, or fails the smoke check.
            Retry: Kafka or the registry is unavailable.
        """
        version = self._registry.alias(CHAMPION)
        if version is None:
            raise Stop("there is no champion yet")
        key = version.number, version.run_id
        promotion, levels = promotion_of_alias(version), list[AdjustedLevel]()
        for payload, time in self._events("models"):
            if isinstance(payload, ModelPromoted) and (payload.version, payload.run_id) == key:
                promotion = _later(promotion, promotion_of_event(payload, time))
            if isinstance(payload, IntervalsAdjusted) and (payload.version, payload.run_id) == key:
                levels.append(AdjustedLevel(payload.epoch, payload.number, payload.level))
        loader = ModelLoader(self._dataset, self._registry, self._load, self._clock, folder)
        model = loader.load(promotion, self._smoke_check).at_level(max(levels, default=None))
        return model.after(self._updates(key)) if self._dataset.market else model

    def _updates(self, key: tuple[int, str]) -> LevelUpdates | None:
        """The updates of a version's level of the market. One that is no level is skipped, as inference does it."""
        updates = None
        for payload, time in self._events("levels"):
            if isinstance(payload, LevelUpdated) and (payload.version, payload.run_id) == key:
                with suppress(Reject):
                    updates = LevelUpdates.after(updates, payload, time)
        return updates

    def _events(self, name: TopicName) -> Iterator[tuple[Payload, datetime]]:
        return ((each.payload, each.time) for each in read_events(self._event_log, self._dataset.name, name))

    def _smoke_check(self, predictor: IntervalPredictor) -> None:
        example, _ = self._dataset.convert(self._dataset.example)
        smoke_check(self._dataset, predictor.predict([example])[0].value, [], [])


def _later(known: Promotion, other: Promotion) -> Promotion:
    """The promotion with the higher number. Of two with the same one, the event has more than the registry's alias."""
    return other if other.seq >= known.seq else known
