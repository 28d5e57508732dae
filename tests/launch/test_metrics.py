"""vLLM's own figures: both names of the cache's, speeds from counters, several engines."""

from __future__ import annotations

from wizard.launch.metrics import Load, load, parse

TEXT = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="deepseek_v3.2"}} 3.0
vllm:num_requests_running{{engine="1",model_name="deepseek_v3.2"}} 1.0
vllm:num_requests_waiting{{engine="0",model_name="deepseek_v3.2"}} 2.0
vllm:{cache}{{engine="0",model_name="deepseek_v3.2"}} 0.25
vllm:{cache}{{engine="1",model_name="deepseek_v3.2"}} 0.5
vllm:generation_tokens_total{{engine="0",model_name="deepseek_v3.2"}} {zero}
vllm:generation_tokens_total{{engine="1",model_name="deepseek_v3.2"}} {one}
vllm:generation_tokens_created{{engine="0",model_name="deepseek_v3.2"}} 1.7e+09
vllm:time_to_first_token_seconds_sum{{engine="0",model_name="deepseek_v3.2"}} {waited}
vllm:time_to_first_token_seconds_count{{engine="0",model_name="deepseek_v3.2"}} {times}
vllm:time_to_first_token_seconds_bucket{{engine="0",le="0.1",model_name="x"}} 7.0
python_gc_objects_collected_total{{generation="0"}} 23810.0
"""


def text(*, cache: str = "kv_cache_usage_perc", **values: float) -> str:
    return TEXT.format(cache=cache, **({"zero": 0, "one": 0, "waited": 0, "times": 0} | values))


def found(after: str, before: str | None = None, seconds: float = 10.0) -> Load:
    loaded = load(parse(after, seconds), parse(before, 0.0) if before is not None else None)
    assert loaded is not None
    return loaded


def test_one_look_knows_everything_but_speed() -> None:
    loaded = found(text())
    assert (loaded.total.running, loaded.total.waiting, loaded.total.kv_use) == (4, 2, 0.5)
    assert loaded.engines[1].kv_use == 0.5
    assert loaded.total.tokens_s is None
    assert loaded.total.words() == "4 running, 2 waiting, KV cache 50.0 %"


def test_the_older_name_of_the_cache() -> None:
    assert found(text(cache="gpu_cache_usage_perc")).total.kv_use == 0.5


def test_speed_is_what_the_counters_grew_by() -> None:
    loaded = found(text(zero=600, one=1100, waited=8, times=4), text(zero=100, one=1000))
    assert loaded.engines[0].tokens_s == 50.0
    assert loaded.engines[1].tokens_s == 10.0
    assert loaded.total.tokens_s == 60.0
    assert loaded.total.first_token_s == 2.0
    assert "60.0 tokens/s, first token 2.00 s" in loaded.total.words()


def test_a_counter_that_fell_tells_no_speed() -> None:
    loaded = found(text(zero=5, one=1100), text(zero=100, one=1000))
    assert loaded.engines[0].tokens_s is None
    assert loaded.total.tokens_s == 10.0


def test_no_first_token_is_no_mean() -> None:
    assert found(text(), text()).total.first_token_s is None


def test_what_is_no_number_and_what_is_not_ours_is_left_out() -> None:
    assert (
        load(parse("vllm:kv_cache_usage_perc NaN\nnode_cpu 3\nvllm:num_requests_running x\n", 0))
        is None
    )
    assert load(parse("", 0)) is None
    one = load(parse("vllm:num_requests_running 2\n", 0))  # without labels it is engine 0
    assert one is not None
    assert one.engines[0].running == 2


def test_for_scripts() -> None:
    told = found(text(zero=600), text(zero=100)).to_json()
    assert told["tokens_s"] == 50.0
    assert [engine["engine"] for engine in told["engines"]] == [0, 1]
