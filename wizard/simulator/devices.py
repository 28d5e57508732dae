"""The NPUs of a healthy cluster, and what a scenario makes of them."""

from __future__ import annotations

from wizard.simulator.scenario import DeviceFault, Scenario
from wizard.simulator.state import Device

_MINUTE = 60.0


def make_device(rank: int, index: int, scenario: Scenario, now: float, nodes: int = 2) -> Device:
    """Make one NPU of a healthy cluster, with what the scenario says is wrong with it.

    Switched, every node has a subnet of its own, routed by its switch: 10.20.RANK.0/24. Over
    direct fibres all share 10.20.0.0/16 and watch the NPU at the other end; inside a super-pod
    the ports are not cabled, and have no address.
    """
    gateway = f"10.20.{rank}.1"
    device = Device(
        node=rank,
        id=index,
        mac=f"c0:18:03:{rank:02x}:20:{index:02x}",
        switch_port=f"400GE1/{rank + 1}/{index // 2 + 1}:{index % 2 + 1}",
        ip=f"10.20.{rank}.{20 + index}",
        netmask="255.255.255.0",
        gateway=gateway,
        netdetect=gateway,
        vnic_ip=f"192.168.{rank}.{199 + index}",
    )
    if scenario.topology == "direct":
        device.direct, device.netmask, device.gateway = True, "255.255.0.0", None
        device.netdetect = f"10.20.{(rank + 1) % nodes}.{20 + index}"
    elif scenario.topology == "super-pod":
        device.ip = device.gateway = device.netdetect = None
        device.link_up = device.light = False
        device.optic = "missing"
    if device.link_up:
        device.changes.append((now - 86_400.0 * 9, True))
    for fault in scenario.devices:
        if (fault.node, fault.device) == (rank, index):
            _spoil(device, fault, now)
    return device


def _spoil(device: Device, fault: DeviceFault, now: float) -> None:
    if fault.link is not None:
        device.link_up = False
        device.light = fault.link != "no_light"
        device.changes.insert(0, (now - 300.0, False))
    for number in range(fault.flaps or 0):
        device.changes.insert(0, (now - 20 * _MINUTE + number * 20.0, False))
        device.changes.insert(0, (now - 20 * _MINUTE + number * 20.0 + 4.0, True))
    _readdress(device, fault)
    device.lldp = fault.lldp is None and device.lldp
    device.tls = fault.tls is not None or device.tls
    device.health = fault.health or device.health
    device.net_health = fault.net_health or device.net_health
    device.optic = fault.optic or device.optic
    device.light = device.light and fault.optic != "missing"
    device.link_up = device.link_up and fault.optic != "missing"
    device.vlan = fault.vlan is None and device.vlan
    device.vnic_up = fault.vnic is None and device.vnic_up
    device.hung = fault.hung or device.hung
    device.held = fault.held or device.held


def _readdress(device: Device, fault: DeviceFault) -> None:
    if fault.ip:
        device.ip = None if fault.ip == "missing" else fault.ip
    if fault.gateway:
        device.gateway = None if fault.gateway == "missing" else fault.gateway
    if fault.netdetect:
        named = {"missing": None, "own": device.ip}
        device.netdetect = named.get(fault.netdetect, fault.netdetect)
    device.conf_ip = fault.conf_ip or device.conf_ip
