"""The warnings about published ports."""

import pytest

from veleta_source.domain.published_ports import published_ports


@pytest.mark.failure("F382")
@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.7", "[::]"])  # noqa: S104 - nothing listens on it
def test_inference_without_keys_is_a_warning(address: str) -> None:
    """With keys it is none. Without them the monitor gives prices too."""
    environ = {"INFERENCE_BIND": address}
    assert list(published_ports(environ, has_keys=False)) == [
        f"WARNING: INFERENCE_BIND={address}: whoever reaches this address gets prices: API_KEYS= requires a key"
    ]
    assert list(published_ports(environ, has_keys=True)) == []
    sees = f"WARNING: MONITOR_BIND={address}: whoever reaches this address sees the monitor"
    assert list(published_ports({"MONITOR_BIND": address}, has_keys=True)) == [sees]
    assert list(published_ports({"MONITOR_BIND": address}, has_keys=False)) == [
        f"{sees}, and gets prices there: API_KEYS= requires a key"
    ]


def test_a_port_without_a_login_is_a_warning() -> None:
    """Also with keys for inference."""
    environ = {"KAFKA_BIND": "0.0.0.0", "MONITOR_BIND": "::", "JUPYTER_BIND": "0.0.0.0"}  # noqa: S104 - as above
    warnings = list(published_ports(environ, has_keys=True))
    assert [line.split("=")[0] for line in warnings] == ["WARNING: KAFKA_BIND", "WARNING: MONITOR_BIND"]


def test_this_machine_is_no_warning() -> None:
    """Nor is a port without an address, as in a local run."""
    environ = {"INFERENCE_BIND": "127.0.0.1", "KAFKA_BIND": "127.0.0.2", "MONITOR_BIND": "[::1]", "MLFLOW_BIND": ""}
    assert list(published_ports(environ, has_keys=False)) == []
