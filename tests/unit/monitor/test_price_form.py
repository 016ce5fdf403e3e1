"""The form that asks for a price, in Streamlit's own test harness, with the application of inference in memory."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from aiohttp import web
from streamlit.testing.v1 import AppTest

import support
from support.bicycles import BICYCLES
from support.http import served
from support.memory_inference import MemoryInference, served_inference
from support.testbed import free_port
from veleta.api_keys import digest
from veleta_monitor.adapters.prices import PriceClient

PASSWORD, KEY = "correct horse battery", "the key of the monitor"
ASK = "Ask for the price"
OpenPage = Callable[..., AppTest]


@pytest.fixture
def open_page(environment: pytest.MonkeyPatch) -> OpenPage:
    """Opens the page of a monitor that reaches inference at a URL, with further settings."""

    def opened(url: str, state: str = "calm", **settings: str) -> AppTest:
        environment.setenv("MONITOR_READYZ", json.dumps({"inference": url}))
        environment.setenv("MONITOR_API_KEY", KEY)
        for name, value in settings.items():
            environment.setenv(name, value)
        st.cache_resource.clear()
        page = AppTest.from_file(str(Path(support.__path__[0]) / "staged_page.py"), default_timeout=60)
        page.query_params["state"] = state
        return page.run()

    return opened


@pytest.fixture
def inference() -> MemoryInference:
    """Inference that requires no key."""
    return MemoryInference()


@pytest.fixture
def url(inference: MemoryInference) -> Iterator[str]:
    """Its URL."""
    with served_inference(inference) as served_at:
        yield served_at


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[Any]]]:
    """The URL of a twin of inference that has no price, and the rows that it received."""
    received: list[Any] = []

    async def predict(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.json_response({"detail": "seen"}, status=503)

    app = web.Application()
    app.add_routes([web.post("/predict", predict)])
    with served(app) as served_at:
        yield served_at, received


@pytest.fixture
def url_with_keys() -> Iterator[str]:
    """The URL of inference that requires a key, and knows that of the monitor."""
    with served_inference(MemoryInference({digest(KEY): "monitor"})) as served_at:
        yield served_at


def has_form(page: AppTest) -> bool:
    """Whether the page has the form. In no case it has an exception."""
    assert not page.exception
    return ASK in [button.label for button in page.button]


def ask(page: AppTest, **texts: str) -> str:
    """Type these texts, ask for the price, and return what the page shows in HTML."""
    for name, text in texts.items():
        page.text_input(f"price of {name}").input(text)
    next(button for button in page.button if button.label == ASK).click().run()
    assert has_form(page)
    return "".join(html.proto.body for html in page.get("html"))


def sign_in(page: AppTest) -> None:
    """Type the password."""
    page.text_input("password").input(PASSWORD)
    next(button for button in page.button if button.label == "Sign in").click().run()


def test_an_empty_optional_field_is_a_warning(open_page: OpenPage, inference: MemoryInference, url: str) -> None:
    """The price is that of the row without it. Inference stores the request as any other, and nothing has a key."""
    page = open_page(url)
    shown = ask(page, brokered_by="", bed="10")
    assert "Price: 59,874 USD" in shown
    assert "Broker: was not given; the model does not use it" in shown
    (item,) = inference.answered.groups[0][0]["items"]
    assert (item["brokered_by"], item["bed"]) == (None, 10.0)
    assert page.text_input("price of brokered_by").value == ""


def test_each_problem_has_its_field(open_page: OpenPage, url: str) -> None:
    """What was typed stays, so that it can be corrected."""
    page = open_page(url)
    shown = ask(page, bed="", bath="<b>two</b>")
    assert "Bedrooms: is required" in shown
    assert "Bathrooms: &#x27;&lt;b&gt;two&lt;/b&gt;&#x27; is no number" in shown
    assert page.text_input("price of bath").value == "<b>two</b>"
    assert "Price: 59,874 USD" in ask(page, bed="10", bath="2")


@pytest.mark.failure("F475")
def test_without_a_price_the_page_says_why(
    open_page: OpenPage, inference: MemoryInference, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence: no model is served, inference is down, or the monitor has a fault."""
    inference.provider.has_model = False
    page = open_page(url)
    assert "There is no price now: no model yet: no training has started." in ask(page)
    gone = open_page(f"http://127.0.0.1:{free_port()}")
    assert "There is no price now: inference is unavailable (cannot connect)." in ask(gone)
    monkeypatch.setattr(PriceClient, "ask", lambda *_: 1 / 0)
    assert "The price could not be requested. See the monitor&#x27;s log." in ask(gone)


def test_without_inference_there_is_no_form(open_page: OpenPage) -> None:
    """Nothing could answer."""
    assert not has_form(open_page("http://127.0.0.1:1", MONITOR_READYZ="{}"))


@pytest.mark.parametrize(("dataset", "label"), [("listings", "Bedrooms, optional"), (str(BICYCLES), "Weight (kg)")])
def test_the_form_follows_from_the_dataset(
    open_page: OpenPage, recorder: tuple[str, list[Any]], dataset: str, label: str
) -> None:
    """Its fields and its row: no column is in the code."""
    url, received = recorder
    page = open_page(url, DATASET=dataset)
    assert "There is no price now: seen." in ask(page)
    labels = {field.key: field.label for field in page.text_input}
    assert label in labels.values()
    assert [f"price of {name}" for name in received[0]] == list(labels)


def test_a_boolean_is_chosen(open_page: OpenPage, recorder: tuple[str, list[Any]], tmp_path: Path) -> None:
    """Yes, no, or not given if it is optional."""
    url, received = recorder
    column = '[[columns]]\nname = "electric"\ntitle = "Electric"\nkind = "boolean"\noptional = true\n\n[cleaning]'
    text = BICYCLES.read_text().replace("[cleaning]", column).replace("[example]", "[example]\nelectric = true")
    path = tmp_path / "electric.toml"
    path.write_text(text)
    page = open_page(url, DATASET=str(path))
    ask(page)
    for choice in ("no", ""):
        page.selectbox("price of electric").select(choice)
        ask(page)
    assert page.selectbox("price of electric").options == ["not given", "yes", "no"]
    assert [row.get("electric") for row in received] == [True, False, None]
    assert "electric" not in received[-1]


def test_a_market_has_a_day(open_page: OpenPage, recorder: tuple[str, list[Any]]) -> None:
    """Of its history. Without one the last day is meant. The date of the row's own sale has no field of its own."""
    url, received = recorder
    page = open_page(url, state="market", DATASET="sales")
    assert "price of date" not in [field.key for field in page.text_input]
    ask(page)
    (day,) = page.date_input
    assert (day.min, day.max) == (date(2014, 5, 2), date(2015, 5, 27))
    day.set_value(date(2014, 8, 9))
    ask(page)
    assert ["as_of" in row for row in received] == [False, True]
    assert received[1]["as_of"] == "2014-08-09"


def test_without_a_market_there_is_no_day(open_page: OpenPage, url: str) -> None:
    """Before the served version is known, any day may be asked for: inference refuses one that it does not have."""
    assert not open_page(url).date_input
    (day,) = open_page(url, DATASET="sales").date_input
    assert (day.min, day.max) == (date(1900, 1, 1), date(2100, 1, 1))


@pytest.mark.failure("F476")
def test_with_keys_only_who_signed_in_may_ask(open_page: OpenPage, url_with_keys: str) -> None:
    """Because the request has the key of the monitor. The form appears at the next refresh, for this visitor alone."""
    settings = {"MONITOR_API_KEYS": f"ada:{digest('a')}", "MONITOR_PASSWORD": PASSWORD}
    page = open_page(url_with_keys, **settings)
    assert not has_form(page)
    assert any("this page has one for visitors who signed in: do that below." in each.value for each in page.caption)
    sign_in(page)
    assert has_form(page.run())
    assert "Price: 59,874 USD" in ask(page, bed="10")
    assert not has_form(open_page(url_with_keys, **settings))


@pytest.mark.failure("F476")
def test_with_keys_and_without_a_password_nobody_may_ask(open_page: OpenPage, url_with_keys: str) -> None:
    """The page says how to change that."""
    page = open_page(url_with_keys, MONITOR_API_KEYS=f"ada:{digest('a')}")
    assert not has_form(page)
    assert any("signed in: start with MONITOR_PASSWORD." in each.value for each in page.caption)


@pytest.mark.failure("F476")
def test_the_key_of_the_monitor_is_only_sent_for_visitors_who_signed_in(
    open_page: OpenPage, url_with_keys: str
) -> None:
    """A monitor that does not know that keys are required shows everybody the form, and sends no key."""
    page = open_page(url_with_keys)
    assert "Inference accepts only requests with an API key" in ask(page)
