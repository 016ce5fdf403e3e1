"""One Kafka, one database and one MLflow per test process. Each test has its own names in them."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from support import forked
from support.browser import chromium
from support.inference import Inference
from support.reference.http import items_limit
from support.testbed import BackingServices, ExternalServices, Testbed, free_base
from veleta_local.run import Run
from veleta_local.variables import Variables

pytest_plugins = ["support.node_ids"]

settings.register_profile("veleta", deadline=None)  # what else runs on the machine decides how long an example takes
settings.load_profile("veleta")

LONG_FILES = (
    "e2e/test_loop.py",
    "runtime/test_runtime.py",
    "integration/test_tutorial.py",
    "integration/test_trainer.py",
    "integration/test_poller.py",
)
"""These files run first, in this order, so that no test process runs one of them alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""

    def position(item: pytest.Item) -> int:
        name = "/".join(item.path.parts[-2:])
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES)

    items.sort(key=position)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --backing: tests can use Kafka, MySQL and MLflow that already run, such as those of a stack in containers."""
    parser.addoption(
        "--backing",
        metavar="JSON",
        help="the fields of ExternalServices",
    )


@pytest.fixture(scope="session")
def backing(request: pytest.FixtureRequest) -> Iterator[BackingServices]:
    """Real Kafka, MariaDB and MLflow, in a folder that only its owner may enter, whose path has any characters."""
    forked.preload()
    if given := request.config.getoption("--backing"):
        yield ExternalServices(**json.loads(given))
        return
    top = Path(tempfile.mkdtemp(prefix="veleta-test-"))
    home = top / f'it\'s a (100%) long $HOME; ü, "x" & #1 `y` {"z" * 100}'
    run = Run(home, Variables(port_base=str(free_base())), report=lambda _line: None)
    try:
        run.start_backing()
        yield run
    finally:
        run.stop()
        shutil.rmtree(top)


@pytest.fixture(scope="module")
def dataset_text() -> str | None:
    """The dataset file of a module's deployments, if it is not real_estate."""
    return None


@pytest.fixture(scope="module")
def testbed(
    backing: BackingServices, tmp_path_factory: pytest.TempPathFactory, dataset_text: str | None
) -> Iterator[Testbed]:
    """A prepared deployment, for the tests of one module."""
    made = Testbed(backing, tmp_path_factory.mktemp("testbed"), dataset_text)
    done = made.prepare()
    assert done.returncode == 0, done.stderr
    yield made
    made.close()


@pytest.fixture
def fresh_testbed(backing: BackingServices, tmp_path: Path, dataset_text: str | None) -> Iterator[Testbed]:
    """A prepared deployment for one test alone."""
    made = Testbed(backing, tmp_path, dataset_text)
    assert made.prepare().returncode == 0
    yield made
    made.close()


@pytest.fixture(scope="module")
def inference(testbed: Testbed) -> Iterator[Inference]:
    """Inference that serves version 1."""
    started = Inference(testbed)
    started.start()
    try:
        started.models.promote()
        started.process.wait_until_ready()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def url(inference: Inference) -> Iterator[str]:
    """The URL of a second process, with the limits of the committed OpenAPI document."""
    with inference.second_process(items_limit=items_limit()) as process:
        yield process.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser."""
    with chromium() as started:
        yield started
