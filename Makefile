# Every target works as the first command on a fresh clone: it needs Python 3.10+, make and git.
# (`test` also needs MariaDB and Chromium, and installs them where it may.)
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
PLUGINS := .meltano/extractors .meltano/loaders .meltano/utilities

# uv installs here and in Meltano. It reads other variables than pip for the same setting.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS ?= never

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench format psql plugins lock clean

help: ## Say what each target does
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; \
		do printf '  make %-8s  %s\n' "$$name" "$$text"; done

install: $(INSTALLED) ## Build .venv with the locked versions; the other targets do it by themselves

demo: $(INSTALLED) ## Load a seeded HubSpot sandbox into the embedded Postgres, change it, load again
	@$(BIN)/python -m crm_sandbox.demo $(ARGS)

test: $(INSTALLED) ## Run the whole test suite; ARGS='tests/tapkit -k paging' runs a part of it
	@.ci/mariadb
	@.ci/browser
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

check: $(INSTALLED) ## Lint, formatting, types, generated files current: what CI runs beside the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python plugins/generate.py --check

bench: $(INSTALLED) ## Compare target-warehouse with its peers; ARGS='--records 10000 --runs 1' is quick
	@$(BIN)/python benchmarks/loader.py $(ARGS)

format: $(INSTALLED) ## Format the code and repair what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

psql: $(INSTALLED) ## Open an SQL shell on the warehouse
	@$(BIN)/warehouse psql $(ARGS)

plugins: $(INSTALLED) ## Regenerate the plugin definitions and the README's table of CRMs
	$(BIN)/python plugins/generate.py

lock: $(INSTALLED) ## Resolve pyproject.toml into requirements.lock; ARGS=--upgrade takes new versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header \
		--extra athena --extra embedded --extra mysql --extra page --extra parquet --extra s3 --extra sandbox --extra zstd --group dev pyproject.toml --output-file requirements.lock $(ARGS)

clean: ## Remove what was installed; data under .warehouse and Meltano's state stay
	rm -rf .venv $(PLUGINS)

# pip installs the locked uv, uv the rest: with the same hashes in two seconds rather than forty.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {keep = /^uv==/} keep' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes -r .venv/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -rf $(PLUGINS) # Meltano installs them again, at the versions of now
	@touch $@
