"""Clocks, ranks, the dead: what is given to a verdict besides the logs."""

from __future__ import annotations

from pathlib import Path

from tests.diagnosis.compose import scripts
from tests.diagnosis.test_composed_logs import judged
from wizard.diagnosis.known import Known
from wizard.diagnosis.marks import NodeLog
from wizard.diagnosis.reading import read_folder, read_lines
from wizard.diagnosis.report import to_text
from wizard.diagnosis.signatures import by_key, catalogue
from wizard.diagnosis.verdict import diagnose

SIGNATURES = by_key(catalogue())
SCRIPTS = {s["name"]: s for s in scripts()}
OOM = "ERROR {} [a.py:1] ValueError: No available memory for the cache blocks."
KEY = "ERROR {} [a.py:1] KeyError: 'x.weight_offset'"


def log(node: int, *lines: str) -> NodeLog:
    return read_lines(node, f"node{node}.log", lines)[0]


def ids(*logs: NodeLog, **options: object) -> list[str]:
    return [c.signature.id for c in diagnose(logs, Known(**options)).causes]  # type: ignore[arg-type]


def test_the_earlier_error_is_the_cause_whatever_the_order_of_the_files() -> None:
    a, b = log(0, OOM.format("11-20 10:00:09")), log(1, KEY.format("11-20 10:00:05"))
    assert ids(a, b) == ["w8a8_offset_key", "no_kv_blocks"]
    assert [c.confidence for c in diagnose([a, b]).causes] == ["cause", "possible"]


def test_a_clock_that_is_ahead_is_set_right() -> None:
    a, b = log(0, OOM.format("11-20 10:00:09")), log(1, KEY.format("11-20 10:00:05"))
    assert ids(a, b, offsets={0: 60.0})[0] == "no_kv_blocks"


def test_the_engines_stamps_go_before_the_programs_where_all_have_them() -> None:
    a = log(0, "2026-11-20T02:00:09Z " + OOM.format("11-20 10:00:09"))
    b = log(1, "2026-11-20T02:00:11Z " + KEY.format("11-20 02:00:05"))
    assert ids(a, b)[0] == "no_kv_blocks"
    only_one = log(1, KEY.format("11-20 10:00:05"))
    assert ids(a, only_one)[0] == "w8a8_offset_key"


def test_new_year_comes_after_the_old() -> None:
    a, b = log(0, OOM.format("01-01 00:00:05")), log(1, KEY.format("12-31 23:59:50"))
    assert ids(a, b)[0] == "w8a8_offset_key"


def test_a_log_without_stamps_is_an_early_end() -> None:
    a, b = log(0, OOM.format("11-20 10:00:00")), log(1, "bash: line 2: vllm: command not found")
    assert ids(a, b)[0] == "command_missing"


def test_ranks_are_counted_where_the_logs_do_not_say() -> None:
    line = "EI0015: Failed to connect agent[9,10]"
    assert [c.node for c in diagnose([log(0, line), log(1, "x")], Known(8)).causes] == [1]
    assert [c.node for c in diagnose([log(0, line), log(1, "x")]).causes] == [0]  # nothing tells


def test_a_node_known_to_be_dead_is_named_though_nobody_complains() -> None:
    script = SCRIPTS["healthy, still loading, nodes a moment apart"]
    cause = judged(script, dead=[1]).cause
    assert cause is not None
    assert (cause.signature.id, cause.node) == ("peer_vanished", 1)


def test_several_that_may_have_vanished_are_only_possible() -> None:
    lost = log(
        0, "ERROR 11-20 10:00:09 [a.py:1] RuntimeError: Connection closed by peer [10.0.0.9]:1"
    )
    others = [log(n, f"INFO 11-20 10:00:0{n} [a.py:1] x") for n in (1, 2)]
    diagnosis = diagnose([lost, *others])
    assert diagnosis.cause is None
    assert (diagnosis.causes[0].signature.id, diagnosis.causes[0].node) == ("peer_vanished", 1)


def test_a_refused_request_does_not_hide_what_broke() -> None:
    chat = "ERROR 11-20 09:00:00 [a.py:1] NotFoundError: The model `x` does not exist."
    assert ids(log(0, chat, OOM.format("11-20 10:00:09"))) == ["no_kv_blocks", "chat_model_404"]
    assert ids(log(0, chat)) == ["chat_model_404"]


def test_the_text_shows_nothing_that_a_terminal_acts_on() -> None:
    evil = "\x1b]0;owned\x07\u202e" + OOM.format("11-20 10:00:00") + "\x9b2J"
    text = to_text(diagnose([log(0, evil)]))
    assert "no_kv_blocks" in text
    assert not any(char in text for char in "\x1b\x07\u202e\x9b")


EI0009 = (
    "EI0009: Transport init error. Reason: create qp, localIpAddr[10.20.0.23], localRank[3], "
    "remote_ip_addr[10.20.1.25]"
)


def checked(*cells: tuple[str, int, int | None, dict[str, object]]) -> Known:
    """What a report of the checks with these cells makes known."""
    names = ("check", "node", "device", "value")
    report = {"results": [dict(zip(names, cell, strict=True)) for cell in cells]}
    return Known.of_report(report, npus_per_node=8)


def test_an_npu_is_named_by_its_address_where_the_checks_have_read_it() -> None:
    known = checked(
        ("ip", 0, 3, {"address": "10.20.0.23", "netmask": "255.255.255.0"}),
        ("ip", 1, 5, {"address": "10.20.1.25"}),
        ("ip", 1, 6, {}),
    )
    diagnosis = diagnose([log(0, EI0009), log(1, "INFO x")], known)
    cause = diagnosis.causes[0]
    assert "from node 0 NPU 3 (10.20.0.23) to node 1 NPU 5 (10.20.1.25)" in cause.meaning()
    assert cause.goto == {
        "step": "troubleshooting", "check": "ping",
        "node": 0, "device": 3, "peer_node": 1, "peer_device": 5,
    }  # fmt: skip
    unknown = diagnose([log(0, EI0009), log(1, "INFO x")]).causes[0]
    assert "from NPU 10.20.0.23 to NPU 10.20.1.25" in unknown.meaning()


def test_an_address_that_two_npus_have_names_none() -> None:
    twice = [("ip", node, 3, {"address": "10.20.0.23"}) for node in (0, 1)]
    cause = diagnose([log(0, EI0009), log(1, "INFO x")], checked(*twice)).causes[0]
    assert "from NPU 10.20.0.23 to" in cause.meaning()


def test_the_clocks_that_the_checks_have_read_are_set_right() -> None:
    a, b = log(0, OOM.format("11-20 10:00:09")), log(1, KEY.format("11-20 10:00:05"))
    known = checked(("clock", 0, None, {"offset_s": 60.0}), ("clock", 1, None, {"offset_s": 0}))
    assert next(c.signature.id for c in diagnose([a, b], known).causes) == "no_kv_blocks"


def test_a_plog_is_read_beside_the_serve_log_of_its_node(tmp_path: Path) -> None:
    wrapped = SIGNATURES["hccl_root_info_init"].sample
    serve = f"ERROR 11-20 10:12:40 [core.py:1] {wrapped}"
    ours = SIGNATURES["plog_hccl_if_ip_wrong"].sample
    node = tmp_path / "node1"
    (node / "plog").mkdir(parents=True)
    (node / "serve.log").write_text(serve + "\n")
    (node / "plog" / "plog-4711_20261120101233123.log").write_text(
        ours.replace("10:13:05", "10:12:33") + "\n"
    )
    logs = [log(0, "INFO 11-20 10:30:00 [a.py:1] waiting"), *read_folder(1, node)]
    assert [(one.node, one.plog) for one in logs] == [(0, False), (1, True), (1, False)]
    cause = diagnose(logs).cause
    assert cause is not None
    assert (cause.signature.id, cause.node) == ("plog_hccl_if_ip_wrong", 1)
    assert cause.file.endswith("plog-4711_20261120101233123.log")


def test_a_plog_that_ends_early_is_no_node_that_fell_silent(tmp_path: Path) -> None:
    (tmp_path / "plog-1_2.log").write_text("[INFO] HCCL(1,python):2026-11-20-09:00:00.1 up\n")
    line = "INFO 11-20 10:{}:00 [a.py:1] waiting"
    logs = [log(0, line.format("30")), log(1, line.format("30")), *read_folder(1, tmp_path)]
    assert not diagnose(logs).causes


def test_an_exception_without_its_traceback_is_possible() -> None:
    bare = "OSError: [Errno 5] Input/output error: '/root/.cache/vllm'"
    told = diagnose([log(0, "INFO 11-20 10:00:00 [a.py:1] fine"), log(1, bare)]).causes
    assert [(c.node, c.confidence, c.mark.text) for c in told] == [(1, "possible", bare)]


HEARTBEAT = (
    "[ERROR] HCCL(9,python):2026-11-20-10:41:00.1.1 Cluster Exception Location[IP/ID]:"
    "[10.0.0.13/3], Discoverer:[10.0.0.11/3], ExceptionType:[Heartbeat Lost Occurred]"
)
HOSTS = {"10.0.0.11": 0, "10.0.0.12": 1, "10.0.0.13": 2}


def test_the_server_that_a_line_names_is_the_one_to_look_at() -> None:
    late = "INFO 11-20 10:42:00 [a.py:1] still here"
    told = diagnose([log(0, HEARTBEAT), log(1, late), log(2, late)], Known(hosts=HOSTS)).causes
    assert [(c.node, c.signature.id) for c in told[:1]] == [(2, "hccl_doc_heartbeat_lost")]
    assert "server 10.0.0.13" in told[0].meaning()


def test_of_two_quiet_logs_the_one_that_the_others_lost_has_ended() -> None:
    quiet = "INFO 11-20 10:40:00 [a.py:1] fine"
    lost = "ERROR 11-20 10:41:00 [a.py:1] Connection closed by peer [10.0.0.13]:4711"
    logs = [log(0, lost), log(1, quiet), log(2, quiet)]
    told = diagnose(logs, Known(hosts=HOSTS)).causes[0]
    assert (told.signature.id, told.node, told.confidence) == ("peer_vanished", 2, "cause")
    assert diagnose(logs).causes[0].confidence == "possible"


def test_both_ends_of_a_packet_that_was_lost_are_told() -> None:
    line = (
        "EI0013: RoCE packet error, cqe error status[12], localInfo{server[10.0.0.11], deviceId[3],"
        " deviceIp[29.11.0.43]}, remoteInfo{server[10.0.0.12], deviceIp[29.11.1.35]}"
    )
    known = Known(addresses={"29.11.0.43": (0, 3), "29.11.1.35": (1, 3)})
    lost = "ERROR 11-20 10:41:00 [a.py:1] Connection closed by peer"
    told = diagnose([log(0, line), log(1, lost)], known).causes[0]
    assert (told.node, told.goto["check"], told.goto["device"]) == (0, "link_stat", 3)
    assert [(p.source.device, p.target.node) for p in told.pairs] == [(3, 1)]


def test_what_a_client_got_wrong_is_not_why_it_ended() -> None:
    head = "(APIServer pid=1) {} 11-20 10:{}:00 [s.py:1] {}"
    lines = [
        head.format("INFO", 14, "Application startup complete."),
        head.format("ERROR", 15, "Traceback (most recent call last):"),
        head.format("ERROR", 15, "ValueError: the prompt is too long"),
        *[head.format("INFO", 16, "Engine 000: Running: 1 reqs")] * 60,
        "(Worker_TP3 pid=2) ERROR 11-20 10:31:00 [w.py:1] EI0013: cqe error status[9]",
    ]
    told = diagnose([log(0, *lines), log(1, "ERROR 11-20 10:31:02 [w.py:1] EngineCore failed")])
    assert told.causes[0].signature.id == "hccl_doc_roce_cqe_EI0013"
    assert told.causes[0].confidence == "cause"


def test_a_node_that_was_told_to_end_did_not_vanish() -> None:
    calm = "(APIServer pid=1) INFO 11-20 10:15:00 [a.py:1] fine"
    told = diagnose(
        [log(0, calm, "(APIServer pid=1) INFO:     Shutting down"), log(1, calm)], Known(dead=[0])
    )
    assert [(c.signature.id, c.node, c.confidence) for c in told.causes] == [
        ("interrupted", 0, "possible")
    ]


def test_with_ray_the_node_is_the_one_that_spoke() -> None:
    line = "(RayWorkerWrapper pid=7, ip=10.0.0.12) " + OOM.format("11-20 10:00:09")
    hosts = {"10.0.0.11": 0, "10.0.0.12": 1}
    (cause,) = diagnose([log(0, line)], Known(hosts=hosts)).causes
    assert (cause.node, cause.file) == (1, "node0.log")
    assert [c.node for c in diagnose([log(0, line)]).causes] == [0]
