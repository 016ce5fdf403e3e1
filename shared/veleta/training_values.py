"""What a model has learnt: the values of its training rows. They are part of its CatBoost file.

The trainer writes them, and inference warns of other values.
"""

from collections.abc import Mapping, MutableMapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

METADATA = "training_values"
"""The key in the metadata of the CatBoost model. Models of earlier versions have none."""


class TrainingValues(BaseModel):
    """The lowest and highest number, or all texts, of each feature (see `veleta.features`).

    `gaps` names the numbers that some rows did not have. Among texts, the empty one is a missing value.
    """

    model_config = ConfigDict(frozen=True)
    ranges: dict[str, tuple[float, float]]
    texts: dict[str, list[str]]
    gaps: list[str] = Field([], exclude_if=lambda gaps: not gaps)

    @classmethod
    def of_model(cls, metadata: Mapping[str, str]) -> Self | None:
        """Those in a model's metadata, if it has any. Raises ValueError if they cannot be read."""
        text = metadata.get(METADATA)
        return cls.model_validate_json(text) if text else None

    def save(self, metadata: MutableMapping[str, str]) -> None:
        """Add them to a model's metadata."""
        metadata[METADATA] = self.model_dump_json()
