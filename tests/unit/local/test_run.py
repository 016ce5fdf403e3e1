"""A start refuses what is wrong before it starts a process."""

import socket
from pathlib import Path

import pytest

from support.bicycles import BICYCLES
from support.testbed import free_base
from veleta.dataset import load_dataset
from veleta_local.addresses import HOST
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_local.variables import Variables


@pytest.mark.failure("F201")
def test_an_invalid_dataset_file_is_refused_with_its_error(tmp_path: Path) -> None:
    """The run does not store it, so the next start may name another file."""
    text = load_dataset(str(BICYCLES)).text
    (tmp_path / "bad.toml").write_text(text.replace('target = "asking"', 'target = "fule"'))
    run = Run(tmp_path / "run", Variables(dataset=str(tmp_path / "bad.toml"), csv=str(tmp_path / "gone.csv")))
    with pytest.raises(LocalError, match=r"^bad\.toml: target = \"fule\" is no column: use serial, "):
        run.start()
    assert not run.alive()
    assert not run.home.exists()


def test_a_dataset_without_a_generator_needs_an_input(tmp_path: Path) -> None:
    """The message names the inputs, and no process is left."""
    run = Run(tmp_path / "home", Variables(dataset=str(BICYCLES)))
    with pytest.raises(LocalError, match=r"no \[generator\]: pass its rows with CSV=file or API_URL=address"):
        run.start()
    assert not run.alive()


@pytest.mark.failure("F71")
def test_a_port_in_use_is_named_with_its_part(tmp_path: Path) -> None:
    """The message shows what to do. The run does not store the failed start."""
    base = free_base()
    with socket.create_server((HOST, base + 1)):
        run = Run(tmp_path / "home", Variables(port_base=str(base)))
        with pytest.raises(LocalError, match=f"port {base + 1}, needed for mysql, is in use: pass PORT_BASE="):
            run.start_backing()
    assert not run.alive()
    assert Run(run.home).saved == Variables()
