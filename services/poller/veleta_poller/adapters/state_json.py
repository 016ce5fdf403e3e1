"""The poller's state as JSON. The keys are those of the first version, so every version can continue a run."""

from dataclasses import asdict
from typing import Any

import orjson

from veleta_poller.domain.poll_mode import PollMode
from veleta_poller.domain.sequence import Position
from veleta_poller.domain.state import PollerState, Reply


def encode_state(state: PollerState) -> bytes:
    """The JSON of a state."""
    return orjson.dumps(_to_json(state))


def decode_state(content: bytes) -> PollerState:
    """The state in JSON. Only `position` and `notes` are required. Raises ValueError, KeyError or TypeError."""
    stored, initial = orjson.loads(content), _to_json(PollerState())
    values, mode = {**initial, **stored}, {**initial["tap"], **stored.get("tap", {})}
    return PollerState(
        Position(**stored["position"]),
        restarted_after=values["restart_of"],
        partial_received=values["torn"],
        findings=tuple(stored["notes"]),
        largest_response=values["largest"],
        poll_mode=PollMode(mode["mode"], mode["paused"], mode["wanted"]),
        replies=tuple(Reply(r["command"], r["accepted"], r["words"]) for r in values["replies"]),
    )


def _to_json(state: PollerState) -> dict[str, Any]:
    mode = state.poll_mode
    return {
        "position": asdict(state.position),
        "restart_of": state.restarted_after,
        "torn": state.partial_received,
        "notes": state.findings,
        "largest": state.largest_response,
        "tap": {"mode": mode.setting, "paused": mode.paused, "wanted": mode.requested},
        "replies": [{"command": r.command, "accepted": r.accepted, "words": r.text} for r in state.replies],
    }
