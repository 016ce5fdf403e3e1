"""The ports of a local run, in the order in which PORT_BASE numbers them."""

from collections.abc import Mapping
from types import MappingProxyType

HOST = "127.0.0.1"

DEFAULT_PORTS: Mapping[str, int] = MappingProxyType(
    {
        "kafka": 9092,
        "mysql": 3306,
        "mlflow": 5000,
        "source": 8090,
        "poller": 8091,
        "loader": 8092,
        "drift": 8093,
        "trainer": 8094,
        "inference": 8000,
        "monitor": 8501,
        # Reserved for later parts, so that they do not change the numbers of the others.
        "prometheus": 9090,
        "grafana": 3000,
        "kafka-ui": 8081,
        "jupyter": 8888,
        "retention": 8095,
        "kafka-controller": 9093,
        "kafka-services": 9094,
        "spark": 7077,
        "spark-ui": 8080,
    }
)
MIN_PORT_BASE = 2_000
MAX_PORT_BASE = 65_536 - len(DEFAULT_PORTS)


def ports(base: int | None = None) -> dict[str, int]:
    """The port of each part: its default, or `base` and the following numbers."""
    if base is None:
        return dict(DEFAULT_PORTS)
    return {part: base + position for position, part in enumerate(DEFAULT_PORTS)}
