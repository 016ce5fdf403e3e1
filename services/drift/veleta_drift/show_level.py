"""`python -m veleta_drift.show_level`: prints the level of the market of the champion, and how it came to be."""

import math
from collections.abc import Iterator, Sequence
from datetime import date

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.batches import read_events
from veleta.console import run, show
from veleta.dataset import load_dataset
from veleta.errors import Retry, Stop
from veleta.events.catalogue import LevelUpdated
from veleta.market import Level
from veleta.market_levels import LevelState
from veleta.periods import period_name, period_of
from veleta.settings import KafkaSettings, MlflowSettings, read_settings
from veleta_drift.adapters.models import RegistryModels
from veleta_drift.ports import Model

HEAD = ("update", "period", "as of", "factor", "rows", "outcome", "reason")


class ShowLevelSettings(BaseSettings):
    """The deployment."""

    model_config = SettingsConfigDict(frozen=True)
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)


def main() -> None:
    """Print the table. Raises Stop."""
    settings = read_settings(ShowLevelSettings)
    dataset = load_dataset(settings.dataset)
    if dataset.market is None:
        raise Stop("the dataset file declares no [market]")
    event_log = KafkaLog(settings.kafka, "level")
    try:
        champion = RegistryModels(dataset, MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)).champion()
        updates = [each.payload for each in read_events(event_log, dataset.name, "levels")]
    except Retry as unavailable:
        raise Stop(str(unavailable)) from unavailable
    finally:
        event_log.close()
    if champion is None:
        raise Stop("there is no champion yet")
    for line in lines(champion, [each for each in updates if isinstance(each, LevelUpdated)]):
        show(line)


def lines(champion: Model, updates: Sequence[LevelUpdated]) -> Iterator[str]:
    """What is known of the champion's level, and a table with its updates. One that was published twice counts once."""
    if (market := champion.market) is None:
        yield f"version {champion.number} has no market: it was trained without one"
        return
    version = champion.number, champion.run_id
    own = {each.seq: each for each in updates if (each.version, each.run_id) == version}
    found = [own[seq] for seq in sorted(own)]
    state = LevelState.of_event(found[-1]) if found else market.state
    yield f"version {champion.number}: prices relative to {market.since}, method {market.method}"
    if state.pinned:
        yield "it is pinned: batches do not move it until make level RESET=1"
    if state.waiting:
        yield f"it waits: the last batch shows {_factor(state.waiting.mean, state.waiting.error)}; make level ACCEPT=1"

    def period(day: date) -> str:
        return period_name(period_of(day, market.every), market.every)

    rows = [HEAD, ("0", period(market.last), f"{market.last}", _of(market.now), "", "training", "")]
    rows += [
        (str(each.seq), period(each.period), f"{each.as_of}", _of(Level(each.value, each.error)), f"{each.rows:,}",
         each.outcome, f"{each.reason} ({each.actor})" if each.actor else each.reason)
        for each in found
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _of(level: Level) -> str:
    return _factor(level.value, level.error)


def _factor(value: float, error: float) -> str:
    """`1.043 ± 0.005`: how many times the prices of the first period, with the standard error."""
    factor = math.exp(value)
    return f"{factor:.3f} ± {factor * error:.3f}"


if __name__ == "__main__":
    run(main)
