"""Plays the docker daemon of every node: the commands, on the containers of the asking node."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from wizard.simulator.containers import fetching, image_commands, images, listing
from wizard.simulator.containers.container import Container
from wizard.simulator.containers.options import SAYS, BadOptions, Options, Refused, parse
from wizard.simulator.containers.spec import read_spec
from wizard.simulator.containers.template import TemplateError, render
from wizard.simulator.scenario import Drop
from wizard.simulator.state import SimNode, World
from wizard.simulator.toolserver import Call

Environment = Callable[[SimNode], dict[str, str]]


class Daemon:
    """All containers of all nodes."""

    def __init__(self, world: World, directory: Path, environment: Environment) -> None:
        self.world = world
        self._directory = directory
        self._environment = environment
        self.containers: dict[int, list[Container]] = {n.rank: [] for n in world.nodes}
        self.cut: Callable[[int], None] = lambda _rank: None  # the SSH connections of a node
        self._drops = list(world.scenario.drops)

    def users(self, node: SimNode) -> dict[int, int]:
        """Return which NPUs are held by a running container: device → pid."""
        held: dict[int, int] = {}
        for c in self.containers[node.rank]:
            if c.running and c.process is not None:
                for name in c.spec.devices:
                    number = name.removeprefix("/dev/davinci")
                    if number.isdigit():
                        held[int(number)] = c.process.pid
        return held

    async def ended(self) -> None:
        """Wait until the ends of all (killed) containers were taken note of."""
        followers = [c.follower for cs in self.containers.values() for c in cs if c.follower]
        if followers:
            await asyncio.wait(followers, timeout=5)

    async def command(self, call: Call) -> int:
        """Carry out one docker command; return its exit code."""
        if (at := call.argv[1] if len(call.argv) > 1 else "") and self.world.holds.of(
            call.node.rank, at
        ):  # a client that is killed meanwhile has asked for nothing
            await call.while_there(self.world.holds.wait(call.node.rank, at))
        drop = next((d for d in self._drops if _meant(d, call)), None)
        if drop is None:
            return await self._command(call)
        self._drops.remove(drop)
        code = await self._command(call) if drop.when == "after" else 1
        self.cut(call.node.rank)
        return code

    async def _command(self, call: Call) -> int:
        tty, *argv = call.argv
        if (refused := await image_commands.engine_trouble(call, argv)) is not None:
            return refused
        try:
            options = parse(argv)
            if options.command in image_commands.COMMANDS:
                return await image_commands.COMMANDS[options.command](self.world, call, options)
            return await self._COMMANDS[options.command](self, call, options, tty == "1")
        except BadOptions as error:
            await call.err(f"{error}\n".encode())
            return 125 if argv[:1] in (["run"], ["create"]) else 1
        except Refused as error:
            await call.err(f"{error}\n".encode())
            return error.code
        except TemplateError as error:
            await call.err(f"{error}\n".encode())
            return 1

    # --- making and starting ---------------------------------------------------------------

    async def _run(self, call: Call, o: Options, tty: bool) -> int:
        detached = "detach" in o.switches
        if "tty" in o.switches and not detached and not tty:
            raise Refused("the input device is not a TTY")
        container = await self._make(call, o)
        if detached:
            await call.out(f"{container.id}\n".encode())
        await self._begin(container, "docker: ", 127)
        if detached:
            return 0
        await listing.send_logs(call, container, follow=True)
        return container.exit_code

    async def _create(self, call: Call, o: Options, _tty: bool) -> int:
        container = await self._make(call, o)
        await call.out(f"{container.id}\n".encode())
        return 0

    async def _make(self, call: Call, o: Options) -> Container:
        if not o.rest:
            raise Refused(f'"docker {o.command}" requires at least 1 argument.')
        node, (image, *command) = call.node, o.rest
        if image not in node.images:
            await call.err(f"Unable to find image '{image}' locally\n".encode())
            await fetching.fetch(self.world, call, image, call.err, f"docker: {SAYS}", 125)
        name = o.last("name") or f"quirky_{secrets.token_hex(3)}"
        taken = next((c for c in self.containers[node.rank] if c.spec.name == name), None)
        if taken is not None:
            raise Refused(
                f'docker: {SAYS}Conflict. The container name "/{name}" is already in use by'
                f' container "{taken.id}". You have to remove (or rename) that container to be'
                f" able to reuse that name.\nSee 'docker {o.command} --help'.",
                125,
            )
        spec = read_spec(o, name, image, command or ["bash"])
        identity = secrets.token_hex(32)
        root = self._directory / f"n{node.rank}" / "containers" / identity[:12]
        container = Container(identity, node, spec, root)
        container.build_root()
        self.containers[node.rank].append(container)
        return container

    async def _begin(self, container: Container, prefix: str, code: int) -> None:
        """Start a container; ``prefix`` and ``code`` are how the command tells of a failure."""
        for device in container.spec.devices:
            if not container.node.path(device).exists():
                container.error = (
                    "error gathering device information while adding custom device"
                    f' "{device}": no such file or directory'
                )
                raise Refused(f"{prefix}{SAYS}{container.error}.", code)
        try:
            await container.start(self._environment(container.node))
        except OSError as error:
            container.error = f"exec: {container.spec.command[0]!r}: {error.strerror}"
            container.exit_code = 127
            raise Refused(
                f"{prefix}{SAYS}failed to create task for container: {container.error}", 127
            ) from error
        if container.spec.auto_remove and container.follower is not None:
            container.follower.add_done_callback(lambda _task: self._forget(container))

    async def _start(self, call: Call, o: Options, _tty: bool) -> int:
        failed = []
        for name in o.rest:
            container = self._find(call.node, name)
            try:
                if not container.running:
                    await self._begin(container, "", 1)
                await call.out(f"{name}\n".encode())
            except Refused as error:
                await call.err(f"{error}\n".encode())
                failed.append(name)
        if failed:
            raise Refused(f"Error: failed to start containers: {', '.join(failed)}")
        return 0

    # --- ending ----------------------------------------------------------------------------

    async def _stop(self, call: Call, o: Options, _tty: bool) -> int:
        text = o.last("time", "timeout") or "10"
        if not text.isdigit():
            raise Refused(f'invalid argument "{text}" for "-t, --time" flag: invalid syntax', 125)
        seconds = float(text)
        number = _signal(o.last("signal") or "TERM")
        for name in o.rest:
            await self._find(call.node, name).stop(seconds, number)
            await call.out(f"{name}\n".encode())
        return 0

    async def _kill(self, call: Call, o: Options, _tty: bool) -> int:
        for name in o.rest:
            container = self._find(call.node, name)
            if not container.running:
                raise Refused(
                    f"{SAYS}Cannot kill container: {name}: Container {container.id} is not running"
                )
            number = _signal(o.last("signal") or "KILL")
            container.send(number)
            if number == signal.SIGKILL and container.follower is not None:
                await asyncio.wait({container.follower})
            await call.out(f"{name}\n".encode())
        return 0

    async def _rm(self, call: Call, o: Options, _tty: bool) -> int:
        force = "force" in o.switches
        for name in o.rest:
            try:
                container = self._find(call.node, name)
            except Refused:
                if force:
                    continue
                raise
            if container.running and not force:
                raise Refused(
                    f"{SAYS}You cannot remove a running container {container.id}. Stop the"
                    " container before attempting removal or force remove"
                )
            await container.stop(0, signal.SIGKILL)
            self._forget(container)
            await call.out(f"{name}\n".encode())
        return 0

    def _forget(self, container: Container) -> None:
        if container in self.containers[container.node.rank]:
            self.containers[container.node.rank].remove(container)
        shutil.rmtree(container.root, ignore_errors=True)  # links are removed, not followed

    async def _wait(self, call: Call, o: Options, _tty: bool) -> int:
        for name in o.rest:
            container = self._find(call.node, name)
            if container.follower is not None:
                await asyncio.wait({container.follower})
            await call.out(f"{container.exit_code}\n".encode())
        return 0

    # --- looking ---------------------------------------------------------------------------

    async def _logs(self, call: Call, o: Options, _tty: bool) -> int:
        container = self._find(call.node, o.rest[0] if o.rest else "")
        await listing.send_logs(
            call,
            container,
            follow="follow" in o.switches,
            stamps="timestamps" in o.switches,
            since=o.last("since"),
            tail=o.last("tail"),
        )
        return 0

    async def _ps(self, call: Call, o: Options, _tty: bool) -> int:
        await call.out(listing.ps(self.containers[call.node.rank], o).encode())
        return 0

    async def _inspect(self, call: Call, o: Options, _tty: bool) -> int:
        found, missing = [], []
        for name in o.rest:
            try:
                found.append(self._find(call.node, name).inspect())
            except Refused:
                missing.append(name)
        form = o.last("format")
        if form is None:
            await call.out((json.dumps(found, indent=4) + "\n").encode())
        else:
            await call.out("".join(render(form, item) + "\n" for item in found).encode())
        if missing:
            raise Refused(f"Error: No such object: {missing[0]}")
        return 0

    async def _exec(self, call: Call, o: Options, tty: bool) -> int:
        if "tty" in o.switches and not tty:
            raise Refused("the input device is not a TTY")
        if len(o.rest) < 2:
            raise Refused('"docker exec" requires at least 2 arguments.')
        name, *command = o.rest
        container = self._find(call.node, name)
        if not container.running:
            raise Refused(f"{SAYS}container {container.id} is not running")
        env = dict(pair.partition("=")[::2] for pair in o.all("env"))
        environment = container.environment(self._environment(call.node)) | env
        return await listing.run_inside(call, container, command, environment, o)

    async def _info(self, call: Call, o: Options, _tty: bool) -> int:
        data = images.engine(len(self.containers[call.node.rank]), call.tool)
        form = o.last("format")
        text = render(form, data) if form else "\n".join(f" {k}: {v}" for k, v in data.items())
        await call.out(f"{text}\n".encode())
        return 0

    def _find(self, node: SimNode, name: str) -> Container:
        for container in self.containers[node.rank]:
            if name in (container.spec.name, container.id) or (
                len(name) >= 4 and container.id.startswith(name)
            ):
                return container
        raise Refused(f"{SAYS}No such container: {name}")

    _COMMANDS: dict[str, Callable[[Daemon, Call, Options, bool], Awaitable[int]]] = {  # noqa: RUF012
        "run": _run,
        "create": _create,
        "start": _start,
        "stop": _stop,
        "kill": _kill,
        "rm": _rm,
        "wait": _wait,
        "logs": _logs,
        "ps": _ps,
        "inspect": _inspect,
        "exec": _exec,
        "info": _info,
    }


def _meant(drop: Drop, call: Call) -> bool:
    return drop.node == call.node.rank and drop.command in call.argv[1:2]


def _signal(name: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return signal.Signals["SIG" + name.upper().removeprefix("SIG")]
    except KeyError:
        raise Refused(f"{SAYS}Invalid signal: {name}") from None
