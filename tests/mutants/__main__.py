"""Mutation testing: changes the decisive modules in small ways, and counts the changes that a unit test notices.

It prints a table with the score of each module and the name of each mutant that survived. It fails if a score is too
low. Arguments limit the run to the mutants whose names match one of these patterns, as `veleta.batches.*`.
"""

import configparser
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.repository import ROOT, project_files

FOLDER = ROOT / ".mutants"
"""The project with its packages below src/, where mutmut expects them. It is written anew by each run."""
LOWEST_SCORE = 0.85
SERVICES = ("poller", "drift", "trainer", "inference", "retention")
PACKAGES = ("shared/veleta", *(f"services/{name}/veleta_{name}" for name in SERVICES))
MUTATED = (
    "src/veleta/batches.py",
    "src/veleta/cleaning.py",
    "src/veleta/dataset.py",
    "src/veleta/feature_definition.py",
    "src/veleta/features.py",
    "src/veleta/processing/checkpoints.py",
    "src/veleta/processing/manifests.py",
    "src/veleta/processing/processor.py",
    "src/veleta/processing/replay.py",
    *(f"src/veleta_{name}/domain/*.py" for name in SERVICES),
)
TESTS = [*(f"tests/unit/{name}" for name in ("shared", *SERVICES)), "tests/contract/test_openapi.py"]
NOTICED = {1, 3, 36, 24, -24, 152, 255}
"""The exit codes that mutmut stores for a mutant whose tests failed or took too long."""


def main(patterns: Sequence[str]) -> None:
    """Run mutmut, print the table, and exit with 1 if a module's score is below the lowest one."""
    write_project()
    command = [sys.executable, "-m", "mutants.run_mutmut", "run", *patterns]
    if subprocess.run(command, cwd=FOLDER, check=False).returncode:
        sys.exit("mutmut failed: see above")
    low = [module for module, results in sorted(modules()) if report(module, results) < LOWEST_SCORE]
    if low:
        sys.exit(f"below {LOWEST_SCORE:.0%}: {', '.join(low)}")


def write_project() -> None:
    """Write the tracked files and mutmut's settings to FOLDER."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path in project_files():
        target = FOLDER / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    others = [path.name for path in FOLDER.iterdir()]
    for package in PACKAGES:
        shutil.move(FOLDER / package, FOLDER / "src" / Path(package).name)
    settings = {
        "source_paths": ["src"],
        "only_mutate": MUTATED,
        # The words of a log line are for people. tests/integration and tests/soak kill a service at each fault point.
        "do_not_mutate_patterns": [r"^\s*log\.", r"^\s*fault_point\("],
        "also_copy": others,
        "pytest_add_cli_args": ["-p", "no:xdist", "-p", "mutants.node_ids"],
        "pytest_add_cli_args_test_selection": TESTS,
    }
    config = configparser.RawConfigParser()
    config["mutmut"] = {name: "\n".join(values) for name, values in settings.items()}
    with (FOLDER / "setup.cfg").open("w") as file:
        config.write(file)


def modules() -> Iterator[tuple[str, dict[str, int]]]:
    """Each mutated module, with the exit code of each mutant that was tested."""
    for path in (FOLDER / "mutants/src").rglob("*.py.meta"):
        results = json.loads(path.read_text())["exit_code_by_key"]
        codes = {name: code for name, code in results.items() if code is not None}
        if codes:
            yield str(path.relative_to(FOLDER / "mutants/src")).removesuffix(".py.meta").replace("/", "."), codes


def report(module: str, codes: dict[str, int]) -> float:
    """Print a line of the table, and the mutants that no test noticed. Returns the score of the module."""
    survivors = sorted(name for name, code in codes.items() if code not in NOTICED)
    score = 1 - len(survivors) / len(codes)
    print(f"{score:7.1%} {module}: {len(survivors)} of {len(codes)} survived")
    for name in survivors:
        print(f"        {name}")
    return score


if __name__ == "__main__":
    main(sys.argv[1:])
