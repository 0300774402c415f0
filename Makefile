# Two commands: `make serve` talks, `make test` proves. Each does all its own set-up.

PYTHON ?= $(shell for v in python3.13 python3.12 python3.11 python3; do \
	command -v $$v >/dev/null && $$v -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,14))' 2>/dev/null && echo $$v && break; done)
# WEBRTC=no leaves out aiortc, whose codec library carries GPL parts; the page then uses WebSocket.
WEBRTC ?= yes
EXTRAS := $(if $(filter yes,$(WEBRTC)),[webrtc])
# One stamp for each choice, so that asking for WebRTC later installs it. Leaving it out after it was
# installed takes a `make clean`.
INSTALLED := .venv/installed-webrtc-$(WEBRTC)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
FAST := tests/core tests/scenarios

.PHONY: serve test check setup models clean

serve: models ## set up, then serve the page on http://127.0.0.1:7860
	$(BIN)/duplex serve

test: .venv/dev models ## set up, then run every test
	sh tools/system-packages.sh test
	sh tools/asterisk.sh build/asterisk
	$(MAKE) --no-print-directory rtvi-client
	$(BIN)/duplex models fetch moonshine-tiny-en
	$(MAKE) --no-print-directory lint
	sh tools/run-tests.sh

check: .venv/dev ## lint, types and the fast tests: about a minute
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q $(FAST) -m "not slow"

constraints: ## pin what a clean environment resolves to now
	rm -rf build/pins && $(PYTHON) -m venv build/pins
	build/pins/bin/python -m pip install -q -e ".[webrtc,dev]"
	{ echo "# What set-up installs, exactly. Made by 'make constraints' on a clean environment."; \
	  build/pins/bin/python -m pip freeze --exclude-editable; } > constraints.txt

.PHONY: lint constraints
lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m agent.models.licences >/dev/null

# Pipecat's client SDK, which a test drives in a browser. Nothing of it is shipped.
.PHONY: rtvi-client
rtvi-client: tests/rtvi/build/page.js
tests/rtvi/build/page.js: tests/rtvi/page.js tests/rtvi/package-lock.json
	cd tests/rtvi && npm ci --no-audit --no-fund --ignore-scripts && npm run --silent build

setup: models ## everything `make serve` needs, without serving

models: $(INSTALLED) ## bring every weight, verified; resumes where it was stopped
	$(BIN)/duplex models fetch

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Duplex needs Python 3.11 to 3.13: apt install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "cannot make a virtual environment: apt install python3-venv"; exit 1; }

$(INSTALLED): .venv/bin/python pyproject.toml constraints.txt
	sh tools/system-packages.sh run
	$(PIP) install --progress-bar on -c constraints.txt -e ".$(EXTRAS)"
	@touch $@

.venv/dev: $(INSTALLED)
	$(PIP) install --progress-bar on -c constraints.txt -e ".[webrtc,dev]"
	$(PIP) check
	@touch $@

# The recognition server's engines, in an environment of their own: NeMo brings 2 GB. On a machine
# without a GPU, give the CPU build of PyTorch: TORCH=/path/to/torch-2.13.0+cpu-....whl
TORCH ?= torch==2.13.0
PARAKEET := .venv-parakeet/bin/python
PARAKEET_PIP := $(PARAKEET) -m pip --disable-pip-version-check

.PHONY: parakeet test-parakeet
parakeet: .venv-parakeet/installed ## what `duplex asr-server` needs on the machine with the GPU

test-parakeet: .venv-parakeet/tested ## NeMo and a real Triton, on tiny checkpoints trained here
	$(PARAKEET_PIP) check
	$(PARAKEET) -m pytest -q --durations=5 tests/nemo

.venv-parakeet/installed: pyproject.toml constraints-parakeet.txt
	@test -n "$(PYTHON)" || { echo "Duplex needs Python 3.11 to 3.13: apt install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv-parakeet
	$(PARAKEET_PIP) install --progress-bar off "$(TORCH)"
	$(PARAKEET_PIP) install --progress-bar off -c constraints-parakeet.txt -e ".[asr-server,parakeet,triton]"
	@touch $@

# NVIDIA's server is taken out of its package; its embedded Python knows NumPy 1 only.
.venv-parakeet/tested: .venv-parakeet/installed
	$(PARAKEET_PIP) install --progress-bar off -c constraints-parakeet.txt pytest pytest-asyncio hypothesis \
		"tritonclient[http]"
	rm -rf build/triton
	$(PARAKEET_PIP) install -q --no-deps --target build/triton/server nvidia-pytriton==0.7.0
	$(PARAKEET_PIP) install -q --no-deps --only-binary=:all: --target build/triton/numpy numpy==1.26.4
	@touch $@

.PHONY: check-extras
check-extras: ## every extra alone in an environment of its own, and `pip check` in it
	PYTHON="$(PYTHON)" TORCH="$(TORCH)" sh tools/check-extras.sh

# What takes too long for every change. Each prints JSON; none asserts.
.PHONY: nightly platforms
nightly: .venv/dev models ## leaks, flood, capacity, 10^5 cases a parser, and 30 minutes of mixed load
	$(BIN)/python -m benchmarks.leaks
	$(BIN)/python -m benchmarks.flood
	$(BIN)/python -m benchmarks.capacity
	$(BIN)/python -m benchmarks.capacity --models real
	$(BIN)/python -m benchmarks.full_house
	DUPLEX_EXAMPLES=100000 $(BIN)/python -m pytest -q tests/core/server/test_hostile.py \
		tests/core/server/test_hostile_peers.py tests/core/asr/test_cloud_wire.py \
		tests/core/phone/test_wire.py tests/core/sip tests/asterisk/test_frames.py
	$(BIN)/python -m tests.realtime_fuzz --cases 100000
	$(BIN)/python -m pytest -q -m slow tests/scenarios tests/core
	$(BIN)/python -m benchmarks.soak --minutes 30

platforms: ## whether every default dependency has a wheel wherever Duplex is to run
	$(PYTHON) -m venv build/platforms
	build/platforms/bin/python -m pip install -q uv
	build/platforms/bin/python tools/platforms.py

clean: ## remove what set-up made here; weights stay in the cache
	rm -rf .venv .venv-parakeet build *.egg-info .pytest_cache .mypy_cache .ruff_cache
