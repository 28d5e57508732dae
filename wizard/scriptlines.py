"""What container.sh passes to docker, each option with the reason where it is not the guide's.

Pure: a preset and its recipe in, options out.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from wizard import recipes
from wizard.patchkeys import SCRIPTS
from wizard.presetmodel import (
    DEFAULT_NAME,
    DEFAULT_REGISTRY,
    DEFAULT_SHM,
    KEY_MOUNT,
    LAUNCH_MOUNT,
    Preset,
)
from wizard.recipes.model import Provenance

CONTAINER, SERVE = SCRIPTS
HCCN_CONF = "/etc/hccn.conf"
PLOG = "ascend-log"  # folder of the launch directory that keeps CANN's own logs
KEY_DIRECTORY, KEY_FILE = "key", "api-key"  # of the launch directory on node 0, for a moment
PLOG_MOUNT = "/root/ascend/log"
LABEL_PRESET = "v32-wizard.preset"
LABEL_LAUNCH = "v32-wizard.launch"
LABEL_TOKEN = "v32-wizard.token"  # chance: later steps of the launch act on nothing without it
LABEL_OWNER = "v32-wizard.owner"  # user@host of the wizard that launched
LABEL_NODES = "v32-wizard.nodes"  # hosts of all its nodes in rank order, as the preset names them


@dataclass(frozen=True, slots=True)
class Option:
    """One option of ``docker run``, or argument or variable of ``vllm serve``.

    Attributes:
        text: as it stands in the script, quoted; "" when the guide has it and ours has not.
        guide: what the guide says in its place, quoted; "" when it says nothing.
        why: reason of the difference; "" when there is none.
        provenance: where the value comes from.
    """

    text: str
    guide: str = ""
    why: str = ""
    provenance: Provenance = Provenance.GUIDE

    @property
    def differs(self) -> bool:
        """Whether the script differs from the documentation here."""
        return bool(self.why)


def same(*words: str) -> Option:
    """Return an option that is the guide's, word for word."""
    text = shlex.join(words)
    return Option(text, guide=text)


def ours(text: str, guide: str, why: str) -> Option:
    """Return a deviation of ours; ``text`` is quoted already."""
    return Option(text, guide, why, Provenance.OURS)


@dataclass(frozen=True, slots=True)
class LaunchLabels:
    """What a launch is known by on the nodes.

    Attributes:
        preset: the preset's name.
        launch_id: the launch's own id.
        directory: the launch directory on the node; ``~/`` at its beginning is the user's home.
        token: marks the containers of this very launch; "" in scripts that are run by hand.
        owner: who launches, ``user@host``; "" likewise.
        nodes: hosts of all nodes of the launch, in rank order; none likewise.
    """

    preset: str
    launch_id: str
    directory: str
    token: str = ""
    owner: str = ""
    nodes: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its containers, by their names."""
        found = {
            LABEL_PRESET: self.preset,
            LABEL_LAUNCH: self.launch_id,
            LABEL_TOKEN: self.token,
            LABEL_OWNER: self.owner,
            LABEL_NODES: ",".join(self.nodes),
        }
        return {name: value for name, value in found.items() if value}


def image(preset: Preset) -> str:
    """Return the whole image reference: the preset's own, or registry and the recipe's tag.

    Raises:
        UsageError: the recipe documents no image of that operating system for the series.
    """
    return shlex.split(image_option(preset).text)[0]


def image_option(preset: Preset) -> Option:
    """Return the image as an option, with the documentation's in its place."""
    spec = preset.container
    documented = recipes.load(preset.recipe).container.registry
    plain = recipes.image_tag(preset.recipe, preset.series)
    guide = f"{documented}:{plain}"
    if spec.image:
        return changed(shlex.quote(spec.image), guide, "container.image of the preset")
    tag = recipes.image_tag(preset.recipe, preset.series, spec.os)
    if spec.registry:
        reference = f"{shlex.quote(spec.registry)}:{tag}"
        return changed(reference, guide, "container.registry of the preset")
    registry = DEFAULT_REGISTRY if preset.makes("registry") else documented
    if tag != plain:
        return changed(f"{registry}:{tag}", guide, "container.os of the preset")
    if registry != documented:
        return ours(f"{registry}:{tag}", guide, "the registry itself; the guide runs a mirror")
    return Option(guide, guide)


def changed(text: str, guide: str, why: str) -> Option:
    """Return an option that the preset may have changed."""
    if text == guide:
        return Option(text, guide)
    return Option(text, guide, why, Provenance.YOURS)


# --- container.sh -----------------------------------------------------------------------------


DETACHED = ours(
    "create", "run --rm", "it must outlive the SSH session, and its log be readable after its end"
)
NO_TERMINAL = ours("", "-it", "there is no terminal over SSH")
HCCN_MOUNT = ours(
    f"-v {HCCN_CONF}:{HCCN_CONF}", "", "HCCL reads the NPUs' addresses from it; where it exists"
)


def command(preset: Preset) -> Option:
    """Return what the container runs."""
    if not preset.makes("command"):
        return same("bash")
    if not preset.makes("login_shell"):
        return ours(f"bash {LAUNCH_MOUNT}/{SERVE}", "bash", "serve.sh is the command")
    why = "serve.sh is the command; only a login shell sources CANN's set_env.sh"
    return ours(f"bash -l {LAUNCH_MOUNT}/{SERVE}", "bash", why)


def frame(preset: Preset) -> list[Option]:
    """Return what stands around the options: runtime, how it is started, image, command."""
    found = [changed(preset.container.runtime, "docker", "container.runtime of the preset")]
    if preset.makes("detached"):
        found += [DETACHED, NO_TERMINAL]
    if preset.makes("hccn_conf") and not recipes.load(preset.recipe).container.hccn_conf:
        found.append(HCCN_MOUNT)
    return [*found, image_option(preset), command(preset)]


def devices(preset: Preset) -> list[str]:
    """Return the device files that the container gets."""
    numbered = [f"/dev/davinci{i}" for i in range(preset.series.devices)]
    return numbered + recipes.load(preset.recipe).container.devices


def mount_texts(preset: Preset) -> list[str]:
    """Return what is mounted on every node, as SOURCE:TARGET[:OPTIONS]."""
    found = [shlex.split(option.text)[1] for option in mounts(preset)]
    if preset.makes("hccn_conf") or recipes.load(preset.recipe).container.hccn_conf:
        found.append(f"{HCCN_CONF}:{HCCN_CONF}")
    return found


def mounts(preset: Preset) -> list[Option]:
    """Return the mounts, the documentation's first; one of the preset's may take its place."""
    own = {m.split(":")[1].rstrip("/"): m for m in preset.container.mounts}
    found = []
    for mount in recipes.load(preset.recipe).container.mounts:
        instead = own.pop(mount.split(":")[1].rstrip("/"), None)
        found.append(_yours(instead, mount) if instead not in {None, mount} else same("-v", mount))
    return found + [_yours(mount, None) for mount in own.values()]


def _yours(mount: str | None, guide: str | None) -> Option:
    text, old = (shlex.join(["-v", m]) if m else "" for m in (mount, guide))
    return Option(text, old, "mounts of the preset", Provenance.YOURS)


def container_options(
    preset: Preset, labels: dict[str, str], directory: str, *, key: bool = False
) -> list[Option]:
    """Return the options between ``docker create`` (or ``run --rm``) and the image.

    Args:
        preset: what to render.
        labels: what the container is found again by.
        directory: the launch directory on the node, as a quoted shell word.
        key: whether this node gets the API key.
    """
    recipe = recipes.load(preset.recipe).container
    marks = " ".join(shlex.join(["--label", f"{k}={v}"]) for k, v in labels.items())
    found = [_name(preset)]
    found += _ours_if(preset, "labels", marks, "finds again what we started, and nothing else")
    why = "a launch is all or nothing: one rank alone never recovers"
    found += _ours_if(preset, "restart", "--restart no" * preset.makes("detached"), why)
    found += _ours_if(preset, "init", "--init", "passes stop signals on and reaps dead processes")
    found += _ours_if(preset, "log_limits", _log_options(preset), "the log must not fill the disk")
    found.append(same("--net=host"))
    if recipe.privileged:
        found.append(same("--privileged=true"))
    found.extend(_shm(preset, recipe.shm_size))
    found.extend(same("--device", device) for device in devices(preset))
    found.extend(mounts(preset))
    if recipe.hccn_conf and not preset.makes("hccn_conf"):
        found.append(same("-v", f"{HCCN_CONF}:{HCCN_CONF}"))
    text = f"-v {directory}:{LAUNCH_MOUNT}:ro"
    found += _ours_if(preset, "command", text, "brings serve.sh in, which cannot be changed")
    text = f"-v {directory}/{PLOG}:{PLOG_MOUNT}"
    found += _ours_if(preset, "plog", text, "keeps CANN's logs after the container")
    if key:
        text = f"-v {directory}/{KEY_DIRECTORY}:{KEY_MOUNT}"
        why = "serve.api_key of the preset; writable, for serve.sh removes the key once read"
        found.append(Option(text, "", why, Provenance.YOURS))
    return found


def _ours_if(preset: Preset, switch: str, text: str, why: str) -> list[Option]:
    return [ours(text, "", why)] if text and preset.makes(switch) else []


def _name(preset: Preset) -> Option:
    text, guide = (shlex.join(["--name", n]) for n in (preset.container.name, DEFAULT_NAME))
    return changed(text, guide, "container.name of the preset")


def shm_size(preset: Preset) -> str | None:
    """Return the size of /dev/shm in docker's words, None where it is docker's own."""
    options = _shm(preset, recipes.load(preset.recipe).container.shm_size)
    texts = [shlex.split(option.text)[0] for option in options if option.text]
    return texts[0].partition("=")[2] if texts else None


def _shm(preset: Preset, documented: str | None) -> list[Option]:
    size = preset.container.shm_size
    guide = f"--shm-size={documented}" if documented else ""
    if size == documented:
        return [Option(guide, guide)] if guide else []
    if not preset.makes("shm") and size == DEFAULT_SHM:
        return [Option(guide, guide)] if guide else []
    if size is None:
        return [Option("", guide, "shm_size of the preset is null", Provenance.YOURS)]
    if size != DEFAULT_SHM:
        text = f"--shm-size={shlex.quote(size)}"
        return [Option(text, guide, "shm_size of the preset", Provenance.YOURS)]
    why = "docker's 64 MB of /dev/shm are too little for tensor parallelism"
    return [ours(f"--shm-size={shlex.quote(size)}", guide, why)]


def _log_options(preset: Preset) -> str:
    if preset.container.runtime == "podman":
        return "--log-driver k8s-file --log-opt max-size=500mb"
    return "--log-driver json-file --log-opt max-size=100m --log-opt max-file=5"


def guide_options(preset: Preset) -> list[Option]:
    """Return the options of the documentation's ``docker run``, between ``run`` and the image."""
    recipe = recipes.load(preset.recipe).container
    found = [same("--rm"), _name(preset)]
    if recipe.shm_size:
        found.append(same(f"--shm-size={recipe.shm_size}"))
    found.append(same("--net=host"))
    if recipe.privileged:
        found.append(same("--privileged=true"))
    found.extend(same("--device", device) for device in devices(preset))
    found.extend(mounts(preset))
    if recipe.hccn_conf:
        found.append(same("-v", f"{HCCN_CONF}:{HCCN_CONF}"))
    return [*found, same("-it")]
