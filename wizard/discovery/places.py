"""Where weights usually lie: the folders that recipes name, and the caches of the model hubs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wizard.cluster import Precision

if TYPE_CHECKING:
    from wizard.presets import Preset

# ModelScope's own cache, newer and older; a repository id follows
_HUBS = ("~/.cache/modelscope/hub/models", "~/.cache/modelscope/hub")


def usual_places(preset: Preset | None = None) -> tuple[str, ...]:
    """Return folders in which a model may lie on a node, the preset's own first.

    A path of the container is led to the host through the preset's mounts; the recipes' own
    folders have the same path on both.
    """
    from wizard import recipes  # noqa: PLC0415 - opening the wizard must not wait for pydantic

    found: list[str] = []
    if preset is not None and preset.serve.model:
        found += _folders(preset.serve.model, preset.container.mounts)
    order = sorted(Precision, key=lambda p: preset is not None and p is not preset.precision)
    for precision in order:
        for name in recipes.names():
            for scenario in recipes.load(name).scenarios:
                if scenario.precision is precision:
                    found += _folders(scenario.local_model or scenario.model, ())
    return tuple(dict.fromkeys(found))


def _folders(model: str, mounts: Sequence[str]) -> list[str]:
    if model.startswith("/"):
        return [_on_host(model, mounts)]
    if model.startswith("~/"):
        return [model]
    return [f"{hub}/{model}" for hub in _HUBS]


def _on_host(path: str, mounts: Sequence[str]) -> str:
    """The host's path of a path in the container; the longest mount that leads there counts."""
    for mount in sorted(mounts, key=lambda m: -len(m.split(":")[1])):
        source, target = mount.split(":")[:2]
        target = target.rstrip("/")
        if path == target or path.startswith(f"{target}/"):
            return source.rstrip("/") + path[len(target) :]
    return path
