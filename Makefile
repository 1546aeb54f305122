# Every command does its own set-up: `make test` on a fresh clone is enough.
# ARGS goes to the command behind a target: make test ARGS="-k merkle", make demo ARGS=--serve

VENV := .venv
BIN := $(VENV)/bin
# Java's and Maven's names, and Debian's for the packages that bring them.
KAFKA_PROGRAMS := java mvn
KAFKA_PACKAGES := default-jdk-headless maven

# Great Expectations sends usage statistics unless this is set.
export GX_ANALYTICS_ENABLED := false
# Tests start hundreds of processes: bytecode that one of them compiled is reused by the next.
unexport PYTHONDONTWRITEBYTECODE
# One thread for linear algebra in each process of a suite: threads of four processes on two cores wait for each other in
# loops, which takes up to twenty times the CPU time of small matrices.
test test-long test-faults test-stack: export OPENBLAS_NUM_THREADS := 1
# apt-get must not ask: CI has no stdin.
export DEBIAN_FRONTEND := noninteractive

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-all test-long test-beside test-peers test-faults nemesis mutants test-stack wheel-verify docs lint bench bench-ratings bench-report up status down kafka prometheus faketime chromium nginx versitygw helm chart-files drill slo-rules clean lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.synced ## make the environment .venv from requirements.lock

demo: setup ## simulated attacks on real pair counts, from votes to a signed snapshot; no service needed
	@$(BIN)/integrity demo $(ARGS)

# .venv/bin holds promtool. More processes than the usual two cores: tests with servers in them wait as often as they
# compute. `loadfile` keeps the files that use a broker in one process, which costs one broker; in the long suite they
# would be its longest chain, so `loadscope` deals them out (tests/conftest.py).
pytest := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest --no-loadscope-reorder
chosen := not stack and not beside and not peers

test: setup kafka prometheus faketime chromium nginx ## the everyday suite with the real Kafka, PostgreSQL, Airflow, Prometheus and Chromium
	$(pytest) --numprocesses 3 --dist loadfile -m "not slow and not long and $(chosen)" \
		$(if $(COVER),--cov --cov-report=term:skip-covered) $(ARGS)

test-all: ## every test, as CI runs them
	$(MAKE) test COVER=1
	$(MAKE) test-long LONG="long or slow"
	$(MAKE) test-stack

# Without coverage, which makes Python a third slower: the everyday suite alone is above the bar of pyproject.toml.
# LONG="long or slow" takes the long faults too: they wait, and leave the cores to the others.
test-long: setup kafka prometheus faketime chromium nginx helm ## what make test leaves out
	$(pytest) --numprocesses 4 --dist loadscope --durations 30 -m "$(if $(LONG),($(LONG)),long and not slow) and $(chosen)" $(ARGS)

test-beside: setup ## what real files in ../shared/data say, which may not be shipped
	$(BIN)/pytest -m beside $(ARGS)

test-peers: setup .venv-bench/.synced ## the rating engine against arena-rank and evalica
	$(BIN)/pytest -m peers $(ARGS)

# --strict: a broken link or anchor is an error. docs/site_checks.py refuses pages that load anything from elsewhere.
docs: setup ## the documentation as a site that needs no network: build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs --quiet build --strict $(ARGS)
	@echo "build/site/index.html"

lint: setup ## style, types, the order of imports, dead code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture

bench: setup kafka ## votes per second through a real Kafka and a real PostgreSQL
	@$(BIN)/integrity bench stream $(ARGS)

bench-report: setup .venv-bench/.synced ## the probes of a report beside arenakit, on the same file
	@$(BIN)/integrity bench report $(ARGS)

bench-ratings: setup .venv-bench/.synced ## the rating engine beside arena-rank and evalica, as ratios of one run
	@$(BIN)/integrity bench ratings $(ARGS)

up: setup kafka prometheus ## all services as local processes in .stack, a test and never a real board
	@$(BIN)/python -m pipeline.devstack up $(ARGS)

status: setup ## which services run, where, and which alerts fire
	@$(BIN)/python -m pipeline.devstack status $(ARGS)

down: setup ## stop all services; the data stays in .stack
	@$(BIN)/python -m pipeline.devstack down $(ARGS)

drill: setup ## an invented campaign against the stack of make up, where its votes stay: seconds until it pages
	@$(BIN)/python -m pipeline.devstack drill $(ARGS)

test-faults: setup kafka prometheus faketime ## the long faults: kill -9 again and again, storms, stuck groups
	$(BIN)/pytest tests/faults -m slow --numprocesses 3 --dist load $(ARGS)

# The seed of the release check; ARGS="--seed N" takes another.
nemesis: setup kafka ## random faults for over three minutes under 200,000 votes, then a check of every guarantee; 6 to 10 minutes
	$(BIN)/python -m tests.faults.nemesis --seed 20260817 $(ARGS)

# ARGS="--package ledger" takes one package, ARGS="--seed N" other changes.
mutants: setup ## how many of 200 small changes in the pure packages the unit tests notice; each survivor is listed
	$(BIN)/python -m tests.mutants --seed 20261129 $(ARGS)

test-stack: setup kafka prometheus versitygw ## up, an attack, the page, the refresh, down; with real services, 3 to 5 minutes
	$(BIN)/pytest tests/stack -m stack -rP $(ARGS)

slo-rules: setup ## the alert rules about error budgets, made anew from deploy/prometheus/slo.toml
	@$(BIN)/python -m pipeline.devstack.slo_rules

chart-files: setup ## what deploy/helm takes from elsewhere: alert rules, names of settings
	@$(BIN)/python -m deploy.helm.chart_files

kafka: $(VENV)/kafka/.copied ## Kafka's jars into .venv/kafka/libs (needs Java 17 and Maven)

prometheus: $(BIN)/prometheus $(BIN)/prometheus-alertmanager ## Prometheus, Alertmanager and their tools into .venv/bin

faketime: $(VENV)/faketime/libfaketimeMT.so.1 ## a library that sets a process's clock wrong, for the tests

chromium: $(BIN)/chromium ## Debian's browser, for the tests of the page

nginx: $(BIN)/nginx ## Debian's web server, for the tests of the proxy in deploy/nginx

versitygw: $(BIN)/versitygw ## a server of objects (S3), built from Go's module proxy, for the tests of copies in object stores

helm: $(VENV)/helm/.copied ## Helm's engine and Kubernetes' schemas into .venv/helm, for the tests of the chart

wheel-verify: setup ## the verifier as a wheel of its own, for readers: dist/leaderboard_verify-….whl
	$(BIN)/uv build --quiet --wheel --out-dir dist deploy/verifier

clean: ## remove everything that can be made again
	rm -rf $(VENV) .venv-bench build dist htmlcov .coverage .coverage.* .hypothesis
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find dags leaderboard_integrity pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

lock: | $(BIN)/python ## choose versions anew where pyproject.toml asks for it
	$(get_uv)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --all-extras --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --group pyproject.toml:bench -o requirements-bench.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-deps --group pyproject.toml:chart -o requirements-chart.lock

# `uv pip sync` removes whatever the lock does not name, uv and pip themselves included: they are brought each time.
define get_uv
@$(BIN)/python -m ensurepip >/dev/null
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore uv
endef

$(VENV)/.synced: requirements.lock pyproject.toml | $(BIN)/python
	$(get_uv)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(get_uv)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

# The peers' own environment: one of them pins numpy and brings JAX.
.venv-bench/.synced: requirements-bench.lock | $(BIN)/python
	$(get_uv)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes requirements-bench.lock
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then \
			$$python -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; exit 0; \
		fi; \
	done; \
	echo "expected Python 3.11, 3.12 or 3.13 on PATH, got none; name one: make setup PYTHON=/path/to/python" >&2; \
	exit 1

# Debian's packages are installed where that is possible without asking: as root, with apt-get.
may_install = [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
has = command -v $(1) >/dev/null
# Without a service the suite runs and reports which tests it left out. In CI that is a failure.
go_without = { echo "!!! $(1)" >&2; [ "$$CI" != true ]; }

$(VENV)/kafka/.copied: deploy/kafka/pom.xml | $(BIN)/python
	@if ! { $(call has,java) && $(call has,mvn); } && $(may_install); then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(KAFKA_PACKAGES); \
	fi; \
	if ! { $(call has,java) && $(call has,mvn); }; then \
		$(call go_without,no java or no mvn on PATH: the tests with the real Kafka WILL BE SKIPPED); \
	else \
		rm -rf $(@D) && mvn -q -B -f $< dependency:copy-dependencies \
			-DoutputDirectory="$(CURDIR)/$(@D)/libs" -DincludeScope=runtime && touch $@; \
	fi

# Unpacked, not installed: Debian's packages would start services on this machine. The programs need libc alone.
# as_root: apt's own user may not write into a temporary folder of root's.
as_root := -o APT::Sandbox::User=root
# What a package of Debian's brings, from this machine if all of it is installed:
# $(call unpack,PACKAGE,PROGRAMS[,what must work first, in the folder of the unpacked package])
define unpack
@if found=$$(for program in $(2); do command -v $$program || exit 1; done); then \
	ln -sf $$found $(BIN)/; exit; \
fi; \
unpacked=$$(mktemp -d) && trap 'rm -rf "$$unpacked"' EXIT && \
if $(may_install); then apt-get update -qq; fi; \
if (cd "$$unpacked" && apt-get $(as_root) download -qq $(1) && dpkg-deb -x $(1)_*.deb . && $(or $(3),true)); then \
	for program in $(2); do find "$$unpacked"/usr/*bin -type f -name $$program -exec cp {} $(BIN)/ \;; done; \
else \
	$(call go_without,no $(2) and no way to get Debian's package $(1): install it; what needs it WILL BE SKIPPED); \
fi
endef

# promtool, the checker of alert rules, comes with it.
$(BIN)/prometheus: | $(BIN)/python
	$(call unpack,prometheus,prometheus promtool)

# Debian's build does not start without the files in this folder: the one thing that is put outside of .venv.
templates := usr/share/prometheus/alertmanager
$(BIN)/prometheus-alertmanager: | $(BIN)/python
	$(call unpack,prometheus-alertmanager,prometheus-alertmanager amtool,install -D -m 644 -t /$(templates) $(templates)/*.tmpl)

# It needs OpenSSL, PCRE2 and zlib, which every Debian has.
$(BIN)/nginx: | $(BIN)/python
	$(call unpack,nginx,nginx)

# Wheels of Helm's engine exist for Linux, macOS and Windows on x86-64. What else these packages need, .venv has.
$(VENV)/helm/.copied: requirements-chart.lock | $(VENV)/.synced
	@rm -rf $(@D) && \
	if $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --only-binary :all: --require-hashes \
		--requirements $< --target $(@D); then \
		touch $@; \
	else \
		$(call go_without,no wheel of helm-python-sdk for this machine: the tests of the chart WILL BE SKIPPED); \
	fi

# A library has no place on PATH; the machine's own is taken if it is there.
$(VENV)/faketime/libfaketimeMT.so.1: | $(BIN)/python
	@mkdir -p $(@D) && unpacked=$$(mktemp -d) && trap 'rm -rf "$$unpacked"' EXIT && \
	if cp /usr/lib/*/faketime/$(@F) $(@D)/ 2>/dev/null; then exit; fi; \
	if $(may_install); then apt-get update -qq; fi; \
	if (cd "$$unpacked" && apt-get $(as_root) download -qq libfaketime && dpkg-deb -x libfaketime_*.deb .); then \
		cp "$$unpacked"/usr/lib/*/faketime/$(@F) $(@D)/; \
	else \
		$(call go_without,no $(@F) and no way to get Debian's package libfaketime: what needs it WILL BE SKIPPED); \
	fi

# Installed, not unpacked: it needs two dozen libraries. Nothing of it starts by itself.
$(BIN)/chromium: | $(BIN)/python
	@if ! $(call has,chromium) && $(may_install); then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	fi; \
	if $(call has,chromium); then \
		ln -sf "$$(command -v chromium)" $@; \
	else \
		$(call go_without,no chromium on PATH: the tests of the page WILL BE SKIPPED); \
	fi

# Pinned. Without the symbols, which nobody reads, it links faster.
$(BIN)/versitygw: | $(BIN)/python
	@if command -v versitygw >/dev/null; then \
		ln -sf "$$(command -v versitygw)" $@; \
	elif command -v go >/dev/null; then \
		GOBIN="$(CURDIR)/$(BIN)" CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' \
			github.com/versity/versitygw/cmd/versitygw@v1.8.0; \
	else \
		$(call go_without,no versitygw and no go on PATH: the test with a real object store WILL BE SKIPPED); \
	fi
