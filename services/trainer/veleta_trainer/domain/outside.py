"""An alias that somebody moved by hand in MLflow: it is found, gets a sequence number, and is told like a promotion."""

from veleta.events.catalogue import Causes, ModelPromoted
from veleta.ports import NATIVE, Version
from veleta_trainer.domain.training import Crowned

DECISION = "outside"


def event_id(model: str, seq: int) -> str:
    """The id of the event that tells of decision `seq`."""
    return f"{model}/{DECISION}/{seq}"


def reason(version: int, last: Crowned | None) -> str:
    """For people."""
    before = f"version {last.version}" if last else "no version"
    return f"the alias was moved by hand in MLflow: version {version} instead of {before}"


def promoted(model: str, version: Version, seq: int, last: Crowned | None, metrics: dict[str, float]) -> ModelPromoted:
    """The event's payload. What led to the version is its own training, if it had one."""
    request = version.tags.get("request_id", "")
    why = reason(version.number, last)
    return ModelPromoted(
        model=model,
        version=version.number,
        run_id=version.run_id,
        seq=seq,
        previous=last.version if last else None,
        reason=why,
        native=version.tags.get(NATIVE, ""),
        metrics=metrics,
        causes=Causes(
            training=f"{request}/started" if request else "", request=request, report=None, reason=why, batches=[]
        ),
    )
