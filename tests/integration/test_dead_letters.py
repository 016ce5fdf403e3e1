"""Dead letters on the command line: the list, and a record that is sent again."""

import pytest
import sqlalchemy as sa

from support.batches import publish_batch, send
from support.listings import api_rows
from support.records import chunk_messages, publish_chunks
from support.testbed import Testbed, wait_until
from support.twins.shared import MemoryLog
from veleta.tables import batches, dataset_tables, drift_reports
from veleta_local.dead_letters import DeadLetters
from veleta_local.errors import LocalError


@pytest.mark.failure("F12")
def test_a_dead_letter_is_listed_and_sent_again_once(testbed: Testbed) -> None:
    """A manifest before its rows: when it is sent again, the loader loads the batch. Drift's verdict stays."""
    letters, name = DeadLetters(testbed.kafka_as("operator"), testbed.dataset.name), testbed.dataset.name
    assert list(letters.listing()) == ["no dead letters"]
    rows = list(api_rows(0, 50, 1))
    manifest = publish_chunks(MemoryLog(), name, 1, 0, [rows])
    with testbed.service("loader", "loader"), testbed.service("drift", "drift"):
        send(testbed.log, testbed.dataset, "batches", manifest, "closed")
        wait_until(lambda: len(testbed.events("deadletter")) == 2, 60, "both dead letters")
        assert _states(testbed) == ["refused"]
        shown = {letter.partition("\n")[0]: letter for letter in letters.listing()}
        assert set(shown) == {f"{name}.batches/0/0/dead/{service}" for service in ("loader", "drift")}
        letter = shown[f"{name}.batches/0/0/dead/loader"]
        assert "loader could not process: the manifest does not match" in letter
        assert f"record: {name}/1/0/closed ({name}.batches 0)" in letter
        testbed.log.publish(chunk_messages(name, 1, 0, [rows]))
        assert letters.resend(f"{name}.batches/0/0/dead/loader") == f"sent again to loader: {name}.batches 1"
        wait_until(lambda: _states(testbed) == ["loaded"], 60, "the batch is loaded")
        publish_batch(testbed.log, testbed.dataset, 1, 1, list(api_rows(5, 50, 2)))
        wait_until(lambda: len(testbed.events("drift")) == 2, 60, "drift continues")
    verdicts = testbed.sql(sa.select(drift_reports.c.reason).order_by(drift_reports.c.number))
    assert "the manifest does not match" in verdicts[0].reason
    assert len(testbed.sql(sa.select(dataset_tables(testbed.dataset).raw))) == 100
    assert [event.id.rsplit("/", 2)[1] for event in testbed.events("drift")] == ["0", "1"]
    assert sum("(sent again)" in letter for letter in letters.listing()) == 1
    with pytest.raises(LocalError, match="was sent again before"):
        letters.resend(f"{name}.batches/0/0/dead/loader")


def test_an_unknown_dead_letter_is_refused_with_the_existing_ones(testbed: Testbed) -> None:
    """The operator can copy the id."""
    letters = DeadLetters(testbed.kafka_as("operator"), testbed.dataset.name)
    with pytest.raises(LocalError, match=f"no such dead letter; there are: .*{testbed.dataset.name}.batches/0/0/dead/"):
        letters.resend("nothing")


def _states(testbed: Testbed) -> list[str]:
    return [row.state for row in testbed.sql(sa.select(batches.c.state).where(batches.c.number == 0))]
