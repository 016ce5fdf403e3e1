"""Rules that the whole repository follows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bicycles import BICYCLES_CSV, bicycles_csv
from support.contracts import REGENERATE
from support.reference.env_example import (
    COMPOSE,
    ENV_EXAMPLE,
    compose_defaults,
    documented,
    env_example,
    settings_models,
)
from support.repository import ROOT, package, project_files, python_files, services
from veleta.dataset import load_dataset

COMMON_WORDS = {"status", "state", "city"}
"""Columns of real_estate whose names also mean something else."""
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|ALTER|WHERE|FROM)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(work|root|home|Users)/\w+")

every_service = pytest.mark.parametrize("service", services())

FAULT_POINT = re.compile(r'fault_point\("([a-z.]+)"\)')


def test_there_are_eight_services() -> None:
    """The parametrised rules below cover all services."""
    assert services() == ["drift", "inference", "loader", "monitor", "poller", "retention", "source", "trainer"]


def test_no_code_names_a_column_of_the_dataset() -> None:
    """A second dataset is a second file: all code asks the dataset for its columns."""
    names = set(load_dataset("real_estate").names) - COMMON_WORDS
    files = python_files("shared/veleta", "services", "compose")
    found = [f"{path.relative_to(ROOT)}:{line} {name}" for path in files for line, name in _mentions(path, names)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("row.price", True),
        ("f(price=1)", True),
        ("def price(): ...", True),
        ("import price", True),
        ("row['price']", True),
        ("f'SELECT price FROM {x}'", True),
        ("house_size = 1", True),
        ("x = 'of house_size or more'", True),
        ("price = 1", False),
        ("prices = 1", False),
        ("x = 'a price is a number'", False),
        ("x = 'half_price'", False),
        ("def f():\n    'The price of each row.'", False),
        ("x = 1  # its price", False),
    ],
)
def test_the_column_search_finds_code_but_not_prose(tmp_path: Path, code: str, seen: bool) -> None:
    """Code that reaches a column counts. Variables, messages, docstrings and comments may mention prices."""
    path = tmp_path / "module.py"
    path.write_text(code)
    assert bool(list(_mentions(path, {"price", "house_size"}))) is seen


def test_the_env_example_equals_the_generated_one() -> None:
    """Every variable with its default and its meaning, and nothing else."""
    assert ENV_EXAMPLE.read_text() == env_example(), f".env.example: {REGENERATE}"


def test_the_rows_of_the_second_example_are_the_generated_ones() -> None:
    """`make contracts` writes them, so that the soak test and the documentation have the same."""
    assert BICYCLES_CSV.read_text() == bicycles_csv()


def test_every_setting_is_described() -> None:
    """`.env.example` shows the description."""
    assert [name for name, field in documented().items() if not field.description] == []


def test_every_part_has_its_settings_in_the_env_example() -> None:
    """Each name once."""
    lines = re.findall(r"^#([A-Z_]+)=", ENV_EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(lines) == sorted([*documented(), *COMPOSE])


def test_every_variable_of_compose_is_in_the_env_example() -> None:
    """And no other variable."""
    assert COMPOSE.keys() == compose_defaults().keys()
    assert set(services()) < set(settings_models())


def test_no_secret_has_a_default() -> None:
    """It must be set."""
    secrets = re.findall(r"^#(\w*PASSWORD\w*)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE)
    assert secrets
    assert [name for name, value in secrets if value] == []


@every_service
def test_every_service_has_the_same_shape(service: str) -> None:
    """The monitor has a page instead of handlers."""
    folder = package(service)
    handlers = "page.py" if service == "monitor" else "handlers.py"
    wanted = ["__init__.py", "__main__.py", "settings.py", "bootstrap.py", "domain", "adapters", handlers]
    assert [name for name in wanted if not (folder / name).exists()] == []


@every_service
def test_every_service_states_its_guarantees(service: str) -> None:
    """In the docstring of its package, in about ten lines."""
    docstring = ast.get_docstring(ast.parse((package(service) / "__init__.py").read_text())) or ""
    assert 3 <= len(docstring.splitlines()) <= 20


@every_service
def test_every_service_starts_in_a_few_lines(service: str) -> None:
    """Settings, bootstrap, run; other code belongs elsewhere."""
    assert len((package(service) / "__main__.py").read_text().splitlines()) < 30


def test_every_test_states_its_rule() -> None:
    """The docstring of a test states what is true if it passes."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in python_files("tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_no_file_names_a_path_of_one_machine() -> None:
    """The project works in any folder."""
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}"
        for path in project_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ('path = "/' + 'home/me/x"', True),
        ("see /" + "root/x", True),
        ("cd /" + "work/main", True),
        ("https://example.org/home/me", False),
        ("{top}/home/x", False),
        ("./work/x", False),
        ("GET /health", False),
    ],
)
def test_the_path_search_finds_paths(line: str, seen: bool) -> None:
    """Absolute paths of a machine, not addresses or relative paths."""
    assert bool(MACHINE_PATH.search(line)) is seen


def _mentions(path: Path, names: set[str]) -> Iterator[tuple[int, str]]:
    """Line and name of each place where code contains one of the names as a whole word."""
    plain = {name for name in names if "_" not in name}
    for line, text, reaches in _words(ast.parse(path.read_text())):
        for found in re.findall(r"\w+", text):
            if found in names and (reaches or found not in plain):
                yield line, found


def _words(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """All names and strings of a module except docstrings: line, text, and whether it reaches a column.

    Variables and sentences may contain a column's name. Strings of one word and SQL may not.
    """
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        for value in vars(node).values():
            if isinstance(value, str):
                variable = isinstance(node, ast.Name | ast.arg)
                sentence = isinstance(node, ast.Constant) and " " in value.strip() and not SQL.search(value)
                yield getattr(node, "lineno", 0), value, not (variable or sentence)


def test_every_fault_point_is_used() -> None:
    """Integration or soak tests use every fault point."""
    named = {name for path in python_files("services", "shared") for name in FAULT_POINT.findall(path.read_text())}
    tried = "".join(path.read_text() for path in python_files("tests/integration", "tests/soak"))
    assert len(named) >= 24
    assert {name for name in named if f'"{name}"' not in tried} == set()


CLIENTS = {
    "ClientSession": "",
    "create_async_engine": "shared/veleta/adapters/async_mysql.py",
    "create_engine": "shared/veleta/adapters/mysql.py",
    "KafkaAdminClient": "shared/veleta/adapters/kafka_clients.py",
    "KafkaConsumer": "shared/veleta/adapters/kafka_clients.py",
    "KafkaProducer": "shared/veleta/adapters/kafka.py",
    "connect": "shared/veleta/adapters/mysql.py",
    "urlopen": "",
}
"""The only module that may make this client, or none: then each call passes a time-out."""


@pytest.mark.failure("F223")
def test_every_network_client_has_a_time_out() -> None:
    """Those of MySQL and Kafka are made in one module each, which sets them. Each other call passes its time-out."""
    files = python_files("shared/veleta", "services", "compose", "notebooks")
    found = [f"{path.relative_to(ROOT)}:{line} {name}" for path in files for line, name in _without_time_out(path)]
    assert not found, "\n".join(found)


def _without_time_out(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        timeouts = [keyword for keyword in node.keywords if keyword.arg and "timeout" in keyword.arg]
        is_client = name in CLIENTS and (name != "connect" or "pymysql" in ast.unparse(node.func))
        if is_client and not timeouts and str(path.relative_to(ROOT)) != CLIENTS[name]:
            yield node.lineno, name
