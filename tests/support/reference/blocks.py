"""Fills the generated blocks of the documentation.

A page marks a block with `<!-- generated: name -->` and `<!-- end of name -->`; `make contracts` writes the block.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from support.reference.configuration import compose_variables, ports, service_settings, start_variables
from support.reference.http import http_paths
from support.reference.long_tests import long_tests
from support.reference.make import make_targets
from support.reference.metrics import metrics
from support.reference.topics import topics
from support.repository import ROOT

BLOCKS: Mapping[str, Callable[[], str]] = {
    "start variables": start_variables,
    "compose variables": compose_variables,
    "ports": ports,
    "service settings": service_settings,
    "http paths": http_paths,
    "long tests": long_tests,
    "make targets": make_targets,
    "metrics": metrics,
    "topics": topics,
}
"""Each block by its name: the function that writes it."""
_BLOCK = re.compile(r"<!-- generated: (.+?) -->\n.*?<!-- end of \1 -->\n", re.DOTALL)


def pages_with_blocks() -> dict[Path, str]:
    """Each page that has a generated block, with its text as generated from the code."""
    texts = {path: path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
    return {path: _fill(text) for path, text in texts.items() if _BLOCK.search(text)}


def _fill(text: str) -> str:
    return _BLOCK.sub(lambda match: _block(match[1]), text)


def _block(name: str) -> str:
    return f"<!-- generated: {name} -->\n\n{BLOCKS[name]().strip()}\n\n<!-- end of {name} -->\n"
