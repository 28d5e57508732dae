"""What ``hccn_tool`` measures: how often a link changed, and how much light its module sees."""

from __future__ import annotations

import time

from wizard.simulator.state import Device, Output, SimNode, World

_RX = {"good": "1.0214", "weak": "0.4100", "dim": "0.1120"}  # mW


def link_stat(w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    """Answer ``-link_stat -g``."""
    tag = f"[{'device' if w.scenario.driver == '26' else 'devid'} {d.id}]"
    ups = sum(up for _t, up in d.changes)
    lines = [
        f"{tag} current time        : {time.asctime()}",
        f"{tag} link up count       : {ups}",
        f"{tag} link down count     : {len(d.changes) - ups}",
        f"{tag} link change records :" + ("" if d.changes else " NA"),
    ]
    for when, up in d.changes:
        lines.append(
            f"{tag}     {time.asctime(time.localtime(when))}    LINK {'UP' if up else 'DOWN'}"
        )
    return Output("\n".join(lines) + "\n")


def optical(_w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    """Answer ``-optical -g``."""
    if d.optic == "missing":
        return Output("Optical module is not present.\n", code=20)
    rows = {
        "present": "present",
        "vendor name": "SIMULATED",
        "temperature": "47 C",
        "Tx Power0": "1.1021 mW",
        "Rx Power0": f"{_RX[d.optic]} mW" if d.light else "0.0001 mW",
        "Rx Power0 alarm low": "0.1445 mW",
        "Tx Los Flag": "0x0",
        "Rx Los Flag": "0x0" if d.light else "0x1",
        "Host SNR Lane0": "24.1 dB",
        "Media SNR Lane0": "23.2 dB",
        "high power enable reg": "enabled",
    }
    return Output("optical info:\n" + "".join(f"{k:<24}: {v}\n" for k, v in rows.items()))
