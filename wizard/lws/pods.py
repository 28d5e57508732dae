"""The pods of a LeaderWorkerSet: what ``docker create`` and ``vllm serve`` get, as a pod template.

What has no place in a pod is left to Kubernetes, which does it its own way: the container's name
and labels, ``--restart no`` (the set makes the whole group anew), ``--init``, limits of the log.
"""

from __future__ import annotations

import re
from typing import Any

from wizard import recipes, scriptlines, scripts
from wizard.errors import PresetError
from wizard.launch.runtime import STOP_S
from wizard.lws.starting import POD_IP, start
from wizard.presetmodel import Preset

KEY = "api-key"  # the key inside the secret that holds the API key

_SHM = "/dev/shm"  # noqa: S108 - where docker's --shm-size is seen
_UNITS = {"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi"}  # docker's are powers of 1024 too
_FILES = {"hccn_tool", "npu-smi", "version.info", "ascend_install.info", "hccn.conf"}
_MOUNT_OPTIONS = {"rw", "ro", "z", "Z"}  # z, Z: labels of SELinux, which the kubelet sets itself


def template(preset: Preset, rank: int, *, npu: str, secret: str) -> dict[str, Any]:
    """Return the template of the leader's pod (``rank`` 0) or of every worker's (1).

    Args:
        preset: the plan.
        rank: which of the two.
        npu: the device plugin's name of an NPU.
        secret: the secret that holds the API key, where the preset wants one.

    Raises:
        PresetError: a mount option has no counterpart, a variable has the name of one of ours.
    """
    role = "worker" if rank else "leader"
    volumes, mounts = _volumes(preset)
    container = {
        "name": f"vllm-{role}",
        "image": scriptlines.image(preset),
        "imagePullPolicy": "IfNotPresent",
        **_started(preset, rank, secret),
        **({} if rank else _serving(preset)),
        "resources": _resources(preset, npu),
        "volumeMounts": mounts,
    }
    if recipes.load(preset.recipe).container.privileged:
        container["securityContext"] = {"privileged": True}
    spec = {
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",  # the leader is found by its name in the cluster
        "enableServiceLinks": False,  # a service named vllm would set VLLM_PORT, which vLLM reads
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "terminationGracePeriodSeconds": STOP_S,
        "containers": [container],
        "volumes": volumes,
    }
    return {"metadata": {"labels": {"role": role}}, "spec": spec}


def _started(preset: Preset, rank: int, secret: str) -> dict[str, Any]:
    how = start(preset, rank)
    if POD_IP in how.env:
        raise PresetError(
            f"{POD_IP} is what the manifest itself calls the pod's address.",
            path=f"serve.env.{POD_IP}",
            hint="Choose another name.",
        )
    # with strict_guide too: the guide's own shell is one that somebody types in
    login = preset.deviations.get("login_shell", True)
    env: list[dict[str, Any]] = []
    if preset.scenario.nodes > 1:
        env.append({"name": POD_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    env += [{"name": name, "value": value} for name, value in how.env.items()]
    if preset.serve.api_key and rank == 0:
        source = {"secretKeyRef": {"name": secret, "key": KEY}}
        env.append({"name": "VLLM_API_KEY", "valueFrom": source})
    shell = ["bash", *(["-l"] if login else []), "-c", how.script, "serve"]
    return {"command": shell, "args": how.args, "env": env}


def _serving(preset: Preset) -> dict[str, Any]:
    """What the leader alone has: ports, and when it counts as ready.

    The API answers once every rank is in, so that ready means all of them. There is no probe that
    would kill: loading weights may take an hour, and a guess is no reason.
    """
    api, rpc = scripts.api_port(preset), scripts.rpc_port(preset)
    ports = [{"name": "api", "containerPort": api}]
    ports += [{"name": "rpc", "containerPort": rpc}] if rpc else []
    probe = {
        "httpGet": {"path": "/health", "port": api},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
    }
    return {"ports": ports, "readinessProbe": probe}


def _resources(preset: Preset, npu: str) -> dict[str, Any]:
    """All NPUs of a node, which also keeps two pods from one node."""
    every = {npu: str(preset.series.devices)}
    return {"limits": every, "requests": dict(every)}


def _volumes(preset: Preset) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    size = scriptlines.shm_size(preset)
    given = [(mount, mount in preset.container.mounts) for mount in scriptlines.mount_texts(preset)]
    if size and not any(_parts(mount)[1] == _SHM for mount, _ in given):
        memory = {"medium": "Memory", "sizeLimit": _quantity(size)}
        volumes.append({"name": "dshm", "emptyDir": memory})
        mounts.append({"name": "dshm", "mountPath": _SHM})
    for mount, own in given:
        source, target, read_only = _parts(mount)
        name = _volume_name(target, {volume["name"] for volume in volumes})
        path: dict[str, Any] = {"path": source}
        if preset.makes("test_mounts") and not own:
            # a source that is missing is named, instead of an empty directory made in its place
            path["type"] = "File" if source.rpartition("/")[2] in _FILES else "Directory"
        volumes.append({"name": name, "hostPath": path})
        mounts.append({"name": name, "mountPath": target, **read_only})
    return volumes, mounts


def _parts(mount: str) -> tuple[str, str, dict[str, bool]]:
    """Return source, target and what Kubernetes says for ``ro``.

    Raises:
        PresetError: another option stands there.
    """
    source, target, *rest = mount.split(":")
    words = set(rest[0].split(",")) if rest else set()
    if unknown := words - _MOUNT_OPTIONS:
        raise PresetError(
            f"{mount!r}: a manifest has nothing for the option {sorted(unknown)[0]}.",
            path="container.mounts",
            hint="Leave it out, or only ro.",
        )
    return source, target.rstrip("/"), {"readOnly": True} if "ro" in words else {}


def _volume_name(target: str, taken: set[str]) -> str:
    """Return a label of DNS (RFC 1123) that says where it is mounted."""
    base = re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-")[:50].strip("-") or "volume"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _quantity(size: str) -> str:
    """Return a size of docker's (``1g``) in the words of Kubernetes (``1Gi``)."""
    digits = size.rstrip("bkmgBKMG")
    return digits + _UNITS[size[len(digits) :].lower()]
