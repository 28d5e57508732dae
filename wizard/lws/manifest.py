"""The documents of the manifest: the LeaderWorkerSet, and a service before its leader."""

from __future__ import annotations

import hashlib
import re
import textwrap
from typing import Any

import yaml

from wizard import __version__, scripts
from wizard.errors import PresetError, UsageError
from wizard.lws.pods import KEY, template
from wizard.presetmodel import Preset
from wizard.scriptlines import LABEL_PRESET, mount_texts

NPU_RESOURCE = "huawei.com/ascend-1980"
"""How vLLM-Ascend's own manifests ask for an NPU (the device plugin of Huawei Cloud); the one of
MindCluster says ``huawei.com/Ascend910``."""

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035, which a service's name must be
_LONGEST = 40  # the set, its pods and their revision labels share 63 characters
_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?")


def manifest(preset: Preset, *, npu: str = NPU_RESOURCE, namespace: str | None = None) -> str:
    """Return a preset's plan as YAML for ``kubectl apply``. Pure; addresses need not be known.

    Args:
        preset: what to render.
        npu: the name under which the cluster's device plugin offers an NPU.
        namespace: where the objects belong; None: wherever they are applied.

    Raises:
        UsageError: ``npu`` or ``namespace`` is no such name.
        PresetError: something in the preset has no place in a manifest: edits of scripts' texts, a
            mount option.
    """
    if not _RESOURCE.fullmatch(npu):
        right = f"It looks like {NPU_RESOURCE}; kubectl describe node lists it."
        raise UsageError(f"--npu-resource: {npu!r} is no name of a resource.", hint=right)
    if namespace is not None and not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
        right = "It has lower-case letters, digits and dashes."
        raise UsageError(f"--namespace: {namespace!r} is no name of a namespace.", hint=right)
    if preset.patches:
        raise PresetError(
            "an edit of a script's text has no place in a manifest.",
            path=f"patches.{next(iter(preset.patches))}",
            hint="Say it with serve.args or serve.env, or render a preset without it.",
        )
    name = object_name(preset.name)
    documents = [_set(preset, name, npu), _service(preset, name)]
    for document in documents:
        document["metadata"] |= {"namespace": namespace} if namespace else {}
    texts = [_dump(document) for document in documents]
    return "\n".join([*_head(preset, name, npu), "---\n".join(texts)])


def object_name(preset: str) -> str:
    """Return a preset's name as one that Kubernetes takes.

    What had to be changed gets a few digits of its own, so that two presets never share a name.
    """
    if _NAME.fullmatch(preset) and len(preset) <= _LONGEST:
        return preset
    plain = re.sub(r"[^a-z0-9]+", "-", preset.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"v32-{plain}"
    return f"{plain[:_LONGEST].rstrip('-')}-{hashlib.sha256(preset.encode()).hexdigest()[:5]}"


def _set(preset: Preset, name: str, npu: str) -> dict[str, Any]:
    secret = _secret(name)
    leader = template(preset, 0, npu=npu, secret=secret)
    size = preset.scenario.nodes
    group: dict[str, Any] = {"size": size, "restartPolicy": "RecreateGroupOnPodRestart"}
    if size == 1:  # without a template of its own the leader takes the workers'
        group["workerTemplate"] = leader
    else:
        group["leaderTemplate"] = leader
        group["workerTemplate"] = template(preset, 1, npu=npu, secret=secret)
    # workers are made with the leader, not after it is ready: it is ready only with them
    spec = {"replicas": 1, "startupPolicy": "LeaderCreated", "leaderWorkerTemplate": group}
    metadata = {"name": name, "annotations": {LABEL_PRESET: preset.name}}
    kind = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet"}
    return {**kind, "metadata": metadata, "spec": spec}


def _service(preset: Preset, name: str) -> dict[str, Any]:
    port = scripts.api_port(preset)
    spec = {
        "type": "ClusterIP",
        "selector": {"leaderworkerset.sigs.k8s.io/name": name, "role": "leader"},
        "ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": port}],
    }
    metadata = {"name": f"{name}-api", "annotations": {LABEL_PRESET: preset.name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _secret(name: str) -> str:
    return f"{name}-api-key"


def _head(preset: Preset, name: str, npu: str) -> list[str]:
    count, devices = preset.scenario.nodes, preset.series.devices
    many = f"{count} nodes" if count > 1 else "one node"
    sources = [mount.split(":")[0] for mount in mount_texts(preset)]
    api = scripts.api_port(preset)
    lines = [
        f"{preset.precision.label} on {preset.series.value}, {many}, recipe {preset.recipe}.",
        f"Written by v32-wizard {__version__} from the preset {preset.name}.",
        *([preset.scenario.note] if preset.scenario.note else []),
        "",
        "The cluster needs LeaderWorkerSet, a device plugin for Ascend NPUs, and "
        f"{many} with {devices} free {npu} each.",
        f"On each of them must be there: {', '.join(sources)}",
        *(_key_advice(name) if preset.serve.api_key else []),
        f"Once the leader is ready, the API is service {name}-api, port {api}.",
        "The pods use the hosts' network: the ports must be free on the nodes, and the address "
        "that Kubernetes has for a node is the one that the others reach it by.",
    ]
    return [wrapped for line in lines for wrapped in _comment(line)] + [""]


def _comment(text: str) -> list[str]:
    """Return a text as comments, none of which can end early."""
    plain = " ".join(text.split())
    return textwrap.wrap(plain, 98, initial_indent="# ", subsequent_indent="#   ") or ["#"]


def _key_advice(name: str) -> list[str]:
    return [
        "The API key comes from a secret, which must be made first:",
        f"kubectl create secret generic {_secret(name)} --from-file={KEY}=FILE",
    ]


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as lines, and repeats what stands in two places."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _dump(document: dict[str, Any]) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
