"""The preset's models (contract.md, "Preset"): version 1, no unknown keys, every value checked."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from wizard import recipes
from wizard.checks.ignores import Ignore
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.deviations import check as check_deviations
from wizard.errors import UsageError
from wizard.hostlist import check_host, expand
from wizard.patchkeys import MAX_LENGTH, check_patch, script_of
from wizard.recipes.model import COMPUTED, PORT, TP_SIZE, Os
from wizard.safetext import check_text, holds_credentials, is_secret_name

DEFAULT_REGISTRY = "quay.io/ascend/vllm-ascend"
DEFAULT_NAME = "vllm-ascend"
DEFAULT_SHM = "1g"
LAUNCH_MOUNT = "/v32-wizard"  # where the launch directory appears in the container
KEY_MOUNT = "/v32-wizard-key"  # where node 0 finds the API key, for a moment

# what bash itself sets, or our scripts use: an exported value would not arrive as written
_SHELL_NAMES = re.compile(
    r"_|BASH.*|COMP_.*|E?UID|PPID|GROUPS|SHELLOPTS|SHLVL|S?RANDOM|SECONDS|LINENO|EPOCH\w+|HISTCMD"
    r"|DIRSTACK|FUNCNAME|PIPESTATUS|OPT(ARG|IND)|IFS|(OLD)?PWD|HOSTNAME|HOSTTYPE|MACHTYPE|OSTYPE"
    r"|PS4|POSIXLY_CORRECT|nic_name|local_ip|node0_ip"
)


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return AfterValidator(check)


def _ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address like 10.0.0.11") from None
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text} is not the address of one node")
    return text


def _recipe(name: str) -> str:
    if name not in recipes.names():
        raise ValueError(f"there is no recipe {name!r}; known: {', '.join(recipes.names())}")
    return name


def _mount(text: str) -> str:
    parts = text.split(":")
    if len(parts) not in {2, 3} or not all(p.startswith("/") for p in parts[:2]):
        raise ValueError(f"{text!r} is not SOURCE:DESTINATION[:OPTIONS] with absolute paths")
    if len(parts) == 3 and not re.fullmatch(r"[A-Za-z,]+", parts[2]):
        raise ValueError(f"{parts[2]!r} are not mount options like ro")
    if parts[1].rstrip("/") in {"", LAUNCH_MOUNT, KEY_MOUNT}:
        raise ValueError(f"{parts[1]} cannot be mounted over")
    return text


def _archive(text: str) -> str:
    if not text.startswith("/") or not text.endswith((".tar", ".tar.gz", ".tgz")):
        raise ValueError(
            f"{text!r} is not the absolute path of a .tar, .tar.gz or .tgz on the nodes"
        )
    return text


def _plain_int(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _scalar(value: object, depth: int = 0) -> object:
    """Refuse what JSON or an argument cannot carry."""
    if depth > 20:
        raise ValueError("is nested too deeply")
    if isinstance(value, str):
        if holds_credentials(value):
            raise ValueError("holds a password; no secret has a place in a preset")
        return check_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is not text; put it in quotes")
            _scalar(key)
            _refuse_secret(key, item)
            _scalar(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _scalar(item, depth + 1)
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise ValueError(f"{type(value).__name__} is not a value for an argument; put it in quotes")
    return value


def _refuse_secret(name: str, value: object) -> None:
    if value is not None and is_secret_name(name):
        raise ValueError(f"{name} holds a secret, and no secret has a place in a preset")


def _arg_name(name: str) -> str:
    if not re.fullmatch(r"--[a-z0-9][A-Za-z0-9.-]*", name):
        right = "--" + name.lstrip("-").replace("_", "-")
        raise ValueError(f"{name!r} is not an argument; write it in full with dashes, as {right}")
    if name == PORT or name in COMPUTED - {TP_SIZE}:
        own = {PORT: "port", "--data-parallel-rpc-port": "rpc_port"}.get(name)
        instead = f"use the key serve.{own}" if own else "it follows from the nodes"
        raise ValueError(f"{name} cannot be set here: {instead}")
    return name


def _args(value: dict[str, Any]) -> dict[str, Any]:
    for name, item in value.items():
        _arg_name(name)
        _refuse_secret(name, item)
        if item is False:
            raise ValueError(f"{name}: false is no value; null drops an argument of the recipe")
        try:
            _scalar(item)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return value


def _env(value: dict[str, Any]) -> dict[str, Any]:
    for name, item in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is not the name of a variable")
        if _SHELL_NAMES.fullmatch(name):
            raise ValueError(f"{name} belongs to the shell that runs the script")
        _refuse_secret(name, item)
        if item is not None and not isinstance(item, str):
            raise ValueError(f"{name}: {item!r} is not text; put it in quotes")
        try:
            _scalar(item)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return value


def _switch(value: object) -> object:
    if not isinstance(value, bool):  # and never repeat it: it may be the key
        raise ValueError("is true or false; the key itself has no place in a preset")
    return value


Text = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(check_text)]
Port = Annotated[int, BeforeValidator(_plain_int), Field(ge=1, le=65535)]
Word = Annotated[Text, _matching(r"[^-\s][^\s]*", "one word that does not begin with a dash")]
PresetName = Annotated[
    str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits and . _ -")
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NodeSpec(_Model):
    """How one node is reached; see wizard.cluster.Node for the meanings."""

    host: Annotated[Text, AfterValidator(check_host)]
    port: Port | None = None
    user: (
        Annotated[Word, _matching(r"[A-Za-z0-9_][A-Za-z0-9_.\\-]*\$?", "a user's name")] | None
    ) = None
    identity_file: Text | None = None
    jump: (
        Annotated[Word, _matching(r"[A-Za-z0-9_.:%@,\[\]-]+", "a jump host like user@host:22")]
        | None
    ) = None
    known_hosts: Text | None = None
    local_ip: Annotated[Text, AfterValidator(_ip)] | None = None
    nic: (
        Annotated[Text, _matching(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}", "a network interface")]
        | None
    ) = None


class ServeSpec(_Model):
    """What differs from the recipe. ``None`` in args and env drops the recipe's own.

    ``probe_s``: seconds between requests for one token, which tell a hanging engine; None: off.
    """

    model: Annotated[Text, _matching(r"[^-].*", "a path; it must not begin with a dash")] | None = (
        None
    )
    port: Port | None = None
    rpc_port: Port | None = None
    args: Annotated[dict[str, Any], AfterValidator(_args)] = {}
    env: Annotated[dict[str, Any], AfterValidator(_env)] = {}
    api_key: Annotated[bool, BeforeValidator(_switch)] = False
    probe_s: Annotated[int, Field(ge=60, le=86400)] | None = None


Engine = Literal["docker", "podman"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


class ContainerSpec(_Model):
    """What the container is made of. ``registry`` None: the default one (see scripts.image).

    ``image_archive``: a file on every node that a missing image is loaded from, not pulled.
    """

    runtime: Engine = "docker"
    registry: Annotated[Text, _matching(r"[A-Za-z0-9][\w./:-]*", "a repository")] | None = None
    image: Annotated[Text, _matching(r"[A-Za-z0-9][\w./:@-]*", "an image reference")] | None = None
    image_archive: Annotated[Text, AfterValidator(_archive)] | None = None
    os: Annotated[Os, Field(strict=False)] = Os.UBUNTU
    name: Annotated[Text, _matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", "a container's name")] = (
        DEFAULT_NAME
    )
    shm_size: Annotated[Text, _matching(r"[1-9]\d*[bkmgBKMG]?", "a size like 1g")] | None = (
        DEFAULT_SHM
    )
    mounts: list[Annotated[Text, AfterValidator(_mount)]] = []


def _one(value: object) -> object:
    if value != 1 or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a version of presets that we know; it must be 1")
    return value


def _expanded(nodes: list[NodeSpec]) -> list[NodeSpec]:
    found: list[NodeSpec] = []
    for index, node in enumerate(nodes):
        hosts = expand(node.host)
        if len(hosts) > 1 and node.local_ip:
            raise ValueError(f"nodes[{index}] stands for {len(hosts)} nodes with one local_ip")
        found.extend(node.model_copy(update={"host": host}) for host in hosts)
    _refuse_twins(found)
    return found


def _refuse_twins(nodes: list[NodeSpec]) -> None:
    seen: dict[object, int] = {}
    for rank, node in enumerate(nodes):
        address = (node.host.lower(), node.port or 22)
        keys: list[tuple[object, str]] = [(address, f"{address[0]} port {address[1]}")]
        if node.local_ip:
            keys.append((node.local_ip, f"local_ip {node.local_ip}"))
        for key, what in keys:
            if key in seen:
                raise ValueError(f"nodes {seen[key]} and {rank} are the same: {what}")
            seen[key] = rank


def _once(ignores: list[Ignore]) -> list[Ignore]:
    seen: set[object] = set()
    for index, ignore in enumerate(ignores):
        if ignore.cell in seen:
            raise ValueError(f"entry {index} is there already: {ignore.where}")
        seen.add(ignore.cell)
    return ignores


class Preset(_Model):
    """A deployment: which nodes serve what, and how."""

    version: Annotated[int, BeforeValidator(_one)]
    name: PresetName
    series: Annotated[Series, Field(strict=False)]
    precision: Annotated[Precision, Field(strict=False)]
    recipe: Annotated[Text, AfterValidator(_recipe)] = "guide"
    nodes: Annotated[list[NodeSpec], Field(min_length=1), AfterValidator(_expanded)]
    serve: ServeSpec = ServeSpec()
    container: ContainerSpec = ContainerSpec()
    strict_guide: bool = False
    deviations: Annotated[dict[str, bool], AfterValidator(check_deviations)] = {}
    patches: dict[
        str, Annotated[str, Field(min_length=1, max_length=MAX_LENGTH), AfterValidator(check_patch)]
    ] = {}
    ignores: Annotated[list[Ignore], AfterValidator(_once)] = []

    @property
    def cluster(self) -> Cluster:
        """The nodes in rank order, in the engine's words."""
        nodes = tuple(Node(rank=i, **n.model_dump()) for i, n in enumerate(self.nodes))
        return Cluster(self.series, self.precision, nodes)

    def makes(self, deviation: str) -> bool:
        """Whether the scripts leave the guide there (see wizard.deviations)."""
        return not self.strict_guide and self.deviations.get(deviation, True)

    @property
    def scenario(self) -> recipes.Scenario:
        """What the recipe says for this series, precision and number of nodes."""
        return recipes.find(self.recipe, self.series, self.precision, len(self.nodes))

    @model_validator(mode="after")
    def _fits_the_recipe(self) -> Preset:
        problems = list(_misfits(self))
        if problems:
            raise Misfit(problems)
        return self


class Misfit(ValueError):
    """Values that are right by themselves and wrong together: pairs of key path and sentence."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in problems))
        self.problems = problems


def _misfits(preset: Preset) -> list[tuple[str, str]]:
    try:
        scenario = preset.scenario
    except UsageError as error:
        return [("nodes", str(error))]
    found = []
    recipe = recipes.load(preset.recipe)
    port = preset.serve.port or int(str(recipe.arguments(scenario, 0)[PORT]))
    rpc = preset.serve.rpc_port or scenario.rpc_port
    if preset.serve.rpc_port and scenario.rpc_port is None:
        found.append(("serve.rpc_port", "has no meaning on a single node"))
    if preset.strict_guide and preset.serve.api_key:
        found.append(("serve.api_key", "the guide has no key; it cannot be with strict_guide"))
    if port == rpc:
        found.append(("serve.rpc_port", f"{rpc} is the port of the API too"))
    tp = str(preset.serve.args.get(TP_SIZE, scenario.tp))
    devices = preset.series.devices
    if not tp.isascii() or not tp.isdigit() or not 1 <= int(tp) * scenario.dp_local <= devices:
        found.append((f"serve.args.{TP_SIZE}", f"{tp} does not fit the {devices} NPUs of a node"))
    if preset.container.image:
        found.extend(_image_misfits(preset, recipe, preset.container.image))
    else:
        try:
            recipes.image_tag(preset.recipe, preset.series, preset.container.os)
        except UsageError as error:
            found.append(("container.os", str(error)))
    return [*found, *_patch_misfits(preset)]


def _patch_misfits(preset: Preset) -> list[tuple[str, str]]:
    found = []
    for key in preset.patches:
        try:
            rank, _ = script_of(key)
        except ValueError as error:
            found.append((f"patches.{key}", str(error)))
            continue
        if rank >= len(preset.nodes):
            text = f"there is no node {rank}; the preset has {len(preset.nodes)}"
            found.append((f"patches.{key}", text))
    return found


def _image_misfits(preset: Preset, recipe: recipes.Recipe, image: str) -> list[tuple[str, str]]:
    """An official tag says its version and series; one of another version takes other arguments."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    match = re.match(r"(v\d+\.\d+\.\d+(?:rc\d+)?)(-a3)?(?:-|$)", tag)
    if "vllm-ascend" not in image or not match:
        return []
    if match[1] != recipe.version:
        text = f"{tag} is of another version than recipe {recipe.name} ({recipe.version})"
        return [("container.image", text)]
    if (match[2] is not None) != (preset.series is Series.A3):
        return [("container.image", f"{tag} is not an image for {preset.series.value}")]
    return []
