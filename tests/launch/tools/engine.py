"""A container engine of files: one JSON per container in $FAKE_NODE, run by nobody."""

import json
import os
import sys
import time
from pathlib import Path

HOME = Path(os.environ["FAKE_NODE"])


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"


def entries():
    return [json.loads(p.read_text()) for p in sorted(HOME.glob("*.json"))]


def put(entry):
    path = HOME / f"{entry['Id']}.json"
    path.with_suffix(".tmp").write_text(json.dumps(entry))
    path.with_suffix(".tmp").replace(path)


def find(name):
    for entry in entries():
        if name in (entry["Id"], entry["Name"].lstrip("/")):
            return entry
    print(f"Error: No such container: {name}", file=sys.stderr)
    sys.exit(1)


def options(words, valued):
    found, rest = {}, []
    words = list(words)
    while words:
        word = words.pop(0)
        if word in valued:
            found.setdefault(word, []).append(words.pop(0))
        elif word.startswith("-"):
            found[word] = [""]
        else:
            rest.append(word)
    return found, rest


def create(words):
    given, rest = options(words, {"--name", "--label", "--device"})
    name = given["--name"][0]
    if any(e["Name"] == f"/{name}" for e in entries()):
        print(f'Conflict. The container name "/{name}" is already in use', file=sys.stderr)
        sys.exit(125)
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
    put(entry)
    print(entry["Id"])


def ps(words):
    given, _ = options(words, {"--filter", "--format"})
    for entry in entries():
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
            print(entry["Name"].lstrip("/") if "--format" in given else entry["Id"])


def change(name, status):
    entry = find(name)
    state = entry["State"]
    if status == "running" and state["Status"] != "running":
        state |= {"Status": "running", "StartedAt": now()}
    elif status == "exited" and state["Status"] == "paused":
        print("container state improper: paused", file=sys.stderr)  # as podman refuses
        sys.exit(125)
    elif status == "exited" and state["Status"] == "running":
        state |= {"Status": "exited", "FinishedAt": now(), "ExitCode": 143}
        if not (HOME / "squatter").exists():  # what it listened on closes with it
            (HOME / "ports").unlink(missing_ok=True)
    put(entry)
    print(name)


def rm(name):
    entry = find(name)
    if entry["State"]["Status"] in ("running", "paused"):
        print("You cannot remove a running container", file=sys.stderr)
        sys.exit(1)
    (HOME / f"{entry['Id']}.json").unlink()
    print(name)


def logs(words):
    given, (name,) = options(words, {"--since", "--tail"})
    entry = find(name)
    path = HOME / f"{entry['Id']}.log"
    since = given.get("--since", [""])[0]
    seen = 0
    while True:
        running = (HOME / f"{entry['Id']}.json").exists() and find(name)["State"][
            "Status"
        ] == "running"
        text = path.read_text() if path.exists() else ""
        for line in text[seen:].splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            seen += len(line)
            stamp, _, rest = line.partition(" ")
            if stamp[:19] >= since[:19]:
                sys.stdout.write(line if "-t" in given else rest)
        sys.stdout.flush()
        if "-f" not in given or not running:
            return
        time.sleep(0.02)


def main():
    verb, *words = sys.argv[1:]
    (HOME / "calls").open("a").write(f"{verb}\n")
    if (HOME / "broken").exists():
        print((HOME / "broken").read_text(), file=sys.stderr)
        sys.exit(1)
    if verb == "create":
        create(words)
    elif verb == "info":
        print("24.0.9")
    elif verb == "ps":
        ps(words)
    elif verb == "inspect":
        print(json.dumps([find(w) for w in words]))
    elif verb == "image":
        if not (HOME / "image").exists():
            print(f"Error: No such image: {words[-1]}", file=sys.stderr)
            sys.exit(1)
        print(f"linux/arm64 sha256:{'ab' * 32}" if "--format" in words else "[{}]")
    elif verb in ("start", "unpause"):
        change(words[-1], "running")
    elif verb == "stop":
        change(words[-1], "exited")
    elif verb == "rm":
        rm(words[-1])
    elif verb == "logs":
        logs(words)
    else:
        sys.exit(f"unknown command: {verb}")


main()
