"""Commands are validated before they are sent."""

from typing import Any

import pytest

from veleta.events.catalogue import Promote, Rollback, TrainerCommand
from veleta.settings import KafkaSettings
from veleta_local.errors import LocalError
from veleta_local.send_command import send_command


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Rollback, {"reason": "x" * 1_001}, "REASON: String should have at most 1000 characters"),
        (Promote, {"version": 0}, "VERSION: Input should be greater than or equal to 1"),
        (Promote, {"version": 1, "expect": 2**40}, "EXPECT: Input should be less than or equal to 2000000000"),
    ],
)
def test_an_invalid_field_is_named_as_its_variable(
    kind: type[TrainerCommand], fields: dict[str, Any], message: str
) -> None:
    """Nothing is sent."""
    with pytest.raises(LocalError, match=message):
        send_command(KafkaSettings(bootstrap="127.0.0.1:9"), kind, "d", **fields)
