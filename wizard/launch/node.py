"""What a launch does on one node: each step asks before it acts, and may be repeated.

A step whose connection broke has an unknown outcome. Every step here is idempotent for the same
token, so that it is simply done again (ssh.md, "Supervising").
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pydantic import SecretStr

from wizard.apikey import as_file
from wizard.errors import LaunchError, RemoteError
from wizard.launch.conflict import Claim, Taken
from wizard.launch.engine import QUICK_S, SLOW_S, NodeEngine
from wizard.launch.fence import Fence, owner
from wizard.launch.runtime import (
    STOP_S,
    Container,
    Listing,
    Runtime,
    home_path,
    listens,
    one_at_a_time,
)
from wizard.launch.state import RankState
from wizard.launch.together import together
from wizard.remote.api import Completed, Remote
from wizard.remote.text import clean
from wizard.scriptlines import CONTAINER, KEY_DIRECTORY, KEY_FILE, LABEL_PRESET

LAUNCHES = "~/.v32-wizard/launches"
STOPPED_BY = "stopped-by"  # in the launch directory: who stops what runs, for others who follow it
REMOVED = "removed"  # in the launch directory: its container is verifiably gone
STOPPED_S = 5.0
STOPPED_MIN = 15


def directory(launch_id: str) -> str:
    """Return the directory of a launch on every node."""
    return f"{LAUNCHES}/{launch_id}"


def stopped_while_starting(by: str) -> str:
    """Say that somebody stopped a launch on purpose before all of it ran."""
    return f"It was stopped by {by} while it started."


def labelled(preset: str) -> str:
    """Return the shell's words that ask of a container.sh, named next, whether it is a preset's."""
    # a preset's name holds letters, digits and . _ - alone
    label = f"{LABEL_PRESET}={preset}".replace(".", "[.]")
    return f"""grep -Eqs "{label}([ '\\"]|\\$)\""""


def made_for(program: str, preset: str) -> str:
    """Return the shell's test whether a launch here may have a container under an engine.

    It has where its container.sh names that engine and nobody has seen the container gone. To ask
    an engine without that would start docker's daemon by its socket, make podman's store, or wait
    for one that hangs, on nodes that never used it.

    Args:
        program: the engine.
        preset: whose launches; "" for all.
    """
    its = f' && {labelled(preset)} "$file"' if preset else ""
    return f"""(cd {home_path(LAUNCHES)} 2>/dev/null &&
grep -lsx {shlex.quote(f"runtime={program}")} */{CONTAINER} | while read -r file; do
  [ ! -e "${{file%/*}}/{REMOVED}" ]{its} && echo "$file"
done | grep -q .)"""


class LaunchNode(NodeEngine):
    """One node: its connection, its container engine, and its rank's state."""

    def __init__(
        self,
        remote: Remote,
        runtime: Runtime,
        preset: str,
        state: RankState,
        touch: Callable[[], None],
        fence: Fence,
    ) -> None:
        super().__init__(remote, runtime, state, touch)
        self.preset = preset
        self.fence = fence
        self.unasked = ""  # as the last listing had it

    @property
    def _directory(self) -> str:
        return directory(self.fence.launch_id)

    async def listing(self) -> Listing:
        """Return our containers of this preset, of whatever launch."""
        return await self.containers(self.runtime.of_preset(self.preset))

    async def everywhere(self, *, presets: bool = False) -> Listing:
        """Return our containers of this preset, those of the node's other engine too.

        These have ``engine`` set: the preset's ``container.runtime`` was another one when they were
        made. That engine is asked only where our own launch directories say that there may be some
        (see :func:`made_for`); where it cannot be, ``unasked`` says so.

        Args:
            presets: of whatever preset.

        Raises:
            RemoteError, LaunchError: the node, or the preset's own engine, cannot be asked.
        """
        mine = self.runtime.ours() if presets else self.runtime.of_preset(self.preset)
        return await self.with_aside(mine, presets=presets)

    async def with_aside(self, listing: str, *, presets: bool = False) -> Listing:
        """Return what a command lists of the preset's own engine, and ours of the other one.

        See :meth:`everywhere`.
        """
        own, other = await together([self.containers(listing), self._aside(presets=presets)])
        known = {c.id for c in own.containers}  # docker may be another name of podman
        theirs = [c for c in other.containers if c.launch and c.id not in known]
        self.unasked = other.unasked
        return Listing([*own.containers, *theirs], own.clock, other.unasked)

    async def _aside(self, *, presets: bool) -> Listing:
        other = self.runtime.other
        listing = other.ours() if presets else other.of_preset(self.preset)
        wanted = made_for(other.program, "" if presets else self.preset)
        try:
            found = await self.containers(other.if_there(listing, wanted), runtime=other)
        except (RemoteError, LaunchError) as error:
            return Listing(
                [],
                None,
                f"{error} A launch was made under {other.program} there, and nobody saw it removed:"
                f" if {other.program} is gone for good, remove its folder under {LAUNCHES} there.",
            )
        return Listing([replace(c, engine=other.program) for c in found.containers], found.clock)

    async def note_removed(self, launches: Iterable[str]) -> None:
        """Note on the node that nothing is left there of launches (ids); best effort."""
        ids = " ".join(map(shlex.quote, sorted(launches)))
        command = f"""cd {home_path(LAUNCHES)} 2>/dev/null || exit 0
for launch in {ids}; do [ ! -d "$launch" ] || : >"$launch/{REMOVED}"; done
"""
        with suppress(RemoteError, LaunchError):
            await self.run(command, QUICK_S, patience_s=0.0)

    async def mine(self) -> Container | None:
        """Return the container of this launch, or None."""
        found = (await self.listing()).containers
        return next((c for c in found if self.fence.holds(c)), None)

    async def refuse_others(self, claim: Claim, *, but_own_preset: bool = False) -> None:
        """Make sure that nobody holds what this launch needs here.

        ``but_own_preset``: a launch of the same preset is no matter.

        Raises:
            Taken: somebody does; tells who.
        """
        ours = await self.everywhere(presets=True)
        named = await self.containers(self.runtime.named(claim.name))
        if but_own_preset:
            ours, named = ours.without(claim.preset), named.without(claim.preset)
        holder = claim.contested(self.state.rank, self.state.label, ours, named)
        if holder is not None:
            raise Taken(holder)

    async def upload(self, files: Mapping[str, str]) -> None:
        """Put the scripts into the launch's directory."""
        content = {name: text.encode() for name, text in files.items()}
        await self.again(lambda: self.remote.upload(self._directory, content))

    async def put_key(self, key: SecretStr) -> None:
        """Put the API key where serve.sh takes it from, and removes it."""
        content = {KEY_FILE: as_file(key)}
        where = f"{self._directory}/{KEY_DIRECTORY}"
        await self.again(lambda: self.remote.upload(where, content))

    async def drop_key(self) -> None:
        """Remove an API key that no serve.sh has taken; best effort."""
        file = f"{home_path(self._directory)}/{KEY_DIRECTORY}/{KEY_FILE}"
        await self.run(f"rm -f {file}", QUICK_S, patience_s=0.0)

    async def drop_keys(self) -> None:
        """Remove the API keys of all other launches of the preset that no serve.sh has taken.

        Their wizards were killed, or lost the container's name to this launch.
        """
        command = f"""cd {home_path(LAUNCHES)} 2>/dev/null || exit 0
for file in */{KEY_DIRECTORY}/{KEY_FILE}; do
  launch=${{file%%/*}}
  [ -f "$file" ] && [ "$launch" != {shlex.quote(self.fence.launch_id)} ] || continue
  {labelled(self.preset)} "$launch/{CONTAINER}" && rm -f "$file"
done
"""
        await self.run(command, QUICK_S)

    async def reserve(self, claim: Claim) -> None:
        """Create the container, unless this launch has it already.

        Raises:
            Taken: somebody else won the name, or was first to take the NPUs; says who.
            LaunchError: the engine refuses.
        """
        container = await self.again(lambda: self._reserve(claim))
        self.state.container = container.id
        self.put("starting", "container", "created")

    async def _reserve(self, claim: Claim) -> Container:
        where = (self.state.rank, self.state.label)
        container = await self.mine()
        if container is None:
            script = f"{home_path(self._directory)}/container.sh"
            done = await self.permitted(one_at_a_time(f"bash {script} create"), SLOW_S)
            container = await self.mine()
        ours = await self.everywhere(presets=True)
        if container is None:
            named = await self.containers(self.runtime.named(claim.name))
            holder = claim.contested(*where, ours, named)
            raise await self._failed(done) if holder is None else Taken(holder)
        if (holder := claim.older(*where, ours)) is not None:
            raise Taken(holder)
        return container

    async def start(self) -> None:
        """Start the container that :meth:`create` made.

        Raises:
            LaunchError: the engine refuses.
        """
        done = await self.run(self.runtime.start(self.state.container), SLOW_S)
        if done.exit_status != 0:
            raise await self._failed(done)
        self.put("running", "container", "started")

    async def _failed(self, done: Completed) -> LaunchError:
        """Return why a step of the start failed: the container may have been stopped under us."""
        with suppress(RemoteError, LaunchError):
            if by := await self.stopped_by():
                return LaunchError(stopped_while_starting(by))
        return self.error(done)

    async def listening(
        self, ports: Mapping[int, str], *, patience_s: float | None = None
    ) -> list[int]:
        """Return which of the TCP ports somebody listens on, on this node."""
        done = await self.run("ss -ltn", QUICK_S, patience_s=patience_s)
        if done.exit_status != 0:
            raise LaunchError(
                f"ss failed on {self.state.label}: {' '.join(clean(done.stderr).split())[:200]}",
                node=self.state.rank,
                hint="It comes with the package iproute2 (iproute).",
            )
        text = clean(done.stdout)
        return [port for port in ports if listens(text, port)]

    async def remove(
        self, container: Container, *, grace_s: int = STOP_S, wanted: bool = False
    ) -> list[str]:
        """Stop a container of ours, keep its log, remove it; return what went wrong.

        ``wanted``: somebody asked for it; who follows the launch elsewhere is to know.
        """
        self.state.container = container.id
        problems: list[str] = []
        runtime = Runtime(container.engine) if container.engine else self.runtime
        run = partial(self.run, runtime=runtime)

        def note(done: Completed, verb: str) -> None:
            said = " ".join(clean(done.stderr).split())
            if done.exit_status != 0 and "no such" not in said.lower():
                label = self.state.label
                problems.append(f"{label}: {runtime.program} {verb} failed: {said[:200]}")

        if container.paused:  # frozen, it hears no TERM, and podman refuses to stop it
            note(await run(runtime.unpause(container.id), SLOW_S), "unpause")
        if wanted and not container.ended:
            await run(f"echo {owner()} >{self._note_of_stop(container.launch)}", QUICK_S)
        if not container.unstarted:
            note(await run(runtime.stop(container.id, grace_s), grace_s + 30.0), "stop")
        if container.launch:
            # best effort: a full disk must not keep the container alive
            ours = directory(container.launch)
            its_own = container.directory.endswith(ours.removeprefix("~"))
            made = container.directory if its_own else ours
            await run(runtime.save_log(container.id, made, ours), SLOW_S)
        note(await run(runtime.remove(container.id), SLOW_S), "rm")
        return problems

    async def stopped_by(self) -> str:
        """Return who has stopped this launch here on purpose, ``user@host``, or "".

        Raises:
            RemoteError, LaunchError: the node cannot be asked.
        """
        note = self._note_of_stop(self.fence.launch_id)
        # an old one is of a stop that did not come off
        recent = f"find {note} -mmin -{STOPPED_MIN} -exec cat {{}} +"
        done = await self.permitted(recent, STOPPED_S)
        said = " ".join(clean(done.stdout).split())
        return said[:100] if done.exit_status == 0 else ""

    @staticmethod
    def _note_of_stop(launch_id: str) -> str:
        return f"{home_path(directory(launch_id))}/{STOPPED_BY}"
