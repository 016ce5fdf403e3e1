"""Whether a run took a row, from its files."""

from pathlib import Path

import pytest

from veleta_local.run_data import delete, has_rows


def write(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A run that was started, and took no row."""
    for name in ("run.json", "secrets", "mysql/ibdata1", "kafka/homes.batches-0/0.log", "inbox/kept/1-404.body"):
        write(tmp_path / name, "x")
    for name in ("kafka/homes.rows-0/0.log", "kafka/homes.rows-1/0.log", "kafka/homes.rows-1/0.index"):
        write(tmp_path / name)
    return tmp_path


def test_a_run_that_only_started_has_no_rows(home: Path) -> None:
    """Events about refused responses are no rows."""
    assert not has_rows(home)
    assert not has_rows(home / "new")


@pytest.mark.parametrize(
    "trace", ["kafka/homes.rows-1/0.log", "inbox/2-200.body", "mlflow/artifacts/1/models/m-1/MLmodel"]
)
def test_a_trace_of_a_row_is_enough(home: Path, trace: str) -> None:
    """In the topic, in a response that is not published yet, or in a model."""
    write(home / trace, "x")
    assert has_rows(home)


def test_a_database_without_topics_may_have_rows(home: Path) -> None:
    """Its Kafka folder was deleted by hand."""
    (home / "kafka").rename(home / "moved")
    assert has_rows(home)


def test_a_run_without_rows_starts_from_its_beginning(home: Path) -> None:
    """The variables and the passwords stay."""
    delete(home)
    assert sorted(path.name for path in home.iterdir()) == ["run.json", "secrets"]
