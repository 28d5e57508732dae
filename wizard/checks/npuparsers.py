"""Parsers of ``npu-smi``: health and load of all NPUs of a node, and its place in a super-pod.

``npu-smi info`` prints a pair of rows per chip between ``|``; widths differ by version, and
``22283/ 32768`` may lose its space, so cells are split on ``|`` and numbers found by pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from wizard.checks.hosttext import settle_host
from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed, bad

HEALTHS = {"ok", "warning", "alarm", "critical", "unknown"}
IDLE_HBM = 0.09  # of all HBM: idle is 2.9 to 4.2 GB of 64, so up to about 5.9 GB
_PAIR = re.compile(r"(\d+)\s*/\s*(\d+)")
_NAMED = re.compile(r"(\d+)\s+(\S.*)")
_IDS = re.compile(r"(\d+)(?:\s+(\d+))?")
_NO_CARD = re.compile(r"there is no npu card on this server", re.I)
_NO_DRIVER = re.compile(r"dcmi module initialize failed", re.I)
_SPOD = re.compile(r"^\s*(SDID|Super Pod Size|Super Pod ID|Server Index)\s*:\s*(\S+)\s*$", re.I)
_NO_SPOD = re.compile(r"not support", re.I)
_NONE = {0xFFFF, 0xFFFFFFFF, -1}


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip of the table: its id as hccn_tool counts, health, and HBM used and all in MB."""

    npu: int
    chip: int
    device: int
    health: str
    used: int
    total: int


def parse_health(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Only OK passes; ``value["problems"]`` names each device that says otherwise."""
    chips = _chips(stdout)
    if isinstance(chips, Parsed):
        return chips
    if chips is None or any(chip.health.lower() not in HEALTHS for chip in chips):
        return settle_host(None, stdout, stderr, exit_code, "npu-smi")
    wrong = [chip for chip in chips if chip.health.lower() != "ok"]
    value: dict[str, Any] = {"health": {str(chip.device): chip.health for chip in chips}}
    answer = Parsed(Status.PASS, f"{len(chips)} NPUs are OK", value)
    if wrong:
        value["problems"] = [
            _entry(Problem.NPU_UNHEALTHY, c.device, f"device {c.device} is {c.health}")
            for c in wrong
        ]
        answer = bad(Status.FAIL, Problem.NPU_UNHEALTHY, _joined(value["problems"]), **value)
    return settle_host(answer, stdout, stderr, exit_code, "npu-smi")


def parse_idle(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """No process and little HBM in use; memory may be held with no process listed."""
    chips = _chips(stdout)
    if isinstance(chips, Parsed):
        return chips
    owners = _processes(stdout, chips or [])
    if chips is None or owners is None:
        return settle_host(None, stdout, stderr, exit_code, "npu-smi")
    problems = []
    for chip in chips:
        if pids := owners.get(chip.device):
            text = f"device {chip.device} is used by process {', '.join(pids)}"
            problems.append(_entry(Problem.NPU_OCCUPIED, chip.device, text))
        elif chip.used > IDLE_HBM * chip.total:
            text = f"device {chip.device} holds {chip.used} of {chip.total} MB of HBM"
            problems.append(_entry(Problem.NPU_OCCUPIED, chip.device, text))
    value: dict[str, Any] = {"hbm_mb": {str(chip.device): chip.used for chip in chips}}
    answer = Parsed(Status.PASS, f"{len(chips)} NPUs are idle", value)
    if problems:
        value["problems"] = problems
        answer = bad(Status.FAIL, Problem.NPU_OCCUPIED, _joined(problems), **value)
    return settle_host(answer, stdout, stderr, exit_code, "npu-smi")


def _entry(kind: Problem, device: int | None, detail: str) -> dict[str, Any]:
    return {"problem": kind.value, "device": device, "detail": detail}


def _joined(problems: list[dict[str, Any]]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return str(problems[0]["detail"]) + more


def _chips(stdout: str) -> list[Chip] | Parsed | None:
    """Read the table; None when it is not whole: its process table must have begun."""
    if _NO_CARD.search(stdout):
        return bad(Status.FAIL, Problem.NPU_MISSING, "npu-smi finds no NPU on this server")
    if _NO_DRIVER.search(stdout):
        return bad(Status.ERROR, Problem.TOOL_BROKEN, "npu-smi cannot reach the driver")
    rows = _rows(stdout)
    end = next((i for i, row in enumerate(rows) if _is_process_head(row)), None)
    if end is None:
        return None
    found: list[Chip] = []
    upper: list[str] | None = None
    for row in rows[:end]:
        if len(row) != 3:
            continue
        named, ids = _NAMED.fullmatch(row[0]), _IDS.fullmatch(row[0])
        if ids and upper is not None:
            chip = _chip(upper, ids, row)
            if chip is None:
                return None
            found.append(chip)
            upper = None
        elif named and not ids and upper is None:
            upper = row
        elif re.match(r"\d", row[0]):
            return None  # half a pair
    if upper is not None or not found or len({c.device for c in found}) != len(found):
        return None
    return found


def _rows(stdout: str) -> list[list[str]]:
    rows = [line.strip() for line in stdout.splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _is_process_head(row: list[str]) -> bool:
    return "process id" in " ".join(row).lower()


def _chip(upper: list[str], ids: re.Match[str], lower: list[str]) -> Chip | None:
    npu = int(upper[0].split()[0])
    chip = int(ids[1])
    device = int(ids[2]) if ids[2] is not None else npu
    pairs = _PAIR.findall(lower[2])
    if not pairs or len(upper[1].split()) != 1:
        return None
    used, total = max(pairs, key=lambda pair: int(pair[1]))  # HBM is larger than the other memory
    return Chip(npu, chip, device, upper[1], int(used), int(total)) if int(total) else None


def _processes(stdout: str, chips: list[Chip]) -> dict[int, list[str]] | None:
    """Return the processes by device, None when a row of their table is not understood."""
    ids = {(c.npu, c.chip): c.device for c in chips}
    owners: dict[int, list[str]] = {}
    rows = _rows(stdout)
    start = next((i for i, row in enumerate(rows) if _is_process_head(row)), len(rows))
    told = False
    for row in rows[start + 1 :]:
        if "no running processes" in " ".join(row).lower():
            told = True
            continue
        place = _IDS.fullmatch(row[0])
        if len(row) < 2 or place is None or not row[1].split() or not row[1].split()[0].isdigit():
            return None
        device = ids.get((int(place[1]), int(place[2] or 0)))
        if device is None:
            return None
        owners.setdefault(device, []).append(row[1].split()[0])
        told = True
    return owners if told else None


def parse_spod(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read which super-pod an A3 node is part of; a server that stands alone is skipped."""
    found = {m[1].lower(): m[2] for line in stdout.splitlines() if (m := _SPOD.match(line))}
    numbers = {k: int(v, 0) for k, v in found.items() if re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", v)}
    answer = None
    if set(numbers) == {"sdid", "super pod size", "super pod id", "server index"}:
        pod, size, index = (
            numbers[name] for name in ("super pod id", "super pod size", "server index")
        )
        if pod in _NONE or size <= 1:
            answer = _alone("the node is in no super-pod")
        else:
            value = {"super_pod": pod, "size": size, "server": index}
            answer = Parsed(Status.PASS, f"server {index} of super-pod {pod}", value)
    elif not found and _NO_SPOD.search(stdout + stderr):
        answer = _alone("npu-smi knows of no super-pod here")
    return settle_host(answer, stdout, stderr, exit_code, "npu-smi")


def _alone(text: str) -> Parsed:
    return bad(Status.SKIPPED, Problem.UNSUPPORTED, text, super_pod=None)
