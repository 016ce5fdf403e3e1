"""What a model's features are and how they are computed. It is part of the model's CatBoost file.

The dataset file can change after a training. Inference and the trainer ask a model only for rows whose features the
present file computes as that of the training did.
"""

import hashlib
from collections.abc import Mapping, MutableMapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from veleta.dataset import Column, Dataset
from veleta.errors import Reject, one_line
from veleta.features import FEATURE_VERSION, feature_columns

METADATA = "feature_definition"
"""The key in the metadata of the CatBoost model. Models of earlier versions have none."""


class FeatureSource(BaseModel):
    """The column of one feature, with all that `veleta.features.features` and `Column.convert` use of it."""

    model_config = ConfigDict(frozen=True)
    name: str
    kind: str
    unit: str
    digits: int
    prefix: int


class FeatureDefinition(BaseModel):
    """The columns of all features in their order, and the target, whose logarithm is predicted."""

    model_config = ConfigDict(frozen=True)
    feature_version: int
    target: FeatureSource
    features: list[FeatureSource]

    @classmethod
    def of_dataset(cls, dataset: Dataset, feature_version: int = FEATURE_VERSION) -> Self:
        """That of a dataset file."""
        features = [_source(column) for column in feature_columns(dataset)]
        return cls(feature_version=feature_version, target=_source(dataset.by_name[dataset.target]), features=features)

    @classmethod
    def of_model(cls, metadata: Mapping[str, str]) -> Self | None:
        """That in a model's metadata, if it has one. Raises Reject if it cannot be read."""
        text = metadata.get(METADATA)
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError as error:
            raise Reject("the definition of the model's features cannot be read", one_line(error)) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the definition, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def save(self, metadata: MutableMapping[str, str]) -> None:
        """Add it to a model's metadata."""
        metadata[METADATA] = self.model_dump_json()

    def differences(self, present: "FeatureDefinition") -> list[str]:
        """How `present` differs in what a model of this definition is asked with: a text for each difference.

        Empty if the model can be asked. Features that only `present` has, and their order, make no difference.
        """
        others = {each.name: each for each in present.features}
        texts = [
            _difference(each, other) if (other := others.get(each.name)) else f"{each.name} is no feature now"
            for each in self.features
        ]
        if self.feature_version != present.feature_version:
            texts.append(f"version {self.feature_version} of the features, now {present.feature_version}")
        if self.target.name != present.target.name:
            texts.append(f"the target was {self.target.name}, now {present.target.name}")
        else:
            texts.append(_difference(self.target, present.target))
        return [text for text in texts if text]


def _source(column: Column) -> FeatureSource:
    return FeatureSource(
        name=column.name, kind=column.kind, unit=column.unit, digits=column.digits, prefix=column.prefix
    )


def _difference(before: FeatureSource, now: FeatureSource) -> str:
    """`zip_code had prefix = 3, now 2`. Empty if nothing differs."""
    old, new = before.model_dump(), now.model_dump()
    changes = [f"{key} = {old[key] or 'none'}, now {new[key] or 'none'}" for key in old if old[key] != new[key]]
    return f"{before.name} had {' and '.join(changes)}" if changes else ""
