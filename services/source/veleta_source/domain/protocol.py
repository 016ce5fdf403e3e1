"""The protocol of the data API: queries and response bodies."""

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

WELCOME = {"Proyecto Final": "Extracción de datos, entrenamiento de modelos."}
HEALTHY = {"status": "OK"}
END = {"detail": "Ya se recolectó toda la información mínima necesaria"}
RESTARTED = {"ok": True}


class Query(BaseModel):
    """The parameters of a request. Each group, and each day of a group, has its own cursor."""

    model_config = ConfigDict(frozen=True)
    group_number: int
    day: Literal["Tuesday", "Wednesday"] | None = None

    @property
    def cursor(self) -> str:
        """The name of the cursor, as `7` or `7/Tuesday`."""
        return f"{self.group_number}/{self.day}" if self.day else str(self.group_number)


class InvalidQuery(Exception):
    """The response is 422. `details` is its `detail`, in FastAPI's form."""

    def __init__(self, details: list[dict[str, Any]]) -> None:
        super().__init__("invalid parameters")
        self.details = details


def parse_query(parameters: dict[str, str]) -> Query:
    """Parse the parameters of a URL. Raises InvalidQuery."""
    try:
        return Query.model_validate(parameters)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise InvalidQuery([_detail(dict(fault)) for fault in errors]) from error


def _detail(fault: dict[str, Any]) -> dict[str, Any]:
    missing = fault["type"] == "missing"
    return {**fault, "loc": ["query", *fault["loc"]], "input": None if missing else fault["input"]}


def body_parts(query: Query, number: int) -> tuple[bytes, bytes]:
    """The JSON before and after the rows of a batch."""
    day = {"day": query.day} if query.day else {}
    head = orjson.dumps({"group_number": query.group_number, **day, "batch_number": number})
    return head[:-1] + b',"data":[', b"]}"
