"""The last line of a screen: the keys that work now, as one widget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from screens.widgets.palette import plain


@dataclass(frozen=True, slots=True)
class _Shown:
    key: str
    label: str
    description: str
    enabled: bool

    def text(self, before: str) -> Content:
        """Return the key and what it does, as wide as they are drawn."""
        dim = "" if self.enabled else "dim "
        key = f"{dim}bold $footer-key-foreground on $footer-key-background"
        does = f"{dim}$footer-description-foreground on $footer-description-background"
        return plain(f"{before}{self.label} ", key) + plain(f"{self.description} ", does)


class KeyLine(Widget):
    """Textual's ``Footer`` drawn as text.

    The footer makes a widget of each key anew whenever the focus moves, which was half of what
    a screen cost to show. A click on a key does what the key does.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS: ClassVar[str] = """
    KeyLine {
        dock: bottom; height: 1; text-wrap: nowrap;
        color: $footer-foreground; background: $footer-background;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[_Shown] = []
        self._hovered = -1

    def on_mount(self) -> None:
        """Follow the keys of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen and self.app.app_focus:
            self.call_after_refresh(self._show)

    def _show(self) -> None:
        if not self.is_attached:  # the screen went meanwhile
            return
        by_action: dict[str, _Shown] = {}
        quiet: frozenset[str] = getattr(self.screen, "quiet", frozenset())
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if binding.show and not {binding.action} & {*by_action, *quiet}:
                label = self.app.get_key_display(binding)
                shown = _Shown(binding.key, label, binding.description, enabled)
                by_action[binding.action] = shown
        if (now := list(by_action.values())) != self._shown:
            self._shown = now
            self._hover(-1)
            self.refresh()

    def _parts(self) -> list[Content]:
        parts = [shown.text(" ") for shown in self._shown]
        if sum(part.cell_length for part in parts) > self.size.width:
            parts = [shown.text("") for shown in self._shown]
        return parts

    def render(self) -> Content:
        """Return the keys side by side, closer when they would not fit."""
        parts = self._parts()
        if 0 <= self._hovered < len(parts):
            parts[self._hovered] = parts[self._hovered].stylize("on $block-hover-background")
        return plain("").join(parts)

    def _at(self, x: int) -> int:
        """Return the index of the key drawn at a column, -1 for none."""
        end = 0
        for index, part in enumerate(self._parts()):
            end += part.cell_length
            if x < end:
                return index
        return -1

    def _hover(self, index: int) -> None:
        if index != self._hovered:
            self._hovered = index
            self.styles.pointer = "default" if index < 0 else "pointer"
            self.refresh()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show which key a click would press."""
        self._hover(self._at(event.x))

    def on_leave(self) -> None:
        """The mouse is elsewhere."""
        self._hover(-1)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key that is clicked."""
        if (index := self._at(event.x)) < 0:
            return
        if self._shown[index].enabled:
            self.app.simulate_key(self._shown[index].key)
        else:
            self.app.bell()
