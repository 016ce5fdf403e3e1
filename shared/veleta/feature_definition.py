"""What a model's features are and how they are computed. It is part of the model's CatBoost file.

The dataset file can change after a training. Inference and the trainer ask a model only for rows whose features the
present file computes as that of the training did.
"""

import hashlib
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from veleta.dataset import Column, Dataset, DerivedFeature, PlacesRule
from veleta.errors import Reject, one_line
from veleta.features import FEATURE_VERSION, MISSING_COUNT, MISSING_PREFIX, place_feature
from veleta.places import load_places

METADATA = "feature_definition"
"""The key in the metadata of the CatBoost model. Models of earlier versions have none."""
PLACE = "place"
"""The kind of a feature from the table of places."""
_LEFT_OUT_IF_EMPTY = Field(exclude_if=lambda value: not value)
"""A field that was added later: without it a definition is written as in earlier versions."""


class FeatureSource(BaseModel):
    """What one feature is computed from: all that `veleta.features.Features` and `Column.convert` use of its column.

    Its kind is that of the column. A derived feature is a `quotient` or a `sum` of its `inputs`. A `flag` shows that
    its input is missing, and a `count` how many of them are. A `place` is a column of the table of places.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    kind: str
    unit: str = ""
    digits: int = 0
    prefix: int = 0
    format: Annotated[str, _LEFT_OUT_IF_EMPTY] = ""
    missing: Annotated[list[str], _LEFT_OUT_IF_EMPTY] = []
    inputs: Annotated[list[str], _LEFT_OUT_IF_EMPTY] = []


class PlacesSource(BaseModel):
    """The table of places, by its SHA-256, and the columns by which a place is found. An identifier has `digits`."""

    model_config = ConfigDict(frozen=True)
    table: str
    key: str
    digits: int
    city: str
    state: str


class FeatureDefinition(BaseModel):
    """The columns of all features in their order, and the target, whose logarithm is predicted."""

    model_config = ConfigDict(frozen=True)
    feature_version: int
    target: FeatureSource
    features: list[FeatureSource]
    places: Annotated[PlacesSource | None, _LEFT_OUT_IF_EMPTY] = None

    @classmethod
    def of_dataset(
        cls, dataset: Dataset, feature_version: int = FEATURE_VERSION, places_digest: str | None = None
    ) -> Self:
        """That of a dataset file, with the table of places that is installed or, if it is given, the one of a digest.

        Raises Stop: the table of places cannot be read.
        """
        features = [_source(column) for column in dataset.inputs if column.is_feature]
        features += [_derived_source(feature) for feature in dataset.features]
        features += _missing_sources([column.name for column in dataset.optional_features])
        if dataset.places:
            places = load_places(dataset.places.table)
            names = map(place_feature, (*places.numbers, *places.texts))
            features += [FeatureSource(name=name, kind=PLACE) for name in names]
            places_digest = places.digest if places_digest is None else places_digest
        target = _source(dataset.by_name[dataset.target])
        source = _places_source(dataset, dataset.places, places_digest or "") if dataset.places else None
        return cls(feature_version=feature_version, target=target, features=features, places=source)

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
            if present.places or each.kind != PLACE
        ]
        if self.feature_version != present.feature_version:
            texts.append(f"version {self.feature_version} of the features, now {present.feature_version}")
        if self.places and any(each.kind == PLACE for each in self.features):
            gone = "[places] is left out now"
            texts.append(_changes("[places]", self.places, present.places) if present.places else gone)
        if self.target.name != present.target.name:
            texts.append(f"the target was {self.target.name}, now {present.target.name}")
        else:
            texts.append(_difference(self.target, present.target))
        return [text for text in texts if text]


def _source(column: Column) -> FeatureSource:
    return FeatureSource(
        name=column.name,
        kind=column.kind,
        unit=column.unit,
        digits=column.digits,
        prefix=column.prefix,
        format=column.format,
        missing=column.missing or [],
    )


def _derived_source(feature: DerivedFeature) -> FeatureSource:
    kind = "quotient" if feature.divide else "sum"
    return FeatureSource(name=feature.name, kind=kind, inputs=feature.inputs)


def _missing_sources(optional: Sequence[str]) -> list[FeatureSource]:
    flags = [FeatureSource(name=f"{MISSING_PREFIX}{name}", kind="flag", inputs=[name]) for name in optional]
    return [*flags, FeatureSource(name=MISSING_COUNT, kind="count", inputs=[*optional])] if flags else []


def _places_source(dataset: Dataset, rule: PlacesRule, digest: str) -> PlacesSource:
    digits = dataset.by_name[rule.key].digits
    return PlacesSource(table=digest, key=rule.key, digits=digits, city=rule.city or "", state=rule.state or "")


def _difference(before: FeatureSource, now: FeatureSource) -> str:
    """`zip_code had prefix = 3, now 2`. Empty if nothing differs."""
    return _changes(before.name, before, now)


def _changes(name: str, before: BaseModel, now: BaseModel) -> str:
    old, new = dict(before), dict(now)
    changes = [f"{key} = {_shown(old[key])}, now {_shown(new[key])}" for key in old if old[key] != new[key]]
    return f"{name} had {' and '.join(changes)}" if changes else ""


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "none")
