"""What a launch does on one node: each step asks before it acts, and may be repeated.

A step whose connection broke has an unknown outcome. Every step here is idempotent for the same
launch id, so that it is simply done again (ssh.md, "Supervising").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from wizard.apikey import as_file
from wizard.errors import LaunchError
from wizard.launch.engine import QUICK_S, SLOW_S, NodeEngine
from wizard.launch.runtime import (
    STOP_S,
    Container,
    Listing,
    Runtime,
    home_path,
    listens,
)
from wizard.launch.state import RankState
from wizard.remote.api import Completed, Remote
from wizard.remote.text import clean
from wizard.scriptlines import KEY_DIRECTORY, KEY_FILE

LAUNCHES = "~/.v32-wizard/launches"
_LAUNCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def directory(launch_id: str) -> str:
    """Return the directory of a launch on every node."""
    return f"{LAUNCHES}/{launch_id}"


class LaunchNode(NodeEngine):
    """One node: its connection, its container engine, and its rank's state."""

    def __init__(
        self,
        remote: Remote,
        runtime: Runtime,
        preset: str,
        state: RankState,
        touch: Callable[[], None],
    ) -> None:
        super().__init__(remote, runtime, state)
        self.preset = preset
        self.touch = touch

    def put(self, state: str, stage: str | None = None, detail: str | None = None) -> None:
        """Set the state that people see; ``None`` leaves a part as it is."""
        before = (self.state.state, self.state.stage, self.state.detail)
        self.state.state = state
        self.state.stage = self.state.stage if stage is None else stage
        self.state.detail = self.state.detail if detail is None else detail
        if before != (self.state.state, self.state.stage, self.state.detail):
            self.touch()

    async def listing(self) -> Listing:
        """Return our containers of this preset, of whatever launch."""
        return await self.containers(self.runtime.of_preset(self.preset))

    async def mine(self, launch_id: str) -> Container | None:
        """Return the container of this launch, or None."""
        found = (await self.listing()).containers
        return next((c for c in found if c.launch == launch_id), None)

    async def refuse_others(self, name: str, launch_id: str) -> None:
        """Make sure that nothing stands in the way of this launch.

        Raises:
            LaunchError: the preset is launched here already, or the container's name is taken;
                says by whom.
        """
        for container in (await self.listing()).containers:
            if container.launch != launch_id:
                raise LaunchError(
                    f"{self.preset} is on {self.state.label} already, {container.status}, as "
                    f"launch {container.launch}.",
                    node=self.state.rank,
                    hint="Attach to it, or stop it first (v32-wizard stop).",
                )
        for container in (await self.containers(self.runtime.named(name))).containers:
            if container.name == name and container.launch != launch_id:
                raise self.name_taken(container)

    def name_taken(self, container: Container) -> LaunchError:
        """Make the error for a container of our name that is not this launch's."""
        whose = f"the preset {container.preset}" if container.preset else "not one of ours"
        return LaunchError(
            f"the container name {container.name} is taken on {self.state.label}: by "
            f"{container.id[:12]} ({container.image}, {container.status}), {whose}.",
            node=self.state.rank,
            hint="Choose another container.name in the preset, or remove that container yourself.",
        )

    async def require_image(self, image: str) -> None:
        """Make sure that the image is on the node.

        Raises:
            LaunchError: it is not there; gives the command that fetches it.
        """
        done = await self.run(self.runtime.has_image(image), QUICK_S)
        if done.exit_status == 0:
            return
        said = clean(done.stderr).lower()
        if "no such image" in said or "not known" in said or "no such object" in said:
            raise LaunchError(
                f"the image {image} is not on {self.state.label}.",
                node=self.state.rank,
                hint=f"Fetch it there: {self.runtime.pull(image)}",
            )
        raise self.error(done)

    async def require_free(self, ports: Mapping[int, str]) -> None:
        """Make sure that nobody listens on these ports (port → what we need it for).

        Raises:
            LaunchError: a port is taken.
        """
        for port in await self.listening(ports):
            raise LaunchError(
                f"port {port} ({ports[port]}) is in use on {self.state.label}.",
                node=self.state.rank,
                hint=f"See what holds it: ss -ltnp 'sport = :{port}', or choose another port.",
            )

    async def upload(self, launch_id: str, files: Mapping[str, str]) -> None:
        """Put the scripts into the launch's directory."""
        content = {name: text.encode() for name, text in files.items()}
        await self.again(lambda: self.remote.upload(directory(launch_id), content))

    async def put_key(self, launch_id: str, key: SecretStr) -> None:
        """Put the API key where serve.sh takes it from, and removes it."""
        content = {KEY_FILE: as_file(key)}
        where = f"{directory(launch_id)}/{KEY_DIRECTORY}"
        await self.again(lambda: self.remote.upload(where, content))

    async def drop_key(self, launch_id: str) -> None:
        """Remove an API key that no serve.sh has taken; best effort."""
        if _LAUNCH_ID.fullmatch(launch_id):
            file = f"{home_path(directory(launch_id))}/{KEY_DIRECTORY}/{KEY_FILE}"
            await self.run(f"rm -f {file}", QUICK_S)

    async def create(self, launch_id: str, name: str) -> None:
        """Create the container, unless this launch has it already.

        Raises:
            LaunchError: the engine refuses; when somebody else won the name, says who.
        """
        container = await self.again(lambda: self._create(launch_id, name))
        self.state.container = container.id
        self.put("starting", "container", "created")

    async def _create(self, launch_id: str, name: str) -> Container:
        if (container := await self.mine(launch_id)) is not None:
            return container
        script = f"{home_path(directory(launch_id))}/container.sh"
        done = await self.permitted(f"bash {script} create", SLOW_S)
        if (container := await self.mine(launch_id)) is not None:
            return container
        for other in (await self.containers(self.runtime.named(name))).containers:
            if other.name == name:
                raise self.name_taken(other)
        raise self.error(done)

    async def start(self) -> None:
        """Start the container that :meth:`create` made.

        Raises:
            LaunchError: the engine refuses.
        """
        done = await self.run(self.runtime.start(self.state.container), SLOW_S)
        if done.exit_status != 0:
            raise self.error(done)
        self.put("running", "container", "started")

    async def listening(self, ports: Mapping[int, str]) -> list[int]:
        """Return which of the TCP ports somebody listens on, on this node."""
        done = await self.run("ss -ltn", QUICK_S)
        if done.exit_status != 0:
            raise LaunchError(
                f"ss failed on {self.state.label}: {' '.join(clean(done.stderr).split())[:200]}",
                node=self.state.rank,
                hint="It comes with the package iproute2 (iproute).",
            )
        text = clean(done.stdout)
        return [port for port in ports if listens(text, port)]

    async def remove(self, container: Container, *, grace_s: int = STOP_S) -> list[str]:
        """Stop a container of ours, keep its log, remove it; return what went wrong."""
        self.state.container = container.id
        problems: list[str] = []
        if not container.unstarted:
            done = await self.run(self.runtime.stop(container.id, grace_s), grace_s + 30.0)
            self._note(done, "stop", problems)
        if _LAUNCH_ID.fullmatch(container.launch):
            # best effort: the directory may be gone, and that must not keep the container alive
            where = directory(container.launch)
            await self.run(self.runtime.save_log(container.id, where), SLOW_S)
        done = await self.run(self.runtime.remove(container.id), SLOW_S)
        self._note(done, "rm", problems)
        return problems

    def _note(self, done: Completed, verb: str, problems: list[str]) -> None:
        said = " ".join(clean(done.stderr).split())
        if done.exit_status == 0 or "no such" in said.lower():
            return
        problems.append(f"{self.state.label}: {self.runtime.program} {verb} failed: {said[:200]}")
