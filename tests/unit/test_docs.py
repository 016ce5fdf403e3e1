"""What README, CONTRIBUTING and docs/ name is there, and what is there is named."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.contracts import REGENERATE
from support.reference.blocks import pages_with_blocks
from support.reference.failures import FAILURE_TESTS, FAILURES, failure_tests_page, failures_page, fault_of, proofs
from support.reference.make import start_variables as start_of_make
from support.reference.make import targets
from support.reference.metrics import declared_metrics
from support.repository import ROOT, package, services
from veleta.dataset import load_dataset
from veleta.places import CITY, STATE, load_places
from veleta.tables import STATISTICS, dataset_tables, pipeline
from veleta.topics import declared_topics
from veleta.users import OPERATOR
from veleta_local.deployment import Deployment
from veleta_local.variables import Variables, variables_of_make

DOCS = ROOT / "docs"
ARCHITECTURE = DOCS / "architecture.md"
CONFIGURATION, TABLES = DOCS / "reference/configuration.md", DOCS / "reference/tables.md"
PLACES = DOCS / "reference/places.md"
START = start_of_make()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    """In backticks and in code blocks, where people copy from."""
    named = {target for code in _code(page) for target in re.findall(r"\bmake ([a-z-]+)", code)}
    assert named <= {target.name for target in targets()}


def test_the_generated_pages_are_what_the_code_says() -> None:
    """Settings, metrics, topics and make targets with their names, defaults and meanings."""
    stale = [str(path.relative_to(ROOT)) for path, text in pages_with_blocks().items() if path.read_text() != text]
    assert not stale, f"{stale}: {REGENERATE}"


def test_a_start_has_the_variables_that_it_checks() -> None:
    """`make help` and docs/reference/make.md name them."""
    assert set(START) == variables_of_make().keys()


def test_every_metric_follows_prometheus() -> None:
    """A counter ends with `_total`, which the library adds, and a histogram with its unit; all begin with `veleta_`."""
    metrics = declared_metrics()
    assert len(metrics) > 10
    ends = {"counter": r"(?<!_total)_total", "gauge": r"[a-z]", "histogram": r"_(seconds|bytes|requests)"}
    wrong = [m.name for m in metrics if not re.fullmatch(rf"veleta_[a-z_]+{ends[m.kind]}", m.name)]
    assert not wrong


def test_the_variables_for_clients_are_named(tmp_path: Path) -> None:
    """All that a run writes to .veleta/env, and no others."""
    written = Deployment(tmp_path, Variables(csv="listings.csv")).environment_of_clients()
    assert set(re.findall(r"\bVELETA_[A-Z_]+[A-Z]\b", CONFIGURATION.read_text())) == set(written)


@every_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    """Within the project: to an existing file, and to an existing heading of it."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not _exists(page, link)] == []


@every_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    """Paths from the root of the project, in backticks."""
    paths = re.findall(r"`((?:services|shared|tests|compose|docs)/[\w./-]+)", page.read_text())
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_readme_says_where_things_are() -> None:
    """Each line of the table names a file or a folder of the project."""
    _, _, part = (ROOT / "README.md").read_text().partition("## Where to change what")
    lines = [line for line in part.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 10
    assert [line for line in lines if not re.search(r"`(services|shared|compose|docs)/", line)] == []


def test_every_failure_has_a_test() -> None:
    """Each row of failures.md is proved by a test with the marker `failure`, and no marker names another row."""
    numbers = [row[0] for row in _rows(FAILURES) if re.fullmatch(r"F\d+", row[0])]
    assert len(numbers) > 50
    assert sorted(numbers) == sorted(proofs())


def test_every_proof_of_a_failure_runs_and_can_fail() -> None:
    """pytest collects it, a make target runs it, nothing skips it, and it asserts something."""
    assert {each.test: each.fault for found in proofs().values() for each in found if each.fault} == {}


@pytest.mark.parametrize(
    ("module", "test", "fault"),
    [
        ("tests/unit/test_x.py", "def test_x(): assert x", ""),
        ("tests/unit/a/b/test_x.py", "async def test_x():\n with pytest.raises(E): x()", ""),
        ("tests/soak/test_x.py", "def test_x(): wait_until(x)", ""),
        ("tests/unit/test_x.py", "def x(): assert x", "pytest does not collect it"),
        ("tests/unit/x.py", "def test_x(): assert x", "pytest does not collect it"),
        ("tests/support/test_x.py", "def test_x(): assert x", "pytest does not collect it"),
        ("tests/unit/test_x.py", "@pytest.mark.skip('why')\ndef test_x(): assert x", "it is skipped, or may fail"),
        ("tests/unit/test_x.py", "@pytest.mark.xfail\ndef test_x(): assert x", "it is skipped, or may fail"),
        ("tests/unit/test_x.py", "def test_x(): x()", "it asserts nothing"),
        ("tests/unit/test_x.py", "def test_x(): assert True", "it asserts nothing"),
    ],
)
def test_a_function_that_only_has_the_name_of_a_test_proves_nothing(module: str, test: str, fault: str) -> None:
    """Such as one that pytest does not collect, one that is skipped, and one without an assertion."""
    (function,) = ast.parse(test).body
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    assert fault_of(module, function) == fault


def test_the_tests_of_the_failures_are_what_the_markers_say() -> None:
    """The last column of failures.md, and the page that it links."""
    assert FAILURES.read_text() == failures_page(), f"docs/failures.md: {REGENERATE}"
    assert FAILURE_TESTS.read_text() == failure_tests_page(), f"docs/reference/failure-tests.md: {REGENERATE}"


def test_every_topic_and_event_is_in_the_architecture() -> None:
    """With the services that write and read it."""
    table = {row[0]: row for row in _rows(ARCHITECTURE) if row[0].startswith("real_estate.")}
    documented = {name: (_services(row[3]), _services(row[4])) for name, row in table.items()}
    assert documented == {t.name: (set(t.written_by), set(t.read_by)) for t in declared_topics("real_estate")}
    for t in declared_topics("real_estate"):
        words = set(re.findall(r"[a-z_]+(?:\.[a-z]+)?", table[t.name][2]))
        events = {payload.TYPE for payload in t.events}
        assert events <= words
        assert {word for word in words if "." in word} <= events


def test_the_files_of_a_service_in_the_architecture_exist() -> None:
    """Each file and folder that the page lists is part of a service. The layers in pyproject.toml list them all."""
    _, _, part = ARCHITECTURE.read_text().partition("## Layers and folders")
    listed = set(re.findall(r"^ {8}(\w+(?:\.py|\.css|/)) ", part.partition("\n## ")[0], re.MULTILINE))
    paths = [path for service in services() for path in package(service).iterdir()]
    assert len(listed) > 5
    assert listed <= {f"{path.name}/" if path.is_dir() else path.name for path in paths}


def test_every_table_and_column_is_named() -> None:
    """Without the dataset's own columns, and those that follow from them."""
    rows = {row[0]: " ".join(row[1:]) for row in _rows(TABLES)}
    dataset = load_dataset("real_estate")
    derived = {f"{name}_{statistic}" for name in dataset.drift_columns for statistic in STATISTICS}
    tables: list[sa.Table] = [*pipeline.sorted_tables, *vars(dataset_tables(dataset)).values()]
    missing = [
        f"{table.fullname}.{column}"
        for table in tables
        for column in set(table.columns.keys()) - set(dataset.names) - derived
        if not re.search(rf"\b{column}\b", rows.get(table.fullname, ""))
    ]
    assert not missing


def test_every_column_of_the_places_is_named() -> None:
    """Each once."""
    named = [column for row in _rows(PLACES)[1:] for column in re.findall(r"`(\w+)`", row[0])]
    places = load_places("us_zip")
    assert sorted(named) == sorted(["zip_code", CITY, STATE, *places.texts, *places.numbers])


def test_the_page_about_scale_names_what_exists() -> None:
    """Its metrics, and the variables that it says to change."""
    text = (DOCS / "scale.md").read_text()
    metrics = set(re.findall(r"`(veleta_\w+)`", text))
    assert len(metrics) > 5
    assert metrics <= set(re.findall(r"`(veleta_\w+)`", (DOCS / "reference/metrics.md").read_text()))
    _, _, part = text.partition("## Which variable, when")
    variables = {
        name
        for row in re.findall(r"^\|.*\|$", part.partition("\n## ")[0], re.MULTILINE)[2:]
        for name in re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)*\b", row.split("|")[2])
    }
    assert len(variables) > 5
    assert variables <= set(re.findall(r"`([A-Z_]+)`", CONFIGURATION.read_text()))


def test_decisions_are_numbered_without_a_gap() -> None:
    """Each record has the next number, and the index links it under its title."""
    files = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    titles = [path.read_text().partition("\n")[0] for path in files]
    assert [path.name[:5] for path in files] == [f"{number:04}-" for number in range(1, len(files) + 1)]
    assert [title.partition(". ")[0] for title in titles] == [f"# {number}" for number in range(1, len(files) + 1)]
    index = [row[1] for row in _rows(DOCS / "decisions/index.md") if row[0].isdigit()]
    expected = zip(files, titles, strict=True)
    assert index == [f"[{title.partition('. ')[2]}]({path.name})" for path, title in expected]


def _exists(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _services(cell: str) -> set[str]:
    """The services that a cell of a table names, and the user of people's commands."""
    return set(re.findall(r"\w+", cell)) & {*services(), OPERATOR}


def _code(page: Path) -> Iterator[str]:
    """What a page shows as code: in backticks, in fences, and lines indented by four."""
    text = page.read_text()
    yield from re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", text)
    yield from re.findall(r"^ {4}(.*)$", text, re.MULTILINE)


def _rows(page: Path) -> list[list[str]]:
    """The cells of every line of every table."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
