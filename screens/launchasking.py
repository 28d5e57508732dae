"""What is asked before a launch is begun or stopped, and what comes of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from screens.base import StepScreen
from screens.launchplan import doubt_of_nodes, doubt_of_scripts, question_of_image
from screens.widgets.dialog import Answer, Confirm
from wizard.errors import WizardError
from wizard.launch.conflict import Holder, put_back
from wizard.launch.preflight import beyond
from wizard.leftover import left_over, stoppable
from wizard.roomtypes import LaunchLike
from wizard.session import Session

if TYPE_CHECKING:
    from wizard.launch.launchplan import LaunchPlan

_UNSTARTED = "It was made there and not started: its wizard is at it, or has ended."
_REMOVING = "It does not run there any more. Its logs are kept on the node when it is removed."


class LaunchAsking(StepScreen):
    """The part of the launch's screen that asks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "launch", "Launch", id="launch.launch"),
        Binding("r", "look_again", "Look again", id="launch.look_again"),
        Binding("s", "stop", "Stop", id="launch.stop"),
        Binding("g", "cause", "Cause", id="launch.cause"),
        Binding("pagedown", "more", "More", id="launch.more", key_display="PgDn"),
    ]
    _asked: Holder | None = None  # whom was asked about

    async def show_launch(self, launch: LaunchLike) -> None:
        """Show another launch than before."""
        raise NotImplementedError

    def action_launch(self) -> None:
        """Ask, then launch."""
        session = self.session
        if session.launch is not None and not (session.launch_active or session.stopping):
            self.workers.cancel_group(self, "conflict")  # that asks the same, and awaits the nodes
            self.run_worker(self._ask_launch(session.launch), exclusive=True, exit_on_error=False)

    async def _ask_launch(self, launch: LaunchLike) -> None:
        session, count = self.session, len(launch.ranks)
        self.say("Asking the nodes ...")
        plan = await session.planning.fresh()
        self.say("")
        if plan is not None and plan.own is not None:  # a launch would only come to the same
            await self._settle(plan.own, plan)
            return
        question = f"Launch on {'1 node' if count == 1 else f'{count} nodes'} now?"
        question = "\n\n".join([question, *self._doubts(plan)])
        go = "Fetch and launch" if question_of_image(plan) else "Launch"
        answers: tuple[Answer, ...] = (("cancel", "Cancel", "default"), ("go", go, "success"))
        if await self.app.push_screen_wait(Confirm(question, answers)) == "go":
            await self._begin(plan, anew=False)

    def _doubts(self, plan: LaunchPlan | None) -> list[str]:
        """Return what is to be said before a launch: of the image, nodes, checks and scripts."""
        session = self.session
        said = (
            question_of_image(plan),
            doubt_of_nodes(plan),
            doubt_of_checks(session, plan),
            doubt_of_scripts(session.review),
        )
        return [doubt for doubt in said if doubt]

    async def _begin(self, plan: LaunchPlan | None, *, anew: bool) -> None:
        """Launch, or ``anew`` in place of what runs, with the image as the question said."""
        session = self.session
        self.say("")
        try:
            if session.launch is None or session.launch.state != "pending":
                await session.plan_launch()  # the answers may have changed since it was made
        except WizardError as error:
            self.failed(error)
            return
        if session.launch is not None:
            session.launch.fetch_image = bool(question_of_image(plan))
        session.planning.forget()
        if anew:
            session.restart_launch()
        else:
            session.start_launch()
        if session.launch is not None:
            await self.show_launch(session.launch)

    def ask_conflict(self) -> None:
        """Ask what to do when the preset turned out to be launched already, once each time."""
        holder = self.session.launch_conflict
        if holder is None or self.session.launch_active:
            self._asked = None
        elif holder.what == "preset" and holder != self._asked:
            self._asked = holder
            self.run_worker(self._ask_conflict(holder), group="conflict", exit_on_error=False)

    async def _ask_conflict(self, holder: Holder) -> None:
        await self._settle(holder, await self.session.planning.fresh())

    async def _settle(self, holder: Holder, plan: LaunchPlan | None) -> None:
        """Attach, restart or neither; what runs may be somebody else's, and is named."""
        ended = holder.ended
        attach: tuple[Answer, ...] = (("attach", "Go to it", "primary"),)
        answers: tuple[Answer, ...] = (
            ("cancel", "Cancel", "default"),
            *(attach if holder.followable else ()),
            ("restart", f"{'Remove' if ended else 'Stop'} it and launch anew", "error"),
        )
        what = _REMOVING if ended else "Stopping it takes the model from its users."
        what = _UNSTARTED if holder.unstarted else what
        question = f"{holder.sentence()}\n\n{what}"
        if holder.engine:
            question += f" {put_back(holder.engine)}."
        if doubts := self._doubts(plan.anew if plan else None):
            question += "\n\n" + "\n".join(["To launch anew:", *doubts])
        answer = await self.app.push_screen_wait(Confirm(question, answers))
        if answer == "restart":
            await self._begin(plan, anew=True)
        elif answer == "attach":
            self.say("")
            try:
                found = await self.session.attach()
            except WizardError as error:
                self.failed(error)
                return
            if not found:
                self.say("It cannot be followed: launch again.", "warn")
            if self.session.launch is not None:
                await self.show_launch(self.session.launch)

    def action_look_again(self) -> None:
        """Ask the nodes again how they are."""
        self.session.planning.forget()
        self.session.planning.ask()

    def action_stop(self) -> None:
        """Ask, then stop on every node."""
        session = self.session
        if stoppable(session) and not session.stopping:
            self.run_worker(self._ask_stop(), exclusive=True, exit_on_error=False)

    async def _ask_stop(self) -> None:
        answers: tuple[Answer, ...] = (
            ("cancel", "Let it run", "default"),
            ("stop", "Stop", "error"),
        )
        question = "Stop the launch on every node?"
        if self.session.serving:
            question += " Whoever uses the model loses it."
        if left_over(self.session):
            question = "Stop what is left of the launch, on every node?"
            answers = (("cancel", "Leave it", "default"), answers[1])
        if await self.app.push_screen_wait(Confirm(question, answers)) == "stop":
            self.say("")
            self.session.begin_stop()


def doubt_of_checks(session: Session, plan: LaunchPlan | None = None) -> str:
    """What the checks say against a launch, or "".

    What the nodes were asked for the plan is newer, and the question has it already.
    """
    if session.checks is None:
        return "The checks have not been run."
    if session.checks_are_of_other_nodes:
        return "The checks are about other nodes than these: run them again first."
    if session.checks_running:
        return "The checks are still running."
    found = session.findings()
    if plan is not None and plan.survey is not None:
        found = beyond(found)
    bad = [finding for finding in found if finding.severity != "warn"]
    if not bad:
        return ""
    return f"The checks found {len(bad)} {'problem' if len(bad) == 1 else 'problems'}. " + (
        f"The first: {bad[0].title}. The launch will probably fail."
    )
