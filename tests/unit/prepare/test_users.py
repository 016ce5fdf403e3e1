"""From which hosts the users may log in."""

from ipaddress import IPv4Network

from veleta_prepare.users import _networks

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t4001A8C0\t00000000\t0001\t0\t0\t0\tC0FFFFFF\t0\t0\t0
"""
"""/proc/net/route of a container with two networks."""


def test_the_networks_of_a_host() -> None:
    """The default route is none: every address is in it."""
    assert list(_networks(ROUTES)) == [IPv4Network("172.18.0.0/16"), IPv4Network("192.168.1.64/26")]
