"""Commands from the shell: a service is asked, and its answer is the command's."""

import getpass
import os

from veleta import commands
from veleta.adapters.kafka import KafkaLog
from veleta.clock import utc_now
from veleta.errors import Retry
from veleta.events.catalogue import Command, CommandRefused
from veleta_local.errors import LocalError
from veleta_local.topics import NOT_RUNNING


def ask(bootstrap: str, kind: type[Command], dataset: str, reason: str) -> str:
    """Send a command as the person at the shell: what it effects.

    Raises:
        LocalError: it was refused, or nobody answered.
    """
    log = KafkaLog(bootstrap, "shell")
    try:
        answer = commands.send_command(log, kind(dataset=dataset, actor=_person(), reason=reason), "shell", utc_now)
    except Retry as away:
        raise LocalError(NOT_RUNNING if away.dependency == "kafka" else str(away)) from away
    finally:
        log.close()
    if isinstance(answer, CommandRefused):
        raise LocalError(f"refused: {answer.reason}")
    return answer.effect


def _person() -> str:
    try:
        return getpass.getuser()
    except KeyError:
        return f"uid {os.getuid()}"
