"""Outlives the simulator by a moment and clears up after it, whatever ended it.

Run as a script of its own, standard library only: ``python -I -S janitor.py RUN DIRECTORY
[FILE]``. Its stdin is a pipe that the simulator holds: end of file means that the simulator is
gone. Then every process that carries ``V32_SIM_RUN=RUN`` in its environment is killed, and the
run's directory is removed, with FILE as well if it still is what the run wrote there.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PATIENCE_S = 5.0


def carriers(run: str) -> list[int]:
    """Return the processes whose environment carries the mark of a run."""
    mark, found = b"V32_SIM_RUN=" + run.encode(), []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with suppress(OSError):
                if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
    return found


def kill_all(run: str) -> None:
    """Kill what carries the run's mark, until nothing does (a fork may have slipped through)."""
    limit = time.monotonic() + _PATIENCE_S
    while (pids := carriers(run)) and time.monotonic() < limit:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def main() -> None:
    """Wait for the end, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    run, directory, *files = sys.argv[1:]
    while os.read(0, 4096):
        pass
    kill_all(run)
    for name in files:
        with suppress(OSError):
            if directory in Path(name).read_text(errors="replace"):
                Path(name).unlink()
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
