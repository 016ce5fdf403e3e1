"""What the source shows about its rows."""

from pathlib import Path
from typing import cast

import prometheus_client
import pytest

from veleta.input.row_counts import Reason, RowCounts
from veleta.service.health import ServiceHealth
from veleta_source.handlers import BatchFiles, Cursors, DataApi


@pytest.mark.failure("F183")
@pytest.mark.parametrize(
    ("complete", "warnings"), [(9, {}), (1, {"rows": "1 of 2 rows (50 %) are left out: bed missing 1 (line 7)"})]
)
async def test_rows_that_are_left_out_are_shown(complete: int, warnings: dict[str, str]) -> None:
    """In the activity and the metrics, and as a warning if there are many."""
    counts = RowCounts(complete=complete)
    counts.add_left_out(7, [Reason("bed missing")])
    health = ServiceHealth("source")
    files = BatchFiles([Path("0.json")], counts, counts.summary())
    health.stopping.set()  # `run` returns when it has shown the rows
    await DataApi(lambda _report: files, cast("Cursors", None), health).run()
    assert health.activity == f"serving 1 batches; {counts.summary()}"
    assert health.warnings == warnings
    value = prometheus_client.REGISTRY.get_sample_value
    assert value("veleta_source_rows", {"outcome": "complete"}) == complete
    assert value("veleta_source_rows", {"outcome": "left_out"}) == 1
    assert value("veleta_source_rows_left_out", {"reason": "bed missing"}) == 1
