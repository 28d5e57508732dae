"""The docker commands that ask for images, and for the engine's version."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from wizard.simulator.containers import images
from wizard.simulator.containers.options import SAYS, Options, Refused
from wizard.simulator.containers.template import render
from wizard.simulator.state import World
from wizard.simulator.toolserver import Call


async def _show(_world: World, call: Call, o: Options) -> int:
    found = []
    for name in o.rest:
        if name not in call.node.images:
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


async def _pull(world: World, call: Call, o: Options) -> int:
    if not o.rest:
        raise Refused('"docker pull" requires exactly 1 argument.')
    await fetch(world, call, o.rest[0], SAYS, 1)
    await call.out(f"{o.rest[0]}\n".encode())
    return 0


async def fetch(world: World, call: Call, image: str, says: str, code: int) -> None:
    """Pull an image; ``says`` and ``code`` are how the command tells that there is none.

    Raises:
        Refused: nobody has such an image.
    """
    if not images.known(image):
        tail = f"manifest for {image} not found: manifest unknown: manifest unknown."
        raise Refused(f"{says}{tail}", code)
    async for line in images.pull(world, call.node, image):
        await call.err(f"{line}\n".encode())


async def _version(_world: World, call: Call, o: Options) -> int:
    version = images.ENGINE_VERSION
    data = {"Client": {"Version": version}, "Server": {"Version": version}}
    form = o.last("format")
    text = render(form, data) if form else f"Docker version {version}, build simulated"
    await call.out(f"{text}\n".encode())
    return 0


COMMANDS: dict[str, Callable[[World, Call, Options], Awaitable[int]]] = {
    "image inspect": _show,
    "images": _images,
    "pull": _pull,
    "version": _version,
}
