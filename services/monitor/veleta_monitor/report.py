"""`python -m veleta_monitor.report BATCH [FILE]`: writes the drift report of a batch as one HTML page.

BATCH is its epoch and number, as 2/3. Without FILE the page goes to the standard output. Exits with 0, or with 1 and a
one-line reason.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from veleta.adapters.mysql import mysql_engine
from veleta.dataset import load_dataset
from veleta.errors import Retry, Stop
from veleta.settings import read_settings
from veleta_monitor.adapters.reports import ReportReader
from veleta_monitor.domain.drift_report import parse_batch
from veleta_monitor.report_html import report_html
from veleta_monitor.settings import MonitorSettings


def main(arguments: Sequence[str]) -> str:
    """The page, or a line about the file that has it.

    Raises:
        Stop: the batch has no report, or the file cannot be written.
        Retry: MySQL is unavailable.
    """
    batch, *files = arguments or [""]
    epoch, number = parse_batch(batch)
    settings = read_settings(MonitorSettings)
    dataset = load_dataset(settings.dataset)
    reader = ReportReader(mysql_engine(settings.mysql), dataset.name)
    if (report := reader.read(epoch, number)) is None:
        newest = reader.newest()
        raise Stop(f"there is no drift report on batch {batch}{newest and f'; the newest is on {newest}'}")
    page = report_html(report, dataset)
    return _write(page, Path(files[0]), f"batch {batch}: {report.batch.verdict}") if files else page


def _write(page: str, path: Path, title: str) -> str:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Stop(f"{path} cannot be written ({error.strerror})") from error
    return f"{path}: {title}\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except (Retry, Stop) as error:
        sys.exit(f"report: {error}")
