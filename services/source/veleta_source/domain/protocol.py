"""The data API's words: what it is asked with and what it answers."""

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

WELCOME = {"Proyecto Final": "Extracción de datos, entrenamiento de modelos."}
HEALTHY = {"status": "OK"}
END = {"detail": "Ya se recolectó toda la información mínima necesaria"}
RESTARTED = {"ok": True}


class Question(BaseModel):
    """Who asks: each group, and each day of a group, has its own cursor."""

    model_config = ConfigDict(frozen=True)
    group_number: int
    day: Literal["Tuesday", "Wednesday"] | None = None

    @property
    def cursor(self) -> str:
        """The name of the asker's cursor, as `7` or `7/Tuesday`."""
        return f"{self.group_number}/{self.day}" if self.day else str(self.group_number)


class WrongQuestion(Exception):
    """The answer is 422; `faults` are its `detail`, in FastAPI's form."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        super().__init__("wrong parameters")
        self.faults = faults


def ask(parameters: dict[str, str]) -> Question:
    """The question in a URL's parameters.

    Raises:
        WrongQuestion: a parameter is missing or bad.
    """
    try:
        return Question.model_validate(parameters)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise WrongQuestion([_fault(dict(fault)) for fault in found]) from error


def _fault(fault: dict[str, Any]) -> dict[str, Any]:
    missing = fault["type"] == "missing"
    return {**fault, "loc": ["query", *fault["loc"]], "input": None if missing else fault["input"]}


def around(question: Question, number: int) -> tuple[bytes, bytes]:
    """What stands before and after the rows in the body of a batch."""
    day = {"day": question.day} if question.day else {}
    head = orjson.dumps({"group_number": question.group_number, **day, "batch_number": number})
    return head[:-1] + b',"data":[', b"]}"
