"""What a run with ENGINE=spark needs."""

from pathlib import Path

import pytest

from veleta.bounds import Engine
from veleta_local import downloads, spark
from veleta_local.deployment import Deployment
from veleta_local.spark_cluster import SparkCluster
from veleta_local.variables import Variables


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is installed. Nothing is downloaded."""
    installed: list[str] = []
    monkeypatch.setattr(downloads, "ensure_pyspark", lambda _: installed.append("PySpark"))
    monkeypatch.setattr(downloads, "ensure_spark_jars", lambda _: installed.append("jars"))
    return installed


def test_only_the_engine_spark_installs_spark(tmp_path: Path, installed: list[str]) -> None:
    """Half a gigabyte. The start says where batches are read and models are fitted."""
    lines: list[str] = []
    spark.ensure(Deployment(tmp_path), lines.append)
    assert installed == lines == []
    spark.ensure(Deployment(tmp_path, Variables(engine="spark", spark_master="local[3]")), lines.append)
    assert installed == ["PySpark", "jars"]
    assert lines == ["Apache Spark reads batches and fits models: local[3]"]


def test_the_next_start_has_the_engine_of_the_run(tmp_path: Path) -> None:
    """It needs no variable. The engine may change, also after the first row."""
    Deployment(tmp_path, Variables(engine="spark", spark_master="local[3]")).save()
    again = Deployment(tmp_path)
    assert again.environment("trainer")["ENGINE"] == "spark"
    assert spark.environment(again, "trainer")["SPARK_MASTER"] == "local[3]"
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/1.body").write_text("rows")
    changed = Deployment(tmp_path, Variables(engine="local"))
    assert changed.environment("trainer")["ENGINE"] == "local"
    assert spark.environment(changed, "trainer") == {}


def test_only_services_with_an_engine_get_spark(tmp_path: Path) -> None:
    """Drift and the trainer, with the jars of this checkout."""
    run = Deployment(tmp_path, Variables(engine="spark"))
    expected = {"SPARK_MASTER": "local[2,4]", "SPARK_JARS": str(downloads.spark_jars())}
    found = {name: each for name in run.services if (each := spark.environment(run, name))}
    assert found == {"drift": expected, "trainer": expected}
    assert {name for name in run.services if "ENGINE" in run.environment(name)} == found.keys()


def test_a_run_uses_its_cluster_if_that_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secret goes to this cluster only. SPARK_MASTER has precedence."""
    monkeypatch.setattr(SparkCluster, "address", "spark://127.0.0.1:7077")
    found = spark.environment(Deployment(tmp_path, Variables(engine="spark")), "trainer")
    assert found["SPARK_MASTER"] == "spark://127.0.0.1:7077"
    assert len(found["SPARK_SECRET"]) > 20
    other = Deployment(tmp_path, Variables(engine="spark", spark_master="spark://127.0.0.1:7078"))
    assert spark.environment(other, "trainer")["SPARK_MASTER"] == "spark://127.0.0.1:7078"
    assert "SPARK_SECRET" not in spark.environment(other, "trainer")


@pytest.mark.parametrize(
    ("engine", "given", "expected"),
    [
        ("local", {}, {"ENGINE": "local"}),
        ("local", {"ENGINE": "spark"}, {"ENGINE": "spark", "SPARK_MASTER": "local[3]"}),
        ("spark", {}, {"ENGINE": "spark", "SPARK_MASTER": "local[3]"}),
        ("spark", {"SPARK_MASTER": "local[4]"}, {"ENGINE": "spark", "SPARK_MASTER": "local[4]"}),
        ("spark", {"ENGINE": "local"}, {"ENGINE": "local"}),
    ],
)
def test_a_command_has_the_engine_of_the_run_or_its_own(
    engine: Engine, given: dict[str, str], expected: dict[str, str], tmp_path: Path, installed: list[str]
) -> None:
    """PySpark is installed if it needs that. Kafka's jars are not: it reads no topic by Spark."""
    run = Deployment(tmp_path, Variables(engine=engine, spark_master="local[3]"))
    assert spark.of_command(run, given, lambda _: None) == expected
    assert installed == (["PySpark"] if expected["ENGINE"] == "spark" else [])
