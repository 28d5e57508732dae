"""Parsers of what the guide leaves out about a network port: TLS, flaps, optics, virtual NIC, HCCS.

Pure functions of stdout, stderr and exit code, by the same rules as :mod:`wizard.checks.parsers`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from ipaddress import ip_interface

from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import PING_SUMMARY, Parsed, bad, lines, only, settle, whole

_TLS = re.compile(r"^\s*dev_id\s*:\s*\d+\s*,\s*tls switch\s*\[([^\]]*)\]", re.I)
_NO_CERTIFICATE = re.compile(r"no certificate found", re.I)
_TAG = re.compile(r"^\s*\[dev(?:id|ice) ?\d+\]\s*", re.I)
_COUNT = re.compile(r"^link (up|down) count\s*:\s*(\d+)\s*$", re.I)
_NOW = re.compile(r"^current time\s*:\s*(.+?)\s*$", re.I)
_RECORDS = re.compile(r"^link change records\s*:\s*(NA)?\s*$", re.I)
_RECORD = re.compile(r"^(.+?)\s+link (up|down)\s*$", re.I)
_VNIC_LINK = re.compile(r"^\s*vnic link status\s*:\s*(.*?)\s*$", re.I)
_VNIC_IP = re.compile(r"^\s*vnic ip ?addr(?:ess)?\s*:\s*(.*?)\s*$", re.I)
_VNIC_MASK = re.compile(r"^\s*vnic netmask\s*:\s*(.*?)\s*$", re.I)
_PLANE = re.compile(r"plane check result\s*=\s*(\S+)\s*$", re.I)

FLAPS = 2  # DOWN records within an hour that make a link a flapping one
_WINDOW = timedelta(hours=1)


def parse_tls(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read whether TLS is on. Either is fine by itself; all devices must agree (judged later).

    No certificate (exit code 14) counts as off.
    """
    text = lines(stdout)
    if _NO_CERTIFICATE.search("\n".join(text + lines(stderr))):
        answer = Parsed(Status.PASS, "TLS is off: there is no certificate", {"tls": False})
        return settle(answer, stdout, stderr, 0 if exit_code == 14 else exit_code)
    state = only(_TLS, text).strip()
    found = None
    if state in ("0", "1"):
        word = "on" if state == "1" else "off"
        found = Parsed(Status.PASS, f"TLS is {word}", {"tls": state == "1"})
    return settle(found, stdout, stderr, exit_code)


def parse_link_stat(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read how often the link went down, and warn where it did so twice within an hour.

    ``value["down"]`` counts since the NPU's start; ``value["records"]`` lists the DOWN records,
    newest first, in the NPU's own time (ISO 8601).
    """
    return settle(_link_stat(lines(stdout)), stdout, stderr, exit_code)


def _link_stat(text: list[str]) -> Parsed | None:
    counts: dict[str, int] = {}
    downs: list[datetime] = []
    now: datetime | None = None
    listed = False
    told = 0  # records, or the NA that stands for none
    for raw in text:
        line = _TAG.sub("", raw)
        if found := _COUNT.match(line):
            counts[found[1].lower()] = int(found[2])
        elif found := _NOW.match(line):
            now = _time(found[1])
        elif head := _RECORDS.match(line):
            listed, told = True, int(head[1] is not None)
        elif listed and (found := _RECORD.match(line)):
            when = _time(found[1])
            if when is None:
                return None
            told += 1
            if found[2].lower() == "down":
                downs.append(when)
        elif _TAG.match(raw):
            return None  # a tagged line that no rule knows, or one that was cut off
    if now is None or set(counts) != {"up", "down"} or not told:
        return None  # of no kind that we know, or cut off before the records
    value = {**counts, "records": [when.isoformat() for when in downs]}
    recent = sum(timedelta(0) <= now - when <= _WINDOW for when in downs)
    if recent >= FLAPS:
        text_ = f"the link went down {recent} times within the last hour"
        return bad(Status.WARN, Problem.LINK_FLAPPING, text_, **value)
    return Parsed(Status.PASS, f"went down {counts['down']} times since the NPU started", value)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), "%a %b %d %H:%M:%S %Y")
    except ValueError:
        return None


def flapped(before: Parsed, now: Parsed) -> Parsed:
    """Return ``now`` as a warning when the link went down since ``before`` was read."""
    old, new = before.value.get("down"), now.value.get("down")
    if now.status is not Status.PASS or not isinstance(old, int) or not isinstance(new, int):
        return now
    if new <= old:
        return now
    text = f"the link went down {new - old} more times since the last check"
    return bad(Status.WARN, Problem.LINK_FLAPPING, text, **now.value)


def parse_vnic(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the virtual NIC by which an A3's NPU is reached over HCCS within its super-pod."""
    text = lines(whole(stdout))
    state = only(_VNIC_LINK, text).upper()
    answer = None
    if state == "DOWN":
        answer = bad(Status.FAIL, Problem.VNIC_DOWN, "the virtual NIC is DOWN", link="DOWN")
    elif state == "UP":
        try:
            interface = ip_interface(f"{only(_VNIC_IP, text)}/{only(_VNIC_MASK, text)}")
        except ValueError:
            pass
        else:
            value = {"address": str(interface.ip), "netmask": str(interface.netmask)}
            if not interface.ip.is_unspecified:
                answer = Parsed(Status.PASS, f"UP at {interface.ip}", value)
    return settle(answer, stdout, stderr, exit_code)


def parse_hccs_ping(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the loss of a ping over HCCS, and that every packet's plane check was clean (0x0)."""
    text = lines(stdout)
    found = {(int(m[1]), int(m[2])): m[3] for line in text if (m := PING_SUMMARY.match(line))}
    planes = [m[1].lower() for line in text if (m := _PLANE.search(line))]
    answer = None
    if len(found) == 1:
        (sent, received), loss = found.popitem()
        value = {"sent": sent, "received": received}
        wrong = sorted({p for p in planes if p != "0x0"})
        late = any("time out" in line.lower() for line in text)
        if sent == 0 or received > sent:
            pass
        elif received < sent:
            summary = f"{received} of {sent} packets came back over HCCS"
            answer = bad(Status.FAIL, Problem.HCCS_LOSS, summary, **value)
        elif wrong:
            summary = f"the L1 plane check of HCCS says {', '.join(wrong)}, not 0x0"
            answer = bad(Status.FAIL, Problem.HCCS_PLANE, summary, **value)
        elif planes and not late and re.fullmatch(r"0+(?:\.0*)?", loss):
            answer = Parsed(Status.PASS, f"{received} of {sent} packets came back over HCCS", value)
    return settle(answer, stdout, stderr, exit_code)
