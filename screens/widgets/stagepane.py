"""One node's phases with the time that each took, and what the model does once it serves."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from screens.widgets.glyphs import glyph
from screens.widgets.palette import COLOURS, MUTED, plain
from wizard.launch.durations import PHASES
from wizard.launch.metrics import EngineLoad, Load
from wizard.launch.progress import Phase
from wizard.launch.stages import RankSeen, clock, history, usual

WIDTH = 46


class StagePane(Static):
    """Stands beside the log where there is room."""

    DEFAULT_CSS = """
    StagePane { width: 46; height: 1fr; padding: 0 1; background: $boost; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._told: object = None

    def show(self, rank: RankSeen, load: Load | None, now: float) -> None:
        """Show a node, and the load of all engines; draws only what changed."""
        content = Content("\n").join([*stage_lines(rank, now), *load_lines(load)])
        told = (content.plain, tuple(content.spans))
        if told != self._told:
            self._told = told
            self.update(content)


def stage_lines(rank: RankSeen, now: float) -> list[Content]:
    """Return a node's phases, one a line: done, the current one, those to come."""
    lines = [plain(f"Stages of node {rank.rank}", "bold")]
    lines.append(plain(f"  {'phase':<12}{'took':<9}usually", MUTED))
    worker = rank.rank != 0
    for phase, seconds, running in history(rank, now):
        if phase is Phase.READY and worker:
            continue  # a worker never says so: node 0 serves
        typical = PHASES.get(phase)
        often = usual(typical) if typical is not None else ""
        if running:
            sign, style = glyph("running"), f"bold {COLOURS['running']}"
        elif phase in rank.phases and seconds is None:
            over = phase >= Phase.ENGINE
            sign = glyph("done") if over else glyph("stopped")
            style = COLOURS["done"] if over else COLOURS["stopped"]
        elif seconds is not None:
            sign, style = glyph("done"), COLOURS["done"]
        else:
            sign, style = glyph("pending"), COLOURS["pending"]
        spent = clock(seconds) if seconds else ""
        if running and typical is not None and (seconds or 0.0) > typical.high_s:
            style = f"bold {COLOURS['warn']}"
        lines.append(plain(f"{sign} {phase.title:<12}{spent:<9}", style) + plain(often, MUTED))
    if abs(rank.clock_offset_s) >= 1:
        way = "ahead of" if rank.clock_offset_s > 0 else "behind"
        lines.append(
            plain(f"its clock is {abs(rank.clock_offset_s):.0f} s {way} ours", "$text-warning")
        )
    return [*lines, plain("")]


def load_lines(load: Load | None) -> list[Content]:
    """Return what the model does, in sum and per engine; nothing while it is not known."""
    if load is None:
        return []
    lines = [
        plain("Load", "bold"),
        plain(f"  {'engine':<8}{'run':>4}{'wait':>5}{'KV %':>7}{'tokens/s':>10}", MUTED),
        _load_line("all", load.total, bold=True),
    ]
    if len(load.engines) > 1:
        lines += [_load_line(str(n), one) for n, one in sorted(load.engines.items())]
    if load.total.first_token_s is not None:
        lines.append(plain(f"  first token after {load.total.first_token_s:.2f} s"))
    return lines


def _load_line(name: str, one: EngineLoad, *, bold: bool = False) -> Content:
    use = f"{100 * one.kv_use:.1f}" if one.kv_use is not None else "?"
    speed = f"{one.tokens_s:.1f}" if one.tokens_s is not None else "?"
    text = f"  {name:<8}{one.running:>4}{one.waiting:>5}{use:>7}{speed:>10}"
    return plain(text, "bold" if bold else "")
