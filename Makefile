# Two commands: `make figures` and `make test`. Each sets up .venv by itself the first time.
PYTHON ?= python3
BIN := .venv/bin
ABSOLUTE = $(shell $(PYTHON) -c 'import os, sys; print(os.path.abspath(sys.argv[1]))' "$(1)")
ifdef DIGITLIB_DATA
export DIGITLIB_DATA := $(call ABSOLUTE,$(DIGITLIB_DATA))
endif
ifdef DIGITLIB_HANDWRITING
export DIGITLIB_HANDWRITING := $(call ABSOLUTE,$(DIGITLIB_HANDWRITING))
endif

.PHONY: figures test lab app reproduce lint lock clean

figures: .venv/ready  ## execute every notebook and write figures/
	$(BIN)/python -m digitlib figures

test: .venv/ready  ## unit tests, then the notebooks, then their figures against those committed
	$(BIN)/pytest

lab: .venv/ready  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

app: .venv/ready  ## a page on which you write a number and watch it being read
	$(BIN)/python -m digitlib app

reproduce: .venv/ready  ## train all of figures/runs/ again and say how close each run came
	$(BIN)/python -m digitlib reproduce

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lock: .venv/ready  ## after a change of the dependencies in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes pyproject.toml -o requirements.lock

clean:  ## forget the environment and the sample's figures; trained runs stay in the user's cache
	rm -rf .venv figures/sample

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "Python 3.11 to 3.13 is needed (make PYTHON=...), this is " + sys.version'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	$(BIN)/python -m digitlib data || echo "Going on without MNIST, with the embedded sample."
	touch $@
