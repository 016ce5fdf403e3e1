"""The recipe: all that is needed to train a version again from the topics alone."""

from pydantic import BaseModel, ConfigDict

from veleta.events.catalogue import BatchClosed


class Recipe(BaseModel):
    """Carried by training.started and model.registered. Row order, seed and library versions decide the result."""

    model_config = ConfigDict(frozen=True)
    request_id: str
    dataset: str
    dataset_digest: str
    dataset_file: str
    feature_version: int
    batches: list[BatchClosed]
    """Manifests of the batches that are learnt from (but for the holdout's rows), in the order of reading."""
    more_holdout: list[BatchClosed]
    """Manifests of batches whose holdout rows the champion was promoted on, beyond those of `batches`."""
    champion: int | None
    """The version that is challenged."""
    params: dict[str, str | int | float]
    libraries: dict[str, str]


def beyond(batches: list[BatchClosed], more: list[BatchClosed]) -> list[BatchClosed]:
    """Those of `more` that hold other rows than `batches` do: a new epoch brings the same rows again."""
    seen = {b.digest for b in batches}
    kept = []
    for batch in more:
        if batch.digest not in seen:
            seen.add(batch.digest)
            kept.append(batch)
    return kept
