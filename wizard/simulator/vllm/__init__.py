"""``vllm``: what stands in a simulated container where vLLM with vllm-ascend stands in a real one.

Run by ``python -I -S`` in the container, so the standard library only. What it prints and how it
fails is that of vLLM 0.11 (and 0.12+ for graphs), as told by logs of real runs.
"""
