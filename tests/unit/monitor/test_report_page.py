"""The page with the drift report of one batch."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from support.drift_reports import REPORT
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta_monitor.domain.drift_report import DriftReport
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


def client(*arguments: Any) -> TestClient:
    page = ReportPage(Reader(*arguments), DATASET)  # type: ignore[arg-type]  # it reads as the real one
    return TestClient(Starlette(routes=[Route("/report/{batch:path}", page.respond)]))


def test_the_report_of_a_batch_is_a_page() -> None:
    """As `make report` writes it."""
    response = client({(2, 3): REPORT}).get("/report/2/3")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "Drift report: batch 2/3, USA real estate" in response.text


@pytest.mark.failure("F457")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("2/4", "There is no drift report on batch 2/4."),
        ("2", "2 is no batch: use its epoch and number, as 2/3"),
        ("<script>", "<script> is no batch: use its epoch and number, as 2/3"),
        ("9" * 5_000, f"{'9' * 64} is no batch: use its epoch and number, as 2/3"),
    ],
)
def test_a_batch_without_a_report_is_one_line(path: str, text: str) -> None:
    """As plain text, so that a browser shows it as it is."""
    response = client({}).get(f"/report/{path}")
    assert (response.status_code, response.text) == (404, text)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.failure("F457")
def test_the_page_names_mysql_if_it_is_unavailable() -> None:
    """With the reason."""
    response = client({}, Retry("mysql", "connection refused")).get("/report/2/3")
    assert (response.status_code, response.text) == (503, "There is no report now: mysql: connection refused")
