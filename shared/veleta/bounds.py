"""The bounds of settings and variables: beyond them a part fails, or does what nobody wants."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from veleta.valid_values import HOSTS_PATTERN

Engine = Literal["local", "spark"]
HostNames = Annotated[str, Field(pattern=HOSTS_PATTERN)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
"""A time limit or an interval, at most a day."""
StopDelay = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
"""Seconds after SIGTERM. A service ends within 20 s of it, with what it does after the delay."""
PollEvery = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
GroupNumber = Annotated[int, Field(ge=0, le=999_999_999_999)]
Seed = Annotated[int, Field(ge=0, le=999_999_999_999)]
Scale = Annotated[float, Field(gt=0, le=1)]
Trees = Annotated[int, Field(ge=1, le=10_000)]
Workers = Annotated[int, Field(ge=1, le=64)]
"""Processes of a service: each needs about 150 MB."""
KeepRequestsDays = Annotated[int, Field(ge=0, le=9_999)]
KeepCount = Annotated[int, Field(ge=0, le=1_000_000)]
"""How many of something retention keeps; 0: all."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""A limit of requests or items."""
Rows = Annotated[int, Field(ge=0, le=2**40)]
"""A limit of rows; 0: there is none."""
Bytes = Annotated[int, Field(ge=1, le=2**50)]
Megabytes = Annotated[int, Field(ge=0, le=2**30)]
"""A limit of memory; 0: it follows from the machine's."""
MIN_PASSWORD = 12
NO_PASSWORD = ("", "none")


def _check_password(text: str) -> str:
    if text not in NO_PASSWORD and len(text) < MIN_PASSWORD:
        raise ValueError(f"use at least {MIN_PASSWORD} characters; none: there is no password")
    return text


Password = Annotated[str, AfterValidator(_check_password)]
"""A password that a person chose, or one of NO_PASSWORD. A message about a wrong one does not show it."""
