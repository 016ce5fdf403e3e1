"""The variables of a run: make passes them once, and the run stores them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from veleta.bounds import Engine
from veleta.settings import SparkSettings
from veleta.start_variables import INPUTS, StartVariables
from veleta.valid_values import SPARK_PATTERN, nearest_valid
from veleta_local.addresses import MAX_PORT_BASE, MIN_PORT_BASE
from veleta_local.errors import LocalError

WITHOUT_CLUSTER: str = SparkSettings.model_fields["master"].default
_FIXED = (*INPUTS, "seed", "group_number", "port_base", "dataset", "mysql_prefix")
"""The rows of a run depend on these, so they cannot change after it took a row."""
_SECRET = ("api_keys", "monitor_password")
"""No message shows their values. A wrong one is refused: without keys everybody gets prices."""


class Variables(StartVariables):
    """The variables of one start on this machine."""

    port_base: int | None = Field(
        None,
        ge=MIN_PORT_BASE,
        le=MAX_PORT_BASE,
        description="the parts listen on this port and the next ones, so that two runs fit",
    )
    engine: Engine = Field("local", description="what fits models and measures batches: this machine, or Apache Spark")
    spark_master: str | None = Field(
        None,
        pattern=SPARK_PATTERN,
        description="for the engine spark: the master of the cluster, or the threads that are used without a cluster",
        json_schema_extra={"default": f"the cluster of `make spark-up` if it is up, otherwise {WITHOUT_CLUSTER}"},
    )
    start_timeout: float = Field(
        600,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        exclude=True,
        description="seconds until a start fails; the run does not store it",
    )
    target: str | None = Field(
        None,
        exclude=True,
        description="with CSV: the column that is predicted. A dataset file is written first, or one that is there is "
        "used; the run stores its path, as DATASET",
    )
    mysql_prefix: str = ""
    extra: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], folder: Path) -> tuple[Self, list[str]]:
        """The variables that make passed without the wrong ones, and a line for each fault.

        Relative paths start at `folder`.
        """
        paths = {
            name: str((folder / Path(value).expanduser()).resolve())
            for name in ("CSV", "DATASET")
            if (value := environ.get(name)) and (name == "CSV" or value.endswith(".toml"))
        }
        variables, faults = cls.read({**environ, **paths})
        return variables, [*faults, *variables.conflicts()]

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> tuple[Self, list[str]]:
        """The variables that a run saved, and a line for each that only another version allows.

        A value that an earlier version allowed becomes the nearest valid one. A variable of a later version has no
        effect. The data of a run depend on none of them.

        Raises:
            LocalError: a secret is not valid.
        """
        unknown = [name for name in saved if name not in cls.model_fields]
        saved = {name: value for name, value in saved.items() if name not in unknown}
        # No value is shown: a later version may have other secrets.
        lines = [f"{name.upper()} of this run is no variable of this version: it has no effect" for name in unknown]
        try:
            return cls(**saved), lines
        except ValidationError as error:
            wrong = {str(e["loc"][0]) for e in error.errors() if e["type"] != "default_factory_not_called"}
            if secrets := sorted(wrong.intersection(_SECRET)):
                names = " and ".join(name.upper() for name in secrets)
                raise LocalError(f"run.json has no valid {names}: correct or delete it there") from None
            nearest = {name: nearest_valid(cls.model_fields[name], saved[name]) for name in wrong}
            lines += [f"{name.upper()}={saved[name]} of this run is now {value}" for name, value in nearest.items()]
            return cls(**{**saved, **nearest}), lines

    def conflicts(self) -> list[str]:
        """A line for each pair of variables that exclude one another, and for a TARGET without its file."""
        faults = super().conflicts()
        if self.target is not None and not self.csv:
            faults.append(f"TARGET={self.target}: pass the file too, as CSV=name: a dataset file is written for it")
        if self.target is not None and "dataset" in self.model_fields_set:
            faults.append("TARGET= and DATASET= exclude one another: a dataset file has its target")
        return faults

    def given(self) -> dict[str, Any]:
        """The variables that were passed, by field name, without `start_timeout` and `target`."""
        return self.model_dump(exclude_unset=True, exclude_none=True)

    def merged_over(self, saved: Self, *, has_rows: bool) -> Self:
        """The saved variables, replaced by those of this start. Another input replaces the saved one as a whole.

        Raises:
            LocalError: variables changed on which the rows of the run depend. The message has a line for each.
        """
        before, fixed = saved.given(), self.changed_fixed(saved)
        if has_rows and fixed:
            raise LocalError(
                "\n".join(
                    f"this folder's run has {name.upper()}={before.get(name, '(none)')}, not {getattr(self, name)}: "
                    "make start without it continues; make stop && make clean deletes the run; or use another folder"
                    for name in fixed
                )
            )
        if any(name in INPUTS for name in fixed):
            before = {name: value for name, value in before.items() if name not in (*INPUTS, "seed")}
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
            if value != (before.get(name) if name in INPUTS else getattr(saved, name))
        ]

    def changed_fixed(self, saved: Self) -> list[str]:
        """Those of `changed` on which the rows of a run depend; none if nothing was saved."""
        return [name for name in self.changed(saved) if name in _FIXED] if saved.given() else []


def variables_of_make() -> dict[str, FieldInfo]:
    """The variables of make, by name, in the order of the documentation."""
    return {name.upper(): field for name, field in Variables.model_fields.items() if field.description}
