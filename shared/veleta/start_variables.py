"""The variables of a start, which make and docker compose have in common."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from veleta.api_keys import ApiKeys
from veleta.bounds import (
    GroupNumber,
    HostNames,
    KeepCount,
    KeepRequestsDays,
    Megabytes,
    Password,
    PollEvery,
    Rows,
    Scale,
    Seconds,
    Seed,
    Trees,
    Workers,
)
from veleta.limits import DEFAULT_LIMITS
from veleta.valid_values import URL_PATTERN, own_reason, valid_values

INPUTS = ("csv", "api_url", "scale")
"""The inputs of a run exclude one another."""


REPLACED: Mapping[str, str] = {
    "INFERENCE_API_KEYS": "API_KEYS",
    "BIND": "INFERENCE_BIND, MONITOR_BIND, SOURCE_BIND, MLFLOW_BIND, KAFKA_BIND, KAFKA_UI_BIND or JUPYTER_BIND",
}
"""Variables that have no effect, with what to use. A start refuses them, because they were meant to protect it."""
EARLIER = "a run of a version without this variable"


class StartVariables(BaseModel):
    """A field that was not passed has its default. A described field is a variable with its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scale: Scale = Field(0.02, description="the size of the generated batches; 1 is that of the real ones")
    seed: Seed = Field(1, description="the random seed of the generated rows")
    csv: str | None = Field(None, description="the file that `source` serves, once")
    dataset: str = Field(
        "real_estate", description="the columns: a name in `shared/veleta/datasets`, or the path of a .toml file"
    )
    api_url: str | None = Field(
        None,
        pattern=URL_PATTERN,
        description="an external data API, as http://host:port; `source` is then not started",
    )
    group_number: GroupNumber = Field(1, description="the group whose batches are fetched")
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
    poll_every: PollEvery = Field(
        default_factory=lambda given: 60.0 if given.get("api_url") else 10.0,
        description="seconds between two requests to the API",
        json_schema_extra={"default": "10, with API_URL 60"},
    )
    trees: Trees = Field(500, description="trees of a model")
    fit_seconds: Seconds = Field(14_400.0, description="seconds that a fit may take; then the training fails")
    fit_memory: Megabytes = Field(
        0, description="megabytes that a fit may use; then the training fails. 0: nine tenths of all memory"
    )
    max_rows: Rows = Field(0, description="training rows that a model learns from, sampled by property; 0: all")
    journal_sync: Literal["group", "none"] = Field(
        "group",
        description="`group`: answered requests survive a power failure; `none`: they survive only kills, and the "
        "latency is lower",
    )
    workers: Workers = Field(1, description="processes of `inference` that share its port")
    strict: Literal["0", "1"] = Field(
        "0", description="1: `inference` refuses values outside what the model has learnt; 0: it warns"
    )
    api_keys: ApiKeys = Field(
        "none",
        description="the API keys that `inference` accepts: `name:sha256` of each, separated by commas, as `make key` "
        "prints it; none: no key is required",
    )
    hosts: HostNames = Field(
        "",
        description="names under which the services are reached, with commas; IP addresses and localhost always work",
    )
    monitor_password: Password = Field(
        "", description="the password for the buttons of the monitor; none: it has no buttons"
    )
    keep_requests_days: KeepRequestsDays = Field(
        0, description="days until answered and refused requests are deleted from MySQL; 0: never"
    )
    keep_epochs: KeepCount | None = Field(
        None,
        description="the newest epochs whose rows are kept; 0: all",
        json_schema_extra={"default": f"{DEFAULT_LIMITS['keep_epochs']}; all in {EARLIER}"},
    )
    keep_batches_days: KeepRequestsDays = Field(
        0, description="days until batches of earlier epochs lose their rows; 0: never"
    )
    keep_versions: KeepCount | None = Field(
        None,
        description="the newest rejected or replaced versions of the model whose artifacts are kept; 0: all",
        json_schema_extra={"default": f"{DEFAULT_LIMITS['keep_versions']}; all in {EARLIER}"},
    )

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> tuple[Self, list[str]]:
        """The variables of an environment without the wrong ones, and a line for each wrong one.

        An empty variable counts as missing.
        """
        names = [name for name, field in cls.model_fields.items() if field.description]
        replaced = [f"{name} has no effect: use {others}" for name, others in REPLACED.items() if environ.get(name)]
        given: dict[str, Any] = {name: value for name in names if (value := environ.get(name.upper()))}
        try:
            return cls(**given), replaced
        except ValidationError as error:
            wrong = {str(e["loc"][0]): e for e in error.errors() if e["type"] != "default_factory_not_called"}
            right = {name: value for name, value in given.items() if name not in wrong}
            return cls(**right), replaced + [cls._fault(name, given[name], e) for name, e in wrong.items()]

    def conflicts(self) -> list[str]:
        """A line for each pair of variables that exclude one another."""
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        inputs = [f"{name.upper()}=" for name in INPUTS if name in given]
        faults = [f"{' and '.join(inputs)} are two inputs: pass one of them"] if len(inputs) > 1 else []
        if "seed" in given and (self.csv or self.api_url):
            faults.append("SEED= is for generated rows: do not pass it with CSV= or API_URL=")
        return faults

    @classmethod
    def _fault(cls, name: str, value: object, error: ErrorDetails) -> str:
        if reason := own_reason(error):
            return f"{name.upper()}: {reason}"
        field = cls.model_fields[name]
        return f"{name.upper()}={value}: use {valid_values(field)} ({field.description})"
