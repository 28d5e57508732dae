"""The docker commands that ask for images, and for the engine's version."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from wizard.simulator.containers import fetching, images
from wizard.simulator.containers.options import Options, Refused
from wizard.simulator.containers.template import render
from wizard.simulator.state import World
from wizard.simulator.toolserver import Call


async def _show(_world: World, call: Call, o: Options) -> int:
    found = []
    for name in o.rest:
        if name not in call.node.images:
            if call.tool == "podman":
                raise Refused(f"Error: inspecting object: {name}: image not known", 125)
            await call.out(b"[]\n")
            raise Refused(f"Error: No such image: {name}")
        found.append(images.describe(name))
    form = o.last("format")
    text = json.dumps(found, indent=4) + "\n"
    if form is not None:
        text = "".join(render(form, item) + "\n" for item in found)
    await call.out(text.encode())
    return 0


async def _images(_world: World, call: Call, o: Options) -> int:
    await call.out(images.table(sorted(call.node.images), o).encode())
    return 0


def _own_version(tool: str) -> str:
    return images.PODMAN_VERSION if tool == "podman" else images.ENGINE_VERSION


async def engine_trouble(call: Call, argv: list[str]) -> int | None:
    """Answer as a node answers whose engine cannot be asked; None when it can.

    ``docker --version`` asks no daemon, so it is answered wherever the command is there.
    """
    docker = call.node.traits.docker if call.tool == "docker" else "up"
    if docker == "missing":
        await call.err(b"bash: docker: command not found\n")
        return 127
    if argv in (["--version"], ["-v"]):
        version = _own_version(call.tool)
        word = f"{call.tool} version {version}"
        if call.tool == "docker":
            word = f"Docker version {version}, build simulated"
        await call.out(f"{word}\n".encode())
        return 0
    if docker == "up":
        return None
    socket = "unix:///var/run/docker.sock"
    says = f"Cannot connect to the Docker daemon at {socket}. Is the docker daemon running?"
    if docker == "denied":
        says = (
            f"permission denied while trying to connect to the Docker daemon socket at {socket}:"
            " dial unix /var/run/docker.sock: connect: permission denied"
        )
    await call.err(f"{says}\n".encode())
    return 1


async def _version(_world: World, call: Call, o: Options) -> int:
    version = _own_version(call.tool)
    data = {"Client": {"Version": version}, "Server": {"Version": version}}
    form = o.last("format")
    text = render(form, data) if form else f"Docker version {version}, build simulated"
    await call.out(f"{text}\n".encode())
    return 0


COMMANDS: dict[str, Callable[[World, Call, Options], Awaitable[int]]] = {
    "image inspect": _show,
    "images": _images,
    "pull": fetching.pull,
    "load": fetching.load,
    "version": _version,
}
