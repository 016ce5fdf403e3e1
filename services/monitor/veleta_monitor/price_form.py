"""The form of the page in which a visitor asks the served model for the price of one row."""

from datetime import date

import streamlit as st
import structlog

from veleta.dataset import Dataset
from veleta.errors import Retry
from veleta_monitor import markup
from veleta_monitor.adapters.prices import PriceClient
from veleta_monitor.bootstrap import Monitor
from veleta_monitor.command_sender import first_delivery, next_click
from veleta_monitor.domain.market import MarketLevel
from veleta_monitor.domain.prices import (
    AS_OF,
    NOT_GIVEN,
    PriceAnswer,
    PriceField,
    no_price,
    price_answer,
    price_fields,
    request_row,
)
from veleta_monitor.login import is_signed_in

TITLE = "Ask for a price"
FIELDS_PER_LINE = 4
ANY_DAY = date(1900, 1, 1), date(2100, 1, 1)
"""Without limits Streamlit takes ten years before and after today."""
FIELD_WIDTH = 250
"""In pixels, of a field that has a line of its own."""
REQUESTS, ANSWER, DAY = "price requests", "price answer", "day of the price"
"""Names in a visitor's session state."""
log = structlog.get_logger()


def draw_price_form(monitor: Monitor, market: MarketLevel | None) -> None:
    """Draw the form, and the answer to the visitor's last request. Without inference there is neither.

    With a market in the dataset it has a day, limited to the history of the served `market`, if that is known already.
    """
    if not (prices := monitor.prices):
        return
    with st.expander(TITLE):
        if not may_ask(monitor):
            st.caption(_how_to_sign_in(monitor))
            return
        with st.form("request", border=False):
            _inputs(price_fields(monitor.dataset))
            if monitor.dataset.market:
                _day_input(market)
            number = next_click(st.session_state, REQUESTS)
            st.form_submit_button("Ask for the price", on_click=ask, args=(monitor, prices, number))
        if answer := st.session_state.get(ANSWER):
            st.html(markup.price_html(answer))


def may_ask(monitor: Monitor) -> bool:
    """Whether this visitor may ask: if keys are required, the requests have the monitor's own key."""
    return not monitor.keys_required or is_signed_in(st.session_state)


def ask(monitor: Monitor, prices: PriceClient, number: int) -> None:
    """Ask for the price of what a visitor typed, once: Streamlit may deliver a click again."""
    session = st.session_state
    if may_ask(monitor) and first_delivery(number, session, REQUESTS):
        texts = {field.name: session[_key(field)] for field in price_fields(monitor.dataset)}
        session[ANSWER] = _answer(prices, monitor.dataset, texts, session.get(DAY))


def _answer(prices: PriceClient, dataset: Dataset, texts: dict[str, str], day: date | None) -> PriceAnswer:
    as_of = {AS_OF: day.isoformat()} if day else {}
    try:
        return price_answer(dataset, *prices.ask({**request_row(dataset, texts), **as_of}))
    except Retry as error:
        return no_price(f"inference is unavailable ({str(error).removeprefix(f'{error.dependency}: ')})")
    except Exception:
        log.exception("price not requested")
        return PriceAnswer("bad", "The price could not be requested. See the monitor's log.")


def _how_to_sign_in(monitor: Monitor) -> str:
    needed = "Prices need an API key, and this page has one for visitors who signed in"
    return f"{needed}: do that below." if monitor.login else f"{needed}: start with MONITOR_PASSWORD."


def _inputs(fields: list[PriceField]) -> None:
    """Lines of fields. On a narrow screen two fields share a line, in the same order."""
    for start in range(0, len(fields), FIELDS_PER_LINE):
        places = st.columns(FIELDS_PER_LINE, vertical_alignment="bottom")
        for place, field in zip(places, fields[start : start + FIELDS_PER_LINE], strict=False):
            with place:
                _input(field)


def _input(field: PriceField) -> None:
    """One field. A field that was emptied stays empty, because the example is no default of the widget."""
    key, label = _key(field), markup.markdown_text(field.label)
    st.session_state.setdefault(key, field.text)
    if field.choices:
        st.selectbox(label, field.choices, key=key, format_func=lambda text: text or NOT_GIVEN)
    else:
        st.text_input(label, key=key, placeholder=field.if_empty)


def _day_input(market: MarketLevel | None) -> None:
    """The day whose price is asked for. Empty: the last one. Inference refuses a day that it does not have."""
    first, last = (market.first, market.as_of) if market else ANY_DAY
    st.date_input(
        "Price of this day, optional",
        value=None,
        min_value=first,
        max_value=last,
        key=DAY,
        format="YYYY-MM-DD",
        width=FIELD_WIDTH,
    )


def _key(field: PriceField) -> str:
    return f"price of {field.name}"
