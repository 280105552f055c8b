# SPDX-License-Identifier: Apache-2.0
# Everything a fresh Debian 12 machine needs is set up by the targets themselves; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
LIBRARY := tfprune/runtime/lib/libtfprune.so
PHONE_PROGRAM := build/phone/x86_64/tfprune_benchmark
# Beside the library, and made with it: `make android` alone leaves these out.
ANDROID_PROGRAMS := build/android/tflite_java.aar
DEBIAN_PACKAGES := third_party/debian-packages.txt
CONSTRAINTS := third_party/python-constraints.txt
# Not the app, which tests compile themselves.
ANDROID_INPUTS := $(shell find android_demo tests/android -type f -not -name '*.py[co]' -not -path '*/app/*')
CPP_INPUTS := $(shell find tflite_ops third_party -type f) WORKSPACE .bazelrc
CPP_SOURCES := $(shell find tflite_ops android_demo examples/cpp -name "*.h" -o -name "*.cc" -o -name "*.inc")

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup build lint format test test-cpp test-python test-wheel test-all test-aarch64 test-elsewhere test-torch test-sanitizers build-aarch64 wheel wheel-aarch64 phone-tools android app fuzz demo notebook bench bench-gpu study clean

help:  ## Show this list.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16

setup: $(STAMPS)/system $(STAMPS)/python $(LIBRARY)  ## System packages, .venv with TensorFlow and JAX, libtfprune.so.

$(STAMPS)/system: $(DEBIAN_PACKAGES) tools/setup/system_packages.sh
	tools/setup/system_packages.sh $(DEBIAN_PACKAGES)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/venv: $(STAMPS)/system
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "make setup needs Python 3.11 to 3.13; choose one with PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(STAMPS)/python: setup.cfg setup.py pyproject.toml $(CONSTRAINTS) $(LIBRARY) | $(STAMPS)/venv
	@if [[ ! -e $@ || -n "$(filter-out $(LIBRARY),$?)" ]]; then set -x; \
	  $(BIN)/python -m pip install --progress-bar off -c $(CONSTRAINTS) -e '.[tensorflow,jax,search,dev]'; fi
	@touch $@

build: $(LIBRARY)  ## Compile libtfprune.so with Bazel and put it into the package.

$(LIBRARY): $(CPP_INPUTS) tools/build_library.py $(STAMPS)/system
	$(PYTHON) tools/build_library.py
	@touch $@

# Tests run the phone's program on this machine, on Android's runtime.
$(PHONE_PROGRAM): $(LIBRARY) tools/build_phone_tools.py $(wildcard examples/cpp/*)
	$(PYTHON) tools/build_phone_tools.py x86_64
	@touch $@

# Tests run its Java classes and its library for x86_64 on this machine's virtual machine.
$(ANDROID_PROGRAMS): $(LIBRARY) $(ANDROID_INPUTS) tools/build_android.py
	$(PYTHON) tools/build_android.py --tests
	$(PYTHON) tools/app_jars.py
	@touch $@

android: $(LIBRARY)  ## The Android library for arm64-v8a, armeabi-v7a and x86_64, build/android/tfprune.aar.
	$(PYTHON) tools/build_android.py

APP_MODELS := android_demo/app/src/main/assets/models/models.json
app: setup $(ANDROID_PROGRAMS)  ## The Android demo app: trains its models (minutes) and makes build/android/tfprune_demo.apk.
	test -e $(APP_MODELS) || $(BIN)/python tools/make_app_models.py
	$(BIN)/python tools/build_app.py

lint: setup  ## Format, lint and type checks; changes nothing.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	clang-format --dry-run -Werror $(CPP_SOURCES)

format: setup  ## Rewrite the sources as `make lint` wants them.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	clang-format -i $(CPP_SOURCES)

test-cpp: $(STAMPS)/system  ## C++ tests.
	bazel test //...

test-python: setup $(PHONE_PROGRAM) $(ANDROID_PROGRAMS)  ## Quick Python tests.
	$(BIN)/python -m pytest

test-wheel: setup  ## Build the wheel, install it in a fresh environment, convert and run a model there.
	$(BIN)/python -m pytest -m wheel tests/packaging

# The steps run one after the other in this order; Bazel's server goes when they are through, or at the first failure.
test: setup  ## All checks of a change: set-up, lint, C++, Python, wheel, sanitizers.
	@trap 'bazel shutdown' EXIT; set -e; \
	for step in lint test-cpp test-python test-wheel test-sanitizers; do echo "== make $$step"; $(MAKE) --no-print-directory $$step; done

test-all: test test-aarch64  ## `test`, the slow tests and the aarch64 ones.
	$(BIN)/python -m pytest -m slow

test-sanitizers: $(STAMPS)/system  ## C++ tests under the address, undefined-behaviour and thread sanitizers.
	bazel test --config=asan //tflite_ops/...
	bazel test --config=tsan //tflite_ops/...

build-aarch64: setup  ## The library for aarch64, and an aarch64 LiteRT that qemu runs.
	$(PYTHON) tools/build_library.py .cache/aarch64/libtfprune.so aarch64
	tools/aarch64/make_root.sh .cache/aarch64/root

wheel: setup  ## The wheel for this machine, in dist.
	$(BIN)/python -m pip wheel --no-deps -w dist .

wheel-aarch64: setup  ## The wheel for Linux on aarch64, such as a Raspberry Pi, in dist.
	$(BIN)/python -m pip wheel --no-deps -w dist -C--build-option=--plat-name=linux_aarch64 .

phone-tools: $(STAMPS)/system  ## What `tfprune profile` needs to measure on a phone, in build/phone/arm64-v8a.
	$(PYTHON) tools/build_phone_tools.py arm64-v8a

test-aarch64: build-aarch64 phone-tools $(ANDROID_PROGRAMS)  ## C++ and Python tests of the aarch64 library under qemu.
	bazel test --config=aarch64 //...
	$(BIN)/python -m pytest -m aarch64 tests/aarch64 tests/packaging
	bazel shutdown

# Their packages do not go with the versions of third_party/python-constraints.txt, so they have an environment of their own.
ELSEWHERE := .cache/elsewhere/bin/python
test-elsewhere: setup  ## Models of tf_keras and TFMOT; files made here by PyTorch's LiteRT exporter and others; 8 GB of packages.
	test -x $(ELSEWHERE) || $(PYTHON) -m venv .cache/elsewhere
	$(ELSEWHERE) -m pip install --progress-bar off -e '.[tensorflow,dev,pytorch,tfmot]'
	PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(ELSEWHERE) -m pytest tests/bridge
	PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(ELSEWHERE) -m pytest -s -m slow tests/elsewhere

test-torch: setup  ## Pruning on Keras' PyTorch back end and under DistributedDataParallel; several GB of packages.
	test -x $(ELSEWHERE) || $(PYTHON) -m venv .cache/elsewhere
	$(ELSEWHERE) -m pip install --progress-bar off -e '.[tensorflow,dev,torch]'
	PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(ELSEWHERE) -m pytest -m torch tests/contract tests/distributed

# An input that fails is kept in build/fuzz; `python -m tests.fuzz --replay FILE` runs it again.
FUZZ_SECONDS ?= 1800
fuzz: setup  ## Change files and packed weights for FUZZ_SECONDS (half an hour); stops at the first broken promise.
	$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --progress-bar off -c $(CONSTRAINTS) -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --atheris

demo: setup  ## Train, prune, convert and measure a network on Fashion-MNIST; writes report.html.
	$(BIN)/python examples/fashion_mnist.py

notebook: setup  ## docs/training.ipynb from docs/training.md; runs it where its code has changed.
	$(BIN)/python tools/make_notebook.py

# Every script keeps what the same library has measured on the same machine already: after an interruption, or with one
# results file removed, only the rest is measured. Each may be called alone.
PATTERNS := single block-punched block-rows-columns elements-filter elements-layer n-of-m kernel-patterns
bench: build-aarch64  ## The numbers of docs/accuracy_and_speed.md, half an hour; wants two idle cores.
	bazel shutdown
	$(BIN)/python benchmarks/cpu_models.py --output benchmarks/results/cpu_models.json
	$(BIN)/python benchmarks/peak_memory.py --output benchmarks/results/peak_memory.json
	$(BIN)/python benchmarks/cpu_layers.py --output benchmarks/results/cpu_layers.json
	$(BIN)/python benchmarks/cpu_layers.py --default-verdicts --output benchmarks/results/cpu_layers.json
	$(BIN)/python benchmarks/cpu_layers.py --network resnet50 --network mobilenet_v1 $(PATTERNS:%=--pattern %) \
	  --output benchmarks/results/cpu_patterns.json
	$(BIN)/python benchmarks/conversion.py --time-and-memory --output benchmarks/results/conversion.json
	$(BIN)/python benchmarks/recurrent.py --output benchmarks/results/recurrent.json
	$(BIN)/python benchmarks/break_even.py --output benchmarks/results/break_even.json
	$(BIN)/python benchmarks/fc_bandwidth.py --output benchmarks/results/fc_bandwidth.json
	test -d build/mnn/MNN || $(BIN)/python -m pip install --no-deps --target build/mnn MNN
	$(BIN)/python benchmarks/rival_mnn.py --output benchmarks/results/rival_mnn.json
	$(BIN)/python benchmarks/arm64_instructions.py --output benchmarks/results/arm64_instructions.json
	$(BIN)/python benchmarks/avx2_instructions.py --output benchmarks/results/avx2_instructions.json
	$(BIN)/python benchmarks/fit_partition.py --output benchmarks/results/partition.json
	$(BIN)/python benchmarks/mca.py --output benchmarks/results/mca.json

# The longest training comes first: others fill the cores beside it.
STUDY := $(addprefix benchmarks/accuracy/plans/,baseline.yaml default.yaml fine_tuning.yaml reshuffled.yaml equal_latency.yaml)
study: setup  ## The tables and figures of docs/accuracy.md; hours, goes on where it was.
	status=0; $(BIN)/python benchmarks/accuracy_study.py run $(STUDY) || status=$$?; \
	$(BIN)/python benchmarks/accuracy_study.py report $(STUDY) --pictures docs/images --page docs/accuracy.md && exit $$status

bench-gpu: setup  ## The tables of docs/gpu.md on this machine's OpenCL device; without a GPU only answers count.
	$(BIN)/python benchmarks/gpu_layers.py --output benchmarks/results/gpu_layers.json
	$(BIN)/python benchmarks/gpu_models.py --output benchmarks/results/gpu_models.json
	$(BIN)/python benchmarks/rival_litert_gpu.py --output benchmarks/results/rival_litert_gpu.json
	$(BIN)/python benchmarks/gpu_tables.py benchmarks/results docs/gpu.md

clean:  ## Remove what was built; the installed system packages stay.
	rm -rf $(VENV) $(STAMPS) .cache build dist tfprune.egg-info tfprune/runtime/lib .mypy_cache .ruff_cache .pytest_cache
	if command -v bazel >/dev/null; then bazel clean --expunge; fi
