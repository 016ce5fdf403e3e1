"""Thousands of generated requests against the committed OpenAPI document, different in each run."""

from typing import Any
from urllib.request import urlopen

import schemathesis
from hypothesis import settings

from support.fuzzing import check_response, generated
from support.inference import Inference

EXAMPLES = 500
"""Requests per operation, besides its edge cases."""
ENOUGH = 5_000


@generated().parametrize()
@settings(max_examples=EXAMPLES, database=None, deadline=None)
def test_each_response_is_as_documented(case: schemathesis.Case[Any], inference: Inference, url: str) -> None:
    """Valid and invalid requests get documented responses. Hypothesis prints how to repeat any other."""
    check_response(case, inference.testbed.dataset.name, url)


def test_thousands_of_requests_were_sent(url: str) -> None:
    """Counted by the service's own metric."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counts = [
        float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("veleta_http_request_duration_seconds_count")
    ]
    print(f"{sum(counts):.0f} requests")  # noqa: T201 - the count is what a soak is read for
    assert sum(counts) > ENOUGH
