"""A node's container engine over its connection: asked, asked again, as root if need be.

A command whose connection broke has an unknown outcome. What goes through :meth:`NodeEngine.again`
is idempotent, so that it is simply done once more (ssh.md, "Supervising").
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import TypeVar

from wizard.errors import (
    CommandTimeout,
    ConnectionLost,
    LaunchError,
    NotPermitted,
    RemoteError,
    Unreachable,
)
from wizard.launch.runtime import Listing, Runtime, denied, engine_error, parse_listing
from wizard.launch.seen import ANSWER_S
from wizard.launch.shownrank import ShownRank
from wizard.launch.state import RankState
from wizard.remote.api import Completed, Remote, Root

T = TypeVar("T")
QUICK_S = 15.0  # asking: an engine that answers slower than this is as good as not answering
ASIDE_S = 5.0  # asking another engine than the preset's: it must not hold up much
RECONNECT_S = 20.0  # to a node in the midst of a step: a jump host that restarts takes that long
_RETRY_S = 1.0
_LIMIT = 1 << 20  # bytes of an answer
_LISTED_LIMIT = 16 << 20  # inspect tells 10 to 20 KB of each container, and some nodes run hundreds
SLOW_S = 120.0  # making and starting: dockerd under load takes its time


def tried_until(error: RemoteError, until: float, label: str) -> str:
    """Say that a node, known by ``label``, is tried again, until when (epoch seconds), and why."""
    clock = time.strftime("%H:%M:%S", time.localtime(until))
    why = error.message.removeprefix(f"{label} cannot be reached: ")  # the line is the node's own
    return f"tried again until {clock}: {why}"


class NodeEngine(ShownRank):
    """The connection to one node and the engine behind it; ``state`` is the rank's."""

    def __init__(
        self, remote: Remote, runtime: Runtime, state: RankState, touch: Callable[[], None]
    ) -> None:
        super().__init__(state, touch)
        self.remote = remote
        self.runtime = runtime
        # by program: "no" until the engine says that our user may not use it
        self._roots: defaultdict[str, Root] = defaultdict(lambda: "no")

    async def run(
        self,
        command: str,
        timeout_s: float,
        *,
        patience_s: float | None = None,
        runtime: Runtime | None = None,
    ) -> Completed:
        """Run an idempotent command, again when the connection broke (see :meth:`again`)."""
        return await self.again(
            lambda: self.permitted(command, timeout_s, runtime=runtime), patience_s=patience_s
        )

    def stream(self, command: str) -> AsyncGenerator[bytes, None]:
        """Follow a command's output, as root where that was needed before."""
        if (root := self._roots[self.runtime.program]) == "no":
            return self.remote.stream(command)
        return self.remote.stream(command, root=root)

    async def permitted(
        self,
        command: str,
        timeout_s: float,
        *,
        limit: int = _LIMIT,
        runtime: Runtime | None = None,
    ) -> Completed:
        """Run a command; as root from then on when the engine refuses the user that we are.

        ``runtime``: the engine that it is for, None for the preset's own. For another nobody is
        asked for a password.
        """
        program = (runtime or self.runtime).program
        run = partial(self.remote.run, command, timeout_s=timeout_s, limit=limit)
        if (root := self._roots[program]) != "no":
            return await run(root=root)
        done = await run()
        if not denied(done):
            return done
        if program != self.runtime.program:
            done = await run(root="try")
            if not denied(done):
                self._roots[program] = "try"
            return done
        try:
            done = await run(root="must")
        except NotPermitted as error:
            refusal = self.error(done)
            refusal.hint = f"{refusal.hint} Tried: {error.message}"
            raise refusal from error
        self._roots[program] = "must"
        return done

    async def again(
        self, step: Callable[[], Awaitable[T]], *, patience_s: float | None = None
    ) -> T:
        """Do an idempotent step; when the node is lost meanwhile, again until it holds.

        From the first vain repetition on, the rank is shown as out of reach until then.

        Raises:
            RemoteError: the node was never reached, or not again within ``patience_s`` (None:
                RECONNECT_S; 0: who asks repeats the question himself).
        """
        patience_s = RECONNECT_S if patience_s is None else patience_s
        now = asyncio.get_running_loop().time
        lost, until, shown = False, 0.0, 0.0  # until: by the loop's clock, and as it is shown
        while True:
            try:
                done = await step()
            except (ConnectionLost, Unreachable) as error:
                if not lost:
                    if isinstance(error, Unreachable) and not (self.reached and patience_s):
                        raise
                    lost, until, shown = True, now() + patience_s, time.time() + patience_s
                    continue  # mostly it only has to be opened anew
                if now() >= until:
                    raise
                self.out_of_reach(tried_until(error, shown, self.state.label))
            else:
                self.in_reach()
                return done
            await asyncio.sleep(_RETRY_S)

    async def containers(self, command: str, *, runtime: Runtime | None = None) -> Listing:
        """Ask by one of the runtime's listing commands, twice at most: who waits asks again.

        Raises:
            LaunchError: the engine could not be asked.
        """
        limit_s = QUICK_S if runtime is None else ASIDE_S
        label, program = self.state.label, (runtime or self.runtime).program
        try:
            done = await self.again(
                lambda: self.permitted(command, limit_s, limit=_LISTED_LIMIT, runtime=runtime),
                patience_s=0.0,
            )
        except CommandTimeout as error:
            await self.remote.answer(timeout_s=ANSWER_S)  # the node itself may be silent
            raise LaunchError(
                f"{program} does not answer on {label}: nothing came within {limit_s:.0f} s.",
                node=self.state.rank,
                hint=f"The node itself does. See what {program} does there: "
                f"timeout 20 {program} info; journalctl -n 50 -u {program}",
            ) from error
        return parse_listing(done, where=label, program=program)

    def error(self, done: Completed) -> LaunchError:
        """Make one sentence of what the engine complained about here."""
        error = engine_error(done, where=self.state.label, program=self.runtime.program)
        error.node = self.state.rank
        return error
