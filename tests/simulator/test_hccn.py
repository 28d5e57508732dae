"""``hccn_tool`` prints what the facts say, where they say it, and ``-s`` truly changes the node."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import until
from tests.simulator.bench import Ran, running, world
from wizard.cluster import Precision, Series
from wizard.simulator.hccn import hccn_tool
from wizard.simulator.scenario import parse_scenario

BUSY = Ran("hccn_tool is busy, please try again.\n", "", 11)
PASSED = "3 packets transmitted, 3 received, 0.00% packet loss\n"
FAULTY = "devices: [{node: 0, device: 0, %s}]"


def say(
    tmp_path: Path, words: str, scenario: str = "", node: int = 0, series: Series = Series.A3
) -> Ran:
    """One call on a node of a fresh cluster, without the time it takes."""
    made = world(tmp_path, parse_scenario(scenario), series)
    output = hccn_tool(made, made.nodes[node], words.split())
    return Ran(output.stdout, output.stderr, output.code)


@pytest.mark.parametrize(
    ("words", "out"),
    [
        ("-i 3 -link -g", "link status: UP\n"),
        ("-i 3 -net_health -g", "net health status: Success\n"),
        ("-i 3 -netdetect -g", "netdetect address: 10.20.0.1\n"),
        ("-i 3 -gateway -g", "default gateway:10.20.0.1, Iface:eth3\n"),
        ("-i 3 -ip -g", "ipaddr:10.20.0.23\nnetmask:255.255.255.0\n"),
        ("-i 3 -speed -g", "Speed: 200000 Mb/s\n"),
        (
            "-i 3 -tls -g",
            "dev_id:3, tls switch[0](0:disable, 1:enable), tls preconfigured[1](0:non-preset,"
            " 1:preset), tls alarm time threshold[60]days\n",
        ),
        (
            "-i 3 -vnic -g",
            "vnic link status: UP\nvnic ipaddr: 192.168.0.202\nvnic netmask: 255.255.255.0\n",
        ),
    ],
)
def test_a_healthy_device(tmp_path: Path, words: str, out: str) -> None:
    assert say(tmp_path, words) == Ran(out, "", 0)


def test_texts_that_carry_measurements(tmp_path: Path) -> None:
    assert "Port ID TLV\n\tIfname: 400GE1/1/2:2\n" in say(tmp_path, "-i 3 -lldp -g").out
    stat = say(tmp_path, "-i 3 -link_stat -g").out
    assert "[devid 3] link up count       : 1\n" in stat
    assert "[devid 3] link change records :\n" in stat
    optical = say(tmp_path, "-i 3 -optical -g").out
    assert "present                 : present\n" in optical
    assert "Rx Los Flag             : 0x0\n" in optical


@pytest.mark.parametrize(
    ("fault", "words", "expected"),
    [
        ("link: down", "-link -g", Ran("link status: DOWN\n", "", 0)),
        ("link: down", "-lldp -g", Ran("", "", 0)),
        ("link: down", "-net_health -g", Ran("net health status: Fault\n", "", 0)),
        ("netdetect: missing", "-net_health -g", Ran("net health status: Init\n", "", 0)),
        ("netdetect: missing", "-netdetect -g", Ran("netdetect address: 0.0.0.0\n", "", 0)),
        (
            "gateway: missing",
            "-gateway -g",
            Ran("", "Get gateway failed, because no gateway was preset there!\n", 2),
        ),
        (
            "ip: missing",
            "-ip -g",
            Ran("", "Get ipconf failed, because no ip was preset there!\n", 13),
        ),
        ("ip: missing", "-net_health -g", Ran("net health status: Socket failed\n", "", 0)),
    ],
)
def test_a_device_with_a_fault(tmp_path: Path, fault: str, words: str, expected: Ran) -> None:
    assert say(tmp_path, f"-i 0 {words}", FAULTY % fault) == expected


def test_the_wording_of_driver_26(tmp_path: Path) -> None:
    text = "driver: '26'\n" + FAULTY % "netdetect: missing"
    assert say(tmp_path, "-i 1 -netdetect -g", text).out == "netdetect addr: 10.20.0.1\n"
    assert say(tmp_path, "-i 1 -ip -g", text).out.startswith("\nipaddr:10.20.0.21\n")
    assert "[device 1] link up count" in say(tmp_path, "-i 1 -link_stat -g", text).out


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        ("-i 16 -link -g", "The device is not exist!\n", 4),
        ("-i 0 -nethealth -g", "Get invalid major cmd type.", 1),
        ("-i 0 -reset -s", "Get invalid major cmd type.", 1),
        ("-link -g", "Get invalid major cmd type.", 1),
        ("-i 0 -gateway -s gateway 192.0.2.1", "Command execute failed!\n", 1),
        ("-i 0 -ip -s address 10.20.0.999 netmask 255.255.255.0", "Command execute failed!\n", 1),
    ],
)
def test_refusals_go_to_stderr(tmp_path: Path, words: str, said: str, code: int) -> None:
    ran = say(tmp_path, words)
    assert ran.out == ""
    assert ran.err.startswith(said)
    assert ran.code == code


@pytest.mark.parametrize("words", ["-vnic -g", "-hccs_ping -g address 192.168.1.199"])
def test_what_a2_does_not_have(tmp_path: Path, words: str) -> None:
    expected = Ran("The command is not supported on this product.\n", "", 13)
    assert say(tmp_path, f"-i 0 {words}", series=Series.A2) == expected


def test_pings_that_pass(tmp_path: Path) -> None:
    ran = say(tmp_path, "-i 3 -ping -g address 10.20.1.20")
    assert ran.out.startswith("device 3 PING 10.20.1.20\nrecv seq=0,time=")
    assert ran.out.endswith(PASSED)
    ran = say(tmp_path, "-i 3 -hccs_ping -g address 192.168.1.199")
    assert "L1 plane check result = 0x0\n" in ran.out
    assert ran.out.endswith("0.00% packets loss\nCmd executed successfully!\n")


@pytest.mark.parametrize(
    ("address", "scenario", "said"),
    [
        ("10.20.1.99", "", "recv time out seq=2\n3 packets transmitted, 0 received, 100.00%"),
        ("10.20.0.21", "", "0 received, 100.00% packet loss"),  # the other die of the same card
        ("10.20.1.20", FAULTY % "gateway: missing", "Destination Host Unreachable\n"),
        ("10.20.1.20", FAULTY % "link: down", "0 received, 100.00% packet loss"),
        (
            "10.20.1.20",
            "pairs: [{source: {node: 0, device: 0}, target: {node: 1, device: 0}, lost: 1}]",
            "3 packets transmitted, 2 received, 33.33% packet loss",
        ),
    ],
)
def test_pings_that_fail(tmp_path: Path, address: str, scenario: str, said: str) -> None:
    ran = say(tmp_path, f"-i 0 -ping -g address {address}", scenario)
    assert said in ran.out
    assert ran.code == 0, "the tool's exit code is no verdict"


def test_a_pair_fault_has_a_direction(tmp_path: Path) -> None:
    text = "pairs: [{source: {node: 0, device: 0}, target: {node: 1, device: 0}}]"
    assert PASSED not in say(tmp_path, "-i 0 -ping -g address 10.20.1.20", text).out
    assert PASSED in say(tmp_path, "-i 0 -ping -g address 10.20.0.20", text, node=1).out


@pytest.mark.parametrize(
    ("before", "change", "look", "after"),
    [
        ("link: down", "-link -s up", "-link -g", "link status: UP\n"),
        ("tls: 'on'", "-link -s down", "-link -g", "link status: DOWN\n"),
        ("tls: 'on'", "-tls -s enable 0", "-tls -g", "dev_id:0, tls switch[0]"),
        (
            "netdetect: missing",
            "-netdetect -s address 10.20.0.1",
            "-net_health -g",
            "net health status: Success\n",
        ),
        (
            "gateway: missing",
            "-gateway -s gateway 10.20.0.1",
            "-gateway -g",
            "default gateway:10.20.0.1, Iface:eth0\n",
        ),
        (
            "ip: missing",
            "-ip -s address 10.20.0.77 netmask 255.255.255.0",
            "-ip -g",
            "ipaddr:10.20.0.77\nnetmask:255.255.255.0\n",
        ),
        ("link: no_light", "-link -s up", "-link -g", "link status: DOWN\n"),  # only hands help
    ],
)
def test_s_changes_the_state(
    tmp_path: Path, before: str, change: str, look: str, after: str
) -> None:
    made = world(tmp_path, parse_scenario(FAULTY % before))
    node = made.nodes[0]
    earlier = hccn_tool(made, node, ["-i", "0", *look.split()]).stdout
    done = hccn_tool(made, node, ["-i", "0", *change.split()])
    assert (done.stdout, done.code) == ("Cmd executed successfully!\n", 0)
    now = hccn_tool(made, node, ["-i", "0", *look.split()]).stdout
    assert now.startswith(after)
    assert (now == earlier) == ("no_light" in before)


async def test_link_down_is_seen_from_both_sides_and_mended() -> None:
    async with running(scenario="link-down") as made:
        far, near = made.shells
        ping = "hccn_tool -i 0 -ping -g address 10.20.1.23"
        link = "hccn_tool -i 3 -link -g"
        assert await near(link) == Ran("link status: DOWN\n", "", 0)
        assert await far(link) == Ran("link status: UP\n", "", 0)
        assert "100.00% packet loss" in await far.good(ping)
        fixed = await near("hccn_tool -i 3 -link -s up")
        assert fixed == Ran("Cmd executed successfully!\n", "", 0)
        assert await near.good(link) == "link status: UP\n"
        assert PASSED in await far.good(ping)


async def test_streams_exit_codes_and_paths_over_ssh() -> None:
    async with running(series=Series.A2, precision=Precision.W8A8) as made:
        shell = made.shells[1]
        assert await shell("hccn_tool -i 8 -link -g") == Ran("", "The device is not exist!\n", 4)
        tool = "/usr/local/Ascend/driver/tools/hccn_tool"
        assert await shell.good(f"{tool} -i 7 -link -g") == "link status: UP\n"
        await shell.good("hccn_tool -i 2 -ip -s address 10.20.1.99 netmask 255.255.255.0")
        conf = await shell.good("cat /etc/hccn.conf")
        assert "address_2=10.20.1.99\n" in conf
        assert conf.count("address_") == 8
        elsewhere = await made.shells[0].good("cat /etc/hccn.conf")
        assert "10.20.1.99" not in elsewhere
        assert await shell.good("ls -d /dev/davinci[0-9]* | wc -l") == "8\n"
        assert "910B4" in await shell.good("npu-smi info")
        assert await shell.good("uname -m") == "aarch64\n"


async def test_busy_while_another_call_runs(tmp_path: Path) -> None:
    path = tmp_path / "narrow.yaml"
    path.write_text("hccn_width: 1\ntiming: {hccn_tool: [300, 300]}\n")
    async with running(scenario=path, speed=1.0) as made:
        calls = made.cluster.nodes[0].calls
        shell = made.shells[0]
        async with shell.connection.create_process("exec hccn_tool -i 0 -link -g") as first:
            await until(lambda: calls == {0})
            assert await shell("hccn_tool -i 0 -link -g") == BUSY
            assert await shell("hccn_tool -i 1 -link -g") == BUSY
            first.send_signal("TERM")
            await until(lambda: not calls)


async def test_as_many_calls_as_the_scenario_allows_and_a_timeout_frees_its_slot() -> None:
    async with running(speed=0.001) as made:
        calls, shell = made.cluster.nodes[0].calls, made.shells[0]
        slow = [
            asyncio.create_task(shell(f"timeout 3 hccn_tool -i {i} -link -g")) for i in range(4)
        ]
        await until(lambda: calls == {0, 1, 2, 3})
        assert await shell("hccn_tool -i 4 -link -g") == BUSY
        assert [ran.code for ran in await asyncio.gather(*slow)] == [124] * 4
        await until(lambda: not calls)
