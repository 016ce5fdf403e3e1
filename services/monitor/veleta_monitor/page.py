"""The page. Streamlit runs this file once per visit, and then repeats each section every few seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
import structlog
from streamlit.delta_generator import DeltaGenerator

from veleta.events.catalogue import Command, Pause, Poll, Resume
from veleta.service.logs import configure_logging
from veleta.settings import read_settings
from veleta_monitor import markup
from veleta_monitor.background_cache import CachedValue
from veleta_monitor.bootstrap import Monitor, build
from veleta_monitor.command_sender import first_delivery, next_click
from veleta_monitor.domain import stages
from veleta_monitor.domain.batches import batch_table
from veleta_monitor.domain.formatting import NO_VALUE, format_age, format_number
from veleta_monitor.domain.market import market_sentences, updates_table
from veleta_monitor.domain.retrains import retrains_sentence, rollback_notice
from veleta_monitor.domain.table import Cell, age_cell
from veleta_monitor.domain.training_progress import headline
from veleta_monitor.domain.versions import estimate_sentence, promotion_sentences, training_table
from veleta_monitor.login import Login, is_signed_in
from veleta_monitor.price_form import draw_price_form
from veleta_monitor.settings import MonitorSettings
from veleta_monitor.snapshot import Snapshot

log = structlog.get_logger()
STYLE = Path(__file__).parent / "style.css"
BUTTONS = {"Fetch the next batch": Poll, "Pause": Pause, "Resume": Resume}
"""The buttons, and the command that each sends."""
LOOPBACK = "127.0.0.1"
"""Streamlit has no address of a visitor on this machine."""


@st.cache_resource(show_spinner=False)
def monitor() -> Monitor:
    """The one monitor of this process."""
    configure_logging("monitor")
    return build(read_settings(MonitorSettings))


def section(draw: Callable[[Snapshot], None], *, refreshed: bool = True) -> None:
    """Draw a section now and, if it is refreshed, every few seconds.

    An error in it becomes a notice and affects no other section.
    """

    @st.fragment(run_every=monitor().settings.refresh if refreshed else None)
    def drawn() -> None:
        try:
            draw(monitor().snapshot())
        except Exception:
            log.exception("section not drawn", section=draw.__name__)
            st.html(markup.notice_html("This section cannot be shown. See the monitor's log.", "bad"))

    drawn()


def header() -> None:
    """The title, and links to the other pages."""
    settings, dataset = monitor().settings, monitor().dataset
    target = dataset.by_name[dataset.target].title.lower()
    title, links = st.columns([3, 2], vertical_alignment="bottom")
    title.title("Veleta", anchor=False)
    title.caption(f"{dataset.title}: the {target} model is retrained when the data drift")
    urls = {
        "Prediction API": settings.inference_url and f"{settings.inference_url}/docs",
        "MLflow": settings.mlflow_url,
        "Data API": settings.source_url,
    }
    with links.container(horizontal=True, horizontal_alignment="right"):
        for label, url in urls.items():
            if url:
                st.link_button(label, url)


def notices(snapshot: Snapshot) -> None:
    """One notice for each source with an error, and for what the services show."""
    sources = {
        "MySQL": (snapshot.history, snapshot.requests),
        "Kafka": (snapshot.topics,),
        "The status of the services": (snapshot.statuses,),
    }
    for name, values in sources.items():
        if failed := next((value for value in values if value.error), None):
            age = f" The values shown are from {format_age(failed.read_at, snapshot.now)}." if failed.read_at else ""
            st.html(markup.notice_html(f"{name} {failed.error}.{age}"))
    statuses = snapshot.statuses.value
    for text in stages.notices(statuses.services) if statuses else ():
        st.html(markup.notice_html(text))
    history = snapshot.history.value
    if proposal := rollback_notice(history.retrains, snapshot.model) if history else "":
        st.html(markup.notice_html(proposal))


def loop(snapshot: Snapshot) -> None:
    """The stages of the loop."""
    st.html(markup.loop_html(snapshot.stages, snapshot.now.timestamp()))


def summary(snapshot: Snapshot) -> None:
    """The most important numbers."""
    history, topics, requests = snapshot.history.value, snapshot.topics.value, snapshot.request_summary
    model, now = snapshot.model, snapshot.now
    columns = st.columns(4)
    version = str(model.version) if model else "none" if snapshot.statuses.value else NO_VALUE
    _metric(columns[0], "Served version", version, age_cell("loaded ", model.loaded_at if model else None, now))
    newest = history.batches[0].updated_at if history and history.batches else None
    _metric(
        columns[1], "Batches", format_number(history.batch_count if history else None), age_cell("last ", newest, now)
    )
    _metric(columns[2], "Predictions served", format_number(requests.count), age_cell("last ", requests.last_at, now))
    dead = topics.dead_letters if topics else None
    _metric(columns[3], "Dead letters", format_number(dead), Cell("run make dead") if dead else None)
    if model and (sentence := estimate_sentence(model)):
        st.caption(sentence)


def batch(snapshot: Snapshot) -> None:
    """The current batch and its steps."""
    st.subheader("Current batch", anchor=False)
    if snapshot.history.value is None:
        st.caption(_no_value(snapshot.history, "MySQL"))
    elif snapshot.batch is None:
        st.caption("Waiting for the first batch.")
    else:
        st.html(markup.batch_html(snapshot.batch))


def training(snapshot: Snapshot) -> None:
    """The current training, or the last one, with its curve."""
    st.subheader("Training", anchor=False)
    topics = snapshot.topics.value
    if topics is None:
        st.caption(_no_value(snapshot.topics, "Kafka"))
    elif topics.training is None:
        st.caption("No training has started yet.")
    else:
        st.html(markup.training_html(topics.training, headline(topics.training, snapshot.now)))


def promotion(snapshot: Snapshot) -> None:
    """Why the served version was promoted."""
    st.subheader("Why this version is served", anchor=False)
    if snapshot.model:
        st.html(markup.sentences_html(promotion_sentences(snapshot.model, snapshot.now)))
    elif snapshot.statuses.value:
        reason = snapshot.statuses.value.no_model_reason.removeprefix("no model yet: ")
        st.html(markup.sentences_html([f"No model is served: {reason}."]))
    else:
        st.caption("Waiting for the response of inference.")


def market(snapshot: Snapshot) -> None:
    """The level of the market in the served version, and its updates."""
    st.subheader("Market", anchor=False)
    model, history = snapshot.model, snapshot.history.value
    if model is None:
        st.caption("No version is served.")
    elif model.market is None:
        st.caption(f"Version {model.version} was trained without a market.")
    else:
        st.html(markup.sentences_html(market_sentences(model.market)))
        if chart := markup.market_html(model.market):
            st.html(chart)
    if history and history.levels:
        st.html(markup.table_html(updates_table(history.levels, snapshot.now)))


def price_request(snapshot: Snapshot) -> None:
    """The form that asks for a price."""
    draw_price_form(monitor(), snapshot.model.market if snapshot.model else None)


def polling(snapshot: Snapshot) -> None:
    """Buttons that control the poller by hand, for a visitor who signed in."""
    st.subheader("Control polling by hand", anchor=False)
    status, number = snapshot.command, next_click(st.session_state)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, kind in BUTTONS.items() if is_signed_in(st.session_state) else ():
            st.button(label, key=f"{label} {number}", on_click=click, args=(kind, number))
        if status.text:
            st.html(markup.badge_html(status.text, status.tone))
    sign_in()


def click(kind: type[Command], number: int) -> None:
    """Send the command of a button, once: Streamlit delivers a click again if another run overtakes the first."""
    if is_signed_in(st.session_state) and first_delivery(number, st.session_state):
        monitor().commands.send(kind, visitor_address())


def sign_in() -> None:
    """The form for the password."""
    login = monitor().login
    if login is None:
        st.caption("This page has no buttons: start with MONITOR_PASSWORD to get them.")
        return
    if is_signed_in(st.session_state):
        return
    with st.form("sign in", clear_on_submit=True):
        st.text_input("Password for the buttons", type="password", autocomplete="current-password", key="password")
        st.form_submit_button("Sign in", on_click=submit, args=(login, next_click(st.session_state)))
    if refusal := st.session_state.get("refusal"):
        st.html(markup.notice_html(refusal, "bad"))


def submit(login: Login, number: int) -> None:
    """Compare what a visitor typed, once: see `click`."""
    if first_delivery(number, st.session_state):
        session = st.session_state
        session["refusal"] = login.sign_in(session["password"], visitor_address(), session)


def visitor_address() -> str:
    """Where the visitor's connection comes from."""
    return st.context.ip_address or LOOPBACK


def batches(snapshot: Snapshot) -> None:
    """The table of batches."""
    st.subheader("Batches", anchor=False)
    history = snapshot.history.value
    if history is None:
        st.caption(_no_value(snapshot.history, "MySQL"))
    elif not history.batches:
        st.caption("No batch has arrived yet. The first one appears here when the poller has fetched it.")
    else:
        st.html(markup.table_html(batch_table(history.batches, snapshot.now)))
        if (shown := len(history.batches)) < history.batch_count:
            st.caption(f"The newest {format_number(shown)} of {format_number(history.batch_count)} batches.")


def versions(snapshot: Snapshot) -> None:
    """The table of trainings, versions and decisions."""
    st.subheader("Trainings and versions", anchor=False)
    history, dataset, mlflow = snapshot.history.value, monitor().dataset, monitor().settings.mlflow_url
    if history is None:
        st.caption(_no_value(snapshot.history, "MySQL"))
    elif not history.trainings:
        st.caption("No model has been trained yet. The first complete batch starts the first training.")
    else:
        model_url = f"{mlflow}/#/models/{dataset.name}" if mlflow else ""
        unit = dataset.by_name[dataset.target].unit
        served = snapshot.model.version if snapshot.model else None
        st.html(markup.table_html(training_table(history.trainings, served, unit, model_url, snapshot.now)))
        if sentence := retrains_sentence(history.retrain_counts):
            st.caption(sentence)


def _no_value(cached: CachedValue[Any], source: str) -> str:
    return f"Not available: {source} does not respond." if cached.error else f"Loading from {source}\u2026"


def _metric(place: DeltaGenerator, title: str, text: str, note: Cell | None) -> None:
    """A number with a note below it. The note's tooltip is at the question mark."""
    place.metric(
        title,
        text,
        delta=note.text if note else None,
        delta_color="off",
        delta_arrow="off",
        help=(note and note.hint) or None,
        border=True,
        height="stretch",
    )


def page() -> None:
    """All sections: the most urgent first."""
    st.set_page_config(page_title="Veleta", layout="wide")
    st.html(STYLE)
    header()
    for draw in (notices, loop, summary):
        section(draw)
    left, right = st.columns(2, gap="medium")
    with left:
        section(batch)
    with right:
        section(training)
    section(promotion)
    if monitor().dataset.market:
        section(market)
    # With keys the form appears after a visitor signed in, in another section. Streamlit keeps what is typed meanwhile.
    section(price_request, refreshed=monitor().keys_required)
    for draw in (polling, batches, versions):
        section(draw)


page()
