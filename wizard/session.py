"""One run of the wizard: its answers, and the engine objects that outlive any screen.

The command line and the screens read its state at any time; whatever it starts in the background
is a task of its own, never of a screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from wizard import ignoring
from wizard.answers import Answers, Step
from wizard.background import Background
from wizard.checks.model import CellKey, Result, Status
from wizard.cluster import Cluster, Precision, Series
from wizard.conversation import Conversation, Message
from wizard.discovering import Discovering
from wizard.draft import DraftNode
from wizard.errors import UsageError
from wizard.hostkeydesk import HostKeyDesk
from wizard.launchplanning import LaunchPlanning
from wizard.remote.api import Fleet
from wizard.review import Review
from wizard.rooms import Rooms
from wizard.roomtypes import CheckRunLike, FindingLike, LaunchLike
from wizard.runninglaunches import RunningLaunches
from wizard.secretdesk import SecretDesk

if TYPE_CHECKING:
    from wizard.checks.book import Book
    from wizard.launch.conflict import Holder
    from wizard.presets import Preset
    from wizard.scripts import NodeScripts

__all__ = ["RERUN", "Session", "Step"]

RERUN = frozenset({Status.FAIL, Status.ERROR, Status.WARN})
_ACTIVE = frozenset({"starting", "waiting", "ready"})


class Session(Answers):
    """See the module. Make it inside the event loop that will use it, or before any starts."""

    def __init__(self, *, rooms: Rooms | None = None, demo: bool = False) -> None:
        super().__init__(rooms or Rooms(), demo=demo)
        self.checks: CheckRunLike | None = None
        self.book: Book | None = None  # what ``checks`` amounts to: ignores, history
        self.checks_error = ""
        self.launch: LaunchLike | None = None
        self.launch_error = ""
        self.launch_since = 0.0  # monotonic: when it was started, or found, here
        self.stop_error = ""
        self.chat = Conversation()
        self.review = Review(self)
        self.planning = LaunchPlanning(self)
        self._checked: Cluster | None = None  # the cluster that ``checks`` is about
        self._completed: tuple[Preset, Preset] | None = None  # as answered, with addresses found
        self._fleet: tuple[Cluster, Fleet] | None = None
        self._launch_fleet: Fleet | None = None  # that ``launch`` goes by
        self._retired: list[Fleet] = []
        self._work = Background(self._tell)
        self.host_keys = HostKeyDesk(
            lambda: self._fleet[1] if self._fleet else None, self._work, self._ask_again
        )
        self.secrets = SecretDesk()
        self._let_in: set[int] = set()  # ranks whose host keys were accepted, not yet asked again
        self.discovering = Discovering(self, self._work)
        self.running = RunningLaunches(self.rooms, self._work)
        self._simulated = AsyncExitStack()

    async def begin_demo(
        self,
        *,
        series: Series = Series.A3,
        precision: Precision = Precision.BF16,
        scenario: str = "healthy",
        speed: float = 1.0,
    ) -> None:
        """Start a simulated cluster that lives as long as this session, and take its answers.

        Raises:
            WizardError: it did not start.
        """
        from wizard.presets import load_preset  # noqa: PLC0415 - like every room, when needed

        path = await self._simulated.enter_async_context(
            self.rooms.simulated(series=series, precision=precision, scenario=scenario, speed=speed)
        )
        self.demo = True
        self.load(load_preset(path))

    # -- where we stand

    @property
    def done(self) -> set[Step]:
        """The visited steps that are truly behind us; what failed or waits is not."""
        open_steps: set[Step] = set()
        if self.checks is None or self.checks_running or Step.CHECKS in self.problem_steps:
            open_steps |= {Step.CHECKS, Step.TROUBLESHOOTING}
        if not self.serving:
            open_steps |= {Step.LAUNCH, Step.CHAT}
        return self.visited - open_steps

    @property
    def problem_steps(self) -> set[Step]:
        """The visited steps at which something is wrong or has to be looked at again."""
        steps = set(self.needs_review)
        if self.checks is not None:
            if self.wrong(Status.FAIL) or self.wrong(Status.ERROR):
                steps.add(Step.CHECKS)
            if self.checks_are_of_other_nodes:
                steps.add(Step.CHECKS)
        if self.launch is not None and self.launch.state == "failed":
            steps.add(Step.LAUNCH)
        return steps

    def set_nodes(self, nodes: list[DraftNode]) -> None:
        """Answer which nodes, in rank order; what they said of themselves is fitted to it."""
        super().set_nodes(nodes)
        self.discovering.settle()

    # -- engine objects

    def fleet(self) -> Fleet:
        """Return the connections to the nodes as answered, made anew when the nodes change."""
        cluster = self.preset().cluster
        if self._fleet is None or self._fleet[0].ways != cluster.ways:
            if self._fleet is not None:
                # A launch may still be followed through it; it is closed with the session.
                self._retired.append(self._fleet[1])
            secrets = self.secrets.secrets_for(cluster.nodes)
            self._fleet = (cluster, self.rooms.open_fleet(cluster, secrets))
        return self._fleet[1]

    @property
    def audit_problem(self) -> str:
        """Why what is run on the nodes cannot be noted in the audit log, or ""."""
        return self._fleet[1].audit_problem if self._fleet else ""

    @property
    def checks_are_of_other_nodes(self) -> bool:
        """Whether the answers changed after the checks were started."""
        if self.checks is None or self._checked is None:
            return False
        try:
            return self.preset().cluster != self._checked
        except UsageError:
            return True

    @property
    def checks_running(self) -> bool:
        """Whether checks run now."""
        return self._work.busy("checks")

    def start_checks(self) -> None:
        """Run all checks in the background, in place of any that run.

        Raises:
            UsageError: the answers do not make a preset yet.
        """
        preset = self.preset()
        self.cancel_checks()
        self.checks_error = ""
        self.checks, self._checked = self.rooms.check_run(self.fleet(), preset), preset.cluster
        self.book = self.rooms.book(self.checks, preset)
        self.needs_review.discard(Step.CHECKS)
        self._work.start("checks", self._begin_checks(self.checks, self.book))

    async def _begin_checks(self, run: CheckRunLike, book: Book) -> None:
        await book.begin()
        await self._answer_checks(run.run(), book)

    async def _answer_checks(self, work: Coroutine[Any, Any, Any], book: Book) -> None:
        await work
        await book.keep()

    def wrong(self, status: Status, node: int | None = None) -> int:
        """How many cells have this status and are not ignored, on one node or on all."""
        return self.book.open(status, node) if self.book is not None else 0

    def rerun(self, keys: Iterable[CellKey]) -> bool:
        """Run these cells again; False when checks run already or there is nothing to run."""
        wanted = list(keys)
        if self.checks is None or self.book is None or self.checks_running or not wanted:
            return False
        self.checks_error = ""
        self._work.start("checks", self._answer_checks(self.checks.rerun(wanted), self.book))
        return True

    def rerun_failed(self) -> bool:
        """Run again what failed, warned or could not be checked."""
        if self.checks is None:
            return False
        return self.rerun([r.key for r in self.checks.board if r.status in RERUN])

    def _ask_again(self, ranks: frozenset[int]) -> None:
        """Check again what could not be checked on nodes, or towards them, that now let us in."""
        self.discovering.let_in(ranks)
        self._let_in |= ranks
        if not self._work.busy("again"):
            self._work.start("again", self._check_again())

    async def _check_again(self) -> None:
        await self._work.ended("checks")
        ranks, self._let_in = self._let_in, set()
        if self.checks is not None and not self.checks_are_of_other_nodes:
            concerned = (r for r in self.checks.board if {r.key.node, r.key.peer_node} & ranks)
            self.rerun([r.key for r in concerned if r.status in RERUN])

    def resume_checks(self) -> bool:
        """Answer what has no answer yet; False when checks run or everything has one."""
        if self.checks is None or self.book is None or self.checks_running:
            return False
        if not self.book.unanswered:
            return False
        self.checks_error = ""
        self._work.start("checks", self._answer_checks(self.checks.resume(), self.book))
        return True

    def start_mesh(self) -> bool:
        """Ping every pair of NPUs that was not pinged yet; False when checks run."""
        if self.checks is None or self.book is None or self.checks_running:
            return False
        self.checks_error = ""
        self._work.start("checks", self._answer_checks(self.checks.run_mesh(), self.book))
        return True

    def cancel_checks(self) -> None:
        """Stop the checks that run; what has been answered stays."""
        self._work.cancel("checks")

    def findings(self) -> list[FindingLike]:
        """Explain what the checks found; empty when all is well or nothing was checked."""
        return [] if self.book is None else [*self.book.findings()]

    def ignore(self, results: Iterable[Result], reason: str) -> str:
        """Ignore the problems of these cells, from now on and in the preset; return where it is.

        Raises:
            ValueError: one of them cannot be ignored, or the reason is no honest line.
            PresetError: the saved preset of that name could not be written.
        """
        if self.book is None:
            return ""
        return ignoring.ignore(self, self.book, results, reason)

    def judge_again(self, results: Iterable[Result]) -> bool:
        """Take back what is ignored of these cells; False when nothing is."""
        return self.book is not None and ignoring.judge_again(self, self.book, results)

    async def complete_preset(self) -> Preset:
        """Return the preset with ``local_ip`` and ``nic`` of every node, asked from the nodes.

        Raises:
            WizardError: an answer is wrong, or a node could not be asked.
        """
        preset = self.preset()
        if self._completed is None or self._completed[0].nodes != preset.nodes:
            self._completed = (preset, await self.rooms.complete(preset, self.fleet()))
        # what was asked from the nodes holds whatever else is answered
        return preset.model_copy(update={"nodes": self._completed[1].nodes})

    async def scripts(self) -> list[NodeScripts]:
        """Return every node's scripts.

        Raises:
            WizardError: see :meth:`complete_preset`.
        """
        return self.rooms.render(await self.complete_preset())

    @property
    def launch_active(self) -> bool:
        """Whether a launch of ours runs on the nodes, as far as we know."""
        return self.launch is not None and (
            self._work.busy("launch") or self.launch.state in _ACTIVE
        )

    @property
    def serving(self) -> bool:
        """Whether the model can be asked."""
        return self.launch is not None and self.launch.state == "ready"

    async def plan_launch(self) -> list[str]:
        """Make the launch and return what it will do, for people to confirm. Starts nothing."""
        preset = await self.complete_preset()
        if not self.launch_active:
            self._launch_fleet = self.fleet()
            self.launch = self.rooms.launch(self._launch_fleet, preset)
        assert self.launch is not None
        return self.launch.plan()

    async def attach(self) -> bool:
        """Look for a launch of this preset that runs already, and follow it when there is one."""
        await self.plan_launch()
        assert self.launch is not None
        if self.launch_active:
            return True
        self._try_anew()
        if not await self.launch.attach():
            return False
        self.launch_error, self.launch_since = "", time.monotonic()
        self._work.start("launch", self.launch.follow())
        return True

    def start_launch(self) -> None:
        """Launch what :meth:`plan_launch` made, and follow it, in the background."""
        self._begin_launch(anew=False)

    @property
    def launch_conflict(self) -> Holder | None:
        """Who holds what the launch needs, when that is why it did not start.

        With ``what == "preset"`` the same preset is launched already, and :meth:`attach` or
        :meth:`restart_launch` go on from there; anything else people must settle themselves.
        """
        return self.launch.conflict if self.launch is not None else None

    def restart_launch(self) -> None:
        """Stop what runs of the preset, whoever launched it, and launch anew, in the background."""
        self._begin_launch(anew=True)

    def _begin_launch(self, *, anew: bool) -> None:
        if self.launch is not None and not self.launch_active:
            self.launch_error, self.launch_since = "", time.monotonic()
            self._work.start("launch", self._run_launch(self.launch, anew=anew))

    async def _run_launch(self, launch: LaunchLike, *, anew: bool) -> None:
        self._try_anew()
        await (launch.restart() if anew else launch.start())
        await launch.follow()

    def _try_anew(self) -> None:
        """Logins that were refused may be tried and asked for again: the user wants to go on."""
        if self._launch_fleet is not None:
            self._launch_fleet.forgive()

    @property
    def stopping(self) -> bool:
        """Whether the launch is being stopped now."""
        return self._work.busy("stop")

    def begin_stop(self) -> None:
        """Stop the launch on every node and verify, in the background; ``stop_error`` tells."""
        if self.launch is not None and not self.stopping:
            self.stop_error = ""
            self._work.start("stop", self._run_stop(self.launch))

    async def _run_stop(self, launch: LaunchLike) -> None:
        await self._work.end("launch")
        self._try_anew()
        self.stop_error = "; ".join(await launch.stop())

    async def stop_launch(self) -> str:
        """Stop the launch, or wait for the stop that goes on; return what went wrong, or ""."""
        self.begin_stop()
        await self._work.wait("stop")
        return self.stop_error

    # -- chat

    def ask(self, text: str) -> bool:
        """Ask the model in the background; False while it still answers."""
        if self.chat.busy:
            return False
        self.chat.add(Message("user", text))
        answer = self.chat.add(Message("assistant", state="streaming"))
        self._work.start("chat", self._answer(answer))
        return True

    def stop_answer(self) -> bool:
        """Stop the answer that streams; what has come stays. False when none streams."""
        return self._work.cancel("chat")

    async def _answer(self, answer: Message) -> None:
        with self.chat.answering(answer):
            preset = await self.complete_preset()
            async with self.rooms.open_chat(self.fleet().remotes[0], preset) as client:
                await self.chat.take(answer, client.stream(self.chat.for_model()))

    def _tell(self, name: str, problem: str) -> None:
        if name == "discovery":
            self.discovering.error = problem
        elif name not in ("chat", "running"):  # an answer that fails says so itself
            setattr(self, f"{name}_error", problem)

    async def aclose(self) -> None:
        """End what runs here and close the connections. A launch goes on, on the nodes."""
        await self._work.end_all()
        await self.review.aclose()
        await self.planning.aclose()
        self.autosave.flush()
        fleets = [*self._retired, *([self._fleet[1]] if self._fleet else [])]
        self._retired, self._fleet = [], None
        await asyncio.gather(*(fleet.close() for fleet in fleets), return_exceptions=True)
        await self._simulated.aclose()
