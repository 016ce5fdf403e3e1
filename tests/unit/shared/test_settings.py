"""Settings come from the environment, and what is wrong with them is said at once."""

import os
from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.adapters.mysql import database_url
from veleta.errors import Stop
from veleta.settings import KafkaSettings, MysqlSettings, ServiceSettings, read_settings, variables


class ExampleSettings(ServiceSettings):
    """Those of a made-up service."""

    model_config = SettingsConfigDict(env_prefix="EXAMPLE_", frozen=True)
    port: int = Field(1, description="x")
    folder: str = Field(description="x")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is required."""
    for name in os.environ:
        if name.startswith(("EXAMPLE_", "KAFKA_", "MYSQL_", "MLFLOW_", "DATASET")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EXAMPLE_FOLDER", "f")
    monkeypatch.setenv("MYSQL_USER", "u")
    monkeypatch.setenv("MYSQL_PASSWORD", "p@ss/word")


def refusal() -> str:
    with pytest.raises(Stop) as caught:
        read_settings(ExampleSettings)
    return str(caught.value)


def test_a_service_has_its_prefix_and_a_part_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one environment serves many processes."""
    monkeypatch.setenv("EXAMPLE_PORT", "77")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "elsewhere:1")
    monkeypatch.setenv("DATASET", "cars")
    found = read_settings(ExampleSettings)
    assert (found.port, found.kafka.bootstrap, found.dataset, found.folder) == (77, "elsewhere:1", "cars", "f")


@pytest.mark.parametrize("name", ["EXAMPLE_PROT", "EXAMPLE_DATASET", "EXAMPLE_KAFKA"])
def test_an_unknown_name_with_the_services_prefix_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It was meant for this service and would have no effect: a typo, or a name that belongs to no service."""
    monkeypatch.setenv(name, "1")
    assert refusal() == (f"unknown setting {name}; use one of DATASET, EXAMPLE_FOLDER, EXAMPLE_HOST, EXAMPLE_PORT")


def test_names_of_others_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds much else."""
    monkeypatch.setenv("EXAMPLES", "1")
    monkeypatch.setenv("LOADER_PORT", "x")
    assert read_settings(ExampleSettings).port == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EXAMPLE_FOLDER", None, "EXAMPLE_FOLDER: Field required"),
        ("EXAMPLE_PORT", "many", "EXAMPLE_PORT: Input should be a valid integer"),
        ("MYSQL_PASSWORD", None, "MYSQL_PASSWORD: Field required"),
        ("MYSQL_PORT", "many", "MYSQL_PORT: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_is_named_as_it_is_set(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, message: str
) -> None:
    """By the variable's name, not by the model's field."""
    monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert message in refusal()


def test_a_password_is_not_shown() -> None:
    """Neither by the settings nor by the address, and it may hold any character."""
    found = read_settings(ExampleSettings)
    assert "p@ss" not in repr(found)
    assert "p@ss" not in str(database_url(found.mysql, "pymysql"))
    assert database_url(found.mysql, "pymysql").password == os.environ["MYSQL_PASSWORD"]


def test_a_model_knows_its_own_variables() -> None:
    """Nested models read their own."""
    assert list(variables(MysqlSettings)) == [
        "MYSQL_HOST", "MYSQL_PORT", "MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_PREFIX",
    ]  # fmt: skip


def test_a_container_has_its_secrets_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Called as the variable is; the variable, when there is one, says more."""
    (tmp_path / "mysql_password").write_text("of the file")
    monkeypatch.setitem(MysqlSettings.model_config, "secrets_dir", tmp_path)
    assert MysqlSettings().password.get_secret_value() == "p@ss/word"
    monkeypatch.delenv("MYSQL_PASSWORD")
    assert MysqlSettings().password.get_secret_value() == "of the file"
