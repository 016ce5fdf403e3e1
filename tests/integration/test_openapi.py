"""The HTTP API as its document tells it, on a real service: the document, its page, and requests made up from it."""

import json
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from hypothesis import settings
from playwright.sync_api import Browser, Route, expect

from support.contracts import items_limit
from support.desk import Desk, ask
from support.fuzzing import answered_as_documented, made_up
from veleta_inference.adapters.openapi import document

EXAMPLES = 10
"""Of each operation, beside its edge cases; tests/soak makes up more."""


def test_the_document_is_that_of_the_dataset(desk: Desk, url: str) -> None:
    """Of this one, whatever it is called."""
    said = ask(f"{url}/openapi.json")
    assert (said.status, said.headers["Content-Type"]) == (200, "application/json")
    assert said.json == json.loads(json.dumps(document(desk.world.dataset, items_limit())))


def test_the_page_needs_no_other_host(browser: Browser, desk: Desk, url: str) -> None:
    """Every operation is shown, and one is tried; nothing is asked of anybody else, and the browser finds no fault."""
    asked, faults = list[str](), list[str]()

    def own_only(route: Route) -> None:
        asked.append(urlsplit(route.request.url).netloc)
        if asked[-1] == urlsplit(url).netloc:
            route.continue_()
        else:
            route.abort()

    page = browser.new_page()
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.route("**/*", own_only)
    page.goto(f"{url}/docs")
    operations = sum(len(item) - 1 for item in ask(f"{url}/openapi.json").json["paths"].values())
    expect(page.locator(".opblock")).to_have_count(operations)
    expect(page.locator("h1.title, h2.title").first).to_contain_text(desk.world.dataset.title)
    predict = page.locator("#operations-prices-predict")
    predict.locator("button.opblock-summary-control").click()
    predict.get_by_role("button", name="Execute").click()
    answer = predict.locator(".live-responses-table .response .response-col_description")
    expect(answer).to_contain_text(str(desk.predict(desk.example()).price))
    page.close()
    assert set(asked) == {urlsplit(url).netloc}
    assert faults == []


@made_up().parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
def test_each_answer_is_as_documented(case: schemathesis.Case[Any], desk: Desk, url: str) -> None:
    """To right and wrong requests alike."""
    answered_as_documented(case, desk.world.dataset.name, url)
