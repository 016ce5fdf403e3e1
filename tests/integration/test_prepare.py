"""The job: what it makes, what it refuses."""

from support.world import World


def test_a_second_run_changes_nothing(world: World) -> None:
    """Whoever starts twice must not be punished for it."""
    again = world.prepare()
    assert again.returncode == 0, again.stderr
