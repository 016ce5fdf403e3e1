"""A start that cannot succeed ends at once with the reason, and nothing runs afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.failing_start import Checkout
from support.listings import write_csv
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


@pytest.mark.failure("F161")
def test_a_failed_training_ends_the_start(checkout: Checkout, tmp_path: Path) -> None:
    """Its first batch has too few rows for a model. The command exits with 1, and make with 2."""
    write_csv(tmp_path / "few.csv", rows_per_kind=10, seed=1)
    failed = checkout.start(csv=tmp_path / "few.csv", trees=5)
    assert failed.code == 1
    assert failed.reason.startswith("the start failed: training 1/0 failed: the recipe cannot be trained: ")
    assert "are too few" in failed.reason
    assert checkout.is_down()
    assert Run(checkout.run.home).variables.trees == 5
