"""The errors of a request, and the problems that errors and warnings list."""

from collections.abc import Sequence
from dataclasses import dataclass

from veleta.errors import Reject

MAX_PROBLEMS = 20
"""A response lists at most this many problems. It bounds the work that a bad request causes."""
MAX_NAME = 64
"""Characters of an unknown field's name that are compared and shown."""

MAX_LINE = 4096
"""Characters of all problems in one line: clients refuse headers of more than 8 KiB."""


@dataclass(frozen=True)
class ValidationProblem:
    """What is wrong in which item (from 0) and field (null: the whole item)."""

    item: int
    field: str | None
    message: str


def in_one_line(problems: Sequence[ValidationProblem]) -> str:
    """The first problems as text, for protocols without a field for them."""
    shown = [f"item {problem.item}: {problem.field} {problem.message}" for problem in problems[:MAX_PROBLEMS]]
    return "; ".join([*shown, "..."] if len(problems) > MAX_PROBLEMS else shown)[:MAX_LINE]


class UnreadableBody(Reject):
    """The body is not JSON, or is ambiguous JSON."""


class InvalidRequest(Reject):
    """The body is JSON, but not a valid request. `problems` lists what is wrong with its items."""

    def __init__(self, detail: str, problems: list[ValidationProblem]) -> None:
        super().__init__("the request is not valid", detail)
        self.detail = detail
        self.problems = problems
