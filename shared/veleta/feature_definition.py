"""What a model's features are and how they are computed. It is part of the model's CatBoost file.

The dataset file can change after a training. Inference and the trainer ask a model only for rows whose features the
present file computes as that of the training did.
"""

import hashlib
from collections.abc import Mapping, MutableMapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from veleta.dataset import Column, Dataset, DerivedFeature
from veleta.errors import Reject, one_line
from veleta.features import FEATURE_VERSION

METADATA = "feature_definition"
"""The key in the metadata of the CatBoost model. Models of earlier versions have none."""


class FeatureSource(BaseModel):
    """What one feature is computed from: all that `veleta.features.Features` and `Column.convert` use of its column.

    Its kind is that of the column. A derived feature is a `quotient` or a `sum` of its `inputs`.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: str
    unit: str = ""
    digits: int = 0
    prefix: int = 0
    inputs: Annotated[list[str], Field(exclude_if=lambda value: not value)] = []
    """Left out of a file if it is empty, as in earlier versions."""


class FeatureDefinition(BaseModel):
    """The columns of all features in their order, and the target, whose logarithm is predicted."""

    model_config = ConfigDict(frozen=True)
    feature_version: int
    target: FeatureSource
    features: list[FeatureSource]

    @classmethod
    def of_dataset(cls, dataset: Dataset, feature_version: int = FEATURE_VERSION) -> Self:
        """That of a dataset file."""
        features = [_source(column) for column in dataset.inputs if column.is_feature]
        features += [_derived_source(feature) for feature in dataset.features]
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


def _derived_source(feature: DerivedFeature) -> FeatureSource:
    kind = "quotient" if feature.divide else "sum"
    return FeatureSource(name=feature.name, kind=kind, inputs=feature.inputs)


def _difference(before: FeatureSource, now: FeatureSource) -> str:
    """`zip_code had prefix = 3, now 2`. Empty if nothing differs."""
    old, new = dict(before), dict(now)
    changes = [f"{key} = {_shown(old[key])}, now {_shown(new[key])}" for key in old if old[key] != new[key]]
    return f"{before.name} had {' and '.join(changes)}" if changes else ""


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "none")
