"""The tests that prove each row of docs/failures.md: its last column, and docs/reference/failure-tests.md.

A test names the rows that it proves in its marker: `@pytest.mark.failure("F01", "F72")`.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from support.repository import ROOT, python_files

FAILURES = ROOT / "docs/failures.md"
FAILURE_TESTS = ROOT / "docs/reference/failure-tests.md"
TIERS = ("unit", "security", "contract", "integration", "runtime", "e2e", "spark", "soak", "compose", "helm")
"""The folders of tests that a make target runs."""
SKIPS = {f"pytest.mark.{name}" for name in ("skip", "skipif", "xfail")}
ASSERTING = {"pytest.raises", "pytest.fail", "expect", "wait_until", "until", "_until"}
"""Calls that fail if what they name does not come."""
_ROW = re.compile(r"^\| (F\d+) \| (.+?) \| (.+?) \|.*$", re.MULTILINE)
_HEAD = """# Failure tests

This page lists the tests that prove each row of [What happens when something breaks](../failures.md). `make contracts`
writes it from the markers `@pytest.mark.failure` of the tests.
"""


@dataclass(frozen=True)
class Proof:
    """A test that proves a row: its id, as pytest names it, and the first line of its docstring."""

    test: str
    rule: str
    fault: str = ""
    """Why it proves nothing: it does not run, or cannot fail. Empty for a sound test."""


@cache
def proofs() -> Mapping[str, Sequence[Proof]]:
    """By the number of a row: the tests that prove it, in the order of their files."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for path in python_files("tests"):
        for number, proof in _marked(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())):
            found[number].append(proof)
    return found


def failures_page() -> str:
    """failures.md, with its column of tests."""
    by_row = proofs()
    return _ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {row[3]} | {_link(row[1], by_row)} |", FAILURES.read_text())


def failure_tests_page() -> str:
    """failure-tests.md: a section for each row of failures.md, by number."""
    by_row = proofs()
    rows = sorted(_ROW.finditer(FAILURES.read_text()), key=lambda row: int(row[1][1:]))
    return "\n".join([_HEAD, *(_section(row, by_row.get(row[1], ())) for row in rows)])


def _marked(module: str, node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Proof]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _marked(module, child, f"{child.name}::")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            rule = (ast.get_docstring(child) or "").partition("\n")[0]
            for number in _numbers(child):
                yield number, Proof(f"{module}::{prefix}{child.name}", rule, fault_of(module, child))


def fault_of(module: str, test: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Why a function of a module is no test that runs and can fail. Empty if it is one."""
    if not re.fullmatch(rf"tests/({'|'.join(TIERS)})/(\w+/)*test_\w+\.py", module) or not test.name.startswith("test_"):
        return "pytest does not collect it"
    if {ast.unparse(mark).partition("(")[0] for mark in test.decorator_list} & SKIPS:
        return "it is skipped, or may fail"
    if not any(_can_fail(node) for node in ast.walk(test)):
        return "it asserts nothing"
    return ""


def _can_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ASSERTING


def _numbers(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.failure":
            yield from (str(ast.literal_eval(number)) for number in mark.args)


def _link(number: str, by_row: Mapping[str, Sequence[Proof]]) -> str:
    count = len(by_row.get(number, ()))
    return f"[{count} test{'' if count == 1 else 's'}](reference/{FAILURE_TESTS.name}#{number.lower()})"


def _section(row: re.Match[str], tests: Sequence[Proof]) -> str:
    lines = "".join(f"- `{proof.test}`: {proof.rule}\n" for proof in tests)
    return f"## {row[1]}\n\n{row[2]} {row[3]}\n\n{lines}"
