"""Verdicts that no single command can give: computed from all answers together. Pure.

Each rule looks at what the parsers read and returns the cells whose verdict it changes. Nothing
here ever turns into a pass: an answer may turn worse, gain words, be excused (skipped, with the
reason) where the topology says that it does not apply, or be a warning where our own launch is it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any

from wizard.checks.expectations import Expectations
from wizard.checks.hccn_conf import no_address, problem, with_problems
from wizard.checks.model import CellKey, Result, Status, device_name
from wizard.checks.nodeverdicts import judge_nodes
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed
from wizard.checks.topology import Topology, read_topology
from wizard.cluster import Cluster

Results = Mapping[CellKey, Result]
Changed = dict[CellKey, Result]
Interface = IPv4Interface | IPv6Interface
Device = tuple[int, int]  # rank of the node, physical id of the NPU


def judge(answers: Results, cluster: Cluster, expect: Expectations | None = None) -> Changed:
    """Return the cells whose verdict changes in the light of all the answers.

    Args:
        answers: what the parsers said, by cell; the same answers always give the same verdicts.
        cluster: for the number of NPUs that every node must have.
        expect: what the preset needs of the nodes; what is not given is not judged.
    """
    # Pings are judged by themselves but for those not sent. A full mesh has a hundred thousand
    # of them, and the event loop waits: they are gone through once.
    plain = {key: result for key, result in answers.items() if key.peer_node is None}
    unsent = {
        key: result
        for key, result in answers.items()
        if key.peer_node is not None and result.value.get("problem") == Problem.PING_NO_ADDRESS
    }
    changed: Changed = {}
    for rule in _RULES:
        changed.update(rule({**plain, **changed}, cluster))
    changed.update(judge_nodes({**plain, **changed}, cluster, expect or Expectations()))
    changed.update(_excused({**plain, **unsent, **changed}, plain, cluster))
    return changed


_ROCE = ("link", "lldp", "ip", "net_health", "netdetect", "gateway", "optical", "link_stat")
# what not every product and driver can tell; the guide's own checks all can
_BEYOND = ("tls", "link_stat", "optical", "vnic")
_UNCABLED = "not cabled: inside the super-pod traffic runs over HCCS"


def _excused(now: Results, answers: Results, cluster: Cluster) -> Changed:
    """Skip what does not apply: RoCE inside a super-pod without it, optics on a copper cable."""
    topology = read_topology(answers, cluster)
    changed: Changed = {}
    for key, result in now.items():
        if result.status in (Status.PASS, Status.SKIPPED):
            continue
        why = _no_cable(key, result, topology) or _no_such_part(key, result, answers)
        if why:
            changed[key] = replace(result, status=Status.SKIPPED, summary=why)
    return changed


def _no_cable(key: CellKey, result: Result, topology: Topology) -> str:
    if key.check == "ping" and result.value.get("problem") == Problem.PING_NO_ADDRESS:
        assert key.device is not None
        assert key.peer_node is not None
        assert key.peer_device is not None
        ends = (key.node, key.device), (key.peer_node, key.peer_device)
        why = topology.why_not(key.check, *ends)
        return f"not sent: {why}" if why else ""
    if key.node in topology.uncabled and key.check in (*_ROCE, "hccn_conf"):
        return _UNCABLED if _of_no_cable(result) else ""
    return ""


def _no_such_part(key: CellKey, result: Result, answers: Results) -> str:
    """Return why a bad answer tells of nothing bad: what it asks about is not there, rightly."""
    problem = result.value.get("problem")

    def other(check: str, status: Status, device: int | None = None) -> bool:
        found = answers.get(CellKey(key.node, device, check))
        return found is not None and found.status is status

    if key.check == "optical" and problem == Problem.OPTIC_MISSING:
        if other("link", Status.PASS, key.device):
            return "no optical module: a copper cable, and the link is UP"
    elif key.check in _BEYOND and problem == Problem.UNSUPPORTED:
        return "this product does not have it"
    elif key.check == "image" and other("runtime", Status.FAIL):
        return "not asked: the container engine does not run"
    return ""


def _of_no_cable(result: Result) -> bool:
    """Whether a bad answer is what a port without cable and address gives; errors are not."""
    if result.status is Status.ERROR:
        return False
    listed = result.value.get("problems")
    if listed:
        return all(entry["problem"] == Problem.CONF_NO_ADDRESS for entry in listed)
    return True


def addresses(answers: Results) -> dict[Device, Interface]:
    """Return the address and subnet of every NPU whose address is known."""
    found: dict[Device, Interface] = {}
    for key, result in answers.items():
        if key.check == "ip" and key.device is not None and result.value.get("address"):
            value = result.value
            found[key.node, key.device] = ip_interface(f"{value['address']}/{value['netmask']}")
    return found


def _amend(result: Result, status: Status, problem: Problem, summary: str, **value: Any) -> Result:
    new = {**result.value, **value, "problem": problem.value}
    return replace(result, status=status, summary=summary, value=new)


def _duplicates(answers: Results, cluster: Cluster) -> Changed:
    """One address on two NPUs: each of them fails and names the others."""
    users: dict[str, list[Device]] = defaultdict(list)
    for device, interface in addresses(answers).items():
        users[str(interface.ip)].append(device)
    changed: Changed = {}
    for address, devices in users.items():
        for twin in devices if len(devices) > 1 else ():
            others = ", ".join(device_name(d) for d in devices if d != twin)
            key = CellKey(*twin, "ip")
            text = f"{address} is also the address of {others}"
            changed[key] = _amend(answers[key], Status.FAIL, Problem.IP_DUPLICATE, text)
    return changed


def _netdetect(answers: Results, cluster: Cluster) -> Changed:
    """An NPU that watches its own address watches nothing; no target but healthy is common."""
    known = addresses(answers)
    changed: Changed = {}
    for key, result in answers.items():
        if key.check != "netdetect" or key.device is None:
            continue
        own = known.get((key.node, key.device))
        target = result.value.get("netdetect")
        if target and own is not None and ip_address(target) == own.ip:
            text = f"watches {target}, which is its own address"
            changed[key] = _amend(result, Status.FAIL, Problem.NETDETECT_SELF, text)
        elif result.value.get("problem") == Problem.NETDETECT_UNSET:
            health = answers.get(key._replace(check="net_health"))
            said = health.value.get("net_health", "") if health else ""
            if said.lower() in ("success", "init"):
                text = f"no target is set; network health is {said}: nothing is being watched"
                changed[key] = replace(result, summary=text)
    return changed


def _net_health(answers: Results, cluster: Cluster) -> Changed:
    """``Init`` is harmless without a target; with one, detection should have begun."""
    changed: Changed = {}
    for key, result in answers.items():
        kind = result.value.get("problem")
        if kind not in (Problem.NET_HEALTH_INIT, Problem.NET_HEALTH_PENDING):
            continue
        watched = answers.get(key._replace(check="netdetect"))
        if watched is None:
            continue
        said = result.value["net_health"]
        if watched.value.get("problem") == Problem.NETDETECT_UNSET:
            text = f"network health is {said}: no netdetect target is set"
            changed[key] = replace(result, summary=text)
        elif target := watched.value.get("netdetect"):
            text = f"network health is still {said} although it watches {target}"
            changed[key] = _amend(result, Status.FAIL, Problem(kind), text)
    return changed


def _gateway(answers: Results, cluster: Cluster) -> Changed:
    """A gateway is needed only where a peer is in another subnet, and must be in one's own."""
    known = addresses(answers)
    changed: Changed = {}
    for key, result in answers.items():
        if key.check != "gateway" or key.device is None:
            continue
        own = known.get((key.node, key.device))
        if own is None:
            continue
        gateway = result.value.get("gateway")
        if gateway and ip_address(gateway) not in own.network:
            text = f"gateway {gateway} is not in the NPU's subnet {own.network}"
            changed[key] = _amend(result, Status.FAIL, Problem.GATEWAY_OUTSIDE, text)
        elif result.value.get("problem") == Problem.GATEWAY_MISSING:
            far = [d for d, peer in sorted(known.items()) if peer.ip not in own.network]
            if far:
                text = f"no gateway is set, but {device_name(far[0])} is in another subnet"
                changed[key] = _amend(result, Status.FAIL, Problem.GATEWAY_MISSING, text)
            else:
                text = f"no gateway is set; none is needed within {own.network}"
                changed[key] = replace(result, summary=text)
    return changed


def _hccn_conf(answers: Results, cluster: Cluster) -> Changed:
    """The file must name every device, agree with what runs, and share no address with a node."""
    files = {
        key.node: result
        for key, result in answers.items()
        if key.check == "hccn_conf" and "devices" in result.value
    }
    users: dict[str, list[Device]] = defaultdict(list)
    for node, result in files.items():
        for device, entry in result.value["devices"].items():
            users[entry.get("address", "")].append((node, int(device)))
    running = addresses(answers)
    changed: Changed = {}
    for node, result in files.items():
        found = list(result.value.get("problems", ()))
        named = {(p["problem"], p["device"]) for p in found}
        lacking = _incomplete(result, cluster.series.devices)
        found += [p for p in lacking if (p["problem"], p["device"]) not in named]
        found += _stale(node, result, running)
        found += _across(node, users)
        answer = with_problems(Parsed(result.status, result.summary, result.value), found)
        changed[result.key] = replace(
            result, status=answer.status, summary=answer.summary, value=answer.value
        )
    return {key: result for key, result in changed.items() if result != answers[key]}


def _incomplete(file: Result, devices: int) -> list[dict[str, Any]]:
    entries = file.value["devices"]
    return [no_address(n) for n in range(devices) if not entries.get(str(n), {}).get("address")]


def _stale(node: int, file: Result, running: Mapping[Device, Interface]) -> list[dict[str, Any]]:
    found = []
    for name, entry in file.value["devices"].items():
        own = running.get((node, int(name)))
        address = entry.get("address")
        if own is None or not address:
            continue
        try:
            same = ip_interface(f"{address}/{entry.get('netmask', '')}") == own
        except ValueError:
            continue  # a bad entry, found when the file was read
        if not same:
            written = f"{address}/{entry['netmask']}"
            text = f"device {name}: /etc/hccn.conf says {written}, but {own.with_netmask} runs"
            found.append(problem(Problem.CONF_STALE, int(name), text))
    return found


def _across(node: int, users: Mapping[str, list[Device]]) -> list[dict[str, Any]]:
    found = []
    for address, devices in users.items():
        others = [d for d in devices if d[0] != node]
        for _, device in (d for d in devices if address and others and d[0] == node):
            text = f"device {device}: {address} is also given to {device_name(others[0])}"
            found.append(problem(Problem.CONF_DUPLICATE, device, text))
    return found


_RULES: tuple[Callable[[Results, Cluster], Changed], ...] = (
    _duplicates,
    _netdetect,
    _net_health,
    _gateway,
    _hccn_conf,
)
