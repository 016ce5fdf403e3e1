"""When a disk will be full."""

import math

import pytest

from veleta_poller.domain.disk_growth import DAY, SAMPLES, DiskGrowth

GB = 10**9


@pytest.mark.parametrize(
    ("samples", "days"),
    [
        ([(0.0, 9 * GB)], math.inf),
        ([(0.0, 9 * GB), (DAY, 9 * GB)], math.inf),
        ([(0.0, 8 * GB), (DAY, 9 * GB)], math.inf),
        ([(0.0, 10 * GB), (DAY, 9 * GB)], 9.0),
        ([(0.0, 10 * GB), (DAY / 2, 9 * GB), (DAY, 8 * GB)], 4.0),
        ([(0.0, GB), (60.0, 0)], 0.0),
    ],
)
def test_the_days_follow_from_the_rate(samples: list[tuple[float, int]], days: float) -> None:
    """A disk on which nothing is written is never full."""
    growth = DiskGrowth()
    for seconds, free in samples:
        growth.add(seconds, free)
    assert growth.days_until_full == days


def test_only_the_last_samples_count() -> None:
    """A first hour with a large download is forgotten."""
    growth = DiskGrowth()
    growth.add(0.0, 100 * GB)
    for minute in range(SAMPLES):
        growth.add(60.0 * (minute + 1), 10 * GB)
    assert growth.days_until_full == math.inf
