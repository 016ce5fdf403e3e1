"""The status of the services over HTTP."""

from veleta_monitor.adapters.services import HttpReader


def test_an_unreachable_service_is_a_status() -> None:
    """Nothing is raised. Without inference, the reason for a missing model is that it is unavailable."""
    statuses = HttpReader({"loader": "http://127.0.0.1:1", "inference": "http://127.0.0.1:1"}).read()
    assert {name: status.error for name, status in statuses.services.items()} == {
        "loader": "cannot connect",
        "inference": "cannot connect",
    }
    assert (statuses.model, statuses.no_model_reason) == (None, "inference is unavailable: cannot connect")


def test_without_inference_no_model_is_served() -> None:
    """A deployment without inference is no error."""
    statuses = HttpReader({}).read()
    assert (statuses.model, statuses.no_model_reason) == (None, "inference is not deployed")
