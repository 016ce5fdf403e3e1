"""The MySQL users: which parts log in as which user, and what each user may do. And the users of Kafka and MLflow.

Everything else follows from `USERS` and `KAFKA_USERS`: the users that `prepare` creates, their passwords, and the
logins of a local run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_ALL = "SELECT, INSERT, UPDATE, DELETE"
_DELETE = "DELETE, SELECT (request_id, client_request_id, received_at)"
_DELETE_BATCHES = "DELETE, SELECT (epoch, number)"
_APPEND = "INSERT, SELECT (request_id)"
_APPEND_AND_REPEAT = "INSERT, SELECT (request_id, item, answer)"
_READABLE = dict.fromkeys(
    (
        "PIPELINE.batches",
        "PIPELINE.batch_comparison",
        "PIPELINE.datasets",
        "PIPELINE.drift_metrics",
        "PIPELINE.drift_reports",
        "PIPELINE.drift_tests",
        "PIPELINE.drift_verdicts",
        "PIPELINE.batch_errors",
        "PIPELINE.histograms",
        "PIPELINE.retrain_verdicts",
        "PIPELINE.evaluations",
        "PIPELINE.interval_levels",
        "PIPELINE.leases",
        "PIPELINE.limits",
        "PIPELINE.market_levels",
        "PIPELINE.manifests",
        "PIPELINE.marks",
        "PIPELINE.outbox",
        "PIPELINE.promotions",
        "PIPELINE.sweeps",
        "PIPELINE.trainings",
        "PIPELINE.versions",
        "RAW_DATA.{dataset}",
        "CLEAN_DATA.{dataset}",
    ),
    "SELECT",
)
"""What a reader sees without the requests."""
_REQUESTS = dict.fromkeys(("RAW_DATA.new_{dataset}", "RAW_DATA.refused_{dataset}", "PIPELINE.purges"), "SELECT")
"""What clients sent, and the ids of purged requests, which can be clients' own."""

OWN_ROWS: Mapping[str, tuple[str, ...]] = {
    "outbox": ("loader", "drift", "trainer"),
    "marks": ("loader", "drift", "trainer"),
    "manifests": ("drift", "trainer"),
}
"""The tables of PIPELINE with rows of several services. A service has rights only on the view of its own rows."""


def view_name(table: str, service: str) -> str:
    """The name of the view of a service's rows in a table: `outbox_drift` of `outbox`."""
    return f"{table}_{service}"


def _own_rows(service: str) -> dict[str, str]:
    return {f"PIPELINE.{view_name(table, service)}": _ALL for table, owners in OWN_ROWS.items() if service in owners}


@dataclass(frozen=True)
class User:
    """One MySQL user. The names of tables in `grants` contain `{dataset}` where the dataset's name belongs."""

    name: str
    parts: tuple[str, ...]
    grants: Mapping[str, str]

    @property
    def password_variable(self) -> str:
        """The variable with the user's password in the environment of `prepare`."""
        return f"MYSQL_{self.name.upper()}_PASSWORD"

    @property
    def password_file(self) -> str:
        """The secret with the user's password in the container of `prepare`."""
        return self.password_variable.lower()


USERS = (
    User(
        "loader",
        ("loader",),
        {
            **_own_rows("loader"),
            "PIPELINE.batches": _ALL,
            "PIPELINE.datasets": _ALL,
            "RAW_DATA.{dataset}": _ALL,
            "CLEAN_DATA.{dataset}": _ALL,
        },
    ),
    User(
        "drift",
        ("drift",),
        {
            **_own_rows("drift"),
            "PIPELINE.drift_reports": _ALL,
            "PIPELINE.drift_metrics": _ALL,
            "PIPELINE.drift_verdicts": _ALL,
            "PIPELINE.drift_tests": _ALL,
            "PIPELINE.batch_errors": _ALL,
            "PIPELINE.histograms": _ALL,
            "PIPELINE.retrain_verdicts": _ALL,
            "PIPELINE.market_levels": _ALL,
            "PIPELINE.batch_comparison": _ALL,
        },
    ),
    User(
        "trainer",
        ("trainer",),
        {
            **_own_rows("trainer"),
            "PIPELINE.trainings": _ALL,
            "PIPELINE.promotions": _ALL,
            "PIPELINE.evaluations": _ALL,
            "PIPELINE.interval_levels": _ALL,
            "PIPELINE.market_levels": "SELECT",
            "PIPELINE.leases": _ALL,
        },
    ),
    User(
        "inference",
        ("inference",),
        {"RAW_DATA.new_{dataset}": _APPEND_AND_REPEAT, "RAW_DATA.refused_{dataset}": _APPEND},
    ),
    User(
        "retention",
        ("retention",),
        {
            "RAW_DATA.new_{dataset}": _DELETE,
            "RAW_DATA.refused_{dataset}": _DELETE,
            "RAW_DATA.{dataset}": _DELETE_BATCHES,
            "CLEAN_DATA.{dataset}": _DELETE_BATCHES,
            "PIPELINE.purges": _ALL,
            "PIPELINE.sweeps": "SELECT, INSERT, UPDATE",
            "PIPELINE.limits": "SELECT",
            "PIPELINE.batches": "SELECT (epoch, state)",
            "PIPELINE.marks": "SELECT",
            "PIPELINE.trainings": "SELECT (state, cause, recipe)",
            "PIPELINE.promotions": "SELECT (seq, version, decision)",
        },
    ),
    # The monitor counts the requests, and shows the time of the last one.
    User("reader", ("monitor",), {**_READABLE, "RAW_DATA.new_{dataset}": "SELECT (answered_at)"}),
    User("requests_reader", ("notebooks",), {**_READABLE, **_REQUESTS}),
)
LOGINS: Mapping[str, User] = {part: user for user in USERS for part in user.parts}
"""The user of each part."""
KAFKA_ADMIN = "admin"
"""Kafka's administrator, who may do everything. `prepare` logs in as this user."""
OPERATOR = "operator"
"""The user of Kafka for the commands of people."""
KAFKA_USERS = ("poller", "loader", "drift", "trainer", "inference", "retention", "monitor", OPERATOR)
"""The other users of Kafka. Each service that uses Kafka has its own. `veleta.kafka_rights` has what they may do."""
MLFLOW_WRITERS = ("trainer", "retention")
"""The parts that write to MLflow, each with its own token."""


def kafka_password_variable(user: str) -> str:
    """The variable with the password of a user of Kafka in the environment of `prepare`."""
    return f"KAFKA_{user.upper()}_PASSWORD"


PASSWORD_VARIABLES = (*(user.password_variable for user in USERS), *map(kafka_password_variable, KAFKA_USERS))
"""The variables with the passwords of all users in the environment of `prepare`. The administrators are not in it."""


def token_variable(part: str) -> str:
    """The variable with a writer's token in the environment of MLflow's server."""
    return f"MLFLOW_{part.upper()}_TOKEN"
