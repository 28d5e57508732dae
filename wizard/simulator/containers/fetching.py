"""``docker pull`` and ``docker load`` on a simulated node, and podman's; without a terminal.

What they print, and on which stream, is what docker 20.10 and podman 4.3 really printed.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Awaitable, Callable

from wizard.simulator.containers import images
from wizard.simulator.containers.options import SAYS, Options, Refused
from wizard.simulator.state import World
from wizard.simulator.toolserver import Call

LAYERS = tuple(f"{number:012x}" for number in range(0xA1, 0xA6))
_PIECES = 32  # that an archive is taken in
_SPACE = (
    "write /usr/local/lib/python3.11/site-packages/torch/lib/libtorch.so: no space left on device"
)
Send = Callable[[bytes], Awaitable[None]]


async def pull(world: World, call: Call, o: Options) -> int:
    """Answer ``pull``."""
    if not o.rest:
        raise Refused(f'"{call.tool} pull" requires exactly 1 argument.')
    podman = call.tool == "podman"
    says, code = (f"Error: initializing source docker://{o.rest[0]}: ", 125)
    if not podman:
        says, code = SAYS, 1
    send = call.err if podman else call.out
    # the engine gives up with its client
    await call.while_there(fetch(world, call, o.rest[0], send, says, code))
    last = images.identity(o.rest[0]).removeprefix("sha256:") if podman else o.rest[0]
    await call.out(f"{last}\n".encode())
    return 0


async def fetch(world: World, call: Call, image: str, send: Send, says: str, code: int) -> None:
    """Fetch an image from its registry; ``says`` and ``code`` are how the command tells of errors.

    Raises:
        Refused: the registry does not give it, or there is no room for it.
    """
    podman, node = call.tool == "podman", call.node
    if podman:
        await send(f"Trying to pull {image}...\n".encode())
    if (refusal := _refusal(world, call, image)) is not None:
        raise Refused(says + refusal, code)
    if image in node.images:
        await _tell_done(send, image, podman=podman, new=False)
        return
    await _tell_layers(send, image, podman=podman)
    for number, layer in enumerate(LAYERS):
        await world.pause(world.scenario.timing.pull / len(LAYERS))
        if node.free_bytes < images.SIZE / len(LAYERS):
            await _no_space(podman=podman)
        if not podman:
            await send(f"{layer}: Verifying Checksum\n{layer}: Download complete\n".encode())
            await send(f"{layer}: Pull complete\n".encode())
        elif number + 1 < len(LAYERS):
            await send(f"Copying blob sha256:{LAYERS[number + 1].ljust(64, '0')}\n".encode())
        node.fetched += images.SIZE // len(LAYERS)
    await _tell_done(send, image, podman=podman, new=True)
    node.images.add(image)


def _refusal(world: World, call: Call, image: str) -> str | None:
    """Return what the registry, or the way there, says against it."""
    podman, fault = call.tool == "podman", world.scenario.node_fault(call.node.rank).registry
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    ping = f'{f"pinging container registry {host}: " if podman else ""}Get "https://{host}/v2/": '
    reading = f"reading manifest {tag} in {host}/{repository}: " if podman else ""
    if fault == "no_route":
        return f"{ping}dial tcp 34.225.41.113:443: connect: no route to host"
    if fault == "unauthorized":
        return f"{reading}unauthorized: access to the requested resource is not authorized"
    if fault == "rate_limit":
        return f"{reading}toomanyrequests: too many requests"
    if fault == "unknown" or not images.known(image):
        head = reading if podman else f"manifest for {image} not found: "
        return f"{head}manifest unknown: manifest unknown"
    return None


async def _tell_layers(send: Send, image: str, *, podman: bool) -> None:
    if podman:
        first = LAYERS[0].ljust(64, "0")
        await send(f"Getting image source signatures\nCopying blob sha256:{first}\n".encode())
        return
    repository, _, tag = image.rpartition(":")
    await send(f"{tag}: Pulling from {repository.partition('/')[2]}\n".encode())
    await send("".join(f"{layer}: Pulling fs layer\n" for layer in LAYERS).encode())


async def _tell_done(send: Send, image: str, *, podman: bool, new: bool) -> None:
    identity = images.identity(image)
    if podman:
        await send(f"Copying config {identity}\nWriting manifest to image destination\n".encode())
        return
    status = "Downloaded newer image" if new else "Image is up to date"
    await send(f"Digest: {identity}\nStatus: {status} for {image}\n".encode())


async def _no_space(*, podman: bool) -> None:
    if podman:
        head = "Error: writing blob: adding layer with blob: processing tar file("
        raise Refused(f"{head}{_SPACE}): exit status 1", 125)
    raise Refused(f"failed to register layer: {_SPACE}")


async def load(world: World, call: Call, o: Options) -> int:
    """Answer ``load``: the archive comes over stdin, or is a file of the node (``-i``)."""
    name, podman = o.last("input") or "", call.tool == "podman"
    if name and not call.node.path(name).is_file():
        says = "Error: stat" if podman else "open"
        raise Refused(f"{says} {name}: no such file or directory", 125 if podman else 1)
    await call.wants(str(call.node.path(name)) if name else "")
    data = b""
    while piece := await call.reader.read(1 << 16):
        data += piece
        await world.pause(world.scenario.timing.pull / _PIECES)
    if podman:
        await call.err(b"Getting image source signatures\n")
    names = _names(data, unpacks=not podman)
    if names is None:
        raise _broken(podman=podman)
    if call.node.free_bytes < images.SIZE:
        await _no_space(podman=podman)
    call.node.fetched += images.SIZE
    call.node.images.update(names)
    await call.out("".join(f"Loaded image: {name}\n" for name in names).encode())
    return 0


def _names(data: bytes, *, unpacks: bool) -> list[str] | None:
    """Return the names of an archive's images; None when it is none, or not whole."""
    try:
        if unpacks and data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = {member.name: member for member in archive.getmembers()}
            file = archive.extractfile(members["manifest.json"])
            assert file is not None
            return [str(tag) for entry in json.load(file) for tag in entry["RepoTags"]]
    except (OSError, EOFError, tarfile.TarError, KeyError, ValueError):
        return None


def _broken(*, podman: bool) -> Refused:
    if not podman:
        return Refused("Error processing tar file(exit status 1): unexpected EOF")
    lines = ["payload does not match any of the supported image formats:"]
    lines.append(
        ' * oci-archive: creating temp directory: untarring file "/var/tmp/oci1": unexpected EOF'
    )
    lines.append(" * docker-archive: loading tar component manifest.json: unexpected EOF")
    return Refused("Error: " + "\n".join(lines), 125)
