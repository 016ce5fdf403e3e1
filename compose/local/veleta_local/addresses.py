"""The port book: every port of a local run, in the order that PORT_BASE counts them."""

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
        # Reserved, so that a later part does not move the ports above and below it.
        "prometheus": 9090,
        "grafana": 3000,
        "kafka-ui": 8081,
        "jupyter": 8888,
        "retention": 8095,
        "kafka-controller": 9093,
    }
)


def ports(base: int | None = None) -> dict[str, int]:
    """The port of each part: its own default, or `base` and the ones after it in the order of the book."""
    if base is None:
        return dict(DEFAULT_PORTS)
    return {part: base + place for place, part in enumerate(DEFAULT_PORTS)}
