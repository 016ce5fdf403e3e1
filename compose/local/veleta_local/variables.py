"""The variables of a run: taken from make once, remembered in its home."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from veleta_local.errors import LocalError


@dataclass(frozen=True)
class Rule:
    """What a variable of make must match, in which words that is said, its default and its meaning, for people."""

    pattern: str
    words: str
    default: str
    meaning: str


_NUMBER = (r"[0-9]+", "a whole number")
_SECONDS = (r"[0-9]+(\.[0-9]+)?", "a number of seconds")
RULES: Mapping[str, Rule] = {
    "SCALE": Rule(
        r"0\.[0-9]*[1-9][0-9]*|1(\.0*)?", "a number above 0, 1 at most",
        "0.02", "the size of the batches that are made up, 1 for that of the real ones",
    ),
    "SEED": Rule(*_NUMBER, "1", "the same seed makes up the same rows"),
    "CSV": Rule(".+", "a path", "", "the file that `source` hands out, once"),
    "DATASET": Rule(
        ".+", "a name or a path",
        "real_estate", "the columns: a name in `shared/veleta/datasets`, or the path of a .toml file",
    ),
    "API_URL": Rule(
        r"https?://\S+", "an address such as http://127.0.0.1:8090",
        "", "somebody's data API instead; `source` is then not started",
    ),
    "GROUP_NUMBER": Rule(*_NUMBER, "1", "the group whose batches are taken"),
    "AT_END": Rule(
        "restart|stop", "restart or stop",
        "restart, with CSV stop", "at the end of the data: restart the API and open a new epoch, or stop taking",
    ),
    "ON_NEW_EPOCH": Rule(
        "clear|keep", "clear or keep",
        "clear", "what becomes of the old epoch's rows in RAW_DATA and CLEAN_DATA: `clear` or `keep`",
    ),
    "POLL": Rule(
        "auto|manual", "auto or manual",
        "auto", "`manual`: begin paused, and take batches by hand; `make start` then does not wait for a model",
    ),
    "POLL_EVERY": Rule(*_SECONDS, "10, with API_URL 60", "seconds between two questions to the API"),
    "TREES": Rule(*_NUMBER, "500", "trees of a model"),
    "JOURNAL_SYNC": Rule(
        "group|none", "group or none",
        "group", "`group`: answered requests survive a loss of power; `none`: only kills, and answers come sooner",
    ),
    "WORKERS": Rule("[1-9][0-9]?", "a number from 1 to 99", "1", "processes of `inference`, which share its port"),
    "KEEP_REQUESTS_DAYS": Rule(
        r"[0-9]{1,4}", "a whole number of days, 9999 at most",
        "0", "days that requests stay in MySQL, answered and refused ones; 0: for ever",
    ),
    "PORT_BASE": Rule(
        r"[2-9][0-9]{3}|[1-5][0-9]{4}", "a port from 2000 to 59999",
        "", "with n, the parts listen on n, n+1, ...: two runs live side by side",
    ),
    "START_TIMEOUT": Rule(*_SECONDS, "600", "seconds that a start may take; not remembered"),
}  # fmt: skip
"""By name, in the order in which people are told of them."""

_INPUT = ("csv", "api_url", "scale")
_BOUND_TO_DATA = ("seed", "group_number", "port_base", "dataset", "mysql_prefix")


@dataclass(frozen=True)
class Variables:
    """None is "not given": the remembered value, or else the default, holds."""

    csv: str | None = None
    api_url: str | None = None
    scale: str | None = None
    seed: str | None = None
    group_number: str | None = None
    at_end: str | None = None
    on_new_epoch: str | None = None
    poll: str | None = None
    poll_every: str | None = None
    trees: str | None = None
    journal_sync: str | None = None
    workers: str | None = None
    keep_requests_days: str | None = None
    port_base: str | None = None
    dataset: str | None = None
    mysql_prefix: str | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_make(cls, environ: Mapping[str, str], folder: Path) -> Self:
        """What make passed on; relative paths are below `folder`. An empty variable is none."""
        told = (name for name in RULES if name != "START_TIMEOUT")
        given: dict[str, Any] = {name.lower(): _matching(name, environ[name]) for name in told if environ.get(name)}
        one_spelling: dict[str, Any] = {"scale": float, "seed": int}
        given |= {name: str(number(given[name])) for name, number in one_spelling.items() if name in given}
        files = {name for name in ("csv", "dataset") if name == "csv" or given.get(name, "").endswith(".toml")}
        given |= {name: str((folder / Path(given[name]).expanduser()).resolve()) for name in files & given.keys()}
        return cls(**given)

    def __post_init__(self) -> None:
        given = [f"{name.upper()}=" for name in _INPUT if getattr(self, name)]
        if len(given) > 1:
            raise LocalError(f"{' and '.join(given)} are two inputs: give one of them")
        if self.seed and (self.csv or self.api_url):
            raise LocalError("SEED= is of rows that are made up: CSV= and API_URL= bring their own")

    def given(self) -> dict[str, object]:
        """The variables that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value}

    def over(self, remembered: "Variables") -> "Variables":
        """The remembered variables with those of this start; what the data hang on cannot change."""
        for name in self.changed(remembered):
            if remembered.forbids(name):
                raise LocalError(_another(name, getattr(remembered, name), getattr(self, name)))
        return replace(remembered, **{name: getattr(self, name) for name in self.given()})

    def with_input(self) -> Self:
        """Without a file and an API, rows are made by chance, at a scale."""
        if self.csv or self.api_url:
            return self
        return replace(self, scale=self.scale or RULES["SCALE"].default, seed=self.seed or RULES["SEED"].default)

    def forbids(self, name: str) -> bool:
        """Whether what this run has already made depends on the variable."""
        if name in _INPUT:
            return any(getattr(self, each) for each in _INPUT)
        return name in _BOUND_TO_DATA and bool(self.given())

    def changed(self, remembered: "Variables") -> list[str]:
        """Names of what is given here and was otherwise."""
        names = (each.name for each in fields(self))
        return [name for name in names if name in self.given() and getattr(self, name) != getattr(remembered, name)]


def start_timeout(environ: Mapping[str, str]) -> float:
    """How long a start may take; of this start alone, so it is not remembered."""
    return float(_matching("START_TIMEOUT", environ.get("START_TIMEOUT") or RULES["START_TIMEOUT"].default))


def _matching(name: str, value: str) -> str:
    rule = RULES[name]
    if not re.fullmatch(rule.pattern, value):
        raise LocalError(f"{name}={value} is not {rule.words}")
    return value


def _another(name: str, was: str | None, now: str | None) -> str:
    return (
        f"this folder's run has {name.upper()}={was or '(none)'}, not {now}: "
        "make start without it goes on; make stop && make clean forgets the run; or use another folder"
    )
