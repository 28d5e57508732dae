"""``hccn_tool``: what it prints, where, and how it exits (shared facts: hccn_tool.md).

Pure but for the state that ``-s`` commands change. Delays and ``busy`` are the caller's.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from itertools import pairwise

from wizard.cluster import Series
from wizard.simulator import hccn_conf
from wizard.simulator.measured import link_stat, optical
from wizard.simulator.state import Device, Output, SimNode, World

DONE = "Cmd executed successfully!\n"
BUSY = Output("hccn_tool is busy, please try again.\n", code=11)
DEAD = Output("Get device health status failed!\n", code=1)
UNSUPPORTED = Output("The command is not supported on this product.\n", code=13)
BAD_COMMAND = Output(
    stderr="Get invalid major cmd type. Please check the command by [hccn_tool -h].\n", code=1
)

Handler = Callable[[World, SimNode, Device, list[str]], Output]


def device_of(argv: list[str]) -> int | None:
    """Return the physical id that ``-i`` names, or None when it names none."""
    if len(argv) >= 2 and argv[0] == "-i" and argv[1].isdigit():
        return int(argv[1])
    return None


def hccn_tool(world: World, node: SimNode, argv: list[str]) -> Output:
    """Answer one call, without the time it takes. ``argv`` is what follows the tool's name."""
    if argv[:3] == ["-a", "-cfg", "recovery"]:
        for device in node.devices:
            _recover(node, device)
        return Output(DONE)
    index = device_of(argv)
    if index is None:
        return BAD_COMMAND
    if index >= len(node.devices):
        return Output(stderr="The device is not exist!\n", code=4)
    if len(argv) < 4 or (argv[2], argv[3]) not in _COMMANDS:
        return BAD_COMMAND
    return _COMMANDS[argv[2], argv[3]](world, node, node.devices[index], argv[4:])


# --- what is shown -------------------------------------------------------------------------


def _lldp(_w: World, node: SimNode, d: Device, _a: list[str]) -> Output:
    if not (d.link_up and d.lldp):
        return Output()  # no frame has come in
    if d.direct:
        peer = [("Chassis ID TLV", f"MAC: {d.mac}"), ("Port ID TLV", f"MAC: {d.mac}")]
        peer += [("Time to Live TLV", "120"), ("System Description TLV", "AscendNPU")]
        return Output("".join(f"{name}\n\t{v}\n" for name, v in [*peer, ("End of LLDPDU TLV", "")]))
    switch = _w.scenario.node_fault(node.rank).switch or f"leaf-{node.rank // 4 + 1:02d}"
    fields = [
        ("Chassis ID TLV", f"MAC: 00:e0:fc:12:34:{node.rank:02x}"),
        ("Port ID TLV", f"Ifname: {d.switch_port}"),
        ("Time to Live TLV", "120"),
        ("Port Description TLV", f"to-{node.hostname}-npu{d.id}"),
        ("System Name TLV", switch),
        ("System Description TLV", "Simulated switch, v32-wizard"),
        ("Port VLAN ID TLV", "PVID: 100"),
        ("Maximum Frame Size TLV", "9216"),
        ("End of LLDPDU TLV", ""),
    ]
    return Output("".join(f"{name}\n" + (f"\t{v}\n" if v else "") for name, v in fields))


def _link(_w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    return Output(f"link status: {'UP' if d.link_up else 'DOWN'}\n")


def _net_health(w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    return Output(f"net health status: {_health_word(w, d)}\n")


def _health_word(w: World, d: Device) -> str:
    if d.net_health is not None:
        return d.net_health
    if not d.link_up:
        return "Fault"
    if d.ip is None:
        return "Socket fail" if w.scenario.driver == "26" else "Socket failed"
    if d.netdetect is None:
        return "Init"
    lost = w.lost(d, d.netdetect)
    if lost is None:
        return "Unreachable"
    return "Success" if lost < 3 and d.netdetect != d.ip else "Receive timeout"


def _netdetect(w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    word = "addr" if w.scenario.driver == "26" else "address"
    return Output(f"netdetect {word}: {d.netdetect or '0.0.0.0'}\n")  # noqa: S104


def _gateway(_w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    if d.gateway is None:
        return Output(stderr="Get gateway failed, because no gateway was preset there!\n", code=2)
    return Output(f"default gateway:{d.gateway}, Iface:eth{d.id}\n")


def _ip(w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    if d.ip is None:
        return Output(stderr="Get ipconf failed, because no ip was preset there!\n", code=13)
    blank = "\n" if w.scenario.driver == "26" else ""
    return Output(f"{blank}ipaddr:{d.ip}\nnetmask:{d.netmask}\n")


def _tls(_w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    return Output(
        f"dev_id:{d.id}, tls switch[{int(d.tls)}](0:disable, 1:enable),"
        " tls preconfigured[1](0:non-preset, 1:preset), tls alarm time threshold[60]days\n"
    )


def _speed(_w: World, _n: SimNode, _d: Device, _a: list[str]) -> Output:
    return Output("Speed: 200000 Mb/s\n")


def _process(_w: World, _n: SimNode, _d: Device, _a: list[str]) -> Output:
    return Output("hccp process: normal\n")


def _arp(w: World, n: SimNode, d: Device, _a: list[str]) -> Output:
    known = d.gateway is not None and d.link_up and w.lost(d, d.gateway) == 0
    mac = f"00:e0:fc:12:34:{n.rank:02x}" if known else "<incomplete>"
    return Output(f"? ({d.gateway}) at {mac} [ether] on eth{d.id}\n" if d.gateway else "")


def _vnic(w: World, _n: SimNode, d: Device, _a: list[str]) -> Output:
    if w.series is Series.A2:
        return UNSUPPORTED
    state = "UP" if d.vnic_up else "DOWN"
    return Output(
        f"vnic link status: {state}\nvnic ipaddr: {d.vnic_ip}\nvnic netmask: 255.255.255.0\n"
    )


# --- pings ---------------------------------------------------------------------------------


def _ping(w: World, _n: SimNode, d: Device, argv: list[str]) -> Output:
    target = _named(argv, "address")
    if target is None:
        return BAD_COMMAND
    lost = w.lost(d, target)
    peer = w.find(target)
    fault = w.pair_fault(d, peer, "roce") if peer is not None and lost else None
    words = fault.says if fault is not None else None
    lines, seconds = [f"device {d.id} PING {target}"], 0.0
    for packet in range(3):
        if lost is None:
            lines.append("Destination Host Unreachable")
        elif packet < lost:
            lines.append(words or f"recv time out seq={packet}")
            seconds += w.scenario.timing.ping_timeout
        else:
            took = w.random.uniform(0.03, 0.09) + (1.3 if packet == lost else 0.0)  # ARP first
            lines.append(f"recv seq={packet},time={took:.6f}ms")
    received = 0 if lost is None else 3 - lost
    lines.append(
        f"3 packets transmitted, {received} received, {100 * (3 - received) / 3:.2f}% packet loss"
    )
    return Output("\n".join(lines) + "\n", seconds=seconds)


def _hccs_ping(w: World, _n: SimNode, d: Device, argv: list[str]) -> Output:
    if w.series is Series.A2:
        return UNSUPPORTED
    target = _named(argv, "address")
    if target is None:
        return BAD_COMMAND
    peer = next((p for n in w.nodes for p in n.devices if p.vnic_ip == target), None)
    lost = 3 if peer is None or not (d.vnic_up and peer.vnic_up) else 0
    if peer is not None and (fault := w.pair_fault(d, peer, "hccs")):
        lost = fault.lost
    lines = [
        f"recv time out seq {i}"
        if i < lost
        else f"recv seq {i}, time = 12us, L1 plane check result = 0x0"
        for i in range(3)
    ]
    received, loss = 3 - lost, f"{100 * lost / 3:.2f}"
    lines.append(f"3 packets transmitted, {received} received, {loss}% packets loss")
    return Output("\n".join(lines) + "\n" + DONE)


# --- what is changed -----------------------------------------------------------------------


def _set_link(_w: World, _n: SimNode, d: Device, argv: list[str]) -> Output:
    if argv not in (["up"], ["down"]):
        return BAD_COMMAND
    up = argv == ["up"] and d.light
    if up != d.link_up:
        d.changes.insert(0, (time.time(), up))
    d.link_up = up
    return Output(DONE)


def _set_ip(_w: World, n: SimNode, d: Device, argv: list[str]) -> Output:
    ip, mask = _named(argv, "address"), _named(argv, "netmask")
    if ip is None or mask is None:
        return Output(stderr="Command execute failed!\n", code=1)
    d.ip, d.netmask = ip, mask
    hccn_conf.save(n, d)
    return Output(DONE)


def _set_gateway(_w: World, n: SimNode, d: Device, argv: list[str]) -> Output:
    gateway = _named(argv, "gateway")
    network = d.network()
    if gateway is None or network is None or ipaddress.IPv4Address(gateway) not in network:
        return Output(stderr="Command execute failed!\n", code=1)
    d.gateway = gateway
    hccn_conf.save(n, d)
    return Output(DONE)


def _set_netdetect(_w: World, n: SimNode, d: Device, argv: list[str]) -> Output:
    target = _named(argv, "address")
    if target is None:
        return Output(stderr="Command execute failed!\n", code=1)
    d.netdetect = None if target == "0.0.0.0" else target  # noqa: S104
    hccn_conf.save(n, d)
    return Output(DONE)


def _set_tls(_w: World, n: SimNode, d: Device, argv: list[str]) -> Output:
    if argv not in (["enable", "0"], ["enable", "1"]):
        return BAD_COMMAND
    d.tls = argv[1] == "1"
    hccn_conf.save(n, d)
    return Output(DONE)


def _recovery(_w: World, n: SimNode, d: Device, _a: list[str]) -> Output:
    _recover(n, d)
    return Output(DONE)


def _recover(node: SimNode, d: Device) -> None:
    """Apply hccn.conf again, and bring the port up when it has light."""
    conf = hccn_conf.read_conf(node)
    d.ip = conf.get(f"address_{d.id}", d.ip)
    d.netmask = conf.get(f"netmask_{d.id}", d.netmask)
    d.gateway = conf.get(f"gateway_{d.id}", d.gateway)
    d.netdetect = conf.get(f"netdetect_{d.id}", d.netdetect)
    if d.light and not d.link_up:
        d.changes.insert(0, (time.time(), True))
    d.link_up = d.light


def _named(argv: list[str], name: str) -> str | None:
    """Return the IPv4 address that follows ``name``, or None when there is no valid one."""
    for key, value in pairwise(argv):
        if key == name and re.fullmatch(r"\d+(\.\d+){3}", value):
            try:
                return str(ipaddress.IPv4Address(value))
            except ValueError:
                return None
    return None


_COMMANDS: dict[tuple[str, str], Handler] = {
    ("-lldp", "-g"): _lldp,
    ("-link", "-g"): _link,
    ("-link", "-s"): _set_link,
    ("-net_health", "-g"): _net_health,
    ("-netdetect", "-g"): _netdetect,
    ("-netdetect", "-s"): _set_netdetect,
    ("-gateway", "-g"): _gateway,
    ("-gateway", "-s"): _set_gateway,
    ("-ip", "-g"): _ip,
    ("-ip", "-s"): _set_ip,
    ("-tls", "-g"): _tls,
    ("-tls", "-s"): _set_tls,
    ("-link_stat", "-g"): link_stat,
    ("-optical", "-g"): optical,
    ("-speed", "-g"): _speed,
    ("-process", "-g"): _process,
    ("-arp", "-g"): _arp,
    ("-vnic", "-g"): _vnic,
    ("-ping", "-g"): _ping,
    ("-hccs_ping", "-g"): _hccs_ping,
    ("-cfg", "recovery"): _recovery,
}
