"""Serves the drift report of each batch as a page of its own, beside Streamlit's page."""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from veleta.adapters.mysql import mysql_engine
from veleta.dataset import Dataset
from veleta.errors import Retry, Stop
from veleta.threads import call_in_thread
from veleta.timeouts import CHECK_SECONDS
from veleta_monitor.adapters.reports import ReportReader
from veleta_monitor.domain.batches import REPORT_PATH
from veleta_monitor.domain.drift_report import DriftReport, parse_batch
from veleta_monitor.report_html import report_html
from veleta_monitor.settings import MonitorSettings


class ReportPage:
    """The page of one batch. It reads one report at a time, whatever number of visitors there is."""

    def __init__(self, reader: ReportReader, dataset: Dataset) -> None:
        self._reader = reader
        self._dataset = dataset
        self._one_at_a_time = asyncio.Lock()

    async def respond(self, request: Request) -> Response:
        """The report, or one line: there is none (404), or MySQL is unavailable (503)."""
        try:
            epoch, number = parse_batch(request.path_params["batch"])
            async with self._one_at_a_time:
                report = await call_in_thread(partial(self._reader.read, epoch, number))
        except Stop as error:
            return PlainTextResponse(str(error), 404)
        except Retry as error:
            return PlainTextResponse(f"There is no report now: {error}", 503)
        return self._response(report, f"{epoch}/{number}")

    def _response(self, report: DriftReport | None, batch: str) -> Response:
        if report is None:
            return PlainTextResponse(f"There is no drift report on batch {batch}.", 404)
        return HTMLResponse(report_html(report, self._dataset), headers={"cache-control": "no-cache"})


def report_route(settings: MonitorSettings, dataset: Dataset) -> Route:
    """The route of all reports."""
    reader = ReportReader(mysql_engine(settings.mysql, CHECK_SECONDS), dataset.name)
    return Route(f"/{REPORT_PATH}/{{batch:path}}", ReportPage(reader, dataset).respond)
