"""Stages and diagnosis on what vLLM 0.11.0 really wrote on CPU: transcribed, cut and changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.diagnosis.reading import read_file
from wizard.diagnosis.verdict import diagnose
from wizard.launch.lines import LineReader
from wizard.launch.progress import Phase, StageParser

LOGS = Path(__file__).parent.parent / "data" / "serve_logs"
WORKER = [
    Phase.PYTHON, Phase.HANDSHAKE, Phase.RANKS, Phase.WEIGHTS, Phase.KV_CACHE, Phase.ENGINE,
]  # fmt: skip


def phases(name: str, size: int = 97) -> list[Phase]:
    """Each phase as it is reached; the log comes in pieces that are cut anywhere."""
    data, reader, parser = (LOGS / name).read_bytes(), LineReader(stamps=False), StageParser()
    seen: list[Phase] = []
    for at in range(0, len(data), size):
        for line in reader.feed(data[at : at + size]):
            stage = parser.feed(line.text.decode())
            if stage is not None and stage.phase not in seen[-1:]:
                seen.append(stage.phase)
    return seen


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("single.log", [*WORKER, Phase.READY]),
        ("dp2_node0.log", [*WORKER, Phase.READY]),
        ("dp2_node1.log", WORKER),
        ("init_failed.log", [Phase.PYTHON, Phase.HANDSHAKE]),
    ],
)
def test_the_stages_come_in_order(name: str, expected: list[Phase]) -> None:
    assert phases(name) == expected


@pytest.mark.parametrize("names", [["single.log"], ["dp2_node0.log", "dp2_node1.log"]])
def test_healthy_ones_have_no_cause(names: list[str]) -> None:
    logs = [log for node, name in enumerate(names) for log in read_file(node, LOGS / name)]
    assert diagnose(logs).causes == ()


def test_of_a_wrapper_alone_the_librarys_complaint_is_a_guess() -> None:
    diagnosis = diagnose(read_file(0, LOGS / "init_failed.log"))
    assert diagnosis.cause is None
    assert diagnosis.causes[0].mark.text == "libnuma: Warning: unparseable cpu description `nobind'"
    assert diagnosis.causes[1].signature.id == "engine_core_init_failed"
