"""The recipe: everything that is needed to repeat a training from the topics."""

from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from veleta.dataset import parse_dataset
from veleta.events.catalogue import BatchClosed
from veleta.feature_definition import FeatureDefinition

MAX_BATCHES = 1_000
"""The most batches that a training learns from, and the most whose holdout it adds: so data and events are bounded."""


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
    params: dict[str, str | int | float]
    libraries: dict[str, str]
    places_digest: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    """SHA-256 of the table of places. Empty if the dataset has none, and in recipes of earlier versions."""
    unreadable: dict[str, str] = {}
    """Batches that were left out because their rows could not be read, by id, with the reason."""
    not_compared: str = ""
    """Why the champion was not evaluated. Empty if it was, or if there was none."""

    @property
    def definition(self) -> FeatureDefinition:
        """What the features of the model are, and how they are computed."""
        return FeatureDefinition.of_dataset(parse_dataset(self.dataset_file), self.feature_version, self.places_digest)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields. Trainings with the same digest have the same result."""
        return sha256(self.model_dump_json().encode()).hexdigest()


def batches_with_other_rows(
    batches: list[BatchClosed], more: list[BatchClosed], copies: list[BatchClosed]
) -> list[BatchClosed]:
    """Those of `more` with other rows than `batches`: each digest once, and the newest MAX_BATCHES, in their order.

    A new epoch may repeat the rows of the last one, whose batches are `copies`. A copy takes the place of its batch,
    because retention deletes its rows later.
    """
    copy_of = {batch.digest: batch for batch in copies}
    other: dict[str, BatchClosed] = {}
    for batch in more:
        other.setdefault(batch.digest, copy_of.get(batch.digest, batch))
    for batch in batches:
        other.pop(batch.digest, None)
    newest = set(sorted(other, key=lambda digest: (other[digest].epoch, other[digest].number))[-MAX_BATCHES:])
    return [batch for batch in other.values() if batch.digest in newest]
