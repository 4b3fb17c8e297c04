# The commands: `make demo`, `make check` and `make test`. They install what they need, and are quick when repeated.

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
VENV ?= .venv
WORKERS ?= 3
BIN := $(VENV)/bin
INSTALL := $(PYTHON) envs/install.py $(BIN)/python
DEMO := data/demo

.PHONY: help demo benchmark check test lint docs docs-serve environment locks pyfeat clean
.DELETE_ON_ERROR:

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

environment: $(VENV)/.complete ## install the pinned packages into .venv

$(VENV)/.complete: envs/avpretext.lock envs/phones.lock pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || venv=--venv; $(PYTHON) envs/system_libraries.py $$venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the pinned packages into $(VENV):"
	@index=$$($(PYTHON) envs/torch_index.py $(if $(CUDA),--cuda)); \
		IMMUTABLES_EXT=0 $(INSTALL) --requirement envs/avpretext.lock $$index
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --only-binary :all: --requirement envs/phones.lock \
		2>/dev/null || echo "No wheel of pocketsphinx for this Python: phones cannot be recognised; all else works."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.complete-%: envs/%.lock $(VENV)/.complete
	@echo "Installing the packages of envs/$*.lock into $(VENV):"
	@$(INSTALL) --requirement $< --constraint envs/avpretext.lock
	@touch $@

locks: $(VENV)/.complete ## update envs/*.lock after an edit of the dependencies in pyproject.toml
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@$(BIN)/python envs/lock.py
	@PYTHONPATH=envs $(BIN)/python docs/generate/platform_docs.py docs/start.md

pyfeat: .venv-pyfeat/.complete ## install py-feat's environment for action_units.backend: pyfeat (7 GB)

.venv-pyfeat/.complete: envs/pyfeat/pyfeat.lock pyproject.toml
	@echo "Installing py-feat's pinned packages into .venv-pyfeat (3 GB to download) ..."
	@.venv-pyfeat/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-pyfeat
	@$(PYTHON) envs/install.py .venv-pyfeat/bin/python --requirement envs/pyfeat/pyfeat.lock
	@.venv-pyfeat/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@.venv-pyfeat/bin/python -c "import feat"
	@touch $@

demo: environment ## make the demo corpus and run the workflow on it
	@$(PYTHON) envs/system_libraries.py
	@$(BIN)/avpretext demo $(DEMO) --threads $(CORES)
	@$(BIN)/snakemake --cores $(CORES)
	@echo
	@cat results/tables/main.md
	@echo
	@echo "Tables:  results/tables/   (main.csv, main.md, main.tex, truth.csv, ...)"
	@echo "Report:  results/report.html"
	@echo "Model:   results/demo_labelled/export/acted.speaker_kfold/best"
	@echo "Predict: $(BIN)/avpretext predict results/demo_labelled/export/acted.speaker_kfold/best $(DEMO)/unlabelled/speaker01"
	@echo "Animate: $(BIN)/snakemake orofacial --cores $(CORES)   (2 to 7 minutes; a model that moves a mouth by speech, and films)"

benchmark: environment ## real speech in three languages, of the corpora in data/: docs/results.md
	@test -d data/random-wavlm || $(BIN)/python -m avpretext.demo.random_encoder wavlm data/random-wavlm
	@$(BIN)/snakemake --cores $(CORES) --configfile examples/real-speech.yaml
	@cat results/real-speech/tables/overall.md

check: environment $(VENV)/.complete-dev $(VENV)/.complete-docs ## run the quick tests, chosen in tests/effort.py: two minutes on 2 cores
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -m quick $(TESTS)

test: environment $(VENV)/.complete-dev $(VENV)/.complete-docs ## run all tests; TESTS=tests/labels: some of them; WORKERS=0: one after another
	@$(PYTHON) envs/system_libraries.py
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

lint: environment $(VENV)/.complete-dev ## check format, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy src docs/generate && $(BIN)/snakefmt --check Snakefile workflow && $(BIN)/snakemake --lint

docs: environment $(VENV)/.complete-docs ## build the site of the docs into site/; fails on a broken link
	@$(BIN)/python docs/site/build.py site
	@echo "Docs: site/index.html"

docs-serve: docs ## build the site and serve it at http://localhost:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8000

clean: ## remove results and the demo corpus; the environment stays
	rm -rf results data/demo .snakemake
