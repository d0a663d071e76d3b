# The verbs a newcomer tries. Each sets up its own virtual environment on first use.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO_DIR ?= runs/demo
SMOKE_DIR ?= runs/smoke
RUN_DIR ?=
# The fine-tuning that starts from MMGL, below either directory.
FROM_MMGL := finetune-*-mmgl_*-seed0

.PHONY: help install demo smoke serve-check test test-fast test-slow lint format bench clean

help:
	@echo "make install    the virtual environment and its packages (2.6 GB); the others do it where it is missing"
	@echo "make demo       pre-train on drawn people, fine-tune, find unseen people, compare with random weights, serve (about 15 minutes)"
	@echo "make smoke      the same path in three minutes, to see that the installation works"
	@echo "make serve-check  export a run, serve it on loopback and compare (the demo's; RUN_DIR=... for another)"
	@echo "make test       unit and end-to-end tests"
	@echo "make test-fast  the quickest of them, under a minute on one core"
	@echo "make test-slow  the long tests: every method killed and resumed, on replicas, with XLA, in half precision"
	@echo "make lint       ruff checks; make format applies them"
	@echo "make bench      speed beside named peers (PyTorch peers where PyTorch is installed)"
	@echo "make clean      remove runs/, cache/ and the virtual environment"

$(VENV)/installed: requirements.txt requirements-dev.txt
	@echo "setting up $(VENV): 2.6 GB of packages, some minutes"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

install: $(VENV)/installed

demo: $(VENV)/installed
	$(RUN) -m experiments demo --seeds=1 --root=$(DEMO_DIR) --pictures
	$(RUN) main.py --mode=serve_check --init="$$(ls -d $(DEMO_DIR)/$(FROM_MMGL) | head -1)"

smoke: $(VENV)/installed
	$(RUN) -m experiments demo --seeds=1 --root=$(SMOKE_DIR) --preset=smoke --pictures
	$(RUN) main.py --mode=serve_check --init="$$(ls -d $(SMOKE_DIR)/$(FROM_MMGL) | head -1)"

# The demo's fine-tuning from MMGL, the smoke run's where there is no demo; made where there is neither.
serve-check: $(VENV)/installed
	@run="$(RUN_DIR)"; \
	for root in $(DEMO_DIR) $(SMOKE_DIR); do \
	  test -n "$$run" || run=$$(ls -d $$root/$(FROM_MMGL) 2>/dev/null | head -1); \
	done; \
	test -n "$$run" || exec $(MAKE) --no-print-directory smoke; \
	exec $(RUN) main.py --mode=serve_check --init="$$run"

test: $(VENV)/installed
	$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow"

test-fast: $(VENV)/installed
	OMP_NUM_THREADS=1 $(RUN) -m pytest -p tests.fast_files -m "not slow"

test-slow: $(VENV)/installed
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

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
	$(RUN) -m benchmarks.serving
	$(RUN) -m benchmarks.scaling
	$(RUN) -m benchmarks.compile_step
	$(RUN) -m benchmarks.operations

clean:
	rm -rf $(VENV) runs cache
