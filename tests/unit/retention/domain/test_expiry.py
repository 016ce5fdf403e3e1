"""When requests expire."""

from datetime import UTC, datetime

from veleta_retention.domain.expiry import expiry_cutoff

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_requests_expire_after_some_days() -> None:
    """Exactly so many days. With 0 days they never expire."""
    assert expiry_cutoff(NOW, 30) == datetime(2026, 1, 30, tzinfo=UTC)
    assert expiry_cutoff(NOW, 0) is None
