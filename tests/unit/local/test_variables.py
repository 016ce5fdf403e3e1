"""The variables of a start: valid values, defaults, and what may change later."""

from pathlib import Path

import pytest

from support.reference.configuration import default
from veleta_local.deployment import Deployment
from veleta_local.errors import LocalError
from veleta_local.variables import Variables, variables_of_make
from veleta_trainer.settings import TrainerSettings

BASE = 23000


def test_a_run_remembers_its_variables(tmp_path: Path) -> None:
    """stop, status and a second start need none."""
    given = Variables(csv="/data/a.csv", port_base=str(BASE), at_end="restart", extra={"TRAINER_TREES": "50"})
    Deployment(tmp_path, given).save()
    assert Deployment(tmp_path).variables == given
    assert Deployment(tmp_path, Variables(csv="/data/a.csv")).variables == given


def test_variables_that_an_earlier_version_saved_are_read(tmp_path: Path) -> None:
    """It saved numbers as text."""
    (tmp_path / "run.json").write_text('{"scale": "0.05", "seed": "7", "port_base": "23000"}')
    assert Deployment(tmp_path).variables == Variables(scale=0.05, seed=7, port_base=23000)


@pytest.mark.parametrize(
    "other",
    [Variables(csv="/b.csv"), Variables(api_url="http://x"), Variables(scale="1"), Variables(port_base="24000")],
)
def test_another_input_is_refused_with_the_choices(tmp_path: Path, other: Variables) -> None:
    """The data in the home come from one input."""
    Deployment(tmp_path, Variables(csv="/a.csv", port_base=str(BASE))).save()
    with pytest.raises(LocalError, match="make stop && make clean"):
        Deployment(tmp_path, other)


@pytest.mark.parametrize("other", [Variables(csv="/b.csv"), Variables(scale="1"), Variables(seed="2")])
def test_generated_rows_are_an_input_too(tmp_path: Path, other: Variables) -> None:
    """Another file, scale or seed would give other data."""
    Deployment(tmp_path).save()
    with pytest.raises(LocalError, match="make stop && make clean"):
        Deployment(tmp_path, other)


def test_what_does_not_concern_the_data_may_change(tmp_path: Path) -> None:
    """The new value replaces the saved one."""
    Deployment(tmp_path, Variables(trees=50, poll="manual")).save()
    assert Deployment(tmp_path, Variables(poll="auto")).variables == Variables(trees=50)


def test_variables_are_read_from_the_environment_of_make(tmp_path: Path) -> None:
    """A relative CSV starts at make's folder; an empty variable counts as missing; VELETA_ variables are not read."""
    environ = {"CSV": "a.csv", "PORT_BASE": "23000", "AT_END": "", "VELETA_KAFKA": "elsewhere:1"}
    expected = Variables(csv=str(tmp_path / "a.csv"), port_base="23000")
    assert Variables.from_environment(environ, tmp_path) == expected
    assert Variables.from_environment({"DATASET": "real_estate"}, tmp_path).dataset == "real_estate"
    path = Variables.from_environment({"DATASET": "my/homes.toml"}, tmp_path).dataset
    assert path == str(tmp_path / "my/homes.toml")


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("PORT_BASE", "80", "greater than or equal to 2000"),
        ("AT_END", "never", "'restart' or 'stop'"),
        ("SCALE", "0.0", "greater than 0"),
        ("SCALE", "2", "less than or equal to 1"),
        ("API_URL", "x", "an external data API, as http://host:port"),
        ("TREES", "-1", "greater than or equal to 1"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("KEEP_REQUESTS_DAYS", "10000", "less than or equal to 9999"),
        ("START_TIMEOUT", "soon", "a valid number"),
    ],
)
def test_a_wrong_variable_is_named_with_the_valid_values(name: str, value: str, valid: str, tmp_path: Path) -> None:
    """Only the wrong one, in one line."""
    with pytest.raises(LocalError) as caught:
        Variables.from_environment({name: value}, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{name}={value}: ")
    assert valid in message
    assert "\n" not in message
    assert [other for other in variables_of_make() if f"{other}=" in message] == [name]


def test_two_inputs_are_refused() -> None:
    """`source` serves a file or generated rows, or an external API is used."""
    with pytest.raises(LocalError, match="CSV= and API_URL="):
        Variables(csv="/a.csv", api_url="http://x")
    with pytest.raises(LocalError, match="CSV= and SCALE="):
        Variables(csv="/a.csv", scale="1")
    with pytest.raises(LocalError, match="SEED= is for generated rows"):
        Variables(csv="/a.csv", seed="1")


def test_without_an_input_rows_are_generated(tmp_path: Path) -> None:
    """At 1/50, again and again. A file is served once, and an external API is restarted at its end."""
    generated = Deployment(tmp_path / "generated")
    generated.save()
    assert Variables.from_environment({"SEED": "20261125"}, tmp_path).seed == 20261125
    same = Variables.from_environment({"SCALE": "0.020", "SEED": "01"}, tmp_path)
    assert Deployment(tmp_path / "generated", same).variables == generated.variables
    assert generated.environment("source")["SOURCE_SCALE"] == "0.02"
    assert generated.environment("poller")["POLLER_AT_END"] == "restart"
    file = Deployment(tmp_path / "file", Variables(csv="/a.csv"))
    assert "SOURCE_SCALE" not in file.environment("source")
    assert file.environment("poller")["POLLER_AT_END"] == "stop"
    external = Deployment(tmp_path / "external", Variables(api_url="http://x"))
    assert external.environment("poller")["POLLER_AT_END"] == "restart"


def test_the_documented_defaults_are_those_of_the_services(tmp_path: Path) -> None:
    """Each variable's default, as its service gets it."""
    generated = Deployment(tmp_path / "generated")
    poller, source = generated.environment("poller"), generated.environment("source")
    with_api = Deployment(tmp_path / "api", Variables(api_url="http://api:1")).environment("poller")
    with_csv = Deployment(tmp_path / "csv", Variables(csv="listings.csv")).environment("poller")
    used = {
        "SCALE": source["SOURCE_SCALE"],
        "SEED": source["SOURCE_SEED"],
        "CSV": source.get("SOURCE_CSV", ""),
        "DATASET": poller["DATASET"],
        "API_URL": generated.variables.api_url or "",
        "GROUP_NUMBER": poller["POLLER_GROUP_NUMBER"],
        "AT_END": f"{poller['POLLER_AT_END']}, with CSV {with_csv['POLLER_AT_END']}",
        "ON_NEW_EPOCH": generated.environment("loader")["LOADER_ON_NEW_EPOCH"],
        "POLL": poller["POLLER_POLL"],
        "POLL_EVERY": f"{float(poller['POLLER_POLL_EVERY']):g}, with API_URL {float(with_api['POLLER_POLL_EVERY']):g}",
        "TREES": generated.environment("trainer")["TRAINER_TREES"],
        "JOURNAL_SYNC": generated.environment("inference")["INFERENCE_JOURNAL_SYNC"],
        "WORKERS": generated.environment("inference")["INFERENCE_WORKERS"],
        "KEEP_REQUESTS_DAYS": generated.environment("retention")["RETENTION_KEEP_REQUESTS_DAYS"],
        "PORT_BASE": "",
        "START_TIMEOUT": f"{Variables().start_timeout:.0f}",
    }
    assert used == {name: default(field) for name, field in variables_of_make().items()}
    assert used["TREES"] == str(TrainerSettings.model_fields["trees"].default)
