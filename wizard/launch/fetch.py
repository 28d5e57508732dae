"""Fetching the image on one node: a pull, or the load of an archive that lies there.

Only ever begun after the user said so. The engine's client ends with our connection, and docker and
podman then give up the pull themselves; layers that are whole stay for the next one.
"""

from __future__ import annotations

import asyncio

from wizard.enginewords import Trouble, complaint
from wizard.errors import LaunchError, RemoteError, WizardError
from wizard.launch.engine import QUICK_S
from wizard.launch.fetchprogress import FetchProgress
from wizard.launch.imagecommands import UNREADABLE, load_script, pull_script
from wizard.launch.lines import LineReader
from wizard.launch.node import LaunchNode
from wizard.launch.state import IMAGE_STAGE
from wizard.presets import Preset
from wizard.remote.text import clean
from wizard.scripts import image

LIMIT_S = 4 * 3600.0  # a slow line moves 20 GB in less; an engine that hangs is given up then


async def fetch(node: LaunchNode, preset: Preset, *, limit_s: float = LIMIT_S) -> None:
    """Bring the preset's image to a node, telling the progress in the rank's state.

    Raises:
        LaunchError: the engine could not; names the node, why, and what to do.
        RemoteError: the node could not be reached, or not again.
    """
    reference, archive = image(preset), preset.container.image_archive
    program = node.runtime.program
    script = load_script(program, archive) if archive else pull_script(program, reference)
    what = f"loads {archive}" if archive else f"pulls {reference}"
    node.put("starting", IMAGE_STAGE, what)
    try:
        progress = await _within(node, script, limit_s)
        if progress.exit_status != 0 or not await _there(node, reference):
            raise _failure(node, preset, progress)
    except WizardError as error:  # at once: others may go on fetching for long
        state = "unreachable" if isinstance(error, RemoteError) else "failed"
        node.put(state, IMAGE_STAGE, error.message)
        raise
    node.put("starting", IMAGE_STAGE, "the image is there")


async def _within(node: LaunchNode, script: str, limit_s: float) -> FetchProgress:
    try:
        async with asyncio.timeout(limit_s):
            # cut off, what became of it is not known: a second pull takes up what the first left
            return await node.again(lambda: _follow(node, script))
    except TimeoutError:
        raise LaunchError(
            f"the image was not there after {limit_s / 60:.0f} minutes on {node.state.label}.",
            node=node.state.rank,
            hint="Fetch it there by hand and look why it takes so long.",
        ) from None


async def _follow(node: LaunchNode, script: str) -> FetchProgress:
    progress, reader = FetchProgress(), LineReader(stamps=False)

    def take(chunk: bytes | None) -> None:
        for line in reader.flush() if chunk is None else reader.feed(chunk):
            progress.feed(clean(line.text))
        if progress.words:
            node.put("starting", IMAGE_STAGE, progress.words)

    async for chunk in node.stream(script):
        take(chunk)
    take(None)
    return progress


async def _there(node: LaunchNode, reference: str) -> bool:
    return (await node.run(node.runtime.has_image(reference), QUICK_S)).exit_status == 0


def _failure(node: LaunchNode, preset: Preset, progress: FetchProgress) -> LaunchError:
    """Say why the image is not there: what the engine said, or another image in the archive."""
    rank, where, program = node.state.rank, node.state.label, node.runtime.program
    reference, archive = image(preset), preset.container.image_archive
    if archive and progress.exit_status == UNREADABLE:
        text = f"the archive {archive} cannot be read on {where}: {progress.said}."
        hint = "Copy it there, or correct container.image_archive of the preset."
        return LaunchError(text, node=rank, hint=hint)
    if progress.exit_status == 0 and archive:
        held = ", ".join(progress.loaded) or "no image with a name"
        text = f"the archive {archive} on {where} holds {held}, not {reference}."
        hint = f"Set container.image to that name, or there: {program} tag NAME {reference}"
        return LaunchError(text, node=rank, hint=hint)
    said = complaint(progress.said, progress.exit_status)
    text = said.sentence(where, program)
    if said.trouble in (None, Trouble.NO_IMAGE):
        text = f"the image did not come to {where}: {said.said}"
    return LaunchError(text, node=rank, hint=said.hint(where, program))
