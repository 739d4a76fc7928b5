# The commands of this repository; `make help` lists them. Everything is installed inside the clone.

PYTHON ?= python3
PORT ?= 8080
TESTS ?= tests

VENV := .venv
PRIVATE := .local
MLFLOW := $(PRIVATE)/mlflow
BIN := $(VENV)/bin
LOG := $(PRIVATE)/install.log
CODE := dags include plugins tests benchmarks .ci

# See tests/support/worker_processes.py. On two cores: everyday tests wait for half of their time, for
# processes and for what is due; a whole Airflow takes a core of its own.
EVERYDAY := -n 3
SLOW := -n 2

# Only wheels with known hashes are installed, and no other Python is fetched.
export UV_PYTHON_DOWNLOADS := never
# Compiled once: what starts hundreds of processes, as the tests do, must not compile in each of them.
unexport PYTHONDONTWRITEBYTECODE
INSTALL_OPTIONS := --require-hashes --only-binary :all: --python $(BIN)/python

# Every extra's lock names the versions of the common libraries that all else names.
EXTRAS = $(wildcard include/extras/*.txt)
LOCK_EXTRA = "$(UV)" pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	-c requirements.txt include/extras/$$extra.in -o include/extras/$$extra.txt

# docker compose where it is installed, else the older docker-compose.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
# Which commit is baked into an image; what is not committed is marked.
DESCRIBED = $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null)
UNTRACKED = $(shell git ls-files --others --exclude-standard -- dags include plugins 2>/dev/null)
COMMIT = $(patsubst %-dirty,%,$(DESCRIBED))$(if $(findstring -dirty,$(DESCRIBED))$(UNTRACKED),-dirty)

# A uv of the user's own is used when it runs; otherwise one is put into the clone.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(PRIVATE)/uv/bin/uv)

# Named after PYTHON's version, so that another one makes the environment anew.
MADE := $(VENV)/.made-$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-faults test-batch test-compose test-ui screenshots
.PHONY: coverage check lint fmt
.PHONY: bench bench-small bench-backends bench-large bench-parse bench-ui bench-watch bench-validate bench-gate bench-calibration bench-margins bench-drift bench-windows bench-serving
.PHONY: bench-events bench-fleet bench-history bench-peers
.PHONY: env up down logs lock extra clean python engine compose chromium
.DELETE_ON_ERROR:

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables: PYTHON=python3.12, PORT=8081 for run and env, ONCE=1 for run, TESTS=tests/dags for test."

run: $(VENV)/.run-installed  ## Start Airflow here, land the sample data and follow both models (ONCE=1 ends then)
	@exec $(BIN)/python -m include.local_airflow --port $(PORT) $(if $(ONCE),--once)

test: $(VENV)/.dev-installed  ## Run every everyday test (TESTS=path for some of them)
	@exec $(BIN)/python -m pytest $(if $(filter tests,$(TESTS)),$(EVERYDAY)) $(TESTS)

test-slow: $(VENV)/.dev-installed $(MLFLOW)/.installed  ## Run what else CI runs on whole Airflows, with the ten most dangerous faults
	@exec $(BIN)/python -m pytest --slow --faults quick $(SLOW) tests

test-faults: $(VENV)/.dev-installed  ## Run every fault of the catalogue and print what held (FAULTS=quick: the quick ones)
	@exec $(BIN)/python -m pytest -m "fault and not docker" --faults $(or $(FAULTS),all) $(SLOW) tests

test-batch: engine $(VENV)/.dev-installed  ## Build the training image and run jobs in it (on a container engine)
	@exec $(BIN)/python -m pytest -m docker tests/docker

test-ui: chromium $(VENV)/.dev-installed  ## Look at the pages in Airflow's UI with Chromium (a real API server, three minutes)
	@exec $(BIN)/python -m pytest -m ui tests/ui

screenshots: chromium $(VENV)/.dev-installed  ## Take the pictures of docs/images/ anew
	@exec $(BIN)/python -m tests.ui.screenshots

test-compose: engine $(VENV)/.dev-installed  ## Start the whole stack in containers, break parts of it, remove it (HOSTS=2: and let a second host train)
	@exec $(BIN)/python -m pytest -m "docker$(if $(filter 2,$(HOSTS)),, and not second_host)" tests/compose

coverage: $(VENV)/.dev-installed  ## Check that tests take every branch of the registry and the gate
	@exec $(BIN)/python -m pytest --cov -k "not s3" $(addprefix tests/include/retraining/,\
		registry/test_promotion.py registry/test_by_hand.py registry/test_races.py \
		registry/test_promotion_log.py registry/test_promotion_rules.py rollback/test_plan.py \
		config/test_metric_ranges.py gate/test_rules.py gate/test_properties.py steps/test_decide.py)

check: $(VENV)/.run-installed  ## Check the models' YAML and that every DAG imports, with what a deployment installs
	$(BIN)/python -m include.retraining validate-config
	$(BIN)/python -m include.local_airflow.check_imports

lint: $(VENV)/.dev-installed  ## Check style, types, sizes and the rules between packages
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_sizes.py include plugins

fmt: $(VENV)/.dev-installed  ## Repair what the linter and the formatter can repair
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: $(VENV)/.dev-installed  ## Measure everything and print one table (half an hour)
	@exec $(BIN)/python -m benchmarks

bench-small bench-backends bench-large bench-parse bench-ui bench-watch bench-validate bench-gate bench-calibration bench-margins bench-drift bench-windows bench-serving bench-events bench-fleet bench-history bench-peers: bench-%: $(VENV)/.dev-installed
	@exec $(BIN)/python -m benchmarks $*

bench-small:  ## Measure only: from a flag on disk to a promotion
bench-backends:  ## Measure only: what Batch and Kubernetes cost beside the job
bench-large:  ## Measure only: one and ten million rows
bench-parse:  ## Measure only: parsing the DAG files
bench-ui:  ## Measure only: the pages in Airflow's UI
bench-watch:  ## Measure only: a pass of the watch by the number of past runs (BENCH_WATCH=1000,1000,10000)
bench-serving:  ## Measure only: a request that uses the champion
bench-gate:  ## Simulate only: how often the gate passes what is worse or refuses what is good
bench-calibration:  ## Simulate only: how often the calibration gate refuses what is as good or misses what is worse
bench-margins:  ## Simulate only: margins, baselines and deliveries whose data changed
bench-windows:  ## Simulate only: how often a recipe passes that is lucky in the newest window
bench-drift:  ## Simulate only: false alarms of drift, and how soon a true one is raised
bench-events:  ## Measure only: from an object written to a run begun, and 1,000 events through 10 kills (BENCH_EVENTS=1000,10,20)
bench-fleet:  ## Measure only: many small models at the same minute, and 1,000 idle beside them (two hours)
bench-history:  ## Measure only: a run with 100,000 finished runs in Airflow's database (an hour)
bench-peers:  ## Measure only: the job of bench-small on Metaflow, Prefect and Dagster (installs them in .local/peers)
bench-validate:  ## Measure only: the contract's check by the shape of a delivery

env:  ## Make .env with the secrets of docker-compose.yaml (PORT=8090 for another port)
	@sh deploy/compose/new_env.sh .env $(PORT)

up: compose  ## Build the image and start the whole stack in containers; returns when it is healthy
	@GIT_SHA=$(COMMIT) $(COMPOSE) build init
	@$(COMPOSE) up --detach
	@sed -n 's/^PUBLIC_URL=/Airflow  /p' .env
	@echo "user admin, password: ADMIN_PASSWORD in .env; make logs shows what happens"

down: compose  ## End the stack; its data stay (VOLUMES=1 removes database, store and logs too)
	@$(COMPOSE) down --remove-orphans $(if $(VOLUMES),--volumes)

logs: compose  ## Follow what the stack's services print
	@$(COMPOSE) logs --follow --tail 100

lock: $(UV)  ## Resolve the dependencies of pyproject.toml anew, with hashes
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:airflow -o requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:dev -c requirements.txt -o requirements-dev.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:jobs -c requirements.txt -o include/retraining/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:training -c requirements.txt -o include/retraining/training/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:judging -c requirements.txt -o include/retraining/evaluation/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:lambda -c requirements-dev.txt -o deploy/lambda/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--group pyproject.toml:mlflow -o tests/support/mlflow-requirements.txt
	@for extra in $(basename $(notdir $(wildcard include/extras/*.in))); do $(LOCK_EXTRA) || exit 1; done

extra: $(MADE) $(UV)  ## Lock and install libraries of some models: NAME=lightgbm (WANTED="lightgbm>=4.6")
	@echo '$(NAME)' | grep -Eqx '[a-z0-9][a-z0-9-]{0,47}' || { \
		echo "give NAME: small letters, digits and '-', for example make extra NAME=lightgbm" >&2; exit 1; }
	@test -z "$(WANTED)" || test ! -f include/extras/$(NAME).in || { \
		echo "include/extras/$(NAME).in is there already: edit it, and run make lock" >&2; exit 1; }
	@extra=$(NAME) new=; \
		test -f include/extras/$$extra.in || { new=include/extras/$$extra.in; \
			printf '%s\n' $(foreach one,$(or $(WANTED),$(NAME)),'$(one)') > $$new; }; \
		test -f include/extras/$$extra.txt || { $(LOCK_EXTRA) || { rm -f $$new; exit 1; }; }
	@"$(UV)" pip install --quiet $(INSTALL_OPTIONS) -r include/extras/$(NAME).txt
	@echo "include/extras/$(NAME).txt is installed: write \`extras: [$(NAME)]\` below \`training\` in a model's YAML"

clean:  ## Remove the environment, the local Airflow and its store
	rm -rf $(VENV) $(PRIVATE) .*_cache .hypothesis .coverage .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment ----------------------------------------------------------------------------

# Said once, in one line, before anything is installed with it.
python:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "$(PYTHON) was not found: Python 3.11, 3.12 or 3.13 is needed; set PYTHON=python3.12" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; name = "Python %d.%d" % v; \
		sys.exit(0 if (3, 11) <= v <= (3, 13) else "%s is too %s: 3.11, 3.12 or 3.13 is needed; \
	set PYTHON=python3.12" % (name, "old" if v < (3, 11) else "new"))'

engine:
	@docker info >/dev/null 2>&1 || { \
		echo "no container engine answers \`docker info\`: start one to run this" >&2; exit 1; }

chromium:
	@test -x /usr/bin/chromium || { \
		echo "/usr/bin/chromium is missing: on Debian, apt-get install chromium" >&2; exit 1; }

compose: engine
	@$(COMPOSE) version >/dev/null 2>&1 || { \
		echo "neither \`docker compose\` nor docker-compose is there: install one of them" >&2; exit 1; }
	@test -f .env || { echo "there is no .env: run make env first" >&2; exit 1; }

$(PRIVATE)/uv/bin/uv: | python
	@mkdir -p $(PRIVATE)
	@echo "Installing uv into $(PRIVATE)/uv …"
	@"$(PYTHON)" -m pip install --quiet --upgrade --target $(PRIVATE)/uv uv >$(LOG) 2>&1 || { \
		tail -n 5 $(LOG) >&2; \
		echo "uv could not be installed with $(PYTHON) -m pip (see $(LOG)); install uv and try again" >&2; \
		exit 1; }

$(MADE): | python $(UV)
	@mkdir -p $(PRIVATE)
	@"$(UV)" venv --quiet --clear --python "$$(command -v $(PYTHON))" $(VENV) >$(LOG) 2>&1 || { \
		tail -n 5 $(LOG) >&2; \
		echo "$(VENV) could not be made with $(PYTHON) (see $(LOG))" >&2; exit 1; }
	@touch $@

# An import of Airflow takes 3 seconds of a core, and 8 when it is compiled meanwhile.
$(VENV)/.dev-installed: INSTALL_OPTIONS += --compile-bytecode
$(VENV)/.run-installed: requirements.txt $(EXTRAS) $(MADE)
$(VENV)/.dev-installed: requirements-dev.txt $(EXTRAS) $(MADE)
$(VENV)/.run-installed $(VENV)/.dev-installed: | $(UV)
	@mkdir -p $(PRIVATE)
	@echo "Installing $< into $(VENV) …"
	@"$(UV)" pip install --quiet $(INSTALL_OPTIONS) -r $< >$(LOG) 2>&1 || { \
		tail -n 5 $(LOG) >&2; \
		echo "$< could not be installed (see $(LOG)); nothing was started" >&2; exit 1; }
	@test -z "$(EXTRAS)" || \
		"$(UV)" pip install --quiet $(INSTALL_OPTIONS) $(addprefix -r ,$(EXTRAS)) >$(LOG) 2>&1 || { \
		tail -n 5 $(LOG) >&2; \
		echo "include/extras/ could not be installed (see $(LOG)); nothing was started" >&2; exit 1; }
	@touch $@

# A tracking server for the tests of publishing, apart from Airflow: half a minute, 600 MB.
$(MLFLOW)/.installed: tests/support/mlflow-requirements.txt | python $(UV)
	@mkdir -p $(PRIVATE)
	@echo "Installing MLflow into $(MLFLOW) …"
	@"$(UV)" venv --quiet --clear --python "$$(command -v $(PYTHON))" $(MLFLOW) >$(LOG) 2>&1 && \
		"$(UV)" pip install --quiet --require-hashes --only-binary :all: \
		--python $(MLFLOW)/bin/python -r $< >$(LOG) 2>&1 || { \
		tail -n 5 $(LOG) >&2; echo "$< could not be installed (see $(LOG))" >&2; exit 1; }
	@touch $@
