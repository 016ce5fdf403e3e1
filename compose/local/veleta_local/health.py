"""Checks whether a part is ready, by a request in the protocol of the part."""

import http.client
import json
import logging
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment

_TIMEOUT_SECONDS = 3


@dataclass(frozen=True)
class Health:
    """Whether a part is ready and listens, its activity, the dependencies it waits for, and its warnings."""

    ready: bool
    doing: str = ""
    waits_for: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    listens: bool = True

    def __str__(self) -> str:
        waits = [f"waits for {what}: {why}" for what, why in self.waits_for.items()]
        warnings = [f"warning: {text}" for text in self.warnings.values()]
        texts = [*filter(None, [self.doing]), *waits, *warnings]
        return "; ".join(texts) or ("ready" if self.ready else "not ready")


def check(deployment: Deployment, part: str) -> Health:
    """Request the health of a part."""
    if not _listens(deployment.ports[part]):
        return Health(ready=False, doing="does not listen yet", listens=False)
    if part == "kafka":
        return _kafka(deployment)
    if part == "mysql":
        return _mysql(deployment)
    if part == "mlflow":
        return _http(f"{deployment.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1")
    return _http(deployment.health_url(part))


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(_TIMEOUT_SECONDS)
        return probe.connect_ex((HOST, port)) == 0


def _kafka(deployment: Deployment) -> Health:
    from kafka import KafkaAdminClient  # noqa: PLC0415 (half a second that a stop does not need)
    from kafka.errors import KafkaError  # noqa: PLC0415

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        client = KafkaAdminClient(
            bootstrap_servers=deployment.kafka_bootstrap, bootstrap_timeout_ms=_TIMEOUT_SECONDS * 1000
        )
        with closing(client):
            client.describe_cluster()
    except KafkaError as error:
        return Health(ready=False, doing=f"listens but does not answer: {error}")
    return Health(ready=True, doing="answers")


def _mysql(deployment: Deployment) -> Health:
    import pymysql  # noqa: PLC0415

    user, password = deployment.mysql_user, deployment.mysql_password
    try:
        pymysql.connect(
            host=HOST, port=deployment.mysql_port, user=user, password=password, connect_timeout=_TIMEOUT_SECONDS
        ).close()
    except pymysql.Error as error:
        return Health(ready=False, doing=f"listens but refuses: {error}")
    return Health(ready=True, doing="answers")


def _http(url: str) -> Health:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 (our own address)
            return _parse(response.read(), ready=True)
    except urllib.error.HTTPError as error:
        with error:
            return _parse(error.read(), ready=False)
    except (OSError, http.client.HTTPException) as error:
        return Health(ready=False, doing=f"listens but does not answer: {error}")


def _parse(body: bytes, *, ready: bool) -> Health:
    """The body of /readyz. Streamlit and MLflow have no such body: only their status counts."""
    try:
        report: Any = json.loads(body)
    except ValueError:
        report = {}
    if not isinstance(report, dict) or "ready" not in report:
        return Health(ready=ready, doing="answers" if ready else "is not ready")
    waits_for, warnings = (dict(report.get(name) or {}) for name in ("waits_for", "warnings"))
    return Health(ready, str(report.get("doing") or ""), waits_for, warnings)
