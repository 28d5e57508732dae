"""What a parameter has when its field is empty, and where that value comes from. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from wizard import scriptlines, servelines
from wizard.deviations import switches
from wizard.parameters import PARAMETERS
from wizard.presetmodel import ContainerSpec, Preset, ServeSpec
from wizard.recipes.model import PORT, RPC_PORT, Provenance
from wizard.scriptlines import Option


@dataclass(frozen=True, slots=True)
class RecipeValue:
    """A value of the recipe, "" when it has none, and where it comes from."""

    text: str
    provenance: Provenance = Provenance.GUIDE
    why: str = ""

    @property
    def told(self) -> str:
        """The origin and the value, as a placeholder says them; a long value may be cut."""
        return f"{self.provenance}: {self.text}" if self.text else self.why


def recipe_values(preset: Preset) -> dict[str, RecipeValue]:
    """Return the recipe's value of every parameter, by the parameter's id.

    Only hardware, recipe, strict_guide and, for the image, registry and OS of the preset count.
    """
    bare = preset.model_copy(
        update={"serve": ServeSpec(), "container": ContainerSpec(), "patches": {}}
    )
    spec = preset.container
    pictured = bare.model_copy(
        update={"container": ContainerSpec(os=spec.os, registry=spec.registry)}
    )
    registry = scriptlines.image_option(bare)
    found = {
        "port": _of(bare, PORT) or RecipeValue("", why="not set"),
        "rpc_port": _of(bare, RPC_PORT) or RecipeValue("", why="not used on a single node"),
        "model": _told(servelines.model(bare)),
        "image": _told(scriptlines.image_option(pictured)),
        "registry": RecipeValue(
            shlex.split(registry.text)[0].rpartition(":")[0], registry.provenance, registry.why
        ),
        "os": RecipeValue(bare.container.os.value),
        "image_archive": RecipeValue("", why="a .tar or .tar.gz on the nodes, in place of a pull"),
        "runtime": RecipeValue(bare.container.runtime),
        "name": RecipeValue(bare.container.name),
        "shm_size": _shm(bare),
        "mounts": RecipeValue("", why="SOURCE:DESTINATION[:ro], one per line"),
        "api_key": RecipeValue("no"),
        "probe_s": RecipeValue("", why="off; a request for one token as often, while it serves"),
        "strict_guide": RecipeValue("", why="no; yes: for use by hand, not to be launched"),
        "deviations": RecipeValue("", why=f"one per line: {', '.join(switches())}"),
        "args": RecipeValue("", why="--name value, --name, or drop --name; one per line"),
        "env": RecipeValue("", why="NAME=value, or drop NAME; one per line"),
    }
    for parameter in PARAMETERS:
        if parameter.id not in found:
            found[parameter.id] = _of(bare, parameter.id) or RecipeValue("", why="not set")
    return found


def _told(option: Option) -> RecipeValue:
    return RecipeValue(shlex.split(option.text)[0], option.provenance, option.why)


def _shm(bare: Preset) -> RecipeValue:
    size = bare.container.shm_size
    if bare.strict_guide or size is None:
        return RecipeValue("", why="left out, as the guide does")
    return RecipeValue(size, Provenance.OURS, "docker's own 64 MB are too little")


def _of(bare: Preset, flag: str) -> RecipeValue | None:
    """Return an argument's value; where nodes differ, node 0's and the others'."""
    values: list[tuple[str, Provenance]] = []
    for rank in range(min(2, len(bare.nodes))):
        for option in servelines.arguments(bare, rank):
            words = shlex.split(option.text)
            if words and words[0] == flag and len(words) > 1:
                values.append((words[1], option.provenance))
    if not values:
        return None
    text, provenance = values[0]
    if len(values) > 1 and values[1][0] != text:
        text += f", other nodes {values[1][0]}"
    return RecipeValue(text, provenance)
