"""Begins wizards quickly: has all of it imported, and forks one for each line on its stdin.

A line is JSON: the words of the command line, and the environment. Answered is the process id. So a
test can kill a dozen real processes, and not one of them has to import anything. Of the checks
before a start only those that no start gets past are made: each costs four processes a node.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import signal
import sys
from importlib import import_module
from typing import Any

import wizard
from wizard import cli


def main() -> None:
    """Serve until stdin ends."""
    for module in pkgutil.walk_packages(wizard.__path__, "wizard."):
        if not module.name.startswith("wizard.simulator"):
            import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(request)
        print(pid, flush=True)


def run(request: dict[str, Any]) -> None:
    """Be the wizard."""
    from wizard.launch import headstart, preflight

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    preflight.CHECKS = frozenset(request["checks"])
    headstart._POLL_S = 0.1
    os._exit(cli.main(request["words"]))


if __name__ == "__main__":
    main()
