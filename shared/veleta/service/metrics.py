"""Prometheus metrics of one process, or of all workers that share a port."""

import os

import prometheus_client
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return prometheus_client.generate_latest(_registry())


def _registry() -> prometheus_client.CollectorRegistry:
    """This process's registry; workers with PROMETHEUS_MULTIPROC_DIR share one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return prometheus_client.REGISTRY
    registry = prometheus_client.CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
    return registry
