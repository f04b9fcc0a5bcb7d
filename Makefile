# Everything from an empty checkout: `make study` runs the main job, `make test` passes the tests.
PYTHON ?= python3
EXTRAS ?= cpu,openvino,nncf,litert,torchao,serve,fleet,dev,docs
STUDY ?= studies/quick.toml
VENV := .venv
BIN := $(VENV)/bin
# Without overrides, which pip lacks, onnxruntime would overwrite the files of onnxruntime-gpu.
GPU := --override overrides-gpu.txt --constraint constraints-gpu.txt

.DEFAULT_GOAL := help
.PHONY: help install study test test-slow test-zoo mutants lint browser docs notebook readme picture findings sbom gpu-check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(VENV)/.installed ## make .venv with pinned versions (EXTRAS=gpu,openvino,serve,dev on a machine with a GPU)

$(VENV)/.installed: pyproject.toml constraints.txt constraints-gpu.txt overrides-gpu.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Assay needs Python 3.11 or newer, found %d.%d. Name one: make PYTHON=python3.11" % sys.version_info[:2])'
	@command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "Assay needs a C++ compiler for torch.compile, found neither g++ nor clang++. Debian and Ubuntu: apt-get install g++"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	case ",$(EXTRAS)," in \
	*,gpu,*) $(BIN)/pip install --quiet --constraint constraints.txt uv && $(BIN)/uv pip install --quiet --python $(BIN)/python $(GPU) --constraint constraints.txt --editable '.[$(EXTRAS)]' ;; \
	*) $(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]' ;; esac
	@touch $@

study: install ## run the main job: studies/quick.toml, or STUDY=file
	$(BIN)/assay run $(STUDY)

lint: install ## linter, formatter and type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

browser: ## make sure there is a Chromium for the report's tests
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	echo "No Chromium found: the report's browser tests will be skipped. Debian and Ubuntu: apt-get install chromium"

test: install browser lint ## linter, type checker and every test that is not slow
	$(BIN)/pytest

test-slow: install browser ## the tests that take minutes
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[mlflow,wandb,notebook]'
	$(BIN)/pytest -m slow --timeout 5400

test-zoo: install ## real models of other people: `pip install skl2onnx` and the extra zoo give it all of them
	$(BIN)/pytest -m slow -rs tests/zoo

mutants: install ## change the code that makes decisions in 400 places, and see whether a test notices: about an hour
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[mutants]'
	$(BIN)/python -m tests.mutation.run

docs: install ## build the documentation as a site, build/site
	$(BIN)/python -m tools.site
	$(BIN)/zensical build --strict --config-file mkdocs.yml

notebook: install ## run the tutorial's notebook again
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[notebook]'
	$(BIN)/python -m tools.notebook

readme: install ## run README's `assay model` command again and insert its output; needs a quiet machine
	$(BIN)/python -m tools.readme

picture: install browser ## take README's picture of the published report again
	$(BIN)/python -m tools.picture

findings: install ## write the tables in README and docs from the published records; RUN=folder publishes a run of speed.toml or reduced.toml
	$(BIN)/python -m tools.findings $(RUN)

sbom: install ## write a release's software bill of materials, dist/onnx-assay-VERSION.cdx.json
	$(BIN)/python -m tools.sbom

gpu-check: ## what Assay does on this machine's GPU, in five minutes: artifacts/gpu/gpu-check.jsonl
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tools.gpu_check

clean: ## remove the virtual environment and caches, not the artifacts
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis build *.egg-info
