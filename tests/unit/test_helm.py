"""The charts of Helm beside the files of docker compose, read without Helm. `make test-helm` renders them."""

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
import yaml

from support.compose_files import ALL, SERVICES, compose_services
from support.repository import ROOT
from veleta.settings import MysqlSettings
from veleta.start_variables import StartVariables
from veleta.version import VERSION
from veleta_prepare.passwords import FILES

CHARTS = ROOT / "compose/helm"
PARTS = yaml.safe_load((CHARTS / "veleta/parts.yaml").read_text())
VALUES = yaml.safe_load((CHARTS / "veleta/values.yaml").read_text())
SCHEMA = json.loads((CHARTS / "veleta/values.schema.json").read_text())
CONTAINERS: dict[str, dict[str, Any]] = {
    **PARTS["services"],
    "preflight": PARTS["job"]["preflight"],
    "prepare": PARTS["job"]["prepare"],
}

ONLY_IN_COMPOSE = {
    "no_proxy": "Kubernetes passes no proxies",
    "POLLER_DISKS": "a pod cannot mount the volumes of others",
    "MONITOR_PASSWORD": "it is in the Secret",
    "POLLER_INBOX": "of preflight: the job cannot mount the volume of the poller",
    "BIND": "nothing is published",
    "INFERENCE_API_KEYS": "of preflight: values.schema.json refuses unknown names",
}
"""Variables that the chart does not set, with the reason. Also the _BIND of each published port."""
ONLY_IN_HELM = {
    "MYSQL_PORT": "MySQL is not a part of the chart",
    "MYSQL_USER_HOSTS": "the pods have other networks than the job",
    "API_URL": "of preflight: in compose the overlay api.yaml sets it",
}
ADDRESSES = {
    "KAFKA_BOOTSTRAP", "MYSQL_HOST", "MYSQL_PORT", "MYSQL_USER", "MYSQL_USER_HOSTS", "MLFLOW_TRACKING_URI", "API_URL",
    "POLLER_API_URL", "MONITOR_READYZ", "MONITOR_INFERENCE_URL", "MONITOR_MLFLOW_URL", "MONITOR_SOURCE_URL",
    *(f"{service.upper()}_HOSTS" for service in SERVICES),
}  # fmt: skip
"""Variables whose values follow from where a part runs. `make test-helm` looks at them."""
VARIABLE = re.compile(r"\$\{(\w+):-(.*?)\}")
JOURNAL = "journal"


def expected(name: str) -> dict[str, str]:
    """The variables of a container of compose that the chart sets too."""
    environment = {key: str(value) for key, value in ALL[name]["environment"].items()}
    left_out = {key for key in environment if key in ONLY_IN_COMPOSE or key.endswith("_BIND")}
    if name == "poller":
        left_out.discard("POLLER_INBOX")
    if name == "inference":
        left_out.discard("INFERENCE_API_KEYS")
    return {key: value for key, value in environment.items() if key not in left_out}


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_container_has_the_variables_of_compose(name: str) -> None:
    """A new variable of compose, or of the chart, is in both."""
    set_by_chart = CONTAINERS[name]["environment"].keys()
    assert set_by_chart - ONLY_IN_HELM.keys() == expected(name).keys()


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_variable_has_the_value_of_compose(name: str) -> None:
    """The same constant, or the value with the name of compose's variable. Its default is the same too."""
    ours = {key: value for key, value in CONTAINERS[name]["environment"].items() if key not in ADDRESSES}
    for key, theirs in expected(name).items():
        if key not in ADDRESSES:
            template = VARIABLE.sub(lambda match: f"{{{{ .Values.variables.{match[1]} }}}}", theirs)
            assert str(ours[key]) == template, key
            for variable, default in VARIABLE.findall(theirs):
                assert VALUES["variables"][variable] == default


def test_every_container_is_in_the_chart() -> None:
    """The servers are outside of it. Jobs and tools of one machine have no counterpart."""
    outside = {"kafka", "mysql", "mlflow", "secrets", "kafka-ui", "notebooks", "score"}
    assert CONTAINERS.keys() == ALL.keys() - outside
    assert PARTS["services"].keys() == set(SERVICES)


def test_the_values_are_the_variables_of_a_start() -> None:
    """All but the input and the password. Each is used."""
    asked = {name for part in CONTAINERS.values() for name in used(part["environment"])}
    assert VALUES["variables"].keys() == asked
    given = {name.upper() for name in StartVariables.model_fields} - {"CSV", "API_URL", "MONITOR_PASSWORD"}
    assert given <= asked


def used(environment: Mapping[str, str]) -> set[str]:
    """The values that an environment needs."""
    return {name for value in environment.values() for name in re.findall(r"\.Values\.variables\.(\w+)", str(value))}


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - {"preflight", "prepare"}))
def test_a_service_gets_only_its_own_secrets(name: str) -> None:
    """The files that its container has in compose."""
    assert CONTAINERS[name]["secrets"] == FILES[name]


def test_the_job_gets_the_passwords_that_it_sets() -> None:
    """And those with which it logs in. A token is none of them."""
    passwords = {key for key in FILES["prepare"] if key.endswith("_password")}
    assert CONTAINERS["prepare"]["secrets"] == {key: key for key in passwords}


@pytest.mark.failure("F383")
def test_the_monitors_password_is_in_the_secret() -> None:
    """The key is optional: without it there are no buttons."""
    assert CONTAINERS["preflight"]["passwords"] == {"MONITOR_PASSWORD": "monitor_password"}
    optional = {name: part["optional"] for name, part in CONTAINERS.items() if "optional" in part}
    assert optional == {"monitor": {"monitor_password": "monitor_password"}}


@pytest.mark.failure("F412")
@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_container_has_the_limits_of_compose(name: str) -> None:
    """Of memory and processors. Those of processes and open files are settings of the node."""
    memory = ALL[name]["mem_limit"].replace("g", "Gi").replace("m", "Mi")
    cpus = re.sub(r"\$\{CPUS:-(\d)\}", r"\1", str(ALL[name]["cpus"]))
    assert (CONTAINERS[name]["memory"], str(CONTAINERS[name]["cpus"])) == (memory, cpus)


@pytest.mark.failure("F411")
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_reaches_only_what_compose_lets_it_reach(name: str) -> None:
    """The servers and the data API whose networks it is in. It reaches a service only over a network of both."""
    networks, reaches = set(ALL[name]["networks"]), set(PARTS["services"][name]["reaches"])
    outside = {"kafka", "mysql", "mlflow", "source"}
    assert reaches & outside == networks & outside - {name}
    assert all(networks & set(ALL[other]["networks"]) for other in reaches - outside - {"dataApi"})
    assert {each for each, part in PARTS["services"].items() if "dataApi" in part["reaches"]} == {"poller"}


def test_a_service_listens_on_its_port() -> None:
    """As its health check in compose says."""
    for name, part in PARTS["services"].items():
        path = part.get("live", "/livez") if name == "inference" else part.get("ready", "/readyz")
        assert ALL[name]["healthcheck"]["test"][-1] == f"http://localhost:{part['port']}{path}"


def test_data_survive_their_pod() -> None:
    """Each service with a volume in compose has a claim, and its size is a value."""
    volumes = {name: ALL[name]["volumes"][0].split(":") for name in SERVICES}
    with_data = {name: volume for name, (volume, folder, *_) in volumes.items() if folder == "/data"}
    assert {name: part["data"] for name, part in PARTS["services"].items() if "data" in part} == with_data
    assert VALUES["storage"].keys() == {"class", *with_data.values()}
    assert with_data["inference"] == JOURNAL


def test_no_value_is_a_secret() -> None:
    """The chart names a Secret, and has neither a password nor a token."""
    assert VALUES["secret"] == ""
    names = {match[0] for path in CHARTS.rglob("*.yaml") for match in re.finditer(r"kind: Secret\b", path.read_text())}
    assert names == set()


def test_the_schema_knows_every_value_and_no_other() -> None:
    """So a name that is misspelt is refused."""

    def compare(values: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
        assert schema["additionalProperties"] is False
        assert values.keys() == schema["properties"].keys()
        for name, value in values.items():
            if isinstance(value, dict):
                compare(value, schema["properties"][name])

    compare(VALUES, SCHEMA)
    compare(
        yaml.safe_load((CHARTS / "veleta-kafka/values.yaml").read_text()),
        json.loads((CHARTS / "veleta-kafka/values.schema.json").read_text()),
    )


def test_the_schema_allows_the_words_of_a_start() -> None:
    """Where a variable is one of some words."""
    words = {
        name.upper(): [str(word) for word in get_args(field.annotation)]
        for name, field in StartVariables.model_fields.items()
        if "Literal" in str(field.annotation)
    }
    properties = SCHEMA["properties"]["variables"]["properties"]
    assert {name: each["enum"] for name, each in properties.items() if "enum" in each} == words


def test_the_charts_have_the_version_of_veleta() -> None:
    """It is the tag of the images, unless a value says otherwise."""
    veleta, kafka = (yaml.safe_load((CHARTS / f"{name}/Chart.yaml").read_text()) for name in ("veleta", "veleta-kafka"))
    assert (veleta["version"], veleta["appVersion"], kafka["version"]) == (VERSION, VERSION, VERSION)


def test_the_port_of_mysql_is_that_of_the_settings() -> None:
    """The default of both."""
    assert VALUES["mysql"]["port"] == MysqlSettings.model_fields["port"].default


def test_kafka_has_the_settings_of_the_container() -> None:
    """All but its addresses and logins, which Strimzi writes, and the number of copies."""
    text = (CHARTS / "veleta-kafka/templates/kafka.yaml").read_text()
    block = text.split("    config:\n")[1].split("    template:\n")[0]
    ours = dict(line.strip().split(": ", 1) for line in block.splitlines())
    environment = {key: str(value) for key, value in compose_services("broker")["kafka"]["environment"].items()}
    written_by_strimzi = re.compile(
        "KAFKA_(NODE|PROCESS|LISTENER|ADVERTISED|SASL|INTER|AUTHORIZER|SUPER|CONTROLLER|LOG_DIRS|HEAP|GC)"
    )
    theirs = {
        key.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for key, value in environment.items()
        if not written_by_strimzi.match(key)
    }
    assert ours.keys() - {"default.replication.factor", "min.insync.replicas"} == theirs.keys()
    copies = {key for key, value in ours.items() if "{{" in value}
    assert {key: ours[key] for key in ours.keys() - copies} == {key: theirs[key] for key in theirs.keys() - copies}
    assert {theirs[key] for key in copies & theirs.keys()} == {"1"}
    assert f"-Xmx: {environment['KAFKA_HEAP_OPTS'].removeprefix('-Xmx')}" in text
