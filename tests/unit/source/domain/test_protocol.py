"""The data API's words, and the cursors behind them."""

from pathlib import Path

import orjson
import pytest

from veleta.errors import Stop
from veleta_source.adapters.cursors import Cursors
from veleta_source.domain.protocol import Question, WrongQuestion, around, ask


def test_each_group_and_day_has_its_own_cursor() -> None:
    """A day is another asker than none."""
    asked = [ask({"group_number": "7"}), ask({"group_number": "7", "day": "Tuesday"}), ask({"group_number": "8"})]
    assert [question.cursor for question in asked] == ["7", "7/Tuesday", "8"]


def test_a_missing_parameter_is_said_as_fastapi_says_it() -> None:
    """Clients of the course's API read this form."""
    with pytest.raises(WrongQuestion) as wrong:
        ask({})
    missing = {"type": "missing", "loc": ["query", "group_number"], "msg": "Field required", "input": None}
    assert wrong.value.faults == [missing]


def test_a_bad_parameter_is_said_as_fastapi_says_it() -> None:
    """Every bad one is listed, with what was sent."""
    with pytest.raises(WrongQuestion) as wrong:
        ask({"group_number": "seven", "day": "Friday"})
    number, day = wrong.value.faults
    assert set(number) == set(day) == {"type", "loc", "msg", "input"}
    assert (number["type"], number["loc"], number["input"]) == ("int_parsing", ["query", "group_number"], "seven")
    assert (day["type"], day["loc"], day["input"]) == ("literal_error", ["query", "day"], "Friday")


def test_the_day_stands_in_the_answer_only_when_it_was_asked_for() -> None:
    """Rows stand between head and tail."""
    head, tail = around(Question(group_number=7), 0)
    assert orjson.loads(head + b"{}" + tail) == {"group_number": 7, "batch_number": 0, "data": [{}]}
    head, tail = around(Question(group_number=7, day="Wednesday"), 1)
    assert list(orjson.loads(head + tail)) == ["group_number", "day", "batch_number", "data"]


def test_a_cursor_moves_with_each_question_and_stays_at_the_end(tmp_path: Path) -> None:
    """There is no reading without moving, until nothing is left."""
    cursors = Cursors(tmp_path / "cursors.json")
    assert [cursors.advance("7", 2) for _ in range(4)] == [0, 1, None, None]
    assert cursors.advance("8", 2) == 0


def test_a_restart_moves_one_cursor_alone(tmp_path: Path) -> None:
    """Other groups, and other days of the group, stay where they are."""
    cursors = Cursors(tmp_path / "cursors.json")
    for name in ("7", "7/Tuesday"):
        cursors.advance(name, 6)
    cursors.restart("7")
    assert (cursors.advance("7", 6), cursors.advance("7/Tuesday", 6)) == (0, 1)


def test_cursors_survive_the_process(tmp_path: Path) -> None:
    """What was handed out once is not handed out again because source died."""
    Cursors(tmp_path / "cursors.json").advance("7", 6)
    assert Cursors(tmp_path / "cursors.json").advance("7", 6) == 1


def test_cursors_that_cannot_be_read_are_not_begun_anew(tmp_path: Path) -> None:
    """A silent 0 would hand out everything twice."""
    (tmp_path / "cursors.json").write_text("{")
    with pytest.raises(Stop, match="cannot read the cursors"):
        Cursors(tmp_path / "cursors.json")
