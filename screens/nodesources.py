"""Where lists of nodes come from, on the nodes screen: text, files, ~/.ssh/config."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import Screen

from screens.base import StepScreen
from screens.nodedialogs import EditList, PickHosts
from screens.widgets.dialog import Ask
from wizard.draft import DraftNode
from wizard.nodelist import format_nodes
from wizard.nodelistfile import read_list
from wizard.sshconfig import config_hosts


class NodeSources(StepScreen):
    """The part of the nodes screen that fetches lists; ``set_list`` is the screen's own."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f3", "as_text", "List", id="nodes.text", key_display="F3"),
        Binding("f2", "pick", "Pick", id="nodes.pick", key_display="F2"),
        Binding("ctrl+o", "load_file", "File", id="nodes.file", key_display="^o"),
    ]

    async def set_list(self, nodes: list[DraftNode], current: int) -> None:
        """Show another list; the screen does it."""
        raise NotImplementedError

    def action_as_text(self) -> None:
        """Edit the whole list as text."""
        self.edit_as_text(self.session.draft.nodes, "")

    @work(exit_on_error=False)
    async def edit_as_text(self, nodes: list[DraftNode], more: str) -> None:
        """Edit these nodes, with more text after them; Esc leaves the list as it was."""
        text = format_nodes(nodes) + more
        found = await self._ask_screen(EditList(text, self.session.draft.nodes))
        if found is not None:
            await self.set_list(found or [DraftNode()], 0)
            count = "1 node" if len(found) == 1 else f"{len(found)} nodes"
            self.say(f"The list has {count} now.")

    async def _ask_screen(self, screen: Screen[list[DraftNode] | None]) -> list[DraftNode] | None:
        return await self.app.push_screen_wait(screen)

    @work(exit_on_error=False)
    async def action_load_file(self) -> None:
        """Take the list out of a file, looked at as text first."""
        question = "Which file? A hosts file, a list of names, or an Ansible inventory:"
        path = await self.app.push_screen_wait(Ask(question, ""))
        if not path:
            return
        try:
            text = await asyncio.to_thread(read_list, path)
        except ValueError as error:
            self.say(str(error), "fail")
            return
        self.edit_as_text(self.session.draft.nodes, text)

    @work(exit_on_error=False)
    async def action_pick(self) -> None:
        """Pick hosts out of ~/.ssh/config; they take the empty lines first."""
        try:
            hosts = await asyncio.to_thread(config_hosts)
        except OSError as error:
            self.say(f"~/.ssh/config cannot be read: {error.strerror}.", "fail")
            return
        taken = {node.parts[1] for node in self.session.draft.nodes}
        free = [host for host in hosts if host.alias not in taken]
        if not free:
            why = "names no further host" if hosts else "names no host"
            self.say(f"~/.ssh/config {why} that could be picked.", "warn")
            return
        picked = await self.app.push_screen_wait(PickHosts(free))
        if not picked:
            return
        nodes = list(self.session.draft.nodes)
        for alias in picked:
            empty = next((n for n, node in enumerate(nodes) if not node.address.strip()), None)
            if empty is None:
                nodes.append(DraftNode(alias))
            else:
                nodes[empty] = DraftNode(alias)
        await self.set_list(nodes, len(nodes) - 1)
