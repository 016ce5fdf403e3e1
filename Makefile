# Veleta: what fails says so in one clear line, and make exits with 2 (docs/decisions/0006-exit-code-of-make.md).
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory

export CSV DATASET SCALE API_URL GROUP_NUMBER AT_END ON_NEW_EPOCH POLL POLL_EVERY TREES JOURNAL_SYNC WORKERS KEEP_REQUESTS_DAYS PORT_BASE START_TIMEOUT
export JSON TOPIC FROM N RESEND REQUEST_ID REASON EVERY
export SOAK_S SEED KEEP PROMOTIONS OUTAGE_S REQUESTS LOAD_S UPGRADE
# A shell that says so would have every command compile all its modules again.
unexport PYTHONDONTWRITEBYTECODE

LOCAL := .venv/bin/python -u -m veleta_local
PROJECTS := $(wildcard */pyproject.toml */*/pyproject.toml)
UV := $(shell command -v uv || echo .runtime/uv/bin/uv)
INSTALLED := .venv/installed

.PHONY: help demo start stop status poll pause resume topics tail dead purge memory notebooks up down logs ps
.PHONY: test test-compose soak bench lint contracts lock pictures clean

help: ## this list
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	echo
	echo "  demo and start make rows by chance (SCALE=0.02 SEED=n), or take CSV=file, or API_URL=address GROUP_NUMBER=n;"
	echo "  then, as you like, DATASET=name|file.toml AT_END=restart|stop"
	echo "  ON_NEW_EPOCH=clear|keep POLL=auto|manual POLL_EVERY=seconds TREES=n JOURNAL_SYNC=group|none WORKERS=n"
	echo "  KEEP_REQUESTS_DAYS=days PORT_BASE=port START_TIMEOUT=seconds."
	echo "  A run remembers them: the other targets, and the next start, need none."

demo: $(INSTALLED) ## start everything and watch it live; Ctrl-C ends it all, the data stay
	$(LOCAL) demo

start: $(INSTALLED) ## start everything in the background; returns when a model is served
	$(LOCAL) start

stop: $(INSTALLED) ## end everything; the data stay, and start goes on with them
	$(LOCAL) stop

status: $(INSTALLED) ## what each part does; JSON=1 for programs
	$(LOCAL) status

poll: $(INSTALLED) ## take the next batch now
	$(LOCAL) poll

pause: $(INSTALLED) ## take no more batches until resume
	$(LOCAL) pause

resume: $(INSTALLED) ## go on taking batches
	$(LOCAL) resume

topics: $(INSTALLED) ## the topics and how much is in them
	$(LOCAL) topics

tail: $(INSTALLED) ## events of TOPIC=name; FROM=offset, N=how many
	$(LOCAL) tail

dead: $(INSTALLED) ## what could not be processed, and why; RESEND=id sends one again
	$(LOCAL) dead

purge: $(INSTALLED) ## delete all that is kept of one request: REQUEST_ID=id
	$(LOCAL) purge

memory: $(INSTALLED) ## what each part uses, a line each EVERY seconds (10)
	$(LOCAL) memory

notebooks: $(INSTALLED) ## JupyterLab on the run that is up; Ctrl-C ends it
	$(LOCAL) notebooks

up: ## docker compose: build, start everything, return when all is healthy
	docker compose up --build --detach --wait

down: ## docker compose: end everything; the data stay in the volumes
	docker compose --profile '*' down

logs: ## docker compose: what all parts say; Ctrl-C ends it
	docker compose logs --follow --tail 20

ps: ## docker compose: the containers and their health
	docker compose ps

test: lint ## lint, types, imports and all tests
	.venv/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

soak: $(INSTALLED) ## kills, outages and full load, then counts all; as root; SOAK_S, SEED, KEEP=1, PORT_BASE
	.venv/bin/pytest tests/soak -s

test-compose: $(INSTALLED) ## images and the whole stack in containers, with MySQL; needs a Docker engine
	.venv/bin/pytest tests/compose

bench: $(INSTALLED) ## how fast prices are served, and how fast others would be: a table, also in bench.md; needs wrk
	PYTHONPATH=tests .venv/bin/python -m bench bench.md

lint: $(INSTALLED) ## style, types and the direction of imports
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

contracts: $(INSTALLED) ## write what is generated from the code: event schemas, docs/events.md and openapi.json, .env.example, README's variables
	PYTHONPATH=tests .venv/bin/python -m support.contracts

lock: $(INSTALLED) ## requirements.lock anew from what the projects ask for; UPGRADE=1 takes newer versions
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group dev $(UPGRADE:1=--upgrade) $(PROJECTS) \
		--no-emit-package veleta $(patsubst %,--no-emit-package veleta-%,$(notdir $(patsubst %/,%,$(dir $(filter-out shared/%,$(PROJECTS)))))) \
		--output-file requirements.lock

pictures: $(INSTALLED) ## the README's pictures anew, of the run that is up: make start first
	PYTHONPATH=tests .venv/bin/python -m support.pictures

clean: $(INSTALLED) ## forget the run and its data (not .venv and downloads); refuses while it runs
	$(LOCAL) clean

$(INSTALLED): requirements.lock compose/local/install.sh $(PROJECTS)
	compose/local/install.sh
