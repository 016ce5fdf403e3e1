"""Warnings about ports of containers that other machines reach."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

_WITHOUT_LOGIN: Mapping[str, str] = {
    "KAFKA_BIND": "reads every topic",
    "MLFLOW_BIND": "reads every model",
    "MONITOR_BIND": "sees the monitor",
    "KAFKA_UI_BIND": "reads every topic",
}
"""What anybody can do who reaches the port."""
_WITHOUT_KEYS = {
    "INFERENCE_BIND": "gets prices: API_KEYS= requires a key",
    "MONITOR_BIND": "sees the monitor, and gets prices there: API_KEYS= requires a key",
}


def published_ports(environ: Mapping[str, str], *, has_keys: bool) -> Iterator[str]:
    """A warning for each address in `environ` that other machines reach, and where nobody has to log in.

    `has_keys`: whether inference requires a key.
    """
    for name, effect in {**_WITHOUT_LOGIN, **({} if has_keys else _WITHOUT_KEYS)}.items():
        if (address := environ.get(name)) and not ip_address(address.strip("[]")).is_loopback:
            yield f"WARNING: {name}={address}: whoever reaches this address {effect}"
