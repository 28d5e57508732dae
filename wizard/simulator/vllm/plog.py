"""CANN's own log of a process, as it lies in ``~/ascend/log`` of the container."""

from __future__ import annotations

import os
import time

_FOLDER = "root/ascend/log/debug/plog"  # mounted from the launch directory, or the container's own


def write(module: str, place: str, text: str) -> None:
    """Add an error to the plog of this process."""
    folder = os.path.join(os.environ.get("V32_SIM_ROOT", "/nowhere"), _FOLDER)
    now = time.time()
    stamp = time.strftime("%Y-%m-%d-%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000}.0"
    name = f"plog-{os.getpid()}_{time.strftime('%Y%m%d%H%M%S', time.localtime(now))}000.log"
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
        file.write(f"[ERROR] {module}({os.getpid()},VLLM::Worker_TP0):{stamp} [{place}] {text}\n")
