"""The health of a part as text."""

from veleta_local.health import Health


def test_a_part_that_waits_names_the_dependency() -> None:
    """`make status` and a start that took too long show the text of /readyz."""
    health = Health(ready=False, doing="reads batch 3", waits_for={"mysql": "connection refused"})
    assert str(health) == "reads batch 3; waits for mysql: connection refused"


def test_a_part_shows_its_warnings() -> None:
    """A part with a warning is ready, so its text is where a person sees it."""
    health = Health(ready=True, doing="serving 6 batches", warnings={"rows": "9 of 12 rows are left out"})
    assert str(health) == "serving 6 batches; warning: 9 of 12 rows are left out"
