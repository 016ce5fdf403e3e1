"""The pages are easy to read: short sentences, in README.md, CONTRIBUTING.md and docs/."""

import re
import statistics
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import markdown
import pytest

from support.repository import ROOT

LONGEST, MEDIAN = 35, 20
"""Words of the longest sentence, and the bound of the median of a page."""
GENERATED = {"docs/reference/events.md", "docs/reference/failure-tests.md"}
PATHS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [name for path in PATHS if (name := str(path.relative_to(ROOT))) not in GENERATED]
_BLOCKS = {"p", "li", "td", "th", "h1", "h2", "h3", "h4"}
_CELLS = {"td", "th", "h1", "h2", "h3", "h4"}


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short(page: str) -> None:
    """At most 35 words each, in tables too; the median of the sentences outside tables is below 20."""
    blocks = list(_blocks((ROOT / page).read_text()))
    long = [sentence for _, text in blocks for sentence in _sentences(text) if _words(sentence) > LONGEST]
    assert not long, "\n".join(long)
    prose = [_words(sentence) for tag, text in blocks if tag not in _CELLS for sentence in _sentences(text)]
    assert not prose or statistics.median(prose) < MEDIAN


def test_the_search_for_sentences_skips_code() -> None:
    """A code span is one word; blocks of code are none; a full stop in the middle of a word ends no sentence."""
    text = (
        "One `make it so` two. Three\nfour 0.15.\n\n    five six\n\n| a | b |\n|---|---|\n| seven eight. Nine | x |\n"
    )
    blocks = list(_blocks(text))
    assert [(tag, [_words(s) for s in _sentences(text)]) for tag, text in blocks] == [
        ("p", [3, 3]),
        ("th", [1]),
        ("th", [1]),
        ("td", [2, 1]),
        ("td", [1]),
    ]


class _Reader(HTMLParser):
    """Collects the text of each block; a code span becomes one word."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[str, str]] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.blocks.append((tag, ""))
        elif tag in ("code", "pre"):
            self._code += 1
            self._add("x" if tag == "code" and self._code == 1 else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("code", "pre"):
            self._code -= 1

    def handle_data(self, data: str) -> None:
        if not self._code:
            self._add(data)

    def _add(self, text: str) -> None:
        if self.blocks:
            tag, before = self.blocks[-1]
            self.blocks[-1] = (tag, before + text)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    reader = _Reader()
    reader.feed(markdown.markdown(text, extensions=["tables", "pymdownx.superfences"]))
    yield from reader.blocks


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+", " ".join(text.split())) if sentence]


def _words(sentence: str) -> int:
    return len(re.findall(r"\S*\w\S*", sentence))


def test_every_generated_page_exists() -> None:
    """A page that is renamed or deleted leaves the list."""
    assert [name for name in GENERATED if not Path(ROOT / name).exists()] == []
