"""What a node's tools print, read; with odd samples, each with values of its own."""

from __future__ import annotations

import pytest

from wizard.cluster import Precision
from wizard.discovery import parsers
from wizard.discovery.asking import parse_clock
from wizard.discovery.facts import Runtime, Space


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("atlas-17\n", "atlas-17"),
        ("\n  node.example.org \n\n", "node.example.org"),
        ("", None),
        ("bash: hostname: command not found\n", None),
        ("one\ntwo\n", None),
        ("x" * 300, None),
    ],
)
def test_one_word(text: str, expected: str | None) -> None:
    assert parsers.first_word(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('NAME="openEuler"\nPRETTY_NAME="openEuler 24.03 (LTS)"\n', "openEuler 24.03 (LTS)"),
        ("PRETTY_NAME='Ubuntu 24.04.1 LTS'\nID=ubuntu\n", "Ubuntu 24.04.1 LTS"),
        ('ID=kylin\nNAME="Kylin Linux"\nVERSION="V10 (Lance)"\n', "Kylin Linux V10 (Lance)"),
        ('PRETTY_NAME="A \\"quoted\\" OS"\n', 'A "quoted" OS'),
        ("# only a comment\n", None),
        ("", None),
    ],
)
def test_operating_system(text: str, expected: str | None) -> None:
    assert parsers.parse_os(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0a1b2c3d4e5f60718293a4b5c6d7e8f9\n", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
        ("0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9\n", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
        ("uninitialized\n", None),
        ("", None),
        ("0" * 32, None),
    ],
)
def test_identity(text: str, expected: str | None) -> None:
    assert parsers.parse_identity(text) == expected


@pytest.mark.parametrize(
    ("text", "stderr", "expected"),
    [
        ("".join(f"/dev/davinci{i}\n" for i in range(16)), "", 16),
        ("/dev/davinci0  /dev/davinci1  /dev/davinci10\n", "", 3),
        ("/dev/davinci3\n/dev/davinci_manager\n", "", 1),
        ("", "ls: cannot access '/dev/davinci[0-9]*': No such file or directory\n", 0),
        ("", "", None),
        ("", "ls: cannot access '/dev': Permission denied\n", None),
    ],
)
def test_devices(text: str, stderr: str, expected: int | None) -> None:
    assert parsers.parse_devices(text, stderr) == expected


A2_TABLE = """
[WARNING] something of dcmi
| npu-smi 23.0.6                  Version: 23.0.6                                        |
| NPU   Name               | Health        | Power(W)    Temp(C)    Hugepages-Usage(page)|
| Chip                     | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB) |
| 0     910B3              | OK            | 88.0        41         0    / 0             |
| 0                        | 0000:C1:00.0  | 0           0    / 0   2911 / 65536         |
| 1     910B3              | Critical      | NA          44         0    / 0             |
| 1                        | 0000:C2:00.0  | 0           0    / 0  22283/ 65536          |
| NPU     Chip             | Process id    | Process name           | Process memory(MB) |
| 0       0                | 812           | 910B                   | 190                |
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A2_TABLE, ("910B3",)),
        ("| 4     Ascend910 | OK | 170.2 |\n| 0     8 | 0000:9D:00.0 | 0 |\n", ("Ascend910",)),
        ("| 0     310P3 | Warning | 1 |\n| 1     910B4 | OK | 1 |\n", ("310P3", "910B4")),
        ("dcmi module initialize failed. ret is -8005\n", None),
        ("There is no NPU card on this server.\n", None),
        ("", None),
    ],
)
def test_chips(text: str, expected: tuple[str, ...] | None) -> None:
    assert parsers.parse_chips(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Version=24.1.rc2\nascendhal_version=7.0\npackage_version=24.1.rc2\n", "24.1.rc2"),
        ("package_version=23.0.7\n", "23.0.7"),
        ("version = [1.84.17.1.230]\n", "1.84.17.1.230"),
        ("firmware_version=1.0\n", None),
        ("cat: version.info: No such file or directory\n", None),
        ("Version=\n", None),
    ],
)
def test_version_info(text: str, expected: str | None) -> None:
    assert parsers.parse_version_info(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("npu-smi version: 24.1.0.3\n", "24.1.0.3"),
        ("NPU-SMI Version : 26.0.rc1\n", "26.0.rc1"),
        ("npu-smi: command not found\n", None),
    ],
)
def test_npu_smi_version(text: str, expected: str | None) -> None:
    assert parsers.parse_npu_smi_version(text) == expected


DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?\n"
DENIED = "permission denied while trying to connect to the Docker daemon socket\n"


@pytest.mark.parametrize(
    ("name", "stdout", "stderr", "code", "expected"),
    [
        (
            "docker",
            "Docker version 18.09.0, build 384e3e9\ninfo:18.09.0|/data/docker\n/dev/s 9 3 6 3% /d",
            "WARNING: No swap limit support\n",
            0,
            Runtime("docker", "18.09.0", "up", "/data/docker"),
        ),
        ("docker", "Docker version 27.1.1, build x\ninfo:|\n", DOWN, 1,
         Runtime("docker", "27.1.1", "down")),
        ("docker", "Docker version 26.0.0~rc1\ninfo:|\n", DENIED, 1,
         Runtime("docker", "26.0.0~rc1", "denied")),
        ("podman", "podman version 3.4.4\ninfo:3.4.4|/home/u/containers\n", "", 0,
         Runtime("podman", "3.4.4", "up", "/home/u/containers")),
        ("docker", "podman version 4.6.1\ninfo:4.6.1|\n", "Emulate Docker CLI using podman.", 0,
         Runtime("docker", "4.6.1", "up", None)),
        ("nerdctl", "nerdctl version 1.7.6\ninfo:|\n", "level=fatal msg=\"rootless\"", 1,
         Runtime("nerdctl", "1.7.6", None)),
        ("nerdctl", "nerdctl version 2.0.0\ninfo:|\n",
         "cannot access containerd socket \"/run/containerd.sock\": no such file or directory", 1,
         Runtime("nerdctl", "2.0.0", "down")),
        ("docker", "", "bash: line 1: docker: command not found\n", 127, None),
        ("docker", "", "", 124, Runtime("docker", None, None)),
    ],
)  # fmt: skip
def test_runtime(name: str, stdout: str, stderr: str, code: int, expected: Runtime | None) -> None:
    assert parsers.parse_runtime(name, stdout, stderr, code) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
            "/dev/sda1 103081248 51540624 46304360 53% /\n",
            Space("/x", "/", 103081248 * 1024, 46304360 * 1024),
        ),
        (
            "nas.example.org:/exp orts/a 1000 900 100 90% /mnt/my models\n",
            Space("/x", "/mnt/my models", 1000 * 1024, 100 * 1024),
        ),
        ("/dev/sda1 1000 1000 -5 101% /\n", Space("/x", "/", 1000 * 1024, 0)),
        ("tmpfs 0 0 0 - /run\n", Space("/x", "/run", 0, 0)),
        ("df: /x: No such file or directory\n", None),
        ("", None),
    ],
)
def test_room_on_a_disk(text: str, expected: Space | None) -> None:
    assert parsers.parse_space("/x", text) == expected


def files(*names: str, size: int = 7) -> str:
    return "".join(f"file {size} {name}\n" for name in names)


SHARDS = ("model-1-of-2.safetensors", "model-2-of-2.safetensors")
INDEX = "".join(f'shard "{name}"\n' for name in SHARDS)


@pytest.mark.parametrize(
    ("text", "precision", "method", "shards", "expected", "complete"),
    [
        (files("config.json", *SHARDS) + INDEX, Precision.BF16, "", 2, 2, True),
        (
            files("config.json", "quant_model_description_w8a8.json", *SHARDS) + INDEX,
            *(Precision.W8A8, "", 2, 2, True),
        ),
        (
            files("config.json", *SHARDS) + INDEX + 'method "quant_method": "fp8"\n',
            *(None, "fp8", 2, 2, True),
        ),
        (files("config.json", SHARDS[0]) + INDEX, Precision.BF16, "", 1, 2, False),
        (
            files("config.json", SHARDS[0]) + files(SHARDS[1], size=0) + INDEX,
            *(Precision.BF16, "", 1, 2, False),
        ),
        (files(*SHARDS) + INDEX, Precision.BF16, "", 2, 2, False),
        (files("config.json", *SHARDS), Precision.BF16, "", 2, None, False),
        (files("config.json"), None, "", 0, None, False),
    ],
)
def test_weights(
    text: str,
    precision: Precision | None,
    method: str,
    shards: int,
    expected: int | None,
    complete: bool,
) -> None:
    found = parsers.parse_weights("/m", text + "/dev/x 10 4 6 40% /m\n", "")
    assert found is not None
    assert (found.precision, found.method) == (precision, method)
    assert (found.shards, found.expected, found.complete) == (shards, expected, complete)
    assert found.space == Space("/m", "/m", 10240, 6144)


def test_no_weights_and_weights_that_may_not_be_seen() -> None:
    gone = "find: '/m': No such file or directory\n"
    assert parsers.parse_weights("/m", "", gone) is None
    assert parsers.parse_weights("/m", files("README.md"), "") is None
    with pytest.raises(PermissionError):
        parsers.parse_weights("/m", "", "find: '/m': Permission denied\n")


def test_the_clock_is_read_in_the_middle_of_the_round_trip() -> None:
    clock = parse_clock("1000042.25\n", 1000000.0, 0.5)
    assert clock is not None
    assert (clock.offset, clock.bound) == (42.0, 0.25)
    assert parse_clock("", 0, 1) is None
    assert parse_clock("date: invalid date\n", 0, 1) is None
