"""The ``/etc/hccn.conf`` of a simulated node."""

from __future__ import annotations

from wizard.simulator.state import Device, SimNode


def read_conf(node: SimNode) -> dict[str, str]:
    """Return the keys of the node's /etc/hccn.conf; empty when there is none."""
    try:
        text = node.path("/etc/hccn.conf").read_text()
    except OSError:
        return {}
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def conf_lines(device: Device) -> dict[str, str]:
    """Return what hccn.conf says of one device."""
    values = {
        "address": device.conf_ip or device.ip,
        "netmask": device.netmask if device.ip else None,
        "gateway": device.gateway,
        "netdetect": device.netdetect,
        "tls_enable": "1" if device.tls else "0",
    }
    return {f"{key}_{device.id}": value for key, value in values.items() if value is not None}


def save(node: SimNode, device: Device) -> None:
    """Write what a device is set to into the node's hccn.conf; the rest of it stays."""
    device.conf_ip = None
    conf = read_conf(node) | conf_lines(device)
    path = node.path("/etc/hccn.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key}={value}\n" for key, value in conf.items()))
