"""The disk of each part fills up under load, one after the other; the audit then compares everything.

Each part has a tmpfs of its own, so the tests need the right to mount one (root). A full disk of Kafka or MariaDB may
end their processes: they are restarted until there is room.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.disk import CannotMount, SmallDisk, on_small_disk
from support.http import data_api
from support.storm.api import RecordingApi
from support.storm.audit import audit_checks, table
from support.storm.client import Client
from support.storm.state_reader import StateReader
from support.testbed import free_base, wait_until
from veleta.dataset import load_dataset
from veleta_local.deployment import DISKS
from veleta_local.run import Run
from veleta_local.supervise import Supervisor
from veleta_local.variables import Variables

DATASET = load_dataset("real_estate")
SEED = 20
PARTS = ("inbox", *DISKS)
ENDLESS = 1_000_000
MEGABYTES = 1024
"""The poller fetches no batch below 512 MiB."""
CONSUMERS = ("loader", "drift", "trainer")
BACKLOG = 4
"""Batches that the consumers find when the disk is full, so that they really write to it."""
FULL_SECONDS = 30.0
STILL_SECONDS = 10.0
"""The poller may hold a batch when all seems to be settled."""
RECOVERY_SECONDS = 180.0


class FullDisks:
    """A run whose parts have small disks, with an API that serves without end and clients that post all the time."""

    def __init__(self, run: Run, disks: dict[str, SmallDisk], api: RecordingApi, client: Client) -> None:
        self.run = run
        self.disks = disks
        self.api = api
        self.client = client
        self.clients = ExitStack()
        """Ends the clients."""
        self.clients.enter_context(client.posting())
        self.full: dict[str, float] = {}
        """When each disk was filled, in time.monotonic()."""

    def fill(self, part: str) -> None:
        """Fill a disk; the consumers are down meanwhile and then have batches to process."""
        supervisor = Supervisor(self.run)
        supervisor.stop(CONSUMERS)
        served = len(self.api.served)
        wait_until(lambda: len(self.api.served) >= served + BACKLOG, 60, f"{BACKLOG} batches for the consumers")
        self.disks[part].fill()
        self.full[part] = time.monotonic()
        supervisor.start(CONSUMERS)

    def unready(self) -> dict[str, str]:
        """The parts that are not ready, with the reason."""
        return {part: str(health) for part, health in self.run.health(self.run.parts).items() if not health.ready}

    def shown(self) -> str:
        """What /readyz of the poller shows of the disks."""
        return self.run.health(["poller"])["poller"].warnings.get("disks", "")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullDisks]:
    api = RecordingApi(ENDLESS, SEED)
    api.open.set()
    home = tmp_path_factory.mktemp("disks") / "run"
    with data_api(api.data, api.restart) as url, ExitStack() as mounts:
        variables = Variables(
            api_url=url,
            at_end="restart",
            on_new_epoch="keep",
            poll_every="3",
            trees="10",
            keep_epochs="0",
            keep_versions="0",
            port_base=str(free_base()),
        )
        run = Run(home, variables, report=print_line)
        run.start_backing()  # Kafka and MariaDB format their folders
        run.stop()
        try:
            disks = {part: mounts.enter_context(on_small_disk(run.folder(part), MEGABYTES)) for part in PARTS}
        except CannotMount as reason:
            pytest.skip(str(reason))
        try:
            run.start(300)
            client = Client(run.url("inference"), DATASET.example, SEED)
            full_disks = FullDisks(run, disks, api, client)
            with full_disks.clients:
                yield full_disks
        finally:
            run.stop()


@pytest.mark.failure("F320", "F321", "F322", "F323", "F324", "F325")
@pytest.mark.parametrize("part", PARTS)
def test_a_full_disk_stops_the_poller_and_all_goes_on_when_it_has_room(made: FullDisks, part: str) -> None:
    """The poller names the part within 15 s and fetches no batch. With room, all is ready and batches are fetched."""
    made.fill(part)
    try:
        assert part in wait_until(made.shown, 15, "the poller shows the disk")
        _watch(made, FULL_SECONDS)
        served = len(made.api.served)
        _watch(made, 10)
        assert len(made.api.served) == served
    finally:
        made.disks[part].empty()
    wait_until(lambda: not made.unready(), RECOVERY_SECONDS, "all parts are ready")
    wait_until(lambda: len(made.api.served) >= served + 2, 60, "batches are fetched again")


@pytest.mark.failure("F320", "F321", "F322", "F323", "F324", "F325")
def test_nothing_was_lost_or_doubled(made: FullDisks) -> None:
    """Every batch, row, verdict, training, version, decision and answered request exists once and is right."""
    made.api.end()
    wait_until(lambda: not made.unready(), RECOVERY_SECONDS, "all parts are ready")
    reader = StateReader(made.run, DATASET)
    for pause in (STILL_SECONDS, 0):
        wait_until(lambda: reader.unsettled() == [], 300, "all is settled")
        time.sleep(pause)
    made.clients.close()
    interrupted = [at for part, at in made.full.items() if part == "inbox"]
    kills = {part: interrupted if part == "poller" else [] for part in made.run.parts}
    counts = audit_checks(DATASET, made.api.served, reader.read(), made.client.responses, kills)
    print_line(f"\n{table(counts)}")
    assert [each.what for each in counts if not each.ok] == []


def _watch(made: FullDisks, seconds: float) -> None:
    """For some seconds print what is not ready, when it changes."""
    until, last = time.monotonic() + seconds, dict[str, str]()
    while time.monotonic() < until:
        if (unready := made.unready()) != last:
            last = unready
            print_line(f"  {until - time.monotonic():5.1f} s left: {unready}")
        time.sleep(1)


def print_line(text: str) -> None:
    """Print progress; pytest runs with -s."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
