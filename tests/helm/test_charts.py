"""The charts as Helm renders them. No cluster is needed, and none has run them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from support.compose_files import SERVICES
from support.helm import CHARTS, REQUIRED, Helm, Resources
from support.reference.env_example import settings_models
from veleta.settings import read_settings
from veleta.start_variables import StartVariables

PARTS = yaml.safe_load((CHARTS / "veleta/parts.yaml").read_text())
API = {"dataApi": {"url": "https://api.example.com", "peers": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]}}
EVERYTHING: dict[str, Any] = {
    **REQUIRED,
    **API,
    "images": {"repository": "registry.example.com/veleta", "tag": "1", "pullSecrets": [{"name": "registry"}]},
    "clients": [{"namespaceSelector": {}}],
    "visitors": [{"namespaceSelector": {}, "podSelector": {}}],
    "metrics": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    "datasetConfigMap": "houses",
    "inference": {"replicas": 3},
    "storage": {"class": "fast"},
    "variables": {"DATASET": "/own/houses.toml", "API_KEYS": "ada:0,bob:1", "HOSTS": "prices.example.com"},
}
VERSIONS = ("1.29.0", "1.37.0")
"""The oldest version of Kubernetes that the charts allow, and the newest that the schemas have."""
PORTS = {name: part["port"] for name, part in PARTS["services"].items()}

each_service = pytest.mark.parametrize("name", SERVICES)


def pods(resources: Resources) -> dict[str, dict[str, Any]]:
    """The spec of the pod of each part."""
    kinds = ("Deployment", "StatefulSet", "Job")
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"]["spec"]
        for (kind, _), each in resources.items()
        if kind in kinds
    }


def containers(resources: Resources) -> dict[str, dict[str, Any]]:
    """All containers, by their names."""
    every = [c for pod in pods(resources).values() for c in (*pod.get("initContainers", ()), *pod["containers"])]
    return {each["name"]: each for each in every}


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """The variables that have a value, without those from the Secret."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def secrets(pod: Mapping[str, Any]) -> dict[str, str]:
    """The files in /run/secrets, with their keys in the Secret."""
    sources = [s["secret"] for v in pod["volumes"] if v["name"] == "secrets" for s in v["projected"]["sources"]]
    assert {each["name"] for each in sources} == {REQUIRED["secret"]}
    return {item["path"]: item["key"] for each in sources for item in each["items"]}


@pytest.mark.parametrize(
    ("chart", "values"), [("veleta", REQUIRED), ("veleta", EVERYTHING), ("veleta-kafka", {"secret": "passwords"})]
)
def test_helm_finds_no_fault(helm: Helm, chart: str, values: Mapping[str, Any]) -> None:
    """A warning is a fault."""
    done = helm.run("lint --strict", chart, values)
    assert done.returncode == 0, done.stdout
    assert "0 chart(s) failed" in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [REQUIRED, EVERYTHING], ids=["required", "everything"])
def test_kubernetes_knows_every_field(helm: Helm, version: str, values: Mapping[str, Any]) -> None:
    """With its type. A field with an unknown name is refused."""
    text = helm.text("veleta", values)
    assert helm.faults(text, version) == ""
    assert "enableServiceLink" in helm.faults(text.replace("enableServiceLinks", "enableServiceLink"), version)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"secret": ""}, "at '/secret': minLength"),
        ({"mysql": {"host": ""}}, "at '/mysql/host': minLength"),
        ({"mysql": {"userHosts": "x' OR 'y"}}, "at '/mysql/userHosts'"),
        ({"mysql": {"peers": []}}, "at '/mysql/peers': minItems"),
        ({"mysql": {"port": "3306"}}, "at '/mysql/port': got string, want integer"),
        ({"mysql": {"hots": "x"}}, "additional properties 'hots' not allowed"),
        ({"mlflow": {"url": "mlflow:5000"}}, "at '/mlflow/url'"),
        ({"kafka": {"bootstrap": "kafka"}}, "at '/kafka/bootstrap'"),
        ({"dataApi": {"url": "http://api"}}, "at '/dataApi/peers': minItems"),
        ({"clients": [{"cidr": "10.0.0.0/8"}]}, "additional properties 'cidr' not allowed"),
        ({"inference": {"replicas": 0}}, "at '/inference/replicas': minimum"),
        ({"storage": {"journal": "2g"}}, "at '/storage/journal'"),
        ({"variables": {"TREES": 300}}, "at '/variables/TREES': got number, want string"),
        ({"variables": {"AT_END": "wait"}}, "at '/variables/AT_END': value must be one of 'restart', 'stop'"),
        ({"variables": {"TREE": "300"}}, "additional properties 'TREE' not allowed"),
    ],
)
def test_a_wrong_value_is_named(helm: Helm, values: Mapping[str, Any], fault: str) -> None:
    """Before anything is sent to a cluster."""
    merged = {
        key: {**REQUIRED.get(key, {}), **value} if isinstance(value, dict) else value for key, value in values.items()
    }
    done = helm.run("template", "veleta", REQUIRED | merged)
    assert done.returncode == 1
    assert fault in done.stderr


@pytest.mark.parametrize("values", [REQUIRED, EVERYTHING], ids=["required", "everything"])
def test_the_start_accepts_the_variables(helm: Helm, values: Mapping[str, Any]) -> None:
    """Those of preflight, as it reads them. Each container has exactly the variables of parts.yaml."""
    found = containers(helm.resources("veleta", values))
    for name, part in {**PARTS["job"], **PARTS["services"]}.items():
        if name in found:
            assert environment(found[name]).keys() == part["environment"].keys()
            assert not [value for value in environment(found[name]).values() if "{{" in value]
    given = environment(found["preflight"])
    faults = StartVariables.read(given)[1]
    assert [each for each in faults if not each.startswith("API_KEYS")] == []


def test_preflight_runs_with_them(resources: Resources) -> None:
    """The program that the job runs first finds no fault."""
    command = [sys.executable, "-m", "veleta_source.preflight"]
    given = environment(containers(resources)["preflight"])
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*SERVICES, "prepare"])
def test_a_part_accepts_its_settings(resources: Resources, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The variables and the secrets of its container: none is missing, unknown or wrong."""
    for variable, value in environment(containers(resources)[name]).items():
        monkeypatch.setenv(variable, value)
    for file in secrets(pods(resources)[name]):
        monkeypatch.setenv(file.upper(), "a-password-of-some-length")
    read_settings(settings_models()[name][0])


@pytest.mark.failure("F413")
@pytest.mark.parametrize("name", [*SERVICES, "preflight", "prepare"])
def test_a_container_cannot_change_its_programs(resources: Resources, name: str) -> None:
    """It has no capability, gets no new one, is not root, and its file system is read-only."""
    security = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert containers(resources)[name]["securityContext"] == security
    pod = pods(resources)[name.replace("preflight", "prepare")]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert not any("hostPath" in volume for volume in pod["volumes"])


@each_service
def test_a_service_is_probed(resources: Resources, name: str) -> None:
    """A pod is restarted when it makes no progress, and gets requests when it is ready."""
    container = containers(resources)[name]
    live, ready = ("/_stcore/health",) * 2 if name == "monitor" else ("/livez", "/readyz")
    assert (
        container["startupProbe"]["httpGet"] == container["livenessProbe"]["httpGet"] == {"path": live, "port": "http"}
    )
    assert container["readinessProbe"]["httpGet"] == {"path": ready, "port": "http"}
    assert container["ports"] == [{"name": "http", "containerPort": PORTS[name]}]


@pytest.mark.failure("F234")
@each_service
def test_a_service_that_hangs_has_time_to_exit(resources: Resources, name: str) -> None:
    """25 s after SIGTERM, which comes after the preStop."""
    container, pod = containers(resources)[name], pods(resources)[name]
    wait = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) if "lifecycle" in container else 0
    assert pod["terminationGracePeriodSeconds"] - wait > 25
    assert (wait > 0) == (name == "inference")


def test_two_of_a_service_never_run_at_a_time(resources: Resources) -> None:
    """Only inference may have several pods, each with a journal of its own."""
    for name in SERVICES:
        kind = "StatefulSet" if name == "inference" else "Deployment"
        spec = resources[kind, f"release-{name}"]["spec"]
        assert spec["replicas"] == 1
        if kind == "Deployment":
            assert spec["strategy"] == {"type": "Recreate"}
    inference = resources["StatefulSet", "release-inference"]["spec"]
    assert [each["metadata"]["name"] for each in inference["volumeClaimTemplates"]] == ["journal"]


def test_an_uninstall_deletes_no_data(resources: Resources) -> None:
    """Claims stay, also those of the journals."""
    claims = {name: each for (kind, name), each in resources.items() if kind == "PersistentVolumeClaim"}
    assert claims.keys() == {"release-inbox", "release-source", "release-trainer"}
    assert {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in claims.values()} == {"keep"}
    policy = resources["StatefulSet", "release-inference"]["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert policy == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_a_service_has_its_data_in_its_own_folder(resources: Resources) -> None:
    """Below the root of the volume, which may have other folders. The setting names the mounted folder."""
    for name, part in PARTS["services"].items():
        container = containers(resources)[name]
        mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
        assert mounts.keys() == {"/tmp", "/run/secrets"} | ({"/data"} if "data" in part else set())  # noqa: S108
        assert ("/data" in environment(container).values()) == ("data" in part)
        if "data" in part:
            assert mounts["/data"] == {"name": part["data"], "mountPath": "/data", "subPath": "data"}


def test_a_secret_is_read_by_its_part_alone(resources: Resources) -> None:
    """By nobody else in the container, and it cannot be changed."""
    for name, pod in pods(resources).items():
        (modes,) = (each["projected"]["defaultMode"] for each in pod["volumes"] if each["name"] == "secrets")
        assert modes == 0o440
        (mount,) = (each for each in containers(resources)[name]["volumeMounts"] if each["name"] == "secrets")
        assert mount == {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True}
        assert secrets(pod) == (PARTS["job"] | PARTS["services"])[name]["secrets"] | PARTS["services"].get(
            name, {}
        ).get("optional", {})


def test_the_job_runs_before_the_services(resources: Resources) -> None:
    """At each installation and each upgrade. Its NetworkPolicy is there before it."""
    job, policy = resources["Job", "release-prepare"], resources["NetworkPolicy", "release-prepare"]
    for each in (job, policy):
        assert each["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert policy["metadata"]["annotations"]["helm.sh/hook-weight"] == "-1"
    hooks = {key for key, each in resources.items() if "helm.sh/hook" in each["metadata"].get("annotations", {})}
    assert hooks == {("Job", "release-prepare"), ("NetworkPolicy", "release-prepare")}
    claims = [v for v in job["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in v]
    assert claims == []


@pytest.mark.failure("F411")
def test_a_part_reaches_only_what_it_needs(resources: Resources) -> None:
    """Between two pods the policies of both allow the connection. What no policy allows is refused."""
    policies = {name: each["spec"] for (kind, name), each in resources.items() if kind == "NetworkPolicy"}
    default = policies.pop("release-default")
    assert default.keys() == {"podSelector", "policyTypes"}
    assert "app.kubernetes.io/component" not in default["podSelector"]["matchLabels"]
    assert {name.removeprefix("release-") for name in policies} == {*SERVICES, "prepare"}
    assert all(each["policyTypes"] == ["Ingress", "Egress"] for each in (default, *policies.values()))
    sent = {(one, other, port) for one in policies for other, port in components(policies[one]["egress"], "to")}
    received = {
        (one, other, port) for other in policies for one, port in components(policies[other]["ingress"], "from")
    }
    edges = {(f"release-{one}", f"release-{other}", port) for one, other, port in expected_edges()}
    assert {(one, f"release-{other}", port) for one, other, port in sent} == edges
    assert {(f"release-{one}", other, port) for one, other, port in received} == edges


def expected_edges() -> Iterator[tuple[str, str, int]]:
    """Who connects to which service."""
    yield from (("monitor", other, PORTS[other]) for other in SERVICES if other != "monitor")
    yield ("poller", "source", PORTS["source"])


def components(rules: list[dict[str, Any]], key: str) -> Iterator[tuple[str, int]]:
    """The parts of the chart in the rules, with the port."""
    for rule in rules:
        for peer in rule[key]:
            name = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
            if name:
                yield name, rule["ports"][0]["port"]


@pytest.mark.parametrize(
    ("part", "outside"),
    [
        ("source", set()),
        ("poller", {("kafka", 19092)}),
        ("loader", {("kafka", 19092), ("10.1.2.3/32", 3306)}),
        ("trainer", {("kafka", 19092), ("10.1.2.3/32", 3306), ("10.1.2.4/32", 5000)}),
        ("monitor", {("kafka", 19092), ("10.1.2.3/32", 3306)}),
        ("prepare", {("kafka", 19092), ("10.1.2.3/32", 3306)}),
    ],
)
def test_a_part_reaches_the_servers_that_it_needs(
    resources: Resources, part: str, outside: set[tuple[str, int]]
) -> None:
    """And the names of DNS."""
    *rules, dns = resources["NetworkPolicy", f"release-{part}"]["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert set(servers(rules)) == outside


def servers(rules: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """The servers in the rules, with the port."""
    for rule in rules:
        for peer in rule["to"]:
            if "ipBlock" in peer:
                yield peer["ipBlock"]["cidr"], rule["ports"][0]["port"]
            elif "strimzi.io/cluster" in peer["podSelector"]["matchLabels"]:
                yield "kafka", rule["ports"][0]["port"]


def test_nobody_connects_from_outside_unless_a_value_says_so(helm: Helm, resources: Resources) -> None:
    """Clients reach inference, visitors the monitor, and Prometheus the metrics of all but the monitor."""

    def outsiders(found: Resources, name: str) -> list[dict[str, Any]]:
        rules = found["NetworkPolicy", f"release-{name}"]["spec"]["ingress"]
        peers = [peer for rule in rules for peer in rule["from"]]
        return [peer for peer in peers if "app.kubernetes.io/component" not in json.dumps(peer)]

    assert [name for name in SERVICES if outsiders(resources, name)] == []
    opened = helm.resources("veleta", EVERYTHING)
    assert outsiders(opened, "inference") == EVERYTHING["clients"] + EVERYTHING["metrics"]
    assert outsiders(opened, "monitor") == EVERYTHING["visitors"]
    assert outsiders(opened, "loader") == EVERYTHING["metrics"]


def test_the_services_know_their_names(resources: Resources) -> None:
    """Under which the monitor and the poller reach them."""
    found = containers(resources)
    urls = json.loads(environment(found["monitor"])["MONITOR_READYZ"])
    assert urls.keys() == set(SERVICES) - {"monitor"}
    urls["poller asks source"] = environment(found["poller"])["POLLER_API_URL"]
    for url in urls.values():
        host, _, port = url.removeprefix("http://").partition(":")
        service = resources["Service", host]
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert host in environment(found[component])[f"{component.upper()}_HOSTS"].split(",")
        assert service["spec"]["ports"][0]["port"] == int(port) == PORTS[component]
        assert service["spec"]["publishNotReadyAddresses"] is True
    assert resources["Service", "release-inference"]["spec"]["publishNotReadyAddresses"] is False


def test_an_external_data_api_replaces_the_source(helm: Helm) -> None:
    """Its token is not sent to it, and the check asks the API at the first installation only."""
    found = helm.resources("veleta", EVERYTHING)
    assert not [name for _, name in found if name == "release-source"]
    poller = containers(found)["poller"]
    assert environment(poller)["POLLER_API_URL"] == EVERYTHING["dataApi"]["url"]
    assert secrets(pods(found)["poller"]) == {"kafka_password": "kafka_poller_password"}
    assert ("10.2.0.0/16", 443) in servers(found["NetworkPolicy", "release-poller"]["spec"]["egress"][:-1])
    assert ("10.2.0.0/16", 443) in servers(found["NetworkPolicy", "release-prepare"]["spec"]["egress"][:-1])
    assert environment(containers(found)["preflight"])["API_URL"] == EVERYTHING["dataApi"]["url"]
    upgraded = helm.run("template --is-upgrade", "veleta", EVERYTHING)
    again = {each["metadata"]["name"]: each for each in yaml.safe_load_all(upgraded.stdout) if each["kind"] == "Job"}
    job = again["release-prepare"]["spec"]["template"]["spec"]
    assert environment(job["initContainers"][0])["API_URL"] == ""


def test_an_own_dataset_file_is_in_every_container(helm: Helm) -> None:
    """In the folder /own, from the ConfigMap that is named."""
    found = helm.resources("veleta", EVERYTHING)
    for container in containers(found).values():
        assert {"name": "dataset", "mountPath": "/own", "readOnly": True} in container["volumeMounts"]
    for pod in pods(found).values():
        assert {"name": "dataset", "configMap": {"name": "houses"}} in pod["volumes"]


def test_images_have_the_repository_and_the_tag_of_the_values(helm: Helm, resources: Resources) -> None:
    """The image of preflight is that of source."""
    images = {name: each["image"] for name, each in containers(helm.resources("veleta", EVERYTHING)).items()}
    of = {name: "source" if name == "preflight" else name for name in images}
    assert images == {name: f"registry.example.com/veleta/{of[name]}:1" for name in images}
    assert containers(resources)["loader"]["image"] == "veleta/loader:0.1.0"


@pytest.mark.parametrize(("replicas", "copies", "in_sync"), [(1, 1, 1), (3, 3, 2), (5, 3, 2)])
def test_kafka_keeps_as_many_copies_as_it_can(helm: Helm, replicas: int, copies: int, in_sync: int) -> None:
    """Three at most. A write needs two of them."""
    found = helm.resources("veleta-kafka", {"secret": "passwords", "replicas": replicas})
    config = found["Kafka", "veleta"]["spec"]["kafka"]["config"]
    assert found["KafkaNodePool", "veleta"]["spec"]["replicas"] == replicas
    assert {value for key, value in config.items() if key.endswith("replication.factor")} == {copies}
    assert {value for key, value in config.items() if key.endswith(("min.isr", "insync.replicas"))} == {in_sync}


def test_kafka_has_no_operator_of_users_and_topics(helm: Helm, resources: Resources) -> None:
    """It would delete the users of the job prepare. The services reach the listener that both charts name."""
    found = helm.resources("veleta-kafka", {"secret": "passwords"})
    kafka = found["Kafka", "veleta"]["spec"]
    assert kafka.keys() == {"kafka"}
    assert {kind for kind, _ in found} == {"Kafka", "KafkaNodePool"}
    (listener,) = kafka["kafka"]["listeners"]
    address = environment(containers(resources)["loader"])["KAFKA_BOOTSTRAP"]
    assert address == f"veleta-kafka-bootstrap:{listener['port']}"
    selector = listener["networkPolicyPeers"][0]["podSelector"]["matchLabels"]
    labels = resources["Deployment", "release-loader"]["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert {
        key: each["metadata"]["annotations"]["helm.sh/resource-policy"] for key, each in found.items()
    } == dict.fromkeys(found, "keep")
