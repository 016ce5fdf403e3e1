"""A start that cannot succeed ends at once with the reason, and nothing runs afterwards."""

from collections.abc import Iterator

import pytest

from support.failing_start import Checkout
from veleta_local.errors import StartFailed
from veleta_local.run import Run

BROKEN = {
    "kafka": ("kafka/meta.properties", "Error: node ID not found"),
    "mysql": ("mysql/ibdata1", "InnoDB: The Auto-extending data file './ibdata1' is of a different size"),
    "mlflow": ("mlflow/mlflow.db", "sqlite3.DatabaseError: file is not a database"),
}
"""By part, a file of its data, and what the part says when that is broken."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A run that started once, and is down."""
    made = Checkout(tmp_path_factory.mktemp("failing"))
    Run(made.run.home, made.variables, report=lambda _: None).start_backing(120)
    made.run.stop()
    yield made
    made.run.stop()


@pytest.mark.failure("F160")
@pytest.mark.parametrize("part", sorted(BROKEN))
def test_a_server_that_cannot_start_ends_the_start(checkout: Checkout, part: str) -> None:
    """With its own error, after its second try. Nothing runs, and with repaired data the next start works."""
    name, reason = BROKEN[part]
    path = checkout.run.home / name
    content = path.read_bytes()
    path.write_bytes(b"broken" * 50)
    try:
        with pytest.raises(StartFailed, match=f"^the start failed: {part} ended 2 times: .*{reason}"):
            checkout.run.start_backing(60)
        assert checkout.is_down()
    finally:
        path.write_bytes(content)
