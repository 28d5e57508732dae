from __future__ import annotations

import pytest

from wizard.launch.progress import Phase, Stage, StageParser, recognise

PREFIX = "(EngineCore_DP0 pid=312) INFO 11-20 10:12:33 [core.py:77] "
COLOURED = "\x1b[1;36m(EngineCore_DP1 pid=27385)\x1b[0;0m "

# What node 0 and a worker print, in order: our own wording around the signs of the facts.
NODE0 = [
    ("INFO 11-20 10:11:50 [__init__.py:207] Platform plugin ascend is activated", Phase.PYTHON),
    (
        "\x1b[1;36m(APIServer pid=7)\x1b[0;0m INFO 11-20 10:12:01 [api_server.py:1839] "
        "vLLM API server version 0.11.0",
        Phase.PYTHON,
    ),
    ("(APIServer pid=7) INFO [utils.py:651] Started DP Coordinator process (PID: 99)", 2),
    (COLOURED + "INFO [core.py:644] Waiting for init message from front-end.", Phase.HANDSHAKE),
    (PREFIX + "Initializing a V1 LLM engine (v0.11.0) with config: model='/m'", Phase.HANDSHAKE),
    (
        PREFIX + "Adjusting world_size=32 rank=3 distributed_init_method=tcp://10.0.0.11:40123"
        " for DP",
        Phase.RANKS,
    ),
    (PREFIX + "rank 3 in world size 32 is assigned as DP rank 0, PP rank 0, TP rank 3", 3),
    (PREFIX + "Starting to load model /root/.cache/DeepSeek...", Phase.WEIGHTS),
    (
        COLOURED + "\rLoading safetensors checkpoint shards:   7% Completed | 12/163 "
        "[00:31<06:32,  2.60s/it]",
        Phase.WEIGHTS,
    ),
    (PREFIX * 2 + "Loading model weights took 43.11 GB", Phase.WEIGHTS),
    (PREFIX + "GPU KV cache size: 1,048,576 tokens", Phase.KV_CACHE),
    (PREFIX + "Capturing torchair graph, this usually takes 0.5~1.5 mins.", Phase.GRAPH),
    (PREFIX + "Batchsize 16 is compiled successfully: 1/1.", Phase.GRAPH),
    (PREFIX + "init engine (profile, create kv cache, warmup model) took 71.30 seconds", 7),
    ("INFO [coordinator.py:187] All engine subscriptions received by DP coordinator", 7),
    ("(APIServer pid=7) INFO:     Application startup complete.", Phase.READY),
]


@pytest.mark.parametrize(("line", "phase"), NODE0, ids=[str(i) for i in range(len(NODE0))])
def test_each_sign_is_recognised_alone(line: str, phase: int) -> None:
    assert StageParser().feed(line) is not None
    parser = StageParser()
    parser.feed(line)
    assert parser.stage.phase == phase


def test_a_whole_start_goes_forward_only() -> None:
    parser = StageParser()
    phases = [parser.stage.phase]
    for line, phase in NODE0:
        parser.feed(line)
        assert parser.stage.phase == phase
        phases.append(parser.stage.phase)
    assert phases == sorted(phases)


def test_worker_in_headless_mode_names_the_head() -> None:
    line = (
        "INFO [serve.py:117] Launching 1 data parallel engine(s) in headless mode, "
        "with head node address tcp://10.77.0.10:13389."
    )
    stage = recognise(line)
    assert stage == Stage(Phase.PYTHON, "headless, node 0 is tcp://10.77.0.10:13389")


def test_weights_give_count_and_time_left() -> None:
    parser = StageParser()
    parser.feed("Starting to load model /m...")
    stage = parser.feed("Loading: 50% Completed | 82/163 [03:00<02:10,  1.60it/s]")
    assert stage is not None
    assert (stage.done, stage.total, stage.eta) == (82, 163, "02:10")
    assert stage.title == "weights 82 of 163"


def test_first_bar_has_no_time_left() -> None:
    stage = recognise("shards:   0% Completed | 0/163 [00:00<?, ?it/s]")
    assert stage is not None
    assert (stage.done, stage.total, stage.eta) == (0, 163, "")


def test_carriage_returns_in_one_line_count_the_last() -> None:
    parser = StageParser()
    stage = parser.feed(
        "\r 1% Completed | 1/163 [00:02<05:24,  2.00s/it]"
        "\r 2% Completed | 3/163 [00:06<05:20,  2.00s/it]"
    )
    assert stage is not None
    assert stage.done == 3


def test_a_slower_worker_of_the_node_does_not_set_the_count_back() -> None:
    parser = StageParser()
    parser.feed("50% Completed | 82/163 [03:00<02:10,  1.60it/s]")
    assert parser.feed("25% Completed | 41/163 [03:00<04:10,  1.60it/s]") is None
    assert parser.stage.done == 82


def test_loaded_keeps_the_count() -> None:
    parser = StageParser()
    parser.feed("100% Completed | 163/163 [05:00<00:00,  1.60it/s]")
    stage = parser.feed("Loading model weights took 43.11 GB")
    assert stage is not None
    assert stage.title == "weights 163 of 163"
    assert "43.11 GB" in stage.detail


def test_prefix_on_its_own_line_is_nothing_and_loses_nothing() -> None:
    parser = StageParser()
    assert parser.feed("\x1b[1;36m(EngineCore_DP0 pid=27390)\x1b[0;0m ") is None
    stage = parser.feed("INFO 11-20 [core.py:644] Waiting for init message from front-end.")
    assert stage is not None
    assert stage.phase is Phase.HANDSHAKE


def test_colours_in_the_midst_of_a_sign() -> None:
    assert StageParser().feed("GPU KV cache size: \x1b[32m1,024\x1b[0m tokens") is not None


def test_ordinary_lines_change_nothing() -> None:
    parser = StageParser()
    parser.feed(NODE0[7][0])
    before = parser.stage
    assert parser.feed("[Gloo] Rank 0 is connected to 1 peer ranks.") is None
    assert parser.feed("") is None
    assert parser.feed(NODE0[0][0]) is None
    assert parser.stage == before


def test_newer_graph_lines() -> None:
    for line in ("Capturing ACL graphs (decode): 40%|####", "Graph capturing finished in 31 secs"):
        stage = recognise(line)
        assert stage is not None
        assert stage.phase is Phase.GRAPH


def test_waiting_for_peers_says_so() -> None:
    stage = recognise(PREFIX + "Waiting for READY message from DP Coordinator...")
    assert stage is not None
    assert stage.phase is Phase.ENGINE
    assert "others" in stage.detail
