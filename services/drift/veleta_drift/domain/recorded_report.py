"""What a replay takes from a published report: what its batch was measured with."""

from dataclasses import dataclass
from typing import Self

from veleta.events.catalogue import DriftAssessed
from veleta_drift.domain import evidence


@dataclass(frozen=True)
class RecordedReport:
    """The circumstances of a report, without its figures.

    `previous` is the number of the batch that it compares with, and `replaced` the version that the champion had
    replaced. Without a champion `reason` says why. `has_all_parts` is False for a report of an earlier release.
    """

    dataset_digest: str
    policy: str
    previous: int | None
    champion: int | None
    replaced: int | None
    reason: str
    has_all_parts: bool

    @classmethod
    def of(cls, report: DriftAssessed) -> Self:
        """Those of a report."""
        reasons = {each.policy: each.reason for each in report.verdicts}
        return cls(
            dataset_digest=report.dataset_digest,
            policy=report.policy,
            previous=report.previous,
            champion=report.champion,
            replaced=report.pair.previous if report.pair else None,
            reason="" if report.champion else reasons.get(evidence.POLICY, ""),
            has_all_parts=bool(report.verdicts) and (report.pair is not None or len(report.errors) <= 1),
        )
