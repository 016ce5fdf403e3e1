"""Problems in one line, for protocols that have no field for them; and the error of a request."""

from veleta_inference.domain.errors import MAX_LINE, MAX_PROBLEMS, InvalidRequest, ValidationProblem, in_one_line


def test_each_problem_is_shown_with_its_item_and_field() -> None:
    """In their order."""
    problems = [ValidationProblem(0, "bed", "is required"), ValidationProblem(3, "city", "7 is no text")]
    assert in_one_line(problems) == "item 0: bed is required; item 3: city 7 is no text"


def test_the_line_fits_into_a_header() -> None:
    """Many problems and long messages are cut."""
    line = in_one_line([ValidationProblem(i, "bed", "m") for i in range(100)])
    assert (line.count("item"), line[-5:]) == (MAX_PROBLEMS, "; ...")
    assert not in_one_line([ValidationProblem(i, "bed", "m") for i in range(MAX_PROBLEMS)]).endswith("...")
    assert len(in_one_line([ValidationProblem(i, "bed", "m" * 1_000) for i in range(100)])) == MAX_LINE


def test_the_error_of_a_request_has_its_detail_and_its_problems() -> None:
    """As text it is the reason of a dead letter, with the detail."""
    problems = [ValidationProblem(0, "bed", "is required")]
    error = InvalidRequest("see `errors`", problems)
    assert (error.detail, error.problems) == ("see `errors`", problems)
    assert (error.reason, str(error)) == ("the request is not valid", "the request is not valid: see `errors`")
