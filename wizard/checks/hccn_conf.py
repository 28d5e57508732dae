"""Parser of ``/etc/hccn.conf``, the file that an NPU's network settings come from at boot."""

from __future__ import annotations

import re
from collections import defaultdict
from ipaddress import ip_address, ip_interface
from typing import Any

from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed, bad, settle

_ENTRY = re.compile(r"^\s*([A-Za-z][\w-]*?)(?:_(\d+))?\s*=\s*(.*?)\s*$")
_MISSING = re.compile(r"hccn\.conf'?\s*:\s*no such file or directory", re.I)
_OTHERS = ("tls_enable", "send_arp_status", "arp", "mtu", "roce_port", "dscp_to_tc", "shaping")
_KEPT = ("address", "netmask", "gateway", "netdetect")


def parse_hccn_conf(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the file's entries per device and judge what the file alone can tell.

    ``value["devices"]`` maps the device id (as text, as JSON wants it) to its address, netmask,
    gateway and netdetect; ``value["problems"]`` lists ``{problem, device, detail}``.
    """
    if _MISSING.search(stderr):
        return bad(Status.FAIL, Problem.CONF_MISSING, "/etc/hccn.conf does not exist")
    return settle(_read(stdout, exit_code), stdout, stderr, exit_code)


def _read(stdout: str, exit_code: int) -> Parsed | None:
    devices: dict[str, dict[str, str]] = defaultdict(dict)
    others: set[str] = set()  # devices that other settings are given for
    if stdout and not stdout.endswith("\n"):
        return None  # cut off, perhaps in the middle of an address
    for line in stdout.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            return None
        name, device, value = entry[1].lower(), entry[2], entry[3]
        if device is not None and name in _KEPT:
            devices[device][name] = value
        elif device is not None and name in _OTHERS:
            others.add(device)
    if not devices and others:
        numbers = sorted(map(int, others))
        return with_problems(
            Parsed(Status.PASS, "", {"devices": {}}), [no_address(n) for n in numbers]
        )
    if not devices:
        if stdout.strip() or exit_code != 0:
            return None
        return bad(Status.FAIL, Problem.CONF_MISSING, "/etc/hccn.conf is empty")
    found: dict[str, Any] = {"devices": {d: devices[d] for d in sorted(devices, key=int)}}
    return with_problems(
        Parsed(Status.PASS, f"{len(devices)} devices configured", found), _problems(devices)
    )


def with_problems(answer: Parsed, problems: list[dict[str, Any]]) -> Parsed:
    """Turn an answer into a failure that lists ``problems``; none leaves it as it is."""
    if not problems:
        return answer
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    # the answer may name a problem already: of the file alone, to which others now add
    value = {**answer.value, "problems": problems, "problem": first["problem"]}
    return Parsed(Status.FAIL, first["detail"] + more, value)


def problem(kind: Problem, device: int, detail: str) -> dict[str, Any]:
    """Build one entry of ``value["problems"]``."""
    return {"problem": kind.value, "device": device, "detail": detail}


def no_address(device: int) -> dict[str, Any]:
    """Build the entry of a device that the file gives no address."""
    text = f"device {device} has no address in /etc/hccn.conf"
    return problem(Problem.CONF_NO_ADDRESS, device, text)


def _problems(devices: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    users: dict[str, list[int]] = defaultdict(list)
    for name in sorted(devices, key=int):
        device, entry = int(name), devices[name]
        address = entry.get("address", "")
        if not address:
            found.append(no_address(device))  # named, and given nothing
            continue
        try:
            interface = ip_interface(f"{address}/{entry.get('netmask') or '?'}")
        except ValueError:
            text = f"device {device}: {address}/{entry.get('netmask', 'no netmask')} is no address"
            found.append(problem(Problem.CONF_BAD_ADDRESS, device, text))
            continue
        users[str(interface.ip)].append(device)
        if gateway := entry.get("gateway"):
            try:
                inside = ip_address(gateway) in interface.network
            except ValueError:
                inside = False
            if not inside:
                text = f"device {device}: gateway {gateway} is not in {interface.network}"
                found.append(problem(Problem.CONF_GATEWAY, device, text))
    for address, twins in users.items():
        if len(twins) > 1:
            text = f"{address} is given to devices {', '.join(map(str, twins))}"
            found += [problem(Problem.CONF_DUPLICATE, device, text) for device in twins]
    return found
