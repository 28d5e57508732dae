"""``npu-smi``: the tables of A2 and A3, health by chip, versions, super-pod."""

from __future__ import annotations

from wizard.cluster import Series
from wizard.simulator.state import Device, Output, SimNode, World

HBM_MB = 65536
_STRANGER = 41_234  # pid of a process that is none of ours
IDLE_MB, SERVING_MB = 3180, 58400  # of 65536, per NPU
_RULE = "+" + "-" * 27 + "+" + "-" * 17 + "+" + "-" * 52 + "+\n"


def npu_smi(world: World, node: SimNode, argv: list[str], users: dict[int, int]) -> Output:
    """Answer ``npu-smi``. ``users``: device → pid of the process that holds it."""
    users = {d.id: _STRANGER for d in node.devices if d.held == "process"} | users
    if argv in (["-v"], ["--version"]):
        return Output(f"npu-smi version: {node.traits.driver}\n")
    if argv == ["info"]:
        return Output(_table(node, users))
    if argv[:2] == ["info", "-t"] and len(argv) > 2:
        device = _chip(node, argv)
        if device is None:
            return Output(stderr="Failed to execute npu-smi info. ret is -8001.\n", code=1)
        if argv[2] == "health":
            return Output(f"\tHealth                         : {device.health}\n")
        if argv[2] == "spod-info" and world.series is Series.A3:
            return Output(
                f"\tSDID                           : {node.rank * 1024 + device.id}\n"
                "\tSuper Pod Size                 : 384\n\tSuper Pod ID                   : 0\n"
                f"\tServer Index                   : {node.rank}\n"
            )
    return Output(stderr="Error: unsupported option of the simulated npu-smi.\n", code=1)


def _chip(node: SimNode, argv: list[str]) -> Device | None:
    named = dict(zip(argv[3::2], argv[4::2], strict=False))
    per_card = 2 if node.series is Series.A3 else 1
    card, chip = named.get("-i", ""), named.get("-c", "0")
    if not (card.isdigit() and chip.isdigit()):
        return None
    index = int(card) * per_card + int(chip)
    return node.devices[index] if index < len(node.devices) and int(chip) < per_card else None


def _table(node: SimNode, users: dict[int, int]) -> str:
    a3, version = node.series is Series.A3, node.traits.driver
    ids = "Chip  Phy-ID" if a3 else "Chip"
    out = [
        _RULE,
        f"| npu-smi {version:<24} Version: {version:<53}|\n",
        _RULE,
        _row("NPU   Name", "Health", "Power(W)    Temp(C)           Hugepages-Usage(page)"),
        _row(ids, "Bus-Id", "AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)"),
        _RULE.replace("-", "="),
    ]
    for d in node.devices:
        used = SERVING_MB if d.id in users or d.held else IDLE_MB
        npu, chip = _place(d.id, a3)
        name = "Ascend910" if a3 else "910B4"
        bus = f"0000:{0x9 + d.id:02X}:00.0"
        out += [
            _row(f"{npu:<5} {name}", d.health, "92.1        36                0    / 0"),
            _row(
                f"{chip:<5} {d.id}" if a3 else str(chip),
                bus,
                f"0           0    / 0          {used:>5}/ {HBM_MB}",
            ),
            _RULE,
        ]
    out += [_row("NPU     Chip", "Process id", "Process name             Process memory(MB)")]
    out += [_RULE.replace("-", "=")]
    for device, pid in sorted(users.items()):
        npu, chip = _place(device, a3)
        process = f"{'VLLM::Worker_TP':<24} {SERVING_MB - IDLE_MB}"
        out.append(_row(f"{npu:<7} {chip}", str(pid), process))
    if not users:
        for npu in sorted({_place(d.id, a3)[0] for d in node.devices}):
            out.append(f"| {f'No running processes found in NPU {npu}':<96} |\n")
    return "".join([*out, _RULE])


def _place(device: int, a3: bool) -> tuple[int, int]:
    """Return the NPU (card) and chip of a device: an A3 card has two chips."""
    return (device // 2, device % 2) if a3 else (device, 0)


def _row(first: str, second: str, third: str) -> str:
    return f"| {first:<25} | {second:<15} | {third:<50} |\n"
