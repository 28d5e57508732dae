# Two commands do everything on a machine with Python 3.11+ (pip, venv) and make:
#   make demo    the wizard, on the built-in simulated cluster
#   make test    lint, types and the whole test suite
# Both create .venv from the hash-pinned lock files on first use.
.PHONY: demo test bench bench-screen bench-ssh bench-logs bench-seen lint format lock screenshots clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

demo: $(VENV)/.run
	@$(BIN)/v32-wizard demo

# Four side by side, because they wait more than they compute; in the order of the files, so that
# what a file's tests share is made by few of them.
# With .pyc files even where the environment forbids them: the tests start Python a hundred times,
# and without them each start of the wizard compiles for a second.
test: lint
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 4 --dist worksteal

.PHONY: search
# By hand: property tests with new random examples, which `make test` does not draw.
search: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --hypothesis-profile search $$(grep -rl --include='test_*.py' hypothesis tests)

lint: $(VENV)/.dev
	$(BIN)/python -m pip check
	$(BIN)/deptry .
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# By hand, on a quiet machine: the figures are ratios within one run.
bench: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/bench_checks.py

bench-screen: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/bench_screen.py

bench-ssh: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/bench_ssh.py

bench-logs: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.bench_logs

bench-seen: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.bench_seen

.PHONY: test-vllm test-vllm-serve test-podman test-docker lint-flags
# Opt-in: vLLM's own parser and configuration on every generated script. Needs uv and installs vLLM
# 0.11.0, 0.18.0 and 0.23.0 without an accelerator into a cache (V32_WIZARD_VLLM_DIR), once.
# Then launches of the real vLLM, as test-vllm-serve.
test-vllm: $(VENV)/.dev
	$(BIN)/python -m pytest -s -rs --timeout 3600 tests/vllm/real_parser.py tests/engines/vllm_serve.py

# Opt-in: launches vLLM 0.11.0 on CPU, in containers on two machines made of namespaces. Needs what
# test-podman needs, uv, 8 GB of memory and 15 GB of disk; says so where it cannot run.
test-vllm-serve: $(VENV)/.dev
	$(BIN)/python -m pytest -s -rs --timeout 3600 tests/engines/vllm_serve.py

# Opt-in: launches with a real container engine. Need root, namespaces and, from Debian's packages,
# podman or docker.io, with runc, busybox-static, iproute2 and openssh-server; say so where they
# cannot run.
test-podman test-docker: test-%: $(VENV)/.dev
	V32_WIZARD_TEST_ENGINE=$* $(BIN)/python -m pytest -n 2 -rs --timeout 900 tests/engines/engine_*.py

# Writes the linter's lists of options anew, from the same environments.
lint-flags: $(VENV)/.dev
	$(BIN)/python -m tests.vllm.write_flags

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "v32-wizard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# --require-hashes refuses any package that the lock does not name.
$(VENV)/.run: $(BIN)/python requirements.lock pyproject.toml
	@echo "installing v32-wizard into $(VENV) (first use, or the lock has changed) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@echo "installing what the tests need ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Needs uv. Versions and hashes only: no registry address may stand in a lock.
lock:
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
