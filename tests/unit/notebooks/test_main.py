"""JupyterLab on the notebooks: its address, and what it saves."""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.repository import ROOT
from support.testbed import free_port

NAME = "01_model_in_production.ipynb"
OUTPUT = {"output_type": "stream", "name": "stdout", "text": ["seen\n"]}


class Lab:
    """A JupyterLab on a copy of the notebooks."""

    def __init__(self, folder: Path) -> None:
        port = str(free_port())
        environ = {**os.environ, "NOTEBOOKS_PORT": port, "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
        environ |= {f"MYSQL_{name}": "1" for name in ("HOST", "PORT", "USER", "PASSWORD")}
        command = [sys.executable, "-m", "veleta_notebooks", str(folder)]
        self.process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout
        self.first_line = self.process.stdout.readline()
        self.url, _, self.token = self.first_line.split()[1].partition("/lab?token=")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request as a page of JupyterLab does."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read())

    def end(self) -> str:
        """Press Ctrl-C: the rest of the output."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the notebooks."""
    return Path(shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks"))


@pytest.fixture
def lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab."""
    started = Lab(folder)
    yield started
    started.process.kill()
    started.process.communicate()


def test_jupyterlab_prints_one_line_and_saves_edits_without_outputs(lab: Lab, folder: Path) -> None:
    """Also as root. The line has the address with the token. A notebook that was only run keeps its file."""
    before = (folder / NAME).read_text()
    model = lab.call("GET", f"contents/{NAME}")
    run = copy.deepcopy(model["content"])
    run["metadata"] |= {"language_info": {"name": "python", "version": "3.11.9"}, "widgets": {"state": {}}}
    for cell in run["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [OUTPUT], "execution_count": 3, "metadata": {"execution": {}, "trusted": True}}
    lab.call("PUT", f"contents/{NAME}", {"type": "notebook", "content": run})
    lab.call("POST", f"contents/{NAME}/checkpoints", {})
    assert (folder / NAME).read_text() == before
    run["cells"][0]["source"] = "# My title"
    lab.call("PUT", f"contents/{NAME}", {"type": "notebook", "content": run})
    assert "# My title" in (folder / NAME).read_text()
    assert "seen" not in (folder / NAME).read_text()
    lab.call("PUT", "contents/notes.txt", {"type": "file", "format": "text", "content": "seen"})
    assert (folder / "notes.txt").read_text() == "seen"
    assert lab.first_line == f"JupyterLab  {lab.url}/lab?token={lab.token}  (Ctrl-C stops it)\n"
    assert lab.end() == ""
