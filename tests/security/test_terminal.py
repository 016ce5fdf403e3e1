"""What others wrote into a topic reaches a terminal as text only."""

import json
import sys
from pathlib import Path

import pytest

from support.pseudo_terminal import PseudoTerminal
from support.records import NOON, message
from support.repository import ROOT
from support.testbed import PASSWORD, Testbed
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import Event, encode
from veleta.topics import topic
from veleta.users import OPERATOR, kafka_password_variable
from veleta_local.run import Run

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\rpaid\u202e\x00evil"
OBEYED = ("\x1b", "\x07", "\x9b", "\x00", "\u202e", "\rpaid")


@pytest.fixture(scope="module")
def folder(testbed: Testbed, backing: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with hostile records: an event, a dead letter, and a record that is no event."""
    name = testbed.dataset.name
    letter = RecordDeadlettered(
        service="loader",
        reason=HOSTILE,
        error=HOSTILE,
        topic=topic(name, "batches"),
        partition=0,
        offset=0,
        first_key="",
        headers={"ce_id": HOSTILE},
        value=HOSTILE,
    )
    hostile = encode(topic(name, "deadletter"), Event("evil/1\x1b[2J", "loader", NOON, letter))
    testbed.log.publish([message(topic(name, "deadletter"), value=HOSTILE.encode()), hostile])
    folder = tmp_path_factory.mktemp("run")
    home = folder / ".veleta"
    home.mkdir()
    # The users of this deployment, which its commands log in as, have a prefix and one password.
    (home / "secrets").write_text(f"{kafka_password_variable(OPERATOR)}={PASSWORD}\n")
    variables = {"dataset": str(testbed.dataset_path), "mysql_prefix": testbed.prefix}
    (home / "run.json").write_text(json.dumps(backing.variables.given() | variables))
    return folder


@pytest.mark.failure("F415")
@pytest.mark.parametrize("form", ["", "1"])
@pytest.mark.parametrize("command", ["tail", "topics", "dead"])
def test_a_record_sends_no_commands_to_a_terminal(command: str, form: str, folder: Path, testbed: Testbed) -> None:
    """As text for people and as JSON for programs, read on a real terminal."""
    variables = {"PYTHONPATH": str(ROOT / "tests"), "JSON": form, "TOPIC": topic(testbed.dataset.name, "deadletter")}
    command_line = ["env", "-C", str(folder), sys.executable, "-m", "support.command_line", command]
    terminal = PseudoTerminal(command_line, 200, 60, variables)
    assert terminal.end(b"", 60) == 0
    terminal.close()
    output = terminal.output.decode()
    assert "evil" in output
    assert [text for text in OBEYED if text in output] == []
