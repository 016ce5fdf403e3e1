"""The MySQL users, and the files that cannot import their declaration."""

import re

import pytest
import yaml

from support.repository import ROOT
from veleta.dataset import load_dataset
from veleta.tables import dataset_tables, pipeline
from veleta.users import KAFKA_ADMIN, KAFKA_USERS, LOGINS, OPERATOR, OWN_ROWS, USERS, view_name

KAFKA_PARTS = {*KAFKA_USERS} - {OPERATOR}
PARTS_WITH_SECRETS = {"kafka", "mysql", "mlflow", "prepare", "source", "spark", *LOGINS, *KAFKA_PARTS}


def test_rights_are_for_existing_tables() -> None:
    """And for the views of shared tables. One user reads every table."""
    dataset = load_dataset("real_estate")
    tables = {str(table.fullname) for table in (*pipeline.sorted_tables, *vars(dataset_tables(dataset)).values())}
    views = {f"PIPELINE.{view_name(table, service)}" for table, owners in OWN_ROWS.items() for service in owners}
    granted = {user.name: {table.format(dataset=dataset.name) for table in user.grants} for user in USERS}
    assert set().union(*granted.values()) == tables | views
    assert granted["requests_reader"] == tables


def test_compose_logs_in_with_the_declared_users() -> None:
    """Each part that has a user has its name and its secret, and no other part has one."""
    services = (ROOT / "compose/services.yaml").read_text() + (ROOT / "compose/tools.yaml").read_text()
    blocks = dict(re.findall(r"^  ([a-z-]+):\n((?:    .*\n|\n)+)", services, re.MULTILINE))
    users = {part: re.findall(r"MYSQL_USER: (\w+)", block) for part, block in blocks.items()}
    assert {part: names for part, names in users.items() if names} == {
        "prepare": ["root"], **{part: [user.name] for part, user in LOGINS.items()},
    }  # fmt: skip
    secrets = {part for part, block in blocks.items() if f"secret-{part}:/run/secrets:ro" in block}
    assert secrets == PARTS_WITH_SECRETS - {"kafka", "mysql", "mlflow", "spark"}
    assert "secret-mlflow:/run/secrets:ro" in (ROOT / "compose/registry.yaml").read_text()
    assert "secret-kafka:/run/secrets:ro" in (ROOT / "compose/broker.yaml").read_text()


@pytest.mark.failure("F385")
def test_each_service_of_kafka_logs_in_as_itself_in_compose() -> None:
    """`prepare` logs in as the administrator, and nobody as a person."""
    services = yaml.safe_load((ROOT / "compose/services.yaml").read_text())["services"]
    users = {part: service.get("environment", {}).get("KAFKA_USER") for part, service in services.items()}
    assert {part: user for part, user in users.items() if user} == {
        "prepare": KAFKA_ADMIN, **{part: part for part in KAFKA_PARTS},
    }  # fmt: skip


def test_each_part_with_secrets_has_a_volume_in_compose_and_a_folder_in_the_image() -> None:
    """A new volume gets its owner from the folder of the image."""
    mounted = re.findall(r"secret-([a-z]+):/secrets/\1$", (ROOT / "compose/secrets.yaml").read_text(), re.MULTILINE)
    assert set(mounted) == PARTS_WITH_SECRETS
    folders = re.search(r"for part in ([a-z ]+);", (ROOT / "Dockerfile").read_text())
    assert folders
    assert set(folders[1].split()) == PARTS_WITH_SECRETS
