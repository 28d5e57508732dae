"""What the nodes must offer for a preset to be launched on them: ports, image, weights, mounts.

Everything here follows from the preset alone; a check compares it with what a node says.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wizard.cluster import Precision

if TYPE_CHECKING:
    from wizard.presetmodel import Preset

HCCL_PORT = 16666  # where HCCL listens on every host (facts on hccn_tool, "host")
# sources of mounts that are files; docker makes an empty directory of one that is missing
FILES = frozenset(
    {
        "/etc/ascend_install.info",
        "/etc/hccn.conf",
        "/usr/local/Ascend/driver/tools/hccn_tool",
        "/usr/local/Ascend/driver/version.info",
        "/usr/local/bin/npu-smi",
    }
)
# what makes an engine's ``info`` say where it keeps images and containers
STORE = {"docker": "{{.DockerRootDir}}", "podman": "{{.Store.GraphRoot}}"}
_OPTIONAL = frozenset({"/etc/hccn.conf"})  # container.sh mounts it only where it exists


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a preset needs of its nodes. Empty values: not known, and not judged.

    Attributes:
        name: of the preset, which a launch of ours is labelled with.
        runtime: ``docker`` or ``podman``.
        image: reference that the container is made of.
        model: folder of the weights on the node; "" when the model is no folder (a repository
            id, which every node would download).
        model_name: the model as ``vllm serve`` is given it.
        mounted: whether the container will see ``model``.
        mounts: sources of the container's mounts.
        ports: TCP ports that must be free, by rank, with what needs each.
    """

    name: str = ""
    runtime: str = "docker"
    image: str = ""
    model: str = ""
    model_name: str = ""
    mounted: bool = True
    mounts: tuple[str, ...] = ()
    ports: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    precision: Precision | None = None

    def words(self) -> dict[str, str]:
        """Return what check commands are filled in with, quoted for the shell."""
        quoted = " ".join(shlex.quote(source) for source in self.mounts)
        return {
            "runtime": shlex.quote(self.runtime),
            "ours": self._ours(),
            "version": "{{.Version.Version}}" if self.runtime == "podman" else "{{.ServerVersion}}",
            "store": STORE[self.runtime],
            "image": shlex.quote(self.image),
            "model": shlex.quote(self.model),
            "mounts": quoted,
        }

    def _ours(self) -> str:
        """Return what lists the containers of our launch of the preset, behind another command."""
        if not self.name:
            return ""
        from wizard.scriptlines import LABEL_PRESET  # noqa: PLC0415 - as in of_preset

        label = shlex.quote(f"label={LABEL_PRESET}={self.name}")
        return f" && {shlex.quote(self.runtime)} ps --filter {label} --format '{{{{.Names}}}}'"

    def lacks(self, check: str) -> str:
        """Return why a check cannot be asked, "" when it can."""
        if check == "image" and not self.image:
            return "no preset says which image is needed"
        if check == "mounts" and not self.mounts:
            return "no preset says what is mounted"
        if check == "weights" and not self.model:
            if self.model_name:
                return f"{self.model_name} is no folder: every node will download it"
            return "no preset says where the weights are"
        return ""


def of_preset(preset: Preset) -> Expectations:
    """Return what a preset needs of its nodes."""
    from wizard import scripts  # noqa: PLC0415 - the scripts' rooms are not needed to ask a node
    from wizard.scriptlines import mounts  # noqa: PLC0415
    from wizard.servelines import model  # noqa: PLC0415

    name = shlex.split(model(preset).text)[0]
    pairs = [shlex.split(option.text)[-1].split(":") for option in mounts(preset) if option.text]
    folder, mounted = _host_path(name, pairs)
    sources = tuple(dict.fromkeys(source.rstrip("/") or "/" for source, *_ in pairs))
    return Expectations(
        name=preset.name,
        runtime=preset.container.runtime,
        image=scripts.image(preset),
        model=folder,
        model_name=name,
        mounted=mounted,
        mounts=tuple(s for s in sources if s not in _OPTIONAL),
        ports=_ports(preset, scripts.api_port(preset), scripts.rpc_port(preset)),
        precision=preset.precision,
    )


def _ports(preset: Preset, api: int, rpc: int | None) -> dict[int, dict[int, str]]:
    """Node 0 serves the API and the rendezvous; HCCL listens on every node of several."""
    several = len(preset.nodes) > 1
    found: dict[int, dict[int, str]] = {}
    for rank in range(len(preset.nodes)):
        needed = {HCCL_PORT: "HCCL"} if several else {}
        if rank == 0:
            needed |= {api: "the API"} | ({rpc: "the other nodes' ranks"} if rpc else {})
        found[rank] = needed
    return found


def _host_path(model: str, mounts: list[list[str]]) -> tuple[str, bool]:
    """Return the folder of the node that the container sees as ``model``, and whether it does."""
    if not model.startswith("/"):
        return "", True
    best: tuple[str, str] | None = None
    for source, target, *_ in mounts:
        inside = target.rstrip("/")
        sees = model == inside or model.startswith(inside + "/")
        if sees and (best is None or len(inside) > len(best[1])):
            best = source.rstrip("/"), inside
    if best is None:
        return model, False
    return best[0] + model[len(best[1]) :], True
