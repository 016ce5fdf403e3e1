"""The recipe: everything that is needed to repeat a training from the topics."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from veleta.batches import newest_of_each_number
from veleta.dataset import parse_dataset
from veleta.events.catalogue import BatchClosed
from veleta.feature_definition import FeatureDefinition
from veleta.market_levels import LevelHistory


class Recipe(BaseModel):
    """Part of training.started and model.registered. Row order, seed and library versions determine the result."""

    model_config = ConfigDict(frozen=True)
    request_id: str
    dataset: str
    dataset_digest: str
    dataset_file: str
    feature_version: int
    batches: list[BatchClosed]
    """Manifests of the batches to train on, in the order of reading. Their holdout rows are only evaluated."""
    more_holdout: list[BatchClosed]
    """Manifests of further batches whose holdout rows the champion was evaluated on."""
    champion: int | None
    """The version that is challenged."""
    champion_levels: Annotated[LevelHistory, Field(exclude_if=lambda value: value == LevelHistory())] = LevelHistory()
    """The levels of its market since its training."""
    params: dict[str, str | int | float]
    libraries: dict[str, str]
    places_digest: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    """SHA-256 of the table of places. Empty if the dataset has none, and in recipes of earlier versions."""
    max_rows: Annotated[int, Field(exclude_if=lambda value: not value)] = 0
    """The most training rows that are learnt: see `row_limit`. 0: all."""
    learnt_share: Annotated[float, Field(exclude_if=lambda value: value == 1.0)] = 1.0
    """The share of the training rows that was learnt."""
    unreadable: dict[str, str] = {}
    """Batches that were left out because their rows could not be read, by id, with the reason."""
    not_compared: str = ""
    """Why the champion was not evaluated. Empty if it was, or if there was none."""

    @property
    def definition(self) -> FeatureDefinition:
        """What the features of the model are, and how they are computed."""
        return FeatureDefinition.of_dataset(parse_dataset(self.dataset_file), self.feature_version, self.places_digest)

    @property
    def newest(self) -> tuple[int, int]:
        """The epoch and the number of the newest batch to train on."""
        return max((each.epoch, each.number) for each in self.batches)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields. Trainings with the same digest have the same result."""
        return sha256(self.model_dump_json().encode()).hexdigest()


def batches_of_other_numbers(batches: Sequence[BatchClosed], more: Iterable[BatchClosed]) -> list[BatchClosed]:
    """Those of `more` that none of `batches` replaces, by a newer one of its number or by a copy of its rows.

    As `newest_of_each_number`. The rows of a batch that was replaced show the market of an earlier epoch. After a
    change of the market a model that learnt it is worse there than the champion, and would be rejected for that.
    """
    numbers, digests = {batch.number for batch in batches}, {batch.digest for batch in batches}
    return newest_of_each_number(each for each in more if each.number not in numbers and each.digest not in digests)
