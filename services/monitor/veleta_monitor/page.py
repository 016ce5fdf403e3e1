"""The page. Streamlit runs this file from top to bottom for each visit, and then each section again on its own."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st
import structlog
from streamlit.delta_generator import DeltaGenerator

from veleta.events.catalogue import Command, Pause, Poll, Resume
from veleta.service.logs import configure_logging
from veleta.settings import read_settings
from veleta_monitor.adapters.database import Requests
from veleta_monitor.background_cache import Answer
from veleta_monitor.bootstrap import View, build
from veleta_monitor.command_sender import is_news, next_press
from veleta_monitor.domain.batch_progress import Flight, newest_flight
from veleta_monitor.domain.batches import batch_table
from veleta_monitor.domain.formatting import NOTHING, Cell, ago, exact, figure
from veleta_monitor.domain.stages import Deed, at_work, stages
from veleta_monitor.domain.training_progress import headline
from veleta_monitor.domain.versions import Served, since, training_table, why
from veleta_monitor.markup import (
    badge_html,
    course_html,
    flight_html,
    notice_html,
    picture_html,
    sentences_html,
    table_html,
)
from veleta_monitor.settings import MonitorSettings

log = structlog.get_logger()
STYLE = Path(__file__).parent / "style.css"
WISHES = {"Take the next batch": Poll, "Pause": Pause, "Resume": Resume}
"""The buttons, and the command that each sends."""


@st.cache_resource(show_spinner=False)
def view() -> View:
    """The one view of this process."""
    configure_logging("monitor")
    return build(read_settings(MonitorSettings))


def section(draw: Callable[[], None]) -> None:
    """Draw a part of the page, now and every few seconds; a fault in it becomes a sentence, and the rest stands."""

    @st.fragment(run_every=view().settings.refresh)
    def drawn() -> None:
        try:
            draw()
        except Exception:
            log.exception("could not draw", section=draw.__name__)
            st.html(notice_html("This part cannot be shown; the monitor's log says why.", "bad"))

    drawn()


def header() -> None:
    """What this is, and where else to look."""
    settings, dataset = view().settings, view().dataset
    target = dataset.by_name[dataset.target].title.lower()
    title, links = st.columns([3, 2], vertical_alignment="bottom")
    title.title("Veleta", anchor=False)
    title.caption(f"{dataset.title}: the {target} model that is kept true while the market moves")
    addresses = {
        "Prediction API": settings.inference_url and f"{settings.inference_url}/model",
        "MLflow": settings.mlflow_url,
        "Data API": settings.source_url,
    }
    with links.container(horizontal=True, horizontal_alignment="right"):
        for label, url in addresses.items():
            if url:
                st.link_button(label, url)


def notices() -> None:
    """Who does not answer; nothing when all do."""
    parts = {
        "MySQL": (view().history.look(), view().requests.look()),
        "Kafka": (view().topics.look(),),
        "The health of the services": (view().voices.look(),),
    }
    for name, answers in parts.items():
        if away := next((answer for answer in answers if answer.trouble), None):
            st.html(notice_html(f"{name} {away.trouble}. {_last_known(away)}"))


def picture() -> None:
    """The loop as it is right now."""
    voices, topics, history = view().voices.look().value, view().topics.look().value, view().history.look().value
    last = (view().requests.look().value or Requests(None, None)).last_at
    answered = {"inference": Deed("prediction kept", "", last)} if last else {}
    deeds = {**answered, **(history.deeds if history else {}), **(topics.deeds if topics else {})}
    lags = topics.lags if topics else {}
    training = bool(topics and topics.course and not topics.course.end)
    batch = _flight()
    busy = at_work(deeds, lags, training=training, serving=batch is not None and batch.at == "served")
    now = view().clock()
    st.html(picture_html(stages(voices.healths if voices else None, deeds, lags, busy, now), now.timestamp()))


def summary() -> None:
    """The figures that say most."""
    voices, history, topics = view().voices.look().value, view().history.look().value, view().topics.look().value
    model = voices.served if voices else None
    places = st.columns(4)
    loaded = since(model, view().clock()) if model else None
    _metric(places[0], "Version that answers", _version(model, known=voices is not None), loaded)
    newest = history.batches[0].at if history and history.batches else None
    _metric(places[1], "Batches", figure(history.batch_count if history else None), _last(newest))
    requests = view().requests.look().value or Requests(None, None)
    _metric(places[2], "Predictions answered", figure(requests.answered), _last(requests.last_at))
    letters = topics.dead_letters if topics else None
    _metric(places[3], "Dead letters", figure(letters), Cell("see make dead") if letters else None)


def flight() -> None:
    """The batch under way, and how far it came."""
    st.subheader("Batch in flight", anchor=False)
    answer, found = view().history.look(), _flight()
    if answer.value is None:
        st.caption(_unknown(answer, "MySQL"))
    elif found is None:
        st.caption("Waiting for the first batch.")
    else:
        st.html(flight_html(found))


def training() -> None:
    """The training under way, or the last one, with its curve."""
    st.subheader("Training", anchor=False)
    answer = view().topics.look()
    course = answer.value.course if answer.value else None
    if answer.value is None:
        st.caption(_unknown(answer, "Kafka"))
    elif course is None:
        st.caption("Nothing has been trained yet.")
    else:
        st.html(course_html(course, headline(course, view().clock())))


def reasons() -> None:
    """Why the model that answers exists."""
    st.subheader("Why this model", anchor=False)
    voices, model = view().voices.look(), _served()
    if model:
        st.html(sentences_html(why(model, view().clock())))
    elif voices.value:
        st.html(sentences_html([f"No model is served: {voices.value.unserved}."]))
    else:
        st.caption("Inference has not been heard of yet.")


def tap() -> None:
    """The hand on the tap: what people may ask of the poller."""
    st.subheader("Batches by hand", anchor=False)
    wishes, number = view().wishes, next_press(st.session_state)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, kind in WISHES.items():
            st.button(label, key=f"{label} {number}", on_click=press, args=(kind, number))
        if wishes.last.text:
            st.html(badge_html(wishes.last.text, wishes.last.tone))


def press(kind: type[Command], number: int) -> None:
    """Send what the button wishes, once: Streamlit hands a press over again when another run overtakes the first."""
    if is_news(number, st.session_state):
        view().wishes.make(kind)


def batches() -> None:
    """What became of each batch."""
    st.subheader("Batches", anchor=False)
    answer = view().history.look()
    if (history := answer.value) is None:
        st.caption(_unknown(answer, "MySQL"))
    elif not history.batches:
        st.caption("No batch has arrived yet. The first one shows here as soon as the poller has fetched it.")
    else:
        st.html(table_html(batch_table(history.batches, view().clock())))
        _shown(len(history.batches), history.batch_count)


def versions() -> None:
    """Trainings, versions and what was decided."""
    st.subheader("Trainings and versions", anchor=False)
    answer, model, dataset = view().history.look(), _served(), view().dataset
    if (history := answer.value) is None:
        st.caption(_unknown(answer, "MySQL"))
    elif not history.trainings:
        st.caption("Nothing has been trained yet. The first complete batch leads to the first version.")
    else:
        mlflow = view().settings.mlflow_url
        address = f"{mlflow}/#/models/{dataset.name}" if mlflow else ""
        unit = dataset.by_name[dataset.target].unit
        serving = model.version if model else None
        st.html(table_html(training_table(history.trainings, serving, unit, address, view().clock())))


def _flight() -> Flight | None:
    history, topics = view().history.look().value, view().topics.look().value
    if history is None:
        return None
    last = topics.deeds.get("poller") if topics else None
    return newest_flight(history.batches, history.trainings, _served(), last)


def _unknown(answer: Answer[Any], part: str) -> str:
    return f"Not known while {part} does not answer." if answer.trouble else f"Asking {part}\u2026"


def _served() -> Served | None:
    voices = view().voices.look().value
    return voices.served if voices else None


def _version(model: Served | None, *, known: bool) -> str:
    return str(model.version) if model else "none" if known else NOTHING


def _metric(place: DeltaGenerator, title: str, text: str, note: Cell | None) -> None:
    """A figure with a line below it; the line's hint is at the question mark."""
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


def _last(at: datetime | None) -> Cell | None:
    return Cell(f"last {ago(at, view().clock())}", hint=exact(at)) if at else None


def _last_known(answer: Answer[Any]) -> str:
    return f"What is shown of it is from {ago(answer.at, view().clock())}." if answer.at else ""


def _shown(shown: int, of: int) -> None:
    if shown < of:
        st.caption(f"The newest {figure(shown)} of {figure(of)}.")


def page() -> None:
    """All sections, in the order in which an operator asks."""
    st.set_page_config(page_title="Veleta", layout="wide")
    st.html(STYLE)
    header()
    for draw in (notices, picture, summary):
        section(draw)
    for place, draw in zip(st.columns(2, gap="medium"), (flight, training), strict=True):
        with place:
            section(draw)
    for draw in (reasons, tap, batches, versions):
        section(draw)


page()
