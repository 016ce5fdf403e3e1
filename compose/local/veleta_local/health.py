"""Checks whether a part is ready, by a request in the protocol of the part. No check takes longer than 3 s."""

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from veleta_local.addresses import HOST
from veleta_local.deployment import BACKING, Deployment

TIMEOUT_SECONDS = 3.0


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


def check(deployment: Deployment, parts: Iterable[str]) -> dict[str, Health]:
    """Request the health of parts in parallel. A part that does not answer within TIMEOUT_SECONDS is not ready.

    The threads of late parts are left behind: their own time-outs end them.
    """
    late = Health(ready=False, doing=f"listens but does not answer within {TIMEOUT_SECONDS:g} s")
    reports: dict[str, Health] = {}

    def request(part: str) -> None:
        try:
            reports[part] = _check(deployment, part)
        except TimeoutError:
            reports[part] = late
        except Exception as error:  # noqa: BLE001 - whatever a part answers, it is not ready
            reports[part] = Health(ready=False, doing=f"listens but does not answer: {error or type(error).__name__}")

    threads = {part: threading.Thread(target=request, args=(part,), daemon=True) for part in parts}
    deadline = time.monotonic() + TIMEOUT_SECONDS
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    return {part: reports.get(part, late) for part in threads}


def _check(deployment: Deployment, part: str) -> Health:
    if not _listens(deployment.ports[part]):
        return Health(ready=False, doing="does not listen yet", listens=False)
    match part:
        case "kafka":
            return _kafka(deployment)
        case "mysql":
            return _mysql(deployment)
        case "mlflow":
            return _http(part, f"{deployment.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1")
        case _:
            return _http(part, deployment.health_url(part))


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(TIMEOUT_SECONDS)
        return probe.connect_ex((HOST, port)) == 0


def _kafka(deployment: Deployment) -> Health:
    from veleta.adapters.kafka_clients import Admin  # noqa: PLC0415 (half a second that a stop does not need)

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    with closing(Admin(deployment.kafka, "status", TIMEOUT_SECONDS)) as client, client.connected() as admin:
        admin.describe_cluster()
    return Health(ready=True, doing="answers")


def _mysql(deployment: Deployment) -> Health:
    import pymysql  # noqa: PLC0415

    try:
        pymysql.connect(
            host=HOST,
            port=deployment.mysql_port,
            user=deployment.mysql_user,
            password=deployment.mysql_password,
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,  # without it a frozen server, which accepts the connection, is waited for
            write_timeout=TIMEOUT_SECONDS,
        ).close()
    except pymysql.Error as error:
        return Health(ready=False, doing=f"listens but refuses: {error}")
    return Health(ready=True, doing="answers")


def _http(part: str, url: str) -> Health:
    import aiohttp  # noqa: PLC0415

    async def get() -> Health:
        # The total bounds a body that never ends. Proxies of the environment are not used for this machine.
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            return _parse(part, await response.read(), ready=response.ok)

    return asyncio.run(get())


def _parse(part: str, body: bytes, *, ready: bool) -> Health:
    """The body of /readyz. Streamlit and MLflow have no such body: only their status counts."""
    try:
        report: Any = json.loads(body)
    except ValueError:
        report = {}
    if isinstance(report, dict) and "ready" in report:
        waits_for, warnings = (dict(report.get(name) or {}) for name in ("waits_for", "warnings"))
        return Health(ready, str(report.get("doing") or ""), waits_for, warnings)
    if part in (*BACKING, "monitor"):
        return Health(ready=ready, doing="answers" if ready else "is not ready")
    return Health(ready=False, doing="another program answers on its port")
