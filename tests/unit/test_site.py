"""The documentation site builds, and needs no other host."""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.repository import ROOT

_LOADED = re.compile(r"<(?:script|img|link|iframe)[^>]*?(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")


def test_the_site_builds_without_a_warning_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    """`make docs` fails on a broken link or anchor, and on a page that is not in the navigation."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    assert {url for page in pages for url in _LOADED.findall(page.read_text())} == set()
