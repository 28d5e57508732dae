"""Parser of ``-optical -g``: is the module there, does light come in and go out. Pure.

Limits are the vendor's (facts on hccn_tool): of power in mW, of the signal-to-noise ratio in dB.
Alarm limits that the module prints itself are preferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed, bad, lines, settle

TX_LOW, TX_HIGH = 0.2, 2.5
RX_LOW, RX_WEAK, RX_HIGH = 0.1445, 0.6, 2.3
SNR_LOW, SNR_WEAK = 18.0, 20.0
_DARK = 0.01  # mW: below it there is no light at all, rather than too little

_FIELD = re.compile(r"^\s*([A-Za-z][\w ./-]*?)\s*:\s*(.*?)\s*$")
_MISSING = re.compile(r"optical module is not present", re.I)
_POWER = re.compile(r"(tx|rx) ?power ?\d*", re.I)
_LIMIT = re.compile(r"(tx|rx) ?power.*\b(low|high)\b.*", re.I)
_LOS = re.compile(r"(tx|rx) los(?: flag)?", re.I)
_SNR = re.compile(r"(?:host|media)? ?snr.*", re.I)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*(mW|dB|uW)", re.I)


def parse_optical(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Judge the module by its own measurements; what is bad at once decides, a weak signal warns.

    ``value`` has the lowest ``rx`` and ``tx`` power in mW and ``snr`` in dB, as far as printed.
    """
    text = lines(stdout)
    answer = None
    if _MISSING.search("\n".join(text + lines(stderr))):
        answer = _absent()
    else:
        answer = _read([(m[1].lower(), m[2]) for line in text if (m := _FIELD.match(line))])
    return settle(answer, stdout, stderr, exit_code)


def _absent() -> Parsed:
    return bad(Status.FAIL, Problem.OPTIC_MISSING, "no optical module is present", present=False)


def _read(fields: list[tuple[str, str]]) -> Parsed | None:
    present = {value.lower() for name, value in fields if name == "present"}
    if present == {"not present"}:
        return _absent()
    if present != {"present"}:
        return None
    limits = dict(_limits(fields))
    power: dict[str, list[float]] = {"tx": [], "rx": []}
    los: dict[str, str] = {}
    snr: list[float] = []
    for name, value in fields:
        if _LIMIT.fullmatch(name):
            continue
        if found := _LOS.fullmatch(name):
            los[found[1].lower()] = value.lower()
        elif found := _POWER.fullmatch(name):
            number = _number(value)
            if number is None:
                return None
            power[found[1].lower()].append(number)
        elif _SNR.fullmatch(name) and (number := _number(value)) is not None:
            snr.append(number)
    if not power["tx"] or not power["rx"] or not los:
        return None  # cut off, or of a kind that we do not know
    if any(not re.fullmatch(r"0x[0-9a-f]+", flag) for flag in los.values()):
        return None
    return _judge(power, {k: int(v, 16) for k, v in los.items()}, snr, limits)


def _limits(fields: list[tuple[str, str]]) -> Iterator[tuple[str, float]]:
    """Yield the alarm limits that the module prints: ``tx low``, ``rx high``, …"""
    for name, value in fields:
        found, number = _LIMIT.fullmatch(name), _number(value)
        if found and number is not None and number > 0 and "warn" not in name:
            yield f"{found[1].lower()} {found[2].lower()}", number


def _judge(
    power: dict[str, list[float]], los: dict[str, int], snr: list[float], limits: dict[str, float]
) -> Parsed:
    rx, tx = min(power["rx"]), min(power["tx"])
    value = {"present": True, "rx": rx, "tx": tx} | ({"snr": min(snr)} if snr else {})
    rx_low, rx_high = limits.get("rx low", RX_LOW), limits.get("rx high", RX_HIGH)
    tx_low, tx_high = limits.get("tx low", TX_LOW), limits.get("tx high", TX_HIGH)
    if rx < _DARK or los.get("rx", 0):
        text = f"no light comes in (Rx {rx:g} mW{_flag(los, 'rx')})"
        return bad(Status.FAIL, Problem.OPTIC_NO_LIGHT, text, **value)
    if tx < tx_low or los.get("tx", 0):
        text = f"the module sends too little light (Tx {tx:g} mW{_flag(los, 'tx')})"
        return bad(Status.FAIL, Problem.OPTIC_POWER, text, **value)
    if rx < rx_low:
        text = f"too little light comes in: Rx {rx:g} mW, at least {rx_low:g} is needed"
        return bad(Status.FAIL, Problem.OPTIC_POWER, text, **value)
    if snr and min(snr) < SNR_LOW:
        text = f"the signal is too noisy: {min(snr):g} dB, at least {SNR_LOW:g} is needed"
        return bad(Status.FAIL, Problem.OPTIC_POWER, text, **value)
    weak = []
    if rx < RX_WEAK:
        weak.append(f"Rx {rx:g} mW is weak (good from {RX_WEAK:g})")
    if max(power["rx"]) > rx_high:
        weak.append(f"Rx {max(power['rx']):g} mW is too strong (good up to {rx_high:g})")
    if max(power["tx"]) > tx_high:
        weak.append(f"Tx {max(power['tx']):g} mW is too strong (good up to {tx_high:g})")
    if snr and min(snr) < SNR_WEAK:
        weak.append(f"the signal is noisy: {min(snr):g} dB (good from {SNR_WEAK:g})")
    if weak:
        return bad(Status.WARN, Problem.OPTIC_WEAK, "; ".join(weak), **value)
    return Parsed(Status.PASS, f"light in {rx:g} mW, out {tx:g} mW", value)


def _flag(los: dict[str, int], side: str) -> str:
    """Say what a flag is; not every module prints both."""
    return f", Los flag {los[side]:#x}" if side in los else ""


def _number(text: str) -> float | None:
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    return float(found[1]) / (1000.0 if found[2].lower() == "uw" else 1.0)
