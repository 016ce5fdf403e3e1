"""The page with the drift report of one batch."""

from collections.abc import Mapping

import pytest
from starlette.requests import Request
from starlette.responses import Response

from support.drift_reports import REPORT
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta_monitor.domain.drift_report import DriftReport
from veleta_monitor.report_html import report_html
from veleta_monitor.report_page import ReportPage

DATASET = load_dataset("real_estate")


class Reader:
    """One report, or an error."""

    def __init__(self, reports: Mapping[tuple[int, int], DriftReport], error: Exception | None = None) -> None:
        self.reports, self.error = reports, error

    def read(self, epoch: int, number: int) -> DriftReport | None:
        if self.error:
            raise self.error
        return self.reports.get((epoch, number))


async def get(batch: str, reader: Reader) -> Response:
    page = ReportPage(reader, DATASET)  # type: ignore[arg-type]  # it reads as the real one
    return await page.respond(Request({"type": "http", "path_params": {"batch": batch}}))


async def test_the_report_of_a_batch_is_a_page() -> None:
    """As `make report` writes it."""
    response = await get("2/3", Reader({(2, 3): REPORT}))
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert bytes(response.body).decode() == report_html(REPORT, DATASET)


@pytest.mark.failure("F457")
@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ("2/4", "There is no drift report on batch 2/4."),
        ("2", "2 is no batch: use its epoch and number, as 2/3"),
        ("<script>", "<script> is no batch: use its epoch and number, as 2/3"),
        ("9" * 5_000, f"{'9' * 64} is no batch: use its epoch and number, as 2/3"),
    ],
)
async def test_a_batch_without_a_report_is_one_line(batch: str, text: str) -> None:
    """As plain text, so that a browser shows it as it is."""
    response = await get(batch, Reader({}))
    assert (response.status_code, bytes(response.body).decode()) == (404, text)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.failure("F457")
async def test_the_page_names_mysql_if_it_is_unavailable() -> None:
    """With the reason."""
    response = await get("2/3", Reader({}, Retry("mysql", "connection refused")))
    expected = "There is no report now: mysql: connection refused"
    assert (response.status_code, bytes(response.body).decode()) == (503, expected)
