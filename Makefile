# QuoteKit: `make run` shows it, `make test` proves it, `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE
export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= us-east-1

BIN := .venv/bin
SAM := PATH="$(CURDIR)/.local/tools/python:$$PATH" .local/tools/sam/bin/sam
STAGE ?= staging

.PHONY: help setup run stop reset invoke batch test lint format types build validate migrate bench soak load openapi deploy lock

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install all this needs (every other command does it too)
	@bash local/setup.sh

run: setup ## start the whole stack here and show its log (DETACH=1 returns when it is ready)
	@exec $(BIN)/python -m local run $(if $(DETACH),--detach)

stop: setup ## end a detached stack
	@$(BIN)/python -m local stop

reset: setup ## wipe the data of the local stack
	@$(BIN)/python -m local reset

invoke: setup ## send events/NAME.json to the running stack: make invoke name=quote_processor
	@$(BIN)/python -m local invoke $(name)

batch: setup ## send a file through an operation, follow it: make batch FILE=… OPERATION=… [PARAMETERS='{}' PRIORITY=low DRY_RUN=1]
	@$(BIN)/python -m local.batch "$(FILE)" "$(OPERATION)" --parameters '$(or $(PARAMETERS),{})' \
		--priority '$(or $(PRIORITY),normal)' $(if $(DRY_RUN),--dry-run)

test: lint types validate ## every check and every test
	@bash local/setup.sh examples
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --ignore tests/system
	@$(BIN)/python -m pytest tests/system

lint: setup ## ruff, format, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@PYTHONPATH=layers/shared:. $(BIN)/lint-imports --no-logo >/dev/null || PYTHONPATH=layers/shared:. $(BIN)/lint-imports --no-logo

types: setup ## mypy, strict
	@$(BIN)/mypy functions layers/shared local docs load tests

format: setup ## format the code and mend what can be mended
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

build: setup ## build functions and layers with sam (QUOTEKIT_ARCHITECTURE=arm64 for AWS)
	@$(BIN)/python -m local build

validate: ## check the template: sam validate --lint, cfn-lint, checkov
	@bash local/setup.sh checks
	@bash local/validate.sh

migrate: setup ## bring the database at DATABASE_URL to the newest migration
	@$(BIN)/dbmate --url "$${DATABASE_URL:?set DATABASE_URL}" --migrations-dir migrations --no-dump-schema up

bench: ## measure against peers; the table goes to bench/RESULTS.md
	@bash local/setup.sh bench
	@bash local/setup.sh examples
	@$(BIN)/python -m bench

load: setup ## a load scenario against the running stack: make load SCENARIO=burst
	@bash local/setup.sh load
	@$(BIN)/python -m load $(SCENARIO)

openapi: setup ## describe every door in docs/openapi.json
	@PYTHONPATH=layers/shared:. $(BIN)/python -m docs.openapi

soak: setup ## crash workers and database at length (DELIVERIES=200000, DEATHS=1000, SEED=)
	@$(BIN)/python -m tests.soak
	@PYTHONPATH=layers/shared:. $(BIN)/python -m tests.batch_kills --deaths $${DEATHS:-1000} $(if $(SEED),--seed $(SEED))

deploy: setup ## build for AWS and deploy with your own credentials: make deploy STAGE=staging
	@$(SAM) build --cached --parallel --config-env $(STAGE)
	@$(SAM) deploy --config-env $(STAGE)

lock: setup ## resolve pyproject.toml into the lock files again
	@bash local/lock.sh
