"""The variables of a run: make passes them once, and the run stores them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from veleta_local.errors import LocalError

_INPUTS = ("csv", "api_url", "scale")
_FIXED = (*_INPUTS, "seed", "group_number", "port_base", "dataset", "mysql_prefix")
"""The data of a run depend on these, so they cannot change later."""


class Variables(BaseModel):
    """The variables of one start. A field that was not passed has its default; described fields are make variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scale: float = Field(0.02, gt=0, le=1, description="the size of the generated batches; 1 is that of the real ones")
    seed: int = Field(1, ge=0, description="the random seed of the generated rows")
    csv: str | None = Field(None, description="the file that `source` serves, once")
    dataset: str = Field(
        "real_estate", description="the columns: a name in `shared/veleta/datasets`, or the path of a .toml file"
    )
    api_url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="an external data API, as http://host:port; `source` is then not started",
    )
    group_number: int = Field(1, ge=0, description="the group whose batches are fetched")
    at_end: Literal["restart", "stop"] = Field(
        default_factory=lambda given: "stop" if given.get("csv") else "restart",
        description="at the end of the data: restart the API and start a new epoch, or stop polling",
        json_schema_extra={"default": "restart, with CSV stop"},
    )
    on_new_epoch: Literal["clear", "keep"] = Field(
        "clear", description="clear or keep the rows of the old epoch in RAW_DATA and CLEAN_DATA"
    )
    poll: Literal["auto", "manual"] = Field(
        "auto", description="`manual`: start paused and poll by hand; `make start` then does not wait for a model"
    )
    poll_every: float = Field(
        default_factory=lambda given: 60.0 if given.get("api_url") else 10.0,
        ge=0,
        description="seconds between two requests to the API",
        json_schema_extra={"default": "10, with API_URL 60"},
    )
    trees: int = Field(500, ge=1, description="trees of a model")
    journal_sync: Literal["group", "none"] = Field(
        "group",
        description="`group`: answered requests survive a power failure; `none`: they survive only kills, and the "
        "latency is lower",
    )
    workers: int = Field(1, ge=1, le=99, description="processes of `inference` that share its port")
    keep_requests_days: int = Field(
        0, ge=0, le=9999, description="days until answered and refused requests are deleted from MySQL; 0: never"
    )
    port_base: int | None = Field(
        None, ge=2000, le=59999, description="the parts listen on this port and the next ones, so that two runs fit"
    )
    start_timeout: float = Field(
        600, gt=0, exclude=True, description="seconds until a start fails; the run does not store it"
    )
    mysql_prefix: str = ""
    extra: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], folder: Path) -> Self:
        """The variables that make passed. Relative paths start at `folder`; an empty variable counts as missing.

        Raises:
            LocalError: a value is wrong. The message names the variable and the valid values.
        """
        given: dict[str, Any] = {name.lower(): environ[name] for name in variables_of_make() if environ.get(name)}
        for name in ("csv", "dataset"):
            if name in given and (name == "csv" or given[name].endswith(".toml")):
                given[name] = str((folder / Path(given[name]).expanduser()).resolve())
        try:
            return cls(**given)
        except ValidationError as error:
            wrong = {str(e["loc"][0]): e for e in error.errors() if e["type"] != "default_factory_not_called"}
            raise LocalError(
                "; ".join(
                    f"{name.upper()}={e['input']}: {e['msg']} ({cls.model_fields[name].description})"
                    for name, e in wrong.items()
                )
            ) from None

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        inputs = [f"{name.upper()}=" for name in _INPUTS if name in self.given()]
        if len(inputs) > 1:
            raise LocalError(f"{' and '.join(inputs)} are two inputs: pass one of them")
        if "seed" in self.given() and (self.csv or self.api_url):
            raise LocalError("SEED= is for generated rows: do not pass it with CSV= or API_URL=")
        return self

    def given(self) -> dict[str, Any]:
        """The variables that were passed, by field name, without `start_timeout`."""
        return self.model_dump(exclude_unset=True, exclude_none=True)

    def merged_over(self, saved: Self) -> Self:
        """The saved variables, replaced by those of this start.

        Raises:
            LocalError: a variable changed on which the data of the run depend.
        """
        before = saved.given()
        for name in self.changed(saved):
            if before and name in _FIXED:
                raise LocalError(
                    f"this folder's run has {name.upper()}={before.get(name, '(none)')}, not {getattr(self, name)}: "
                    "make start without it continues; make stop && make clean deletes the run; or use another folder"
                )
        return type(self)(**before | self.given())

    def with_default_input(self) -> Self:
        """Without a file and an API, scale and seed of the generated rows count as passed."""
        if self.csv or self.api_url:
            return self
        return self.model_copy(update={"scale": self.scale, "seed": self.seed})

    def changed(self, saved: Self) -> list[str]:
        """The names of the passed variables that had another value."""
        before = saved.given()
        return [
            name
            for name, value in self.given().items()
            if value != (before.get(name) if name in _INPUTS else getattr(saved, name))
        ]


def variables_of_make() -> dict[str, FieldInfo]:
    """The variables of make, by name, in the order of the documentation."""
    return {name.upper(): field for name, field in Variables.model_fields.items() if field.description}
