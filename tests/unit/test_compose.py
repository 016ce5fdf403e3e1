"""The files of docker compose, read without an engine."""

import json
import re

import pytest
import yaml

from support.compose_files import ALL, SERVICES, compose_services
from support.repository import ROOT
from veleta.service.lifecycle import SHUTDOWN_SECONDS
from veleta.service.watchdog import STOP_SECONDS
from veleta.settings import SparkSettings
from veleta.start_variables import REPLACED, StartVariables
from veleta_inference.settings import InferenceSettings
from veleta_local.deployment import DISKS
from veleta_local.downloads import GOAL
from veleta_local.spark_cluster import OPTIONS
from veleta_prepare.passwords import FILES

LOCAL_ONLY = {"csv", "api_url"}
"""Variables that an overlay passes."""


SCALED = compose_services("scale")
"""The overlay for replicas of inference."""
SPARK = compose_services("spark")
"""The overlay for a cluster of Apache Spark."""
CLUSTER = {name: service for name, service in SPARK.items() if name not in ALL}
ALL_CONTAINERS = ALL | {"balancer": SCALED["balancer"]} | CLUSTER

NETWORKS = {
    "secrets": set[str](),
    "preflight": {"source"},
    "prepare": {"kafka", "mysql"},
    "kafka": {"kafka", "front-kafka"},
    "mysql": {"mysql"},
    "mlflow": {"mlflow", "front-mlflow"},
    "source": {"source", "front-source"},
    "poller": {"kafka", "source"},
    "loader": {"kafka", "mysql"},
    "drift": {"kafka", "mysql", "mlflow"},
    "trainer": {"kafka", "mysql", "mlflow"},
    "inference": {"kafka", "mysql", "mlflow", "front-inference"},
    "retention": {"kafka", "mysql", "mlflow"},
    "monitor": {"kafka", "mysql", "source", "front-monitor"},
    "kafka-ui": {"kafka", "front-kafka-ui"},
    "notebooks": {"mysql", "mlflow", "front-notebooks"},
    "score": {"kafka", "mlflow"},
}
WRITABLE = {"kafka-ui": "nobody has tried its image with a read-only file system"}
"""The containers whose file system is not read-only, each with the reason."""


def before(name: str) -> set[str]:
    """The services that must be there before this one starts."""
    needed = set(ALL[name].get("depends_on", ()))
    return needed.union(*map(before, needed))


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "monitor"])
def test_a_service_knows_the_name_of_its_container(name: str) -> None:
    """Under which the monitor and the poller reach it. HOSTS adds names under which a published port is reached."""
    service = ALL[name]
    expected = f"{name},${{HOSTS:-}}" if "ports" in service else name
    assert service["environment"][f"{name.upper()}_HOSTS"] == expected


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"preflight"}))
def test_everything_starts_after_the_check(name: str) -> None:
    """So a fault stops `docker compose up` before a database or a topic is created."""
    assert "preflight" in before(name)


def test_the_check_is_a_job_that_all_wait_for() -> None:
    """They wait for its success. It does not start again after a fault, and needs nothing itself."""
    waits = [
        service["depends_on"]["preflight"] for service in ALL.values() if "preflight" in service.get("depends_on", ())
    ]
    assert waits
    assert all(wait == {"condition": "service_completed_successfully"} for wait in waits)
    assert "restart" not in ALL["preflight"]
    assert before("preflight") == set()


def test_the_check_gets_every_variable_of_a_start() -> None:
    """With the default that the services have."""
    passed = ALL["preflight"]["environment"]
    names = {name.upper() for name in StartVariables.model_fields if name not in LOCAL_ONLY}
    assert names <= passed.keys()
    asked = {value for service in ALL.values() for value in map(str, dict(service.get("environment", {})).values())}
    assert {passed[name] for name in names} <= asked
    assert {name: passed[name].partition(":-")[0] for name in names} == {name: f"${{{name}" for name in names}


@pytest.mark.failure("F381")
def test_the_check_gets_every_variable_that_has_no_effect() -> None:
    """So that it refuses them."""
    passed = ALL["preflight"]["environment"]
    assert {name: passed.get(name) for name in REPLACED} == {name: f"${{{name}:-}}" for name in REPLACED}


def test_the_overlays_pass_their_input_to_the_check() -> None:
    """As they pass it to the source or the poller."""
    csv, api = compose_services("csv"), compose_services("api")
    assert csv["preflight"]["environment"]["SOURCE_CSV"] == csv["source"]["environment"]["SOURCE_CSV"]
    assert csv["preflight"]["volumes"] == csv["source"]["volumes"]
    assert api["preflight"]["environment"]["API_URL"] == api["poller"]["environment"]["POLLER_API_URL"]
    assert api["preflight"]["extra_hosts"] == api["poller"]["extra_hosts"]
    assert ALL["preflight"]["volumes"] == ["inbox:/data"] == ALL["poller"]["volumes"][:1]


@pytest.mark.failure("F254")
def test_the_poller_sees_the_disks_of_the_other_parts() -> None:
    """It can only read them. Each is the volume in which the part has its data."""
    poller = ALL["poller"]
    folders = json.loads(poller["environment"]["POLLER_DISKS"])
    disks = [volume for volume in poller["volumes"] if ":/disks/" in volume]
    assert disks == [f"{part}:{folder}:ro" for part, folder in folders.items()]
    assert set(folders) == set(DISKS)


def test_each_published_port_has_its_own_address() -> None:
    """It is this machine's own unless a variable of that part says otherwise. No port is published in another way."""
    published = {name: port for name, service in ALL.items() for port in service.get("ports", ())}
    assert len(published) == 7
    for name, port in published.items():
        part = "JUPYTER" if name == "notebooks" else name.upper().replace("-", "_")
        assert port.startswith(f"${{{part}_BIND:-127.0.0.1}}:${{{part}_PORT:-")


@pytest.mark.failure("F382")
def test_the_check_gets_the_addresses_of_ports_without_a_login() -> None:
    """JupyterLab and source ask for a token."""
    passed = ALL["preflight"]["environment"]
    published = {port.split(":")[0].removeprefix("${") for s in ALL.values() for port in s.get("ports", ())}
    assert {name for name in passed if name.endswith("_BIND")} == published - {"JUPYTER_BIND", "SOURCE_BIND"}


@pytest.mark.failure("F383")
def test_only_the_check_and_the_monitor_get_its_password() -> None:
    """Without the variable there are no buttons."""
    passed = {name: dict(service.get("environment", {})).get("MONITOR_PASSWORD") for name, service in ALL.items()}
    given = {name: value for name, value in passed.items() if value}
    assert given == dict.fromkeys(("preflight", "monitor"), "${MONITOR_PASSWORD:-}")


@pytest.mark.failure("F233")
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_exits_is_restarted(name: str) -> None:
    """Whatever its exit code is. Its own exit is how a service that hangs is restarted."""
    assert ALL[name]["restart"] == "unless-stopped"


@pytest.mark.failure("F234")
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_hangs_has_time_to_exit(name: str) -> None:
    """Its own limit is below the one after which it is killed."""
    assert int(ALL[name]["stop_grace_period"].removesuffix("s")) > STOP_SECONDS


@pytest.mark.failure("F412")
@pytest.mark.parametrize("name", sorted(ALL_CONTAINERS))
def test_a_container_has_limits(name: str) -> None:
    """Of processes, processors, memory and open files. So one that is attacked leaves room for the others."""
    service = ALL_CONTAINERS[name]
    assert (service["pids_limit"], service["ulimits"]) == (512, {"nofile": 8192})
    assert service["cpus"] in (1, "${CPUS:-2}")
    assert service["mem_limit"]


@pytest.mark.failure("F413")
@pytest.mark.parametrize("name", sorted(ALL_CONTAINERS))
def test_a_container_cannot_change_its_programs(name: str) -> None:
    """It has no capability, gets no new one, and its file system is read-only."""
    service = ALL_CONTAINERS[name]
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert service.get("read_only", False) == (name not in WRITABLE)


@pytest.mark.failure("F411")
def test_a_container_reaches_only_what_it_needs() -> None:
    """A published port has a network that only its container is in, and that lets only answers out."""
    assert {name: set(service.get("networks", ())) for name, service in ALL.items()} == NETWORKS
    assert ALL["secrets"]["network_mode"] == "none"
    published = {f"front-{name}" for name, service in ALL.items() if "ports" in service}
    declared = yaml.safe_load((ROOT / "compose.yaml").read_text())["networks"]
    assert declared.keys() == set().union(*NETWORKS.values())
    answers = {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}
    assert {name for name, network in declared.items() if network == answers} == published
    assert {name for name, network in declared.items() if network == {"internal": True}} == declared.keys() - published


@pytest.mark.failure("F414")
def test_no_container_reads_a_file_of_the_clone() -> None:
    """Only its owner may be able to read it (umask 077). An image has its code with modes of its own."""
    mounted = [volume for service in ALL.values() for volume in service.get("volumes", ())]
    assert [volume for volume in mounted if volume.startswith((".", "/"))] == []
    _, images = (ROOT / "Dockerfile").read_text().split(" AS service\n")
    copied = [line for line in images.splitlines() if line.startswith("COPY ")]
    assert {line.split()[1] for line in copied} - {"--chmod=755"} == {
        "--from=dependencies", "--from=spark-dependencies", "--from=spark-jars",
    }  # fmt: skip


def test_replicas_are_reached_through_the_balancer_only() -> None:
    """It publishes their port, at the same address. No replica is in a network with a way out, as the balancer is."""
    inference, balancer = SCALED["inference"], SCALED["balancer"]
    assert inference["ports"] == []
    assert balancer["ports"] == ALL["inference"]["ports"]
    assert set(inference["networks"]) == NETWORKS["inference"] - {"front-inference"} | {"replicas"}
    assert set(balancer["networks"]) == {"replicas", "front-inference"}
    declared = yaml.safe_load((ROOT / "compose/scale.yaml").read_text().split("\nnetworks:\n")[1])
    assert declared == {"replicas": {"internal": True}}


@pytest.mark.failure("F512")
def test_a_replica_that_stops_answers_until_the_balancer_knows_it() -> None:
    """The balancer needs `fall` checks, the last of which may take up to a second more."""
    config = (ROOT / "compose/balancer.cfg").read_text()
    (inter, fall), *_ = re.findall(r"check inter (\d+)ms fall (\d+)", config)
    delay = float(SCALED["inference"]["environment"]["INFERENCE_STOP_DELAY"])
    assert int(inter) / 1000 * int(fall) + 1 < delay
    assert delay + SHUTDOWN_SECONDS / 2 < SHUTDOWN_SECONDS


def test_the_balancer_is_no_client_that_a_replica_limits() -> None:
    """Without API keys it is the only client of a replica. More requests wait in the balancer."""
    (limit,) = re.findall(r"maxconn (\d+) resolvers", (ROOT / "compose/balancer.cfg").read_text())
    fields = InferenceSettings.model_fields
    assert int(limit) < fields["client_limit"].default <= fields["queue_limit"].default
    (allowed,) = re.findall(r"sc_conn_cur\(0\) gt (\d+)", (ROOT / "compose/balancer.cfg").read_text())
    assert int(allowed) == fields["client_limit"].default


def test_the_parts_with_spark_find_their_cluster() -> None:
    """All are in the network of Kafka, so that each name has one address. No port is published.

    A container of `docker compose run` is reached by the name of its host.
    """
    master, worker = SPARK["spark-master"], SPARK["spark-worker"]
    address = "spark://spark-master:7077"
    for name in ("trainer", "drift"):
        expected = {"ENGINE": "spark", "SPARK_MASTER": address, "SPARK_DRIVER_HOST": name}
        assert SPARK[name]["environment"] == expected
        assert "kafka" in ALL[name]["networks"]
    assert SPARK["score"]["environment"] == {"ENGINE": "spark", "SPARK_MASTER": address}
    assert "SPARK_DRIVER_HOST=$$(hostname)" in SPARK["score"]["entrypoint"][2]
    assert "kafka" in ALL["score"]["networks"]
    assert "--host spark-master --port 7077" in master["command"][0]
    assert worker["command"][0].rstrip().endswith(f" {address}")
    assert [service["networks"] for service in (master, worker)] == [["kafka"], ["kafka"]]
    assert not [name for name, service in SPARK.items() if "ports" in service]


def test_the_cluster_has_the_options_of_a_local_one() -> None:
    """And its secret, in a file that only it and the parts with Spark have."""
    options = " ".join(f"-D{name}={value}" for name, value in OPTIONS.items())
    for service in CLUSTER.values():
        assert service["environment"]["SPARK_DAEMON_JAVA_OPTS"] == options
    mounted = {
        name
        for name, each in (ALL | SPARK).items()
        if any("secret-spark:/run" in volume for volume in each.get("volumes", ()))
    }
    assert mounted == set(SPARK)
    assert FILES["spark"] == {"spark_secret": "spark_secret"}


def test_the_image_of_spark_is_made_as_a_local_installation() -> None:
    """By the same command for PySpark and the same goal of Maven, with the same checksums."""
    image = (ROOT / "Dockerfile").read_text()
    installed = "--require-hashes --no-deps --requirement"
    assert f"{installed} requirements-spark.lock" in image
    assert f"{installed}s requirements-spark.lock" in (ROOT / "compose/local/install.sh").read_text()
    assert GOAL in image
    assert "sha256sum --check --strict /build/jars.sha256" in image
    assert f" {SparkSettings.model_fields['jars'].default}\n" in image
