"""What make passes to the programs that it starts."""

import json
import os
import subprocess

import pytest

from support.repository import ROOT

_SHOW = "python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"


def environment_below_make(*arguments: str, **variables: str) -> dict[str, str]:
    """The environment of a command, if make has these arguments and this environment."""
    command = ["make", "INSTALLED=", f"LOCAL={_SHOW} #", *arguments, "status"]
    environ = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", ""])
def test_every_program_runs_in_utf_8(locale: str) -> None:
    """Whatever the locale of the user is: paths, files and output may have any letter."""
    assert environment_below_make(LC_ALL=locale, LANG=locale)["LC_ALL"] == "C.UTF-8"


def test_a_variable_that_is_not_given_does_not_exist() -> None:
    """An empty one would count as given in a program that reads it, such as a test."""
    assert environment_below_make("SEED=7", SCALE="1")["SEED"] == "7"
    assert not environment_below_make().keys() & {"CSV", "DATASET", "SCALE", "SEED", "JSON", "TOPIC"}


def test_python_is_not_changed_by_variables_of_other_programs() -> None:
    """Neither modules from elsewhere, nor another encoding, nor asserts left out. Proxies stay, for downloads."""
    names = ["PYTHONPATH", "PYTHONHOME", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONWARNINGS"]
    given = {"PYTHONIOENCODING": "ascii", "PYTHONOPTIMIZE": "2", "PYTHONPATH": "docs", "HTTPS_PROXY": "http://proxy"}
    environ = environment_below_make(**given)
    assert not environ.keys() & set(names)
    assert environ["HTTPS_PROXY"] == "http://proxy"
