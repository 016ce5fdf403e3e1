"""The variables of a start: valid values, defaults, and what may change later."""

import json
import os
from pathlib import Path

import pytest

from support.reference.configuration import default
from veleta.limits import DEFAULT_LIMITS
from veleta.settings import SparkSettings
from veleta.start_variables import EARLIER
from veleta.valid_values import valid_values
from veleta_inference.settings import InferenceSettings
from veleta_local import spark
from veleta_local.deployment import Deployment
from veleta_local.errors import LocalError
from veleta_local.variables import Variables, variables_of_make
from veleta_poller.settings import PollerSettings
from veleta_retention.settings import RetentionSettings
from veleta_source.settings import SourceSettings
from veleta_trainer.settings import TrainerSettings

BASE = 23000


def variables_of(environ: dict[str, str], folder: Path) -> Variables:
    """The variables of an environment without a fault."""
    variables, faults = Variables.from_environment(environ, folder)
    assert faults == []
    return variables


def take_a_row(home: Path) -> None:
    """A segment of the topic `rows` that is not empty."""
    segment = home / "kafka/real_estate.rows-0/00000000000000000000.log"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"row")


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
    take_a_row(tmp_path)
    with pytest.raises(LocalError, match="make stop && make clean"):
        Deployment(tmp_path, other)


@pytest.mark.parametrize("other", [Variables(csv="/b.csv"), Variables(scale="1"), Variables(seed="2")])
def test_generated_rows_are_an_input_too(tmp_path: Path, other: Variables) -> None:
    """Another file, scale or seed would give other data."""
    Deployment(tmp_path).save()
    take_a_row(tmp_path)
    with pytest.raises(LocalError, match="make stop && make clean"):
        Deployment(tmp_path, other)


@pytest.mark.parametrize(
    ("other", "merged"),
    [
        (Variables(csv="/b.csv"), Variables(csv="/b.csv", trees=7)),
        (Variables(api_url="http://x"), Variables(api_url="http://x", trees=7)),
        (Variables(scale="1"), Variables(scale=1, seed=1, trees=7)),
        (Variables(seed="2"), Variables(scale=0.02, seed=2, trees=7)),
        (Variables(group_number=2), Variables(scale=0.02, seed=5, group_number=2, trees=7)),
    ],
)
def test_a_run_that_took_no_row_takes_another_input(tmp_path: Path, other: Variables, merged: Variables) -> None:
    """It replaces the first one as a whole; the other variables stay."""
    Deployment(tmp_path, Variables(seed=5, trees=7)).save()
    assert Deployment(tmp_path, other).variables == merged


def test_what_does_not_concern_the_data_may_change(tmp_path: Path) -> None:
    """The new value replaces the saved one."""
    Deployment(tmp_path, Variables(trees=50, poll="manual")).save()
    assert Deployment(tmp_path, Variables(poll="auto")).variables == Variables(trees=50)


def test_variables_are_read_from_the_environment_of_make(tmp_path: Path) -> None:
    """A relative CSV starts at make's folder; an empty variable counts as missing; VELETA_ variables are not read."""
    environ = {"CSV": "a.csv", "PORT_BASE": "23000", "AT_END": "", "VELETA_KAFKA": "elsewhere:1"}
    expected = Variables(csv=str(tmp_path / "a.csv"), port_base="23000")
    assert variables_of(environ, tmp_path) == expected
    assert variables_of({"DATASET": "real_estate"}, tmp_path).dataset == "real_estate"
    path = variables_of({"DATASET": "my/homes.toml"}, tmp_path).dataset
    assert path == str(tmp_path / "my/homes.toml")


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("PORT_BASE", "80", "a whole number from 2,000 up to 65,517"),
        ("PORT_BASE", "65518", "a whole number from 2,000 up to 65,517"),
        ("AT_END", "never", "restart or stop"),
        ("ON_NEW_EPOCH", "no", "clear or keep"),
        ("POLL", "never", "auto or manual"),
        ("JOURNAL_SYNC", "all", "group or none"),
        ("SCALE", "0.0", "a number above 0 up to 1"),
        ("SCALE", "2", "a number above 0 up to 1"),
        ("SCALE", "nan", "a number above 0 up to 1"),
        ("SEED", "-1", "a whole number from 0 up to 999,999,999,999"),
        ("GROUP_NUMBER", "1.5", "a whole number from 0 up to 999,999,999,999"),
        ("API_URL", "x", "an address as http://host:port"),
        ("API_URL", "http://", "an address as http://host:port"),
        ("POLL_EVERY", "-1", "a number from 0 up to 86,400"),
        ("POLL_EVERY", "inf", "a number from 0 up to 86,400"),
        ("POLL_EVERY", "nan", "a number from 0 up to 86,400"),
        ("TREES", "0", "a whole number from 1 up to 10,000"),
        ("TREES", "10001", "a whole number from 1 up to 10,000"),
        ("MAX_ROWS", "-1", "a whole number from 0 up to 1,099,511,627,776"),
        ("ENGINE", "Spark", "local or spark"),
        ("SPARK_MASTER", "127.0.0.1:7077", "spark://host:port, local[cores], or local[cores,attempts of a task]"),
        ("WORKERS", "0", "a whole number from 1 up to 64"),
        ("WORKERS", "99", "a whole number from 1 up to 64"),
        ("KEEP_EPOCHS", "-1", "a whole number from 0 up to 1,000,000"),
        ("KEEP_REQUESTS_DAYS", "10000", "a whole number from 0 up to 9,999"),
        ("START_TIMEOUT", "soon", "a number from 1 up to 86,400"),
        ("START_TIMEOUT", "inf", "a number from 1 up to 86,400"),
    ],
)
def test_a_wrong_variable_is_named_with_the_valid_values(name: str, value: str, valid: str, tmp_path: Path) -> None:
    """Only the wrong one, in one line. The others keep their values."""
    variables, [line] = Variables.from_environment({"ON_NEW_EPOCH": "keep", name: value}, tmp_path)
    assert line.startswith(f"{name}={value}: use {valid} (")
    assert [other for other in variables_of_make() if f"{other}=" in line] == [name]
    assert variables.given() == ({} if name == "ON_NEW_EPOCH" else {"on_new_epoch": "keep"})


@pytest.mark.failure("F200")
def test_all_wrong_variables_are_reported_together(tmp_path: Path) -> None:
    """Each in its line, also when an input is wrong."""
    environ = {"TREES": "0", "WORKERS": "99", "API_URL": "x", "CSV": "a.csv", "SEED": "2", "POLL_EVERY": "5"}
    variables, lines = Variables.from_environment(environ, tmp_path)
    assert [line.partition("=")[0] for line in lines] == ["API_URL", "TREES", "WORKERS", "SEED"]
    assert variables.poll_every == 5


@pytest.mark.failure("F380")
def test_a_wrong_api_key_or_password_is_not_shown(tmp_path: Path) -> None:
    """A user may pass the key in the place of its digest."""
    _, [line, short] = Variables.from_environment({"API_KEYS": "ada:secret", "MONITOR_PASSWORD": "secret"}, tmp_path)
    assert short == "MONITOR_PASSWORD: use at least 12 characters; none: there is no password"
    assert line == "API_KEYS: entry 1 is wrong: use name:sha256, as make key NAME=ada prints it"


@pytest.mark.failure("F381")
def test_a_variable_that_has_no_effect_is_refused(tmp_path: Path) -> None:
    """It was given so that strangers are refused, and would be ignored."""
    _, lines = Variables.from_environment({"INFERENCE_API_KEYS": "x", "BIND": "0.0.0.0"}, tmp_path)  # noqa: S104 - no bind
    assert lines[0] == "INFERENCE_API_KEYS has no effect: use API_KEYS"
    assert lines[1].startswith("BIND has no effect: use INFERENCE_BIND, MONITOR_BIND, ")


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    """`source` serves a file or generated rows, or an external API is used."""

    def faults(**environ: str) -> list[str]:
        return Variables.from_environment(environ, tmp_path)[1]

    assert faults(CSV="/a.csv", API_URL="http://x") == ["CSV= and API_URL= are two inputs: pass one of them"]
    assert faults(CSV="/a.csv", SCALE="1") == ["CSV= and SCALE= are two inputs: pass one of them"]
    assert faults(CSV="/a.csv", SEED="1") == ["SEED= is for generated rows: do not pass it with CSV= or API_URL="]


@pytest.mark.failure("F204")
@pytest.mark.parametrize(
    ("saved", "now"),
    [
        ({"workers": 99}, {"workers": 64}),
        ({"trees": 50_000}, {"trees": 10_000}),
        ({"poll_every": float("inf")}, {"poll_every": 86_400}),
        ({"poll_every": float("nan")}, {}),
    ],
)
def test_a_run_with_a_value_that_an_earlier_version_allowed_starts(
    saved: dict[str, float], now: dict[str, float], tmp_path: Path
) -> None:
    """Such a value becomes the nearest valid one, which the start reports. The input stays as it was."""
    (tmp_path / "run.json").write_text(json.dumps({"csv": "/a.csv", "port_base": 34_000, **saved}))
    run = Deployment(tmp_path)
    assert run.variables.model_copy(update=now) == run.variables
    assert (run.variables.csv, run.variables.port_base) == ("/a.csv", 34_000)
    assert [line.split("=")[0].lower() for line in run.adjusted] == list(saved)


def test_the_services_have_the_bounds_of_the_variables(tmp_path: Path) -> None:
    """In docker compose the variables go to the settings of the services."""
    settings = {
        "scale": SourceSettings.model_fields["scale"],
        "seed": SourceSettings.model_fields["seed"],
        "group_number": PollerSettings.model_fields["group_number"],
        "poll_every": PollerSettings.model_fields["poll_every"],
        "trees": TrainerSettings.model_fields["trees"],
        "fit_seconds": TrainerSettings.model_fields["fit_seconds"],
        "fit_memory": TrainerSettings.model_fields["fit_memory"],
        "max_rows": TrainerSettings.model_fields["max_rows"],
        "engine": TrainerSettings.model_fields["engine"],
        "spark_master": SparkSettings.model_fields["master"],
        "workers": InferenceSettings.model_fields["workers"],
        "keep_requests_days": RetentionSettings.model_fields["keep_requests_days"],
        "api_url": PollerSettings.model_fields["api_url"],
    }
    expected = {name: valid_values(Variables.model_fields[name]) for name in settings}
    assert {name: valid_values(field) for name, field in settings.items()} == expected


def test_without_an_input_rows_are_generated(tmp_path: Path) -> None:
    """At 1/50, again and again. A file is served once, and an external API is restarted at its end."""
    generated = Deployment(tmp_path / "generated")
    generated.save()
    assert variables_of({"SEED": "20261125"}, tmp_path).seed == 20261125
    same = variables_of({"SCALE": "0.020", "SEED": "01"}, tmp_path)
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
        "FIT_SECONDS": generated.environment("trainer")["TRAINER_FIT_SECONDS"],
        "FIT_MEMORY": generated.environment("trainer")["TRAINER_FIT_MEMORY"],
        "MAX_ROWS": generated.environment("trainer")["TRAINER_MAX_ROWS"],
        "ENGINE": generated.environment("trainer")["ENGINE"],
        "SPARK_MASTER": f"the cluster of `make spark-up` if it is up, otherwise {spark.master(generated)}",
        "JOURNAL_SYNC": generated.environment("inference")["INFERENCE_JOURNAL_SYNC"],
        "WORKERS": generated.environment("inference")["INFERENCE_WORKERS"],
        "STRICT": generated.environment("inference")["INFERENCE_STRICT"],
        "MONITOR_PASSWORD": generated.environment("monitor")["MONITOR_PASSWORD"],
        "API_KEYS": generated.environment("inference")["INFERENCE_API_KEYS"],
        "HOSTS": generated.environment("inference")["INFERENCE_HOSTS"],
        "KEEP_REQUESTS_DAYS": generated.environment("retention")["RETENTION_KEEP_REQUESTS_DAYS"],
        "KEEP_EPOCHS": f"{DEFAULT_LIMITS['keep_epochs']}; all in {EARLIER}",
        "KEEP_BATCHES_DAYS": generated.environment("retention")["RETENTION_KEEP_BATCHES_DAYS"],
        "KEEP_VERSIONS": f"{DEFAULT_LIMITS['keep_versions']}; all in {EARLIER}",
        "TARGET": "",
        "PORT_BASE": "",
        "START_TIMEOUT": f"{Variables().start_timeout:.0f}",
    }
    assert used == {name: default(field) for name, field in variables_of_make().items()}
    assert used["TREES"] == str(TrainerSettings.model_fields["trees"].default)


@pytest.mark.failure("F238")
def test_a_run_of_a_newer_version_is_read_without_what_is_unknown(tmp_path: Path) -> None:
    """Each unknown variable is a line of the start."""
    (tmp_path / "run.json").write_text('{"csv": "/a.csv", "shards": 3, "workers": 99}')
    run = Deployment(tmp_path)
    assert (run.variables.csv, run.variables.workers) == ("/a.csv", 64)
    unknown, adjusted = run.adjusted
    assert unknown == "SHARDS of this run is no variable of this version: it has no effect"
    assert adjusted.startswith("WORKERS=99")


@pytest.mark.failure("F238")
@pytest.mark.parametrize("name", ["monitor_password", "api_keys"])
@pytest.mark.parametrize("value", ['"short"', "12345678"])
def test_a_saved_secret_that_is_not_valid_is_refused(name: str, value: str, tmp_path: Path) -> None:
    """Its variable is named, and its value is not shown."""
    (tmp_path / "run.json").write_text(f'{{"{name}": {value}}}')
    with pytest.raises(LocalError) as failed:
        Deployment(tmp_path)
    assert str(failed.value) == f"run.json has no valid {name.upper()}: correct or delete it there"


@pytest.mark.failure("F238")
@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00", "\udcff"])
def test_a_damaged_run_is_one_line(text: str, tmp_path: Path) -> None:
    """It names the file and what to do."""
    (tmp_path / "run.json").write_bytes(os.fsencode(text))
    with pytest.raises(LocalError) as failed:
        Deployment(tmp_path)
    assert str(failed.value).startswith(f"{tmp_path}/run.json is damaged (")
    assert "delete it" in str(failed.value)
    assert "\n" not in str(failed.value)
