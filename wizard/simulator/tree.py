"""The file tree of a simulated node, and the folder of tools that come first on its PATH."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wizard import recipes
from wizard.cluster import Precision
from wizard.simulator.containers import images
from wizard.simulator.hccn_conf import conf_lines
from wizard.simulator.state import SimNode

_SHIMS = Path(__file__).parent / "shims"
CODE = Path(__file__).parent.parent.parent  # the folder that holds the package `wizard`

# Tools that the simulator itself answers.
ASKED = (
    *("hccn_tool", "npu-smi", "uname", "ip", "ss", "hostname", "id", "whoami", "nproc"),
    *("getent", "df"),
)
# Real tools, with paths of the node led into its tree.
LED = (
    *("cat", "ls", "stat", "find", "du", "head", "tail", "grep", "readlink", "realpath"),
    *("mkdir", "rm", "cp", "mv", "touch", "chmod", "sha256sum", "wc", "sed", "awk"),
    *("tee", "md5sum", "diff", "cmp", "ln", "env", "nohup", "setsid", "tar", "rmdir", "mktemp"),
    "gzip",
)
# Tools of ours in Python: name → module.
PROGRAMS = {
    "docker": "wizard.simulator.containers.client",
    "podman": "wizard.simulator.containers.client",
    "vllm": "wizard.simulator.vllm.main",
}
SHARDS = 163  # as DeepSeek-V3.2-Exp comes
SHARD_BYTES = {Precision.BF16: 8_400_000_000, Precision.W8A8: 4_300_000_000}
_STORES = ("var/lib/docker", "var/lib/containers/storage")
_HUB = "/root/.cache/modelscope/hub/models"  # where ModelScope keeps what it has fetched


def models(precision: Precision) -> list[str]:
    """Return the folders in which the recipes of every version look for the weights."""
    found = set()
    for name in recipes.names():
        for scenario in recipes.load(name).scenarios:
            if scenario.precision is precision:
                model = scenario.local_model or scenario.model
                found.add(model if model.startswith("/") else f"{_HUB}/{model}")
    return sorted(found)


def write_tools(folder: Path) -> None:
    """Fill ``folder`` with the tools; one folder serves all nodes, the environment tells them."""
    folder.mkdir(parents=True)
    bash = shutil.which("bash") or "/bin/bash"
    asked = f"#!{bash} -p\n" + (_SHIMS / "tool.sh").read_text()
    for name in ASKED:
        _program(folder / name, asked)
    for name in LED:
        real = shutil.which(name)
        if real is not None:
            _program(folder / name, f'#!{bash}\n__sim_run {shlex.quote(real)} "$@"\n')
    for name, module in PROGRAMS.items():
        start = (
            f"import sys; sys.path.append({str(CODE)!r}); sys.argv[0] = {name!r};"
            f" from {module} import main; main()"
        )
        words = shlex.join([sys.executable, "-I", "-S", "-c", start])
        if name == "vllm":
            _program(folder / name, f'#!{bash} -p\nexec {words} "$@"\n')
        else:
            engine = (_SHIMS / "docker.sh").read_text() + (_SHIMS / "tool.sh").read_text()
            _program(folder / name, f"#!{bash} -p\nprogram=({words})\n{engine}")
    (folder / "env.sh").write_text((_SHIMS / "env.sh").read_text())
    real = shlex.quote(shutil.which("date") or "/bin/date")
    _program(folder / "date", f"#!{bash} -p\nreal={real}\n" + (_SHIMS / "date.sh").read_text())
    real = shlex.quote(shutil.which("timeout") or "/usr/bin/timeout")
    _program(folder / "timeout", f"#!{bash}\nreal={real}\n" + (_SHIMS / "timeout.sh").read_text())
    curl = shutil.which("curl")
    if curl is not None:  # this machine's loopback is not the node's
        _program(
            folder / "curl",
            f"#!{bash} -p\nhere='s,^(https?://)?(localhost|127\\.0\\.0\\.1)([:/]|$),\\1'"
            '"$V32_SIM_ADDRESS"\'\\3,\'\nargs=()\nfor arg; do\n  args+=("$(/bin/sed -E "$here"'
            f' <<<"$arg")")\ndone\nexec {shlex.quote(curl)} --noproxy "*" "${{args[@]}}"\n',
        )


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def write_tree(
    node: SimNode, precision: Precision, *, hccn_conf: bool, weights: str | None
) -> None:
    """Make the node's own files: what the guide's mounts and our checks look at.

    ``weights`` is the scenario's fault of that name, None for complete ones.
    """
    for folder in ("etc", "dev", "root", "data", "usr/local/bin", "usr/local/dcmi", *_STORES):
        (node.root / folder).mkdir(parents=True, exist_ok=True)
    davinci = [f"davinci{device.id}" for device in node.devices]
    for name in ["davinci_manager", "devmm_svm", "hisi_hdc", *davinci]:
        (node.root / "dev" / name).touch()
    if hccn_conf:
        lines = [f"{k}={v}\n" for d in node.devices for k, v in conf_lines(d).items()]
        (node.root / "etc/hccn.conf").write_text("".join(lines))
    install = "Driver_Install_Type=full\nDriver_Install_Path_Param=/usr/local/Ascend\n"
    (node.root / "etc/ascend_install.info").write_text(install)
    driver = node.root / "usr/local/Ascend/driver"
    for folder in ("tools", "lib64/driver", "lib64/common"):
        (driver / folder).mkdir(parents=True)
    _write_identity(node)
    bin_folder = node.root.parent.parent / "bin"
    (driver / "tools/hccn_tool").symlink_to(bin_folder / "hccn_tool")
    (node.root / "usr/local/bin/npu-smi").symlink_to(bin_folder / "npu-smi")
    (node.root / "root/.cache").mkdir()
    other = Precision.W8A8 if precision is Precision.BF16 else Precision.BF16
    if weights != "missing":
        for model in models(precision):
            kind = other if weights == "other" else precision
            place = node.path(model)
            _write_weights(place, kind, lost=2 if weights == "incomplete" else 0)
            if weights == "older":
                with min(place.glob("*.safetensors")).open("r+b") as file:
                    file.truncate(SHARD_BYTES[precision] - 4096)


def write_archive(node: SimNode, kind: str) -> None:
    """Put an archive of the image on a node; ``kind`` is the scenario's."""
    name = f"{images.REGISTRY}/ascend/vllm-ascend:{images.tags(node.series)[0]}"
    data = images.archive([name if kind != "other" else "localhost/other:latest"])
    if kind == "broken":
        data = data[: len(data) // 2]
    place = node.path("/data/images")
    place.mkdir(parents=True, exist_ok=True)
    if kind == "packed":
        (place / "vllm-ascend.tar.gz").write_bytes(gzip.compress(data))
    else:
        (place / "vllm-ascend.tar").write_bytes(data)


def damage(node: SimNode, absent: Sequence[str], folders: Sequence[str]) -> None:
    """Take paths away from a node, and put folders where files must be, as docker does."""
    for path in (*absent, *folders):
        place = node.path(path)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    for path in folders:
        node.path(path).mkdir(parents=True)


def _write_identity(node: SimNode) -> None:
    """Make the files in which a machine says what it is: system, driver, firmware, identity."""
    traits = node.traits
    same = node.rank if traits.same_machine_as is None else traits.same_machine_as
    name, _, version = traits.os.partition(" ")
    text = f'NAME="{name}"\nVERSION="{version}"\nID="{name}"\nPRETTY_NAME="{traits.os}"\n'
    (node.root / "etc/os-release").write_text(text)
    (node.root / "etc/machine-id").write_text(f"{0x32A3 + same:032x}\n")
    random = node.root / "proc/sys/kernel/random"
    random.mkdir(parents=True)
    (random / "boot_id").write_text(f"3f2a4c11-0000-4000-8000-{same:012x}\n")
    ascend = node.root / "usr/local/Ascend"
    (ascend / "driver/version.info").write_text(
        f"Version={traits.driver}\nascendhal_version=7.35.23\npackage_version={traits.driver}\n"
    )
    (ascend / "firmware").mkdir()
    (ascend / "firmware/version.info").write_text(
        f"Version={traits.firmware}\nfirmware_version=1.0\npackage_version={traits.driver}\n"
    )


def _write_weights(folder: Path, precision: Precision, *, lost: int) -> None:
    """Make a model's folder; its shards have their size and no content (sparse files)."""
    folder.mkdir(parents=True)
    shards = [f"model-{i:05d}-of-{SHARDS:06d}.safetensors" for i in range(1, SHARDS + 1)]
    for shard in shards[lost:]:
        with (folder / shard).open("wb") as file:
            file.truncate(SHARD_BYTES[precision])
    config = {
        "architectures": ["DeepseekV32ForCausalLM"],
        "model_type": "deepseek_v32",
        "max_position_embeddings": 163840,
        "num_hidden_layers": 61,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weight_map = {f"model.layers.{i}": shard for i, shard in enumerate(shards)}
    total = SHARD_BYTES[precision] * SHARDS
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "tokenizer_config.json").write_text('{"chat_template": "simulated"}\n')
    if precision is Precision.W8A8:
        (folder / "quant_model_description.json").write_text('{"model_quant_type": "W8A8"}\n')
