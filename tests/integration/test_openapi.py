"""The OpenAPI document of a real service: the document, its page, and requests that are generated from it."""

import json
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from hypothesis import settings
from playwright.sync_api import Browser, Route, expect

from support.fuzzing import check_response, generated
from support.inference import Inference, call
from support.reference.http import items_limit
from veleta_inference.adapters.openapi import document

EXAMPLES = 10
"""Random requests of each operation, besides its edge cases. tests/soak generates more."""


def test_the_document_is_that_of_the_dataset(inference: Inference, url: str) -> None:
    """The service's own dataset, whatever its name."""
    response = call(f"{url}/openapi.json")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json == json.loads(json.dumps(document(inference.testbed.dataset, items_limit())))


def test_the_page_needs_no_other_host(browser: Browser, inference: Inference, url: str) -> None:
    """It shows every operation and can execute one. It loads nothing from other hosts, without browser errors."""
    hosts, errors = list[str](), list[str]()

    def own_only(route: Route) -> None:
        hosts.append(urlsplit(route.request.url).netloc)
        if hosts[-1] == urlsplit(url).netloc:
            route.continue_()
        else:
            route.abort()

    page = browser.new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/*", own_only)
    page.goto(f"{url}/docs")
    operations = sum(len(item) - 1 for item in call(f"{url}/openapi.json").json["paths"].values())
    expect(page.locator(".opblock")).to_have_count(operations)
    expect(page.locator("h1.title, h2.title").first).to_contain_text(inference.testbed.dataset.title)
    predict = page.locator("#operations-prices-predict")
    predict.locator("button.opblock-summary-control").click()
    predict.get_by_role("button", name="Execute").click()
    response = predict.locator(".live-responses-table .response .response-col_description")
    expect(response).to_contain_text(str(inference.predict(inference.example()).price))
    page.close()
    assert set(hosts) == {urlsplit(url).netloc}
    assert errors == []


@generated().parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
def test_each_response_is_as_documented(case: schemathesis.Case[Any], inference: Inference, url: str) -> None:
    """To valid and invalid requests."""
    check_response(case, inference.testbed.dataset.name, url)
