"""A promotion is followed only if the registry knows it, and a model is only read from the registry."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from support.inference import Inference
from support.models import served_model
from support.testbed import wait_until


@pytest.mark.failure("F367")
def test_an_event_cannot_send_inference_elsewhere(inference: Inference, tmp_path: Path) -> None:
    """To another host, which accepts and never answers, or to a folder. The next true promotion is served."""
    (tmp_path / "model.cbm").write_bytes(b"a secret")
    version, letters = inference.models.register(), len(inference.dead_letters())
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        addresses = f"mlflow-artifacts://{host}/model", f"http://{host}/model", f"file://{tmp_path}"
        for number, native in enumerate(addresses, start=100):
            inference.models.announce(version, number, forged={"native": native})
        inference.wait_until_serving(inference.models.promote())
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    wait_until(lambda: len(inference.dead_letters()) == letters + len(addresses), what="a dead letter for each")
    assert {letter.reason for letter in inference.dead_letters()[letters:]} == {
        "the value does not match model.promoted/1"
    }


@pytest.mark.failure("F369")
def test_a_forged_promotion_is_not_followed(inference: Inference) -> None:
    """Each is one dead letter. True promotions are served after it, however high its sequence number is."""
    served, other = inference.models.promote(), inference.models.register()
    inference.wait_until_serving(served)
    letters = len(inference.dead_letters())
    inference.models.announce(replace(served, number=99), 10**9)
    inference.models.announce(replace(served, run_id=other.run_id), 10**9)
    inference.models.announce(other, 10**9)
    inference.models.announce(other, inference.models.seq + 1)
    inference.models.announce(served, 1, forged={"seq": 10**12})
    wait_until(lambda: len(inference.dead_letters()) == letters + 5, what="a dead letter for each")
    assert inference.model().json["version"] == served.number
    version = inference.models.promote()
    inference.wait_until_serving(version)
    assert inference.model().json["causes"] is not None
    with inference.second_process() as second:
        wait_until(lambda: _version(second.url) == version.number, what="a new process serves it too")


def _version(url: str) -> int:
    return int(served_model(url)["version"])
