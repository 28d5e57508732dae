"""Hosts to pick from the user's ssh_config."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.sshconfig import ConfigHost, config_hosts

MAIN = """
# the lab
User common
Include conf.d/*.conf "with blank.conf"
Host npu1 npu2 "npu 3"
    HostName 10.0.0.1
    Port=2201
    ProxyJump gate
Host npu2
    HostName never.used
    user late
host gate
  hostname %h.example.org
Host !npu1 npu*
  Port 99
Match host npu1 exec "true"
    User matched
Host npu9
    ProxyJump none
Host *
    ProxyJump everywhere
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "config"


def test_aliases_with_what_ssh_would_use(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        config=MAIN,
        conf_dotted="",
        **{"conf.d__b.conf": "Host inner\n  User early\n", "with blank.conf": "Host spaced\n"},
    )
    assert config_hosts(main) == [
        ConfigHost("inner", "", "common", "", "everywhere"),
        ConfigHost("spaced", "", "common", "", "everywhere"),
        ConfigHost("npu1", "10.0.0.1", "common", "2201", "gate"),
        ConfigHost("npu2", "10.0.0.1", "common", "2201", "gate"),
        ConfigHost("npu 3", "10.0.0.1", "common", "2201", "gate"),
        ConfigHost("gate", "gate.example.org", "common", "", "everywhere"),
        ConfigHost("npu9", "", "common", "99", ""),
    ]


def test_an_include_in_a_host_block_leaves_the_block_open(tmp_path: Path) -> None:
    main = write(tmp_path, config="Host a\n  Include more\n  User after\n", more="User first\n")
    assert config_hosts(main) == [ConfigHost("a", "", "first", "", "")]


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    main = write(tmp_path, config="Host a\nInclude config config\n")
    assert [host.alias for host in config_hosts(main)] == ["a"]


def test_no_file_is_no_hosts_and_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert config_hosts(tmp_path / "none") == []
    with pytest.raises(OSError, match="directory"):
        config_hosts(tmp_path)
