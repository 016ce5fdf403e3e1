"""The page in Streamlit's own test harness, without a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import support

PASSWORD = "correct horse battery"  # noqa: S105 - of this test
BUTTONS = ["Fetch the next batch", "Pause", "Resume"]
OpenPage = Callable[[str], AppTest]


@pytest.fixture
def open_page(environment: pytest.MonkeyPatch) -> OpenPage:
    """Opens the page of a monitor with this password, in a calm state."""

    def opened(password: str) -> AppTest:
        environment.setenv("MONITOR_PASSWORD", password)
        st.cache_resource.clear()
        page = AppTest.from_file(str(Path(support.__path__[0]) / "staged_page.py"), default_timeout=60)
        page.query_params["state"] = "calm"
        return page.run()

    return opened


def labels(page: AppTest) -> list[str]:
    """The labels of the buttons that the page has."""
    assert not page.exception
    return [button.label for button in page.button]


@pytest.mark.failure("F383")
def test_without_a_password_the_page_only_shows(open_page: OpenPage) -> None:
    """It says how the buttons are switched on. There is nothing to sign in to."""
    page = open_page("none")
    assert labels(page) == []
    assert [caption.value for caption in page.caption if "MONITOR_PASSWORD" in caption.value]
    assert not page.text_input


@pytest.mark.failure("F383")
def test_the_buttons_need_the_password(open_page: OpenPage) -> None:
    """Of this visitor: another one has to sign in too."""
    page = open_page(PASSWORD)
    assert labels(page) == ["Sign in"]
    page.text_input[0].input(PASSWORD)
    page.button[0].click().run()
    assert labels(page) == BUTTONS
    assert not page.text_input
    another = AppTest.from_file(str(Path(support.__path__[0]) / "staged_page.py"), default_timeout=60)
    another.query_params["state"] = "calm"
    assert labels(another.run()) == ["Sign in"]


@pytest.mark.failure("F384")
def test_a_wrong_password_is_a_notice(open_page: OpenPage) -> None:
    """The form stays, without what was typed."""
    page = open_page(PASSWORD)
    page.text_input[0].input("guess")
    page.button[0].click().run()
    assert labels(page) == ["Sign in"]
    assert any("Wrong password." in str(html.proto) for html in page.get("html"))
