PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup app test bench waiting

.venv/ready: requirements.txt train/requirements.txt tests/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	touch $@

.venv/app: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

setup: .venv/ready

app: .venv/app
	$(BIN)/python -m streamlit run app.py

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: .venv/ready
	$(BIN)/python -m tests.bench

waiting: .venv/ready
	$(BIN)/python -m tests.waiting
