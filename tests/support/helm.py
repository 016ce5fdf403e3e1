"""Helm and kubeconform, as `install.sh helm` installs them, and what they say about the charts."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from support.repository import ROOT

CHARTS = ROOT / "compose/helm"
TOOLS, SCHEMAS = ROOT / ".runtime/helm", ROOT / ".runtime/kubernetes/kubernetes_validate/kubernetes-json-schema"
REQUIRED: dict[str, Any] = {
    "secret": "passwords",
    "mysql": {"host": "db.example.com", "userHosts": "10.244.%", "peers": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]},
    "mlflow": {"url": "http://mlflow.example.com:5000", "peers": [{"ipBlock": {"cidr": "10.1.2.4/32"}}]},
}
"""The values without a default."""

Resources = dict[tuple[str, str], dict[str, Any]]
"""The resources of a rendered chart by kind and name."""


class Helm:
    """Helm and kubeconform, without a cluster and without the files of a user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def run(self, command: str, chart: str, values: Mapping[str, Any]) -> "subprocess.CompletedProcess[str]":
        """Run `helm COMMAND` on a chart with these values."""
        path = self._folder / "values.yaml"
        path.write_text(yaml.safe_dump(dict(values)))
        name = ["release"] if command.startswith("template") else []
        arguments = [str(each) for each in (TOOLS / "helm", *command.split(), *name, CHARTS / chart, "--values", path)]
        return subprocess.run(arguments, env=self._environment, capture_output=True, text=True, check=False)

    def text(self, chart: str, values: Mapping[str, Any]) -> str:
        """The rendered chart."""
        done = self.run("template", chart, values)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def resources(self, chart: str, values: Mapping[str, Any]) -> Resources:
        """The resources of the rendered chart."""
        found = [each for each in yaml.safe_load_all(self.text(chart, values)) if each]
        named = {(each["kind"], each["metadata"]["name"]): each for each in found}
        assert len(named) == len(found)
        return named

    def faults(self, text: str, version: str) -> str:
        """What the schemas of a version of Kubernetes refuse, as kubeconform says it; empty: nothing."""
        kinds = {each["kind"] for each in yaml.safe_load_all(text) if each}
        location = f"{self._schemas(version, kinds)}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        command = [str(TOOLS / "kubeconform"), "-strict", "-schema-location", location]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout

    def _schemas(self, version: str, kinds: set[str]) -> Path:
        """The schemas with their definitions: kubeconform does not find those in another file."""
        source, folder = SCHEMAS / f"v{version}-local-strict", self._folder / version
        folder.mkdir(exist_ok=True)

        def content(path: Path) -> dict[str, Any]:
            return dict(json.loads(path.read_text().replace("/api/_definitions.json#/", "#/")))

        for kind in kinds:
            for path in source.glob(f"{kind.lower()}-*v1.json"):
                if not (folder / path.name).exists():
                    (folder / path.name).write_text(json.dumps(content(path) | content(source / "_definitions.json")))
        return folder
