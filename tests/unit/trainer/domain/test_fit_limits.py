"""The limits of a fit."""

import pytest

from veleta.errors import Reject
from veleta_trainer.domain.fit_limits import MEGABYTE, FitLimits

LIMITS = FitLimits(60.0, 100 * MEGABYTE)


def test_a_fit_within_its_limits_goes_on() -> None:
    """The limits themselves are allowed."""
    LIMITS.check(60.0, 100 * MEGABYTE)


@pytest.mark.failure("F374")
@pytest.mark.parametrize(
    ("seconds", "memory", "reason"),
    [
        (60.1, 0, "longer than its limit: 60 s. Raise FIT_SECONDS"),
        (0, 150 * MEGABYTE, "more memory than its limit: 150 MB of 100 MB. Raise FIT_MEMORY"),
    ],
)
def test_a_fit_beyond_a_limit_is_rejected(seconds: float, memory: int, reason: str) -> None:
    """The reason has the figures and the setting."""
    with pytest.raises(Reject, match=reason):
        LIMITS.check(seconds, memory)
