"""Sends a command to the poller, to drift or to the trainer, and returns its result."""

import getpass
import os
from contextlib import closing

from pydantic import ValidationError

from veleta import commands
from veleta.adapters.kafka import KafkaLog
from veleta.clock import utc_now
from veleta.events.catalogue import Command, CommandRefused
from veleta.settings import KafkaSettings
from veleta_local.errors import LocalError
from veleta_local.topics import local_errors


def send_command(kafka: KafkaSettings, kind: type[Command], dataset: str, **fields: str | float | None) -> str:
    """Send a command with these fields in the name of the current user: its effect.

    Raises:
        LocalError: a field is invalid, the service refused the command or did not answer, or Kafka is unreachable.
    """
    try:
        command = kind(dataset=dataset, actor=_user(), **fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise LocalError(f"{'.'.join(map(str, first['loc'])).upper()}: {first['msg']}") from error
    log = KafkaLog(kafka, "shell")
    with closing(log), local_errors():
        answer = commands.send_command(log, command, "shell", utc_now)
    if isinstance(answer, CommandRefused):
        raise LocalError(f"refused: {answer.reason}")
    return answer.effect


def _user() -> str:
    try:
        return getpass.getuser()
    except KeyError:
        return f"uid {os.getuid()}"
