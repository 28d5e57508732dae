"""The address and NIC by which the others reach a node, on networks as they are."""

from __future__ import annotations

import pytest

from wizard.discovery.addresses import (
    Own,
    own,
    parse_addresses,
    parse_arrival,
    parse_gateway,
    parse_route,
)
from wizard.discovery.facts import NodeFacts, Route

HOST = r"""1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
1: lo    inet 10.255.0.7/32 scope global lo\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host \       valid_lft forever preferred_lft forever
2: eth0    inet 10.1.0.7/24 brd 10.1.0.255 scope global dynamic noprefixroute eth0\  valid_lft 9sec
2: eth0    inet 10.1.0.8/24 brd 10.1.0.255 scope global secondary eth0\       valid_lft forever
2: eth0    inet6 2001:db8::7/64 scope global \       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:db8::f00d/64 scope global temporary dynamic \       valid_lft 600sec
2: eth0    inet6 fe80::1/64 scope link \       valid_lft forever preferred_lft forever
5: bond1    inet 10.2.0.7/16 brd 10.2.255.255 scope global bond1\       valid_lft forever
6: bond1.300@bond1    inet 10.3.0.7/16 scope global bond1.300\       valid_lft forever
7: dummy0    inet 10.4.0.7/32 scope global dummy0\       valid_lft forever
8: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\       valid_lft forever
9: virbr0    inet 192.168.122.1/24 brd 192.168.122.255 scope global virbr0\       valid_lft forever
10: br-0123456789ab    inet 172.18.0.1/16 scope global br-0123456789ab\       valid_lft forever
11: tun0    inet 10.9.0.2 peer 10.9.0.1/32 scope global tun0\       valid_lft forever
"""
HELD = parse_addresses(HOST)


def test_addresses_of_every_kind_of_interface() -> None:
    assert HELD is not None
    usable = {(a.nic, a.ip, a.prefix) for a in HELD if a.usable}
    assert usable == {
        ("eth0", "10.1.0.7", 24),
        ("eth0", "10.1.0.8", 24),
        ("eth0", "2001:db8::7", 64),
        ("bond1", "10.2.0.7", 16),
        ("bond1.300", "10.3.0.7", 16),
        ("dummy0", "10.4.0.7", 32),
        ("tun0", "10.9.0.2", 32),
    }
    assert {a.ip for a in HELD} >= {"10.255.0.7", "::1", "fe80::1", "172.17.0.1"}
    assert parse_addresses("bash: ip: command not found\n") is None
    assert parse_addresses("") is None


def facts(host: str, arrival: str | None = None, **routes: str) -> NodeFacts:
    ways = {name: Route("t", "x", source) for name, source in routes.items()}
    return NodeFacts(host, addresses=HELD, arrival=arrival, routes=ways)


@pytest.mark.parametrize(
    ("given", "head", "found"),
    [
        (facts("10.1.0.8"), "n0", Own("10.1.0.8", "eth0")),  # the second address of a NIC
        (facts("2001:0db8::0007"), "n0", Own("2001:db8::7", "eth0")),
        (facts("10.4.0.7"), "n0", Own("10.4.0.7", "dummy0")),
        (facts("n1", n0="10.2.0.7"), "n0", Own("10.2.0.7", "bond1")),
        (facts("n1", n0="10.3.0.7", n2="10.1.0.7"), "n0", Own("10.3.0.7", "bond1.300")),
        (facts("n0", n1="10.2.0.7", n2="10.2.0.7"), None, Own("10.2.0.7", "bond1")),
        (facts("n1", arrival="10.1.0.7", n0=""), "n0", Own("10.1.0.7", "eth0")),
        (facts("n1", arrival="10.1.0.7", n0="172.17.0.1"), "n0", Own("10.1.0.7", "eth0")),
        # behind NAT: the preset's host is nobody's address here
        (facts("203.0.113.9", arrival="10.2.0.7"), None, Own("10.2.0.7", "bond1")),
        # an address on loopback is the node's, but no interface carries it
        (facts("10.255.0.7", n0="10.1.0.7"), "n0", Own("10.1.0.7", "eth0")),
    ],
)
def test_it_is_found(given: NodeFacts, head: str | None, found: Own) -> None:
    assert own(given, head) == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (facts("n0", n1="10.1.0.7", n2="10.2.0.7"), "more than one address; it has 10.1.0.7 on"),
        (facts("n0", arrival="172.17.0.1"), "is not clear; it has 10.1.0.7 on eth0, 10.1.0.8 on"),
        (NodeFacts("n0"), "could not be read"),
        (NodeFacts("n0", addresses=parse_addresses(HOST.split("\n")[7])), "it has none"),
    ],
)  # fmt: skip
def test_it_is_not_guessed(given: NodeFacts, said: str) -> None:
    found = own(given, None)
    assert (found.local_ip, found.nic) == (None, None)
    assert said in found.problem


@pytest.mark.parametrize(
    ("local_ip", "nic", "found"),
    [
        ("10.3.0.7", None, Own("10.3.0.7", "bond1.300")),
        (None, "bond1", Own("10.2.0.7", "bond1")),
        (None, "dummy0", Own("10.4.0.7", "dummy0")),
        ("10.2.0.7", "bond1", Own("10.2.0.7", "bond1")),
        ("10.255.0.7", "lo", Own("10.255.0.7", "lo")),  # theirs to decide
    ],
)
def test_what_the_user_set_wins(local_ip: str | None, nic: str | None, found: Own) -> None:
    assert own(facts("10.1.0.7"), None, local_ip=local_ip, nic=nic) == found


@pytest.mark.parametrize(
    ("local_ip", "nic", "said"),
    [
        ("10.8.8.8", None, "it does not hold local_ip 10.8.8.8; it has 10.1.0.7 on eth0"),
        ("10.1.0.7", "bond1", "local_ip 10.1.0.7 is on eth0, not on bond1"),
        (None, "eth9", "it has no address on eth9 that others could use"),
    ],
)
def test_what_the_user_set_and_the_node_does_not_have_is_named(
    local_ip: str | None, nic: str | None, said: str
) -> None:
    found = own(facts("10.1.0.7"), None, local_ip=local_ip, nic=nic)
    assert (found.local_ip, found.nic) == (local_ip, nic)
    assert said in found.problem


@pytest.mark.parametrize(
    ("text", "stderr", "route"),
    [
        (
            "10.2.0.9 dev bond1 src 10.2.0.7 uid 0 \\    cache \n",
            "",
            Route("10.2.0.9", "bond1", "10.2.0.7"),
        ),
        (
            "10.5.0.9 via 10.1.0.1 dev bond1.300@bond1 src 10.1.0.7 uid 1000 \n    cache\n",
            "",
            Route("10.5.0.9", "bond1.300", "10.1.0.7"),
        ),
        (
            "2001:db8::9 from :: via fe80::ff dev eth0 proto ra src 2001:db8::7 metric 1",
            "",
            Route("2001:db8::9", "eth0", "2001:db8::7"),
        ),
        ("local 10.1.0.7 dev lo src 10.1.0.7 uid 0\n", "", Route("10.1.0.7", "lo", "10.1.0.7")),
        ("", "RTNETLINK answers: Network is unreachable\n", Route(problem="there is no route")),
        ("", "RTNETLINK answers: No route to host\n", Route(problem="there is no route")),
        ("unreachable 10.0.0.9 dev lo\n", "", Route(problem="its route is unreachable")),
        ("", "unresolved\n", Route(problem="the name is not known there")),
        ("", "bash: ip: command not found\n", Route(problem="its answer was not understood")),
    ],
)  # fmt: skip
def test_routes(text: str, stderr: str, route: Route) -> None:
    assert parse_route(text, stderr) == route


def test_gateway_and_arrival() -> None:
    text = "default via 10.1.0.1 dev eth0 proto dhcp src 10.1.0.7 metric 100\n"
    assert parse_gateway(text) == "eth0"
    assert parse_gateway("default proto ra dev bond1.300 metric 1\n") == "bond1.300"
    assert parse_gateway("10.1.0.0/24 dev eth0\n") is None
    assert parse_arrival("10.9.9.9 50112 10.1.0.7 22\n") == "10.1.0.7"
    assert parse_arrival("fd00::1 50112 ::ffff:10.1.0.7 22\n") == "10.1.0.7"
    assert parse_arrival("\n") is None
