"""Parsers of the guide's checks: pure functions of stdout, stderr and exit code.

Each looks for the line that it wants, in either wording and any case, and never counts lines.
What no rule knows is an error with the text, never a pass (rules: vendor facts on hccn_tool).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from itertools import pairwise

from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import PING_SUMMARY, Parsed, bad, lines, only, settle, whole

_LINK = re.compile(r"^\s*link status\s*:\s*(.*?)\s*$", re.I)
_NET_HEALTH = re.compile(r"^\s*net health status\s*:\s*(.*?)\s*$", re.I)
_NETDETECT = re.compile(r"^\s*netdetect addr(?:ess)?\s*:\s*(.*?)\s*$", re.I)
_GATEWAY = re.compile(r"^\s*default gateway\s*:\s*([^,\s]*)\s*(?:,\s*iface\s*:\s*(\S+))?\s*$", re.I)
_NO_GATEWAY = re.compile(r"no gateway was preset", re.I)
_IP = re.compile(r"^\s*ip\s?addr(?:ess)?\s*:\s*(.*?)\s*$", re.I)
_NETMASK = re.compile(r"^\s*netmask\s*:\s*(.*?)\s*$", re.I)
_IPV6 = re.compile(r"^\s*ipv6_address\s*:\s*(.*?)\s*$", re.I)
_PREFIX = re.compile(r"^\s*prefix_length\s*:\s*(.*?)\s*$", re.I)
_NO_IP = re.compile(r"no ip was preset", re.I)
_PORT_ID = re.compile(r"^\s*port id tlv\s*:?\s*$", re.I)
_TLV = re.compile(r"\bTLV\s*:?\s*$", re.I)
_IFNAME = re.compile(r"^\s*ifname\s*:\s*(\S*)\s*$", re.I)
_BARE_PORT = re.compile(
    r"^\s+(?:mac\s*:\s*)?([a-z][\w-]*\d[\w/:.-]*|(?:[\da-f]{2}:){5}[\da-f]{2})\s*$", re.I
)
_SYSTEM_NAME = re.compile(r"^\s*system name tlv\s*:?\s*$", re.I)
_SYSTEM_DESCRIPTION = re.compile(r"^\s*system description tlv", re.I)
_PVID = re.compile(r"^\s*pvid\s*:\s*(\d+)", re.I)
_PING_TIME = re.compile(r"^\s*recv seq=\d+,\s*time=([\d.]+)\s*ms\s*$", re.I)

_HEALTH: dict[str, tuple[Status, Problem]] = {
    "init": (Status.WARN, Problem.NET_HEALTH_INIT),
    "detect ip set": (Status.WARN, Problem.NET_HEALTH_PENDING),
    "socket fail": (Status.FAIL, Problem.NET_HEALTH_SOCKET),
    "socket failed": (Status.FAIL, Problem.NET_HEALTH_SOCKET),
    "receive timeout": (Status.FAIL, Problem.NET_HEALTH_TIMEOUT),
    "time exceeded": (Status.FAIL, Problem.NET_HEALTH_TIMEOUT),
    "unreachable": (Status.FAIL, Problem.NET_HEALTH_UNREACHABLE),
    "fault": (Status.FAIL, Problem.NET_HEALTH_FAULT),
    "thread error": (Status.FAIL, Problem.NET_HEALTH_THREAD),
    "unknown": (Status.FAIL, Problem.NET_HEALTH_UNKNOWN),
}


def parse_lldp(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the neighbour's port; silence is a warning, another NPU on a direct fibre is fine."""
    text = lines(whole(stdout))
    if not lines(stdout) and not lines(stderr) and exit_code == 0:
        return bad(Status.WARN, Problem.LLDP_SILENT, "no LLDP frame came from the switch")
    return settle(_lldp(text), stdout, stderr, exit_code)


def _lldp(text: list[str]) -> Parsed | None:
    value: dict[str, object] = {}
    port = _port(text)
    if port:
        value["port"] = port
    for line, following in pairwise([*text, ""]):
        if _SYSTEM_NAME.match(line) and following.strip() and not _TLV.search(following):
            value["switch"] = following.strip()
    vlan = only(_PVID, text)
    if vlan:
        value["pvid"] = int(vlan)
    for line, following in pairwise([*text, ""]):
        if _SYSTEM_DESCRIPTION.match(line) and "ascendnpu" in (line + following).lower():
            return Parsed(Status.PASS, "direct fibre to another NPU", {**value, "direct": True})
    if not port:
        return None
    return Parsed(Status.PASS, f"switch port {port}", {**value, "direct": False})


def _port(text: list[str]) -> str:
    """Find the neighbour's port in the Port ID TLV: with ``Ifname:`` (Huawei) or bare (H3C)."""
    for line, following in pairwise([*text, ""]):
        if not _PORT_ID.match(line) or _TLV.search(following):
            continue
        found = _IFNAME.match(following) or _BARE_PORT.match(following)
        if found and re.search(r"\d", found[1]):
            return found[1]
    return ""


def parse_link(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read whether the RoCE port is up: UP must be the whole word."""
    state = only(_LINK, lines(stdout))
    answer = None
    if state.upper() == "UP":
        answer = Parsed(Status.PASS, "link is UP", {"link": "UP"})
    elif state.upper() == "DOWN":
        answer = bad(Status.FAIL, Problem.LINK_DOWN, "link is DOWN", link="DOWN")
    return settle(answer, stdout, stderr, exit_code)


def parse_net_health(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the state of the NPU's own detection of its network."""
    state = " ".join(only(_NET_HEALTH, lines(stdout)).split())
    answer = None
    if state.lower() == "success":
        answer = Parsed(Status.PASS, "network health is Success", {"net_health": state})
    elif state.lower() in _HEALTH:
        status, problem = _HEALTH[state.lower()]
        answer = bad(status, problem, f"network health is {state}", net_health=state)
    return settle(answer, stdout, stderr, exit_code)


def parse_netdetect(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the address that the NPU watches; 0.0.0.0 means that none was set."""
    address = _address(only(_NETDETECT, lines(whole(stdout))))
    answer = None
    if address is not None and address.is_unspecified:
        answer = bad(Status.WARN, Problem.NETDETECT_UNSET, "no target is set", netdetect=None)
    elif address is not None:
        answer = Parsed(Status.PASS, f"watches {address}", {"netdetect": str(address)})
    return settle(answer, stdout, stderr, exit_code)


def parse_gateway(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the default gateway. Whether one is needed is judged from all addresses, later."""
    text = lines(whole(stdout))
    found = {(m[1], m[2] or "") for line in text if (m := _GATEWAY.match(line))}
    answer = None
    if len(found) == 1:
        raw, interface = found.pop()
        address = _address(raw)
        if address is not None and address.is_unspecified:
            answer = _no_gateway()
        elif address is not None:
            value = {"gateway": str(address)} | ({"iface": interface} if interface else {})
            answer = Parsed(Status.PASS, f"gateway {address}", value)
    elif not found and _NO_GATEWAY.search("\n".join(text + lines(stderr))):
        answer = _no_gateway()
    return settle(answer, stdout, stderr, exit_code)


def _no_gateway() -> Parsed:
    return bad(Status.WARN, Problem.GATEWAY_MISSING, "no gateway is set", gateway=None)


def parse_ip(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the NPU's address and mask; both must be there and fit together."""
    text = lines(whole(stdout))
    address, mask = only(_IP, text), only(_NETMASK, text)
    if not address:
        address, mask = only(_IPV6, text), only(_PREFIX, text)
    answer = None
    unset = not address and _NO_IP.search("\n".join(text + lines(stderr)))
    known = _address(address)
    if unset or (known is not None and known.is_unspecified):
        answer = bad(Status.FAIL, Problem.NO_IP, "the NPU has no address", address=None)
    elif address and mask:
        try:
            interface = ip_interface(f"{address}/{mask}")
        except ValueError:
            pass
        else:
            value = {"address": str(interface.ip), "netmask": str(interface.netmask)}
            answer = Parsed(Status.PASS, str(interface), value)
    return settle(answer, stdout, stderr, exit_code)


def parse_ping(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the loss of a RoCE ping. Without its summary line it never passes."""
    text = lines(stdout)
    everything = "\n".join(text + lines(stderr)).lower()
    times = [float(m[1]) for line in text if (m := _PING_TIME.match(line))]
    found = {(int(m[1]), int(m[2])): m[3] for line in text if (m := PING_SUMMARY.match(line))}
    answer = None
    if len(found) == 1:
        (sent, received), loss = found.popitem()
        value = {"sent": sent, "received": received, "times_ms": times}
        answer = _ping(sent, received, loss, value, clean="time out" not in everything)
    if "message too long" in everything:
        answer = bad(Status.FAIL, Problem.PING_MTU, "packets are larger than the path's MTU")
    elif "destination host unreachable" in everything:
        answer = bad(
            Status.FAIL, Problem.PING_HOST_UNREACHABLE, "the address does not answer to ARP"
        )
    return settle(answer, stdout, stderr, exit_code)


def _ping(
    sent: int, received: int, loss: str, value: dict[str, object], *, clean: bool
) -> Parsed | None:
    if sent == 0 or received > sent:
        return None
    if received == 0:
        return bad(Status.FAIL, Problem.PING_LOSS, f"0 of {sent} packets came back", **value)
    if received < sent:
        summary = f"{received} of {sent} packets came back"
        return bad(Status.FAIL, Problem.PING_PARTIAL, summary, **value)
    if not re.fullmatch(r"0+(?:\.0*)?", loss) or not clean:
        return None  # the summary contradicts itself or the lines above it
    return Parsed(Status.PASS, f"{received} of {sent} packets came back", value)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
