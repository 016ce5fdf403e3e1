"""The ports of a local run."""

from veleta_local.addresses import DEFAULT_PORTS, ports

BASE = 23000


def test_the_default_ports_are_documented_and_differ() -> None:
    """Other tools rely on them."""
    assert ports()["kafka"] == 9092
    assert ports()["monitor"] == 8501
    assert len(set(ports().values())) == len(DEFAULT_PORTS)


def test_port_base_numbers_the_parts_in_order() -> None:
    """PORT_BASE=n gives Kafka n, MySQL n+1 and so on. Ports that were added later are last."""
    numbered = ports(BASE)
    assert list(numbered.values()) == list(range(BASE, BASE + len(DEFAULT_PORTS)))
    assert (numbered["kafka"], numbered["mysql"], numbered["inference"]) == (BASE, BASE + 1, BASE + 8)
    assert max(numbered, key=numbered.__getitem__) == "spark-ui"
