# The verbs a newcomer tries. Each sets up its own virtual environment on first use.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO_DIR ?= runs/demo

.PHONY: help demo smoke test test-slow lint format bench clean

help:
	@echo "make demo       pre-train on drawn people, fine-tune, find unseen people, compare with random weights (about 13 minutes)"
	@echo "make smoke      the same path in two minutes, to see that the installation works"
	@echo "make test       unit and end-to-end tests"
	@echo "make test-slow  the long tests as well (kills and resumes, full-size network)"
	@echo "make lint       ruff checks; make format applies them"
	@echo "make bench      speed beside named peers (PyTorch peers where PyTorch is installed)"
	@echo "make clean      remove runs/, cache/ and the virtual environment"

$(VENV)/installed: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

demo: $(VENV)/installed
	$(RUN) -m experiments demo --seeds=1 --root=$(DEMO_DIR) --pictures

smoke: $(VENV)/installed
	$(RUN) -m experiments demo --seeds=1 --root=runs/smoke --preset=smoke --pictures

test: $(VENV)/installed
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/installed
	$(RUN) -m pytest -n 2 --dist loadfile

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/installed
	$(RUN) -m benchmarks.pipeline
	$(RUN) -m benchmarks.train_step
	$(RUN) -m benchmarks.descriptors
	$(RUN) -m benchmarks.retrieval

clean:
	rm -rf $(VENV) runs cache
