"""Asking the nodes what they are, on the nodes screen, and the way on to the next step."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from screens.base import StepScreen
from screens.nodeaway import about_nodes_not_known
from wizard.errors import WizardError


class NodeAsking(StepScreen):
    """The part of the nodes screen that follows the session's discovery.

    The discovery itself is the session's: leaving the screen does not end it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f7", "discover", "Discover", id="nodes.discover", key_display="F7"),
        Binding(
            "ctrl+r,r", "retry", "Ask failed again", show=False, id="nodes.retry", key_display="^r"
        ),
    ]
    _seen: object = None  # the revision that is shown
    _asked = False  # nodes are being asked, and what came out is still to be said
    _leaving = False  # Next asked for it

    def show_all(self) -> None:
        """Write everything but the addresses themselves; the screen does it."""
        raise NotImplementedError

    def show_failures(self) -> None:
        """Write under each line why its node did not answer; the screen does it."""
        raise NotImplementedError

    def focus_line(self, rank: int) -> None:
        """Go to a node's line; the screen does it."""
        raise NotImplementedError

    def action_discover(self) -> None:
        """Ask all nodes what they are."""
        if self.may_leave():
            self._ask(all_again=True)

    def action_retry(self) -> None:
        """Ask those again that have not answered."""
        if self.session.discovering.complete:
            self.say("Every node has answered. F7 asks all of them again.")
        elif self.may_leave():
            self._ask(all_again=False)

    def _ask(self, *, all_again: bool) -> bool:
        try:
            self.session.discovering.start(all_again=all_again)
        except WizardError as error:
            self.failed(error)
            return False
        self._asked = True
        self.say("Connecting to the nodes, and asking what they are.")
        self.show_all()
        return True

    def drain(self) -> None:
        """Show what the nodes said; the end of the asking may be the way to the next step."""
        discovering = self.session.discovering
        if self._seen != discovering.revision:
            self.show_all()
            self.show_failures()
        if self._asked and not discovering.running:
            self._asked = False
            self._told()

    def reconnected(self) -> None:
        """Nodes whose host keys were accepted are being asked: take up what they say."""
        self._asked = True

    def _told(self) -> None:
        """Say what came out; go on when nothing is to be said and Next was pressed."""
        discovering, leaving = self.session.discovering, self._leaving
        self._leaving = False
        items, failed = discovering.disagreements(), discovering.failed
        if discovering.error:
            self.say(discovering.error, "fail")
        elif failed:
            count = "1 node" if len(failed) == 1 else f"{len(failed)} nodes"
            text = f"{count} did not answer. Ctrl+R asks again; Next goes on without, if you must."
            self.say(text, "fail")
        elif any(item.severity == "blocks" for item in items):
            self.say("What blocks must be mended first: change the hardware or the list.", "fail")
        elif items:
            self.say("Every node has answered; mind what stands above. Next goes on.", "warn")
        elif discovering.complete:
            self.say("Every node has answered, and they agree. Next goes on.", "pass")
            if leaving:
                self.app.notify("Every node has answered, and they agree.", markup=False)
                super().action_next()

    def action_next(self) -> None:
        """Ask the nodes; go on at once when they have answered and nothing blocks."""
        if not self.may_leave():
            return
        discovering = self.session.discovering
        discovering.settle()
        block = next((i for i in discovering.disagreements() if i.severity == "blocks"), None)
        if block is not None:
            self.focus_line(min(block.nodes))
            self.say(f"{block.text[0].upper()}{block.text[1:]} {block.right}", "fail")
        elif discovering.complete and not discovering.running:
            super().action_next()
        elif discovering.running or discovering.failed:
            self._ask_to_leave()
        else:
            self._leaving = self._ask(all_again=False)

    @work(exit_on_error=False)
    async def _ask_to_leave(self) -> None:
        """Not every node is known: wait, ask again, or go on as one must without a network."""
        answer = await self.app.push_screen_wait(about_nodes_not_known(self.session.discovering))
        if answer == "again":
            self._leaving = self._ask(all_again=False)
        elif answer == "go":
            self._leaving = False
            super().action_next()
        elif not self.session.discovering.running:
            self._told()  # what stood there before the question
