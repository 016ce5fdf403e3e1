"""Lines of the journal: whatever happens to the bytes of one, it is recognized, and the others are read."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veleta_inference.domain.journal_lines import Portion, read_lines, seal

TEXTS = [b'{"n":1}', b'{"text":"\xc3\xa9"}', b"{}"]
DATA = b"".join(map(seal, TEXTS))


def test_a_line_has_the_checksum_of_its_text() -> None:
    """CRC-32 in eight hexadecimal digits, a space, the text and a line end."""
    assert seal(b"{}") == b"%08x {}\n" % crc32(b"{}")
    small = next(b"%d" % n for n in range(100_000) if crc32(b"%d" % n) < 1 << 24)
    assert seal(small).startswith(b"00")
    assert read_lines(seal(small)).lines == [small]


def test_sealed_lines_are_read() -> None:
    """With their bytes in the journal."""
    assert read_lines(DATA) == Portion(len(DATA), TEXTS)
    assert read_lines(b"") == Portion(0)


@given(position=st.integers(0, len(DATA) - 2), bit=st.integers(0, 7))
def test_a_flipped_bit_damages_only_its_line(position: int, bit: int) -> None:
    """Or two lines, if it was a line end. No text is read that was not written."""
    damaged = bytearray(DATA)
    damaged[position] ^= 1 << bit
    portion = read_lines(bytes(damaged))
    assert portion.size == len(DATA)
    assert [text for text in TEXTS if text in portion.lines] == portion.lines
    assert len(portion.lines) >= len(TEXTS) - (2 if DATA[position] == ord("\n") else 1)
    assert portion.damaged


@given(first=st.integers(0, len(DATA) - 2), count=st.integers(1, 40))
def test_zeros_damage_only_the_lines_whose_place_they_took(first: int, count: int) -> None:
    """A power failure leaves a page of zeros where it had not yet written."""
    zeros = DATA[:first] + b"\0" * len(DATA[first : first + count]) + DATA[first + count :]
    zeros = zeros[: zeros.rfind(b"\n") + 1]
    ends = [sum(map(len, map(seal, TEXTS[: n + 1]))) for n in range(len(TEXTS))]
    starts = [0, *ends]
    whole = [
        text
        for text, start, end in zip(TEXTS, starts, ends, strict=False)
        if end <= first or (start >= first + count and end <= len(zeros))
    ]
    assert read_lines(zeros).lines == whole


@pytest.mark.parametrize("line", [b"", b"hello", b"00000000", b"00000000 {}", b"0000000g {}", b'{"n":', b"[1]", b"\0"])
def test_what_is_no_line_is_damaged(line: bytes) -> None:
    """It is returned as it was found."""
    assert read_lines(line + b"\n") == Portion(len(line) + 1, [], [line])


def test_the_zeros_before_a_line_are_damaged() -> None:
    """And the line is read."""
    line = b"\0\0rest\0" + seal(b"{}")
    assert read_lines(line) == Portion(len(line), [b"{}"], [b"\0\0rest\0"])


def test_a_line_of_an_earlier_version_has_no_checksum() -> None:
    """It is read if it is JSON."""
    data = b'{"n":1}\n{"n":1\n' + seal(b"{}")
    assert read_lines(data) == Portion(len(data), [b'{"n":1}', b"{}"], [b'{"n":1'])
