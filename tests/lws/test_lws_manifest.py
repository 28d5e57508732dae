"""The manifest: what the published schemas and the plan say of it."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.scripting import preset
from wizard import recipes, scripts
from wizard.errors import PresetError, UsageError
from wizard.lws import NPU_RESOURCE, manifest
from wizard.lws.manifest import object_name
from wizard.presets import Preset

SCHEMAS = Path(__file__).parent.parent / "data/lws/schemas.yaml"


@cache
def validator(kind: str) -> Draft202012Validator:
    schemas = yaml.safe_load(SCHEMAS.read_text())
    Draft202012Validator.check_schema(schemas)
    return Draft202012Validator({**schemas, "$ref": f"#/$defs/{kind}"})


def problems(document: dict[str, Any]) -> list[str]:
    return [
        f"{e.json_path}: {e.message}" for e in validator(document["kind"]).iter_errors(document)
    ]


def documents(chosen: Preset, **options: Any) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifest(chosen, **options)))


def templates(document: dict[str, Any]) -> list[dict[str, Any]]:
    group = document["spec"]["leaderWorkerTemplate"]
    return [group[key] for key in ("leaderTemplate", "workerTemplate") if key in group]


def container(template: dict[str, Any]) -> dict[str, Any]:
    (found,) = template["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def every_scenario() -> list[Any]:
    return [
        pytest.param(
            name,
            s.series.value,
            s.precision.value,
            s.nodes,
            id=f"{name}-{s.series}-{s.precision}-{s.nodes}",
        )
        for name in recipes.names()
        for s in recipes.load(name).scenarios
    ]


@pytest.mark.parametrize(("recipe", "series", "precision", "nodes"), every_scenario())
def test_every_scenario_fits_the_published_schemas(
    recipe: str, series: str, precision: str, nodes: int
) -> None:
    chosen = preset(series, precision, recipe=recipe, nodes=nodes, serve={"api_key": True})
    group, service = documents(chosen, namespace="models")
    assert problems(group) == []
    assert problems(service) == []
    assert {d["metadata"]["namespace"] for d in (group, service)} == {"models"}
    assert group["spec"]["leaderWorkerTemplate"]["size"] == nodes
    assert len(templates(group)) == min(nodes, 2)
    for template in templates(group):
        consistent(template)
        wanted = {NPU_RESOURCE: "16" if series == "A3" else "8"}
        assert container(template)["resources"] == {"limits": wanted, "requests": wanted}
        assert container(template)["image"] == scripts.image(chosen)


def consistent(template: dict[str, Any]) -> None:
    """What no schema says: names are there once, and what is mounted is there."""
    pod, inside = template["spec"], container(template)
    volumes = [volume["name"] for volume in pod["volumes"]]
    assert len(set(volumes)) == len(volumes)
    assert [mount["name"] for mount in inside["volumeMounts"]] == volumes
    paths = [mount["mountPath"] for mount in inside["volumeMounts"]]
    assert len(set(paths)) == len(paths)
    names = [variable["name"] for variable in inside["env"]]
    assert len(set(names)) == len(names)
    assert pod["hostNetwork"] is True
    # with the host's network, the cluster's names are found only so
    assert pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    # a service named vllm sets VLLM_PORT to an address, which stops vLLM
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.leaderWorkerTemplate.restartPolicy", "Always"),
        ("spec.startupPolicy", "Ready"),
        ("spec.size", 2),
        ("spec.leaderWorkerTemplate.size", "2"),
        ("spec.leaderWorkerTemplate.workerTemplate.spec.hostnetwork", True),
        ("spec.leaderWorkerTemplate.workerTemplate.spec.containers.0.env.0.value", 16),
        ("spec.leaderWorkerTemplate.workerTemplate.spec.volumes.0.emptyDir.sizeLimit", "1g"),
    ],
)
def test_the_schemas_refuse_what_kubernetes_refuses(path: str, value: object) -> None:
    group = copy.deepcopy(documents(preset("A3", "bf16"))[0])
    *parents, last = path.split(".")
    at: Any = group
    for step in parents:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = value
    assert problems(group)


def test_the_leader_serves_and_is_ready_only_with_all() -> None:
    chosen = preset("A3", "bf16", serve={"port": 9000, "rpc_port": 9001})
    group, service = documents(chosen)
    leader, worker = map(container, templates(group))
    ports = {port["name"]: port["containerPort"] for port in leader["ports"]}
    assert ports == {"api": 9000, "rpc": 9001}
    assert leader["readinessProbe"]["httpGet"] == {"path": "/health", "port": 9000}
    assert not {"livenessProbe", "startupProbe"} & {*leader, *worker}  # nothing kills on a guess
    assert not {"ports", "readinessProbe"} & set(worker)
    assert service["spec"]["selector"] == {
        "leaderworkerset.sigs.k8s.io/name": group["metadata"]["name"],
        **templates(group)[0]["metadata"]["labels"],
    }
    assert templates(group)[1]["metadata"]["labels"] != templates(group)[0]["metadata"]["labels"]
    # the set makes a headless service of its own name: ours must be another
    assert service["metadata"]["name"] != group["metadata"]["name"]
    # one rank alone never recovers; and workers that waited for a ready leader would wait for ever
    assert group["spec"]["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"
    assert group["spec"]["startupPolicy"] == "LeaderCreated"


def test_one_node_is_a_set_of_size_one() -> None:
    group, service = documents(preset("A3", "w8a8"))
    (template,) = templates(group)
    assert group["spec"]["leaderWorkerTemplate"]["size"] == 1
    assert template["metadata"]["labels"]["role"] == service["spec"]["selector"]["role"]
    assert [port["name"] for port in container(template)["ports"]] == ["api"]
    assert "POD_IP" not in str(group)


def volumes(chosen: Preset) -> dict[str, dict[str, Any]]:
    """What is mounted where, by the path inside."""
    template = templates(documents(chosen)[0])[0]
    by_name = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    return {
        mount["mountPath"]: {**by_name[mount["name"]], **mount}
        for mount in container(template)["volumeMounts"]
    }


def test_mounts_are_the_plans() -> None:
    own = ["/data/v32:/data:ro", "/big/cache:/root/.cache"]
    found = volumes(preset("A3", "bf16", container={"mounts": own, "shm_size": "512m"}))
    assert found["/dev/shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "512Mi"}
    assert found["/data"]["hostPath"] == {"path": "/data/v32"}
    assert found["/data"]["readOnly"] is True
    assert found["/root/.cache"]["hostPath"] == {"path": "/big/cache"}
    assert "readOnly" not in found["/root/.cache"]
    types = {path: v["hostPath"].get("type") for path, v in found.items() if "hostPath" in v}
    assert types == {
        "/usr/local/dcmi": "Directory",
        "/usr/local/Ascend/driver/tools/hccn_tool": "File",
        "/usr/local/bin/npu-smi": "File",
        "/usr/local/Ascend/driver/lib64": "Directory",
        "/usr/local/Ascend/driver/version.info": "File",
        "/etc/ascend_install.info": "File",
        "/etc/hccn.conf": "File",
        "/root/.cache": None,
        "/data": None,
    }


def test_shm_and_hccn_conf_follow_the_preset() -> None:
    assert "/dev/shm" not in volumes(preset("A3", "bf16", container={"shm_size": None}))
    mounted = volumes(preset("A3", "bf16", container={"mounts": ["/dev/shm:/dev/shm"]}))
    assert mounted["/dev/shm"]["hostPath"] == {"path": "/dev/shm"}
    off = {"hccn_conf": False, "test_mounts": False}
    found = volumes(preset("A3", "bf16", deviations=off))
    assert "/etc/hccn.conf" not in found
    assert found["/root/.cache"]["hostPath"] == {"path": "/root/.cache"}


def test_the_guides_own_values_with_strict_guide() -> None:
    chosen = preset("A3", "w8a8", strict_guide=True)
    inside = container(templates(documents(chosen)[0])[0])
    assert inside["image"].startswith("quay.nju.edu.cn/")
    assert inside["args"][0] == "vllm-ascend/DeepSeek-V3.2-Exp-W8A8"
    assert inside["command"][:3] == ["bash", "-l", "-c"]  # CANN's set_env.sh is needed all the same
    assert "/dev/shm" not in {mount["mountPath"] for mount in inside["volumeMounts"]}


def test_the_api_key_comes_from_a_secret_and_only_to_the_leader() -> None:
    text = manifest(preset("A3", "bf16", serve={"api_key": True}))
    leader, worker = map(container, templates(next(yaml.safe_load_all(text))))
    key = {v["name"]: v for v in leader["env"]}["VLLM_API_KEY"]
    assert key["valueFrom"] == {"secretKeyRef": {"name": "lab-api-key", "key": "api-key"}}
    assert "VLLM_API_KEY" not in str(worker)
    assert "kubectl create secret generic lab-api-key --from-file=api-key=FILE" in text
    assert "secret" not in manifest(preset("A3", "bf16"))


def test_what_has_no_place_in_a_manifest_is_refused() -> None:
    edited = preset("A3", "bf16").model_copy(update={"patches": {"node1/serve.sh": "x"}})
    with pytest.raises(PresetError, match=r"patches\.node1/serve\.sh: an edit of a script"):
        manifest(edited)
    with pytest.raises(PresetError, match=r"container\.mounts: '/a:/b:rshared'"):
        manifest(preset("A3", "bf16", container={"mounts": ["/a:/b:rshared"]}))
    with pytest.raises(PresetError, match=r"serve\.env\.POD_IP"):
        manifest(preset("A3", "bf16", serve={"env": {"POD_IP": "10.0.0.1"}}))
    with pytest.raises(UsageError, match=r"--npu-resource: 'npu' is no name"):
        manifest(preset("A3", "bf16"), npu="npu")
    with pytest.raises(UsageError, match=r"--namespace: 'My Space' is no name"):
        manifest(preset("A3", "bf16"), namespace="My Space")


def test_names_fit_kubernetes_and_stay_apart() -> None:
    assert object_name("lab-a3-bf16") == "lab-a3-bf16"
    changed = ["Lab", "lab.1", "lab_1", "9lives", "a" * 64, "-".join("b" * 30), "lab-"]
    found = [object_name(name) for name in changed]
    assert len(set(found)) == len(found)
    assert not {"lab", "lab-1"} & set(found)
    for name in found:
        group, service = documents(preset("A3", "w8a8").model_copy(update={"name": name}))
        assert problems(group) + problems(service) == []
        assert len(name) <= 46


def test_notes_stay_comments() -> None:
    text = manifest(preset("A2", "bf16"))
    head = text.partition("\n\n")[0].splitlines()
    assert all(line.startswith("#") and len(line) <= 100 for line in head)
    assert "derived: the guide names BF16 on 4 A2 nodes" in " ".join(head)
