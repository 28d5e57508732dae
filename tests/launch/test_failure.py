from __future__ import annotations

from wizard.launch.failure import last_error, strip_prefixes

P = "\x1b[1;36m(APIServer pid=23186)\x1b[0;0m "


def test_wrappers_and_frames_are_passed_over() -> None:
    log = [
        "(EngineCore_DP0 pid=9) ERROR 11-20 10:12:33 [core.py:708] EngineCore failed to start.",
        "(EngineCore_DP0 pid=9) ERROR 11-20 10:12:33 [core.py:708] Traceback (most recent call):",
        '(EngineCore_DP0 pid=9) ERROR 11-20 10:12:33 [core.py:708]   File "/opt/x.py", line 3',
        "(EngineCore_DP0 pid=9) ERROR 11-20 10:12:33 [core.py:708] ValueError: no room",
        P + "Traceback (most recent call last):",
        P + '  File "/opt/vllm/api_server.py", line 1884, in run_server',
        P + "            ^^^^^^^^^^",
        P + "RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    assert last_error(log) == "ValueError: no room"


def test_a_wrapper_is_better_than_nothing() -> None:
    line = "RuntimeError: Engine core initialization failed. See root cause above."
    assert last_error(["INFO all is well", P + line]) == line


def test_what_a_library_said_before_the_wrapper_is_the_cause() -> None:
    log = [
        "(EngineCore_DP0 pid=9) INFO 11-20 10:12:33 [core.py:77] Initializing a V1 LLM engine",
        "libnuma: Warning: unparseable cpu description",
        "",
        P + "Traceback (most recent call last):",
        P + "RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    assert last_error(log) == "libnuma: Warning: unparseable cpu description"


def test_warnings_that_quote_an_error_do_not_count() -> None:
    log = [
        "OSError: [Errno 98] Address already in use",
        "WARNING 11-20 10:12:33 [a.py:1] This can cause errors like `OSError: [Errno 24] Too many`",
    ]
    assert last_error(log) == log[0]


def test_without_an_error_the_last_line() -> None:
    assert last_error(["one", "INFO 11-20 10:12:33 [a.py:1] two", "", "  "]) == "two"
    assert last_error([]) == ""


def test_shell_errors_count() -> None:
    log = ["bash: line 3: vllm: command not found", "bye"]
    assert last_error(log) == log[0]


def test_prefixes_go_also_when_doubled() -> None:
    assert (
        strip_prefixes("(EngineCore_DP0 pid=1) (Worker_TP0 pid=2) INFO 11-20 10:12:33 [a.py:1] x")
        == "x"
    )
