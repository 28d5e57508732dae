"""A container engine of files: one JSON per container in a node's folder, run by nobody.

Its ``docker`` is a script that asks this process, because a Python for each call was most of what
the bench cost. It speaks the protocol of the simulator's tools (wizard/simulator/toolserver.py);
its token is the folder.
"""

from __future__ import annotations

import json
import os
import select
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any


class Ended(Exception):
    """A command is over, with what it says on stderr."""

    def __init__(self, code: int, says: str) -> None:
        super().__init__(says)
        self.code, self.says = code, says


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"


def options(words: Iterable[str], valued: set[str]) -> tuple[dict[str, list[str]], list[str]]:
    found: dict[str, list[str]] = {}
    rest, left = [], list(words)
    while left:
        word = left.pop(0)
        if word in valued:
            found.setdefault(word, []).append(left.pop(0))
        elif word.startswith("-"):
            found[word] = [""]
        else:
            rest.append(word)
    return found, rest


class Engine:
    """One command on the containers of one node."""

    def __init__(self, home: Path, out: Callable[[str], None], gone: Callable[[], bool]) -> None:
        self.home, self.out, self.gone = home, out, gone

    def entries(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted(self.home.glob("*.json")):
            try:
                found.append(json.loads(path.read_text()))
            except FileNotFoundError:  # removed meanwhile
                continue
        return found

    def put(self, entry: dict[str, Any]) -> None:
        path = self.home / f"{entry['Id']}.json"
        new = path.with_suffix(f".{threading.get_ident()}")
        new.write_text(json.dumps(entry))
        new.replace(path)

    def find(self, name: str) -> dict[str, Any]:
        for entry in self.entries():
            if name in (entry["Id"], entry["Name"].lstrip("/")):
                return entry
        raise Ended(1, f"Error: No such container: {name}")

    def create(self, words: list[str]) -> None:
        given, rest = options(words, {"--name", "--label", "--device"})
        name = given["--name"][0]
        if any(e["Name"] == f"/{name}" for e in self.entries()):
            raise Ended(125, f'Conflict. The container name "/{name}" is already in use')
        entry = {
            "Id": os.urandom(32).hex(),
            "Name": f"/{name}",
            "Created": now(),
            "State": {"Status": "created", "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"},
            "Config": {
                "Image": rest[0],
                "Labels": dict(label.split("=", 1) for label in given.get("--label", [])),
            },
            "HostConfig": {"Devices": [{"PathOnHost": d} for d in given.get("--device", [])]},
        }
        self.put(entry)
        self.out(f"{entry['Id']}\n")

    def ps(self, words: list[str]) -> None:
        given, _ = options(words, {"--filter", "--format"})
        for entry in self.entries():
            if "-aq" not in given and entry["State"]["Status"] != "running":
                continue
            labels = [f"{k}={v}" for k, v in entry["Config"]["Labels"].items()]
            for wanted in given.get("--filter", []):
                kind, _, value = wanted.partition("=")
                if kind == "label" and "=" not in value:
                    labels = [label.partition("=")[0] for label in labels]
                if not (value in labels if kind == "label" else value in entry["Name"]):
                    break
            else:
                self.out((entry["Name"].lstrip("/") if "--format" in given else entry["Id"]) + "\n")

    def change(self, name: str, status: str) -> None:
        entry = self.find(name)
        state = entry["State"]
        if status == "running" and state["Status"] != "running":
            state |= {"Status": "running", "StartedAt": now()}
        elif status == "exited" and state["Status"] == "paused":
            raise Ended(125, "container state improper: paused")  # as podman refuses
        elif status == "exited" and state["Status"] == "running":
            state |= {"Status": "exited", "FinishedAt": now(), "ExitCode": 143}
            if not (self.home / "squatter").exists():  # what it listened on closes with it
                (self.home / "ports").unlink(missing_ok=True)
        self.put(entry)
        self.out(f"{name}\n")

    def rm(self, name: str) -> None:
        entry = self.find(name)
        if entry["State"]["Status"] in ("running", "paused"):
            raise Ended(1, "You cannot remove a running container")
        (self.home / f"{entry['Id']}.json").unlink()
        self.out(f"{name}\n")

    def logs(self, words: list[str]) -> None:
        given, (name,) = options(words, {"--since", "--tail"})
        entry = self.find(name)
        path = self.home / f"{entry['Id']}.log"
        since = given.get("--since", [""])[0]
        seen = 0
        while not self.gone():
            running = any(
                e["Id"] == entry["Id"] and e["State"]["Status"] == "running" for e in self.entries()
            )
            text = path.read_text() if path.exists() else ""
            said = ""
            for line in text[seen:].splitlines(keepends=True):
                if not line.endswith("\n"):
                    break
                seen += len(line)
                stamp, _, rest = line.partition(" ")
                if stamp[:19] >= since[:19]:
                    said += line if "-t" in given else rest
            if said:
                self.out(said)
            if "-f" not in given or not running:
                return
            time.sleep(0.02)

    def run(self, verb: str, words: list[str]) -> None:
        """Carry out one command. Raises Ended when it fails."""
        with (self.home / "calls").open("a") as calls:
            calls.write(f"{verb}\n")
        if (self.home / "broken").exists():
            raise Ended(1, (self.home / "broken").read_text())
        if verb in ("create", "ps", "logs"):
            getattr(self, verb)(words)
        elif verb == "info":
            self.out("24.0.9\n")
        elif verb == "inspect":
            found = [entry for entry in self.entries() if entry["Id"] in words]
            self.out(json.dumps(found) + "\n")
            for gone in {*words} - {entry["Id"] for entry in found}:  # between ps and this
                raise Ended(1, f"Error: No such object: {gone}")
        elif verb == "image":
            if not (self.home / "image").exists():
                raise Ended(1, f"Error: No such image: {words[-1]}")
            told = f"linux/arm64 sha256:{'ab' * 32}" if "--format" in words else "[{}]"
            self.out(f"{told}\n")
        elif verb in ("start", "unpause"):
            self.change(words[-1], "running")
        elif verb == "stop":
            self.change(words[-1], "exited")
        elif verb == "rm":
            self.rm(words[-1])
        else:
            raise Ended(1, f"unknown command: {verb}")


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        fields = [self._field() for _ in range(4)]
        verb, *words = [self._field() for _ in range(int(fields[3]))]
        code, says = 0, ""
        try:
            Engine(Path(fields[0]), lambda text: self._frame(b"o", text), self._gone).run(
                verb, words
            )
        except Ended as end:
            code, says = end.code, end.says + "\n"
        except OSError as error:  # the caller, or the whole test, is gone
            code, says = 1, f"{error}\n"
        try:
            self._frame(b"e", says)
            self.wfile.write(b"x %d\n" % code)
        except OSError:
            pass

    def _field(self) -> str:
        text = bytearray()
        while (byte := self.rfile.read(1)) != b"\0":
            if not byte:
                raise ConnectionResetError("the caller is gone")
            text += byte
        return text.decode()

    def _frame(self, kind: bytes, text: str) -> None:
        if data := text.encode():
            self.wfile.write(b"%s %d\n" % (kind, len(data)) + data)

    def _gone(self) -> bool:
        ready, _, _ = select.select([self.connection], [], [], 0)
        return bool(ready)  # it has said everything: what comes now is its end


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed in the middle is nobody's mistake."""
        if not isinstance(sys.exc_info()[1], ConnectionResetError):
            super().handle_error(request, client_address)


@cache
def port() -> int:
    """Where this process answers, from the first call on."""
    server = _Server(("127.0.0.1", 0), _Call)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])
