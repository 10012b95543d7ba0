# Témoin. `make help` lists what there is to do; each target prints what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
OUT ?= demo
FOOTAGE ?=
ARGUMENTS ?=
PLAY ?= .play
HOURS ?=

.PHONY: help setup demo dock camera test check kills faults plaintext mutants dock-install camera-install boot bench month vm virtual soak lint vectors

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make .venv and install what Témoin needs (apt with or without sudo, pip)
	@.ci/setup base

demo: setup ## play a shift on a simulated board: FOOTAGE=<file> OUT=<folder>
	@.ci/setup dock
	@$(PYTHON) -m hw.sim.demo --out "$(OUT)" $(if $(FOOTAGE),--footage "$(FOOTAGE)",)

dock: setup ## a dock with its broker to play with, live: FOOTAGE=<file> PLAY=<folder>; then, in another terminal:
	@.ci/setup dock
	@$(PYTHON) -m hw.sim.play dock --folder "$(PLAY)" $(if $(FOOTAGE),--footage "$(FOOTAGE)",)

camera: setup ## the simulated camera that docks there, live, with keys to press: FOOTAGE=<file> PLAY=<folder>
	@$(PYTHON) -m hw.sim.play camera --folder "$(PLAY)" $(if $(FOOTAGE),--footage "$(FOOTAGE)",)

test: setup ## the fast suite, under 3 minutes
	@.ci/setup tests
	@$(PYTHON) -m pytest -n 2 --dist loadfile

lint: setup ## ruff, strict types, import rules, vectors
	@.ci/lint

check: setup ## the slow suite: stock tools, npm readers, a browser
	@.ci/setup check
	@$(PYTHON) -m pytest tests/system

kills: setup ## kill -9 and cut the power at every bad moment, over 100 times: ARGUMENTS="--seed N --rounds N"
	@.ci/setup tests
	@$(PYTHON) -m tests.kills $(ARGUMENTS)

faults: setup ## break broker, dock, camera and network while they dock (root): ARGUMENTS="--seed N --rounds N --only KIND"
	@.ci/setup check
	@$(PYTHON) -m tests.faults $(ARGUMENTS)

boot: setup ## boot camera and dock as installed, under systemd in a container (root): ARGUMENTS="--suite trixie"
	@.ci/setup boot
	@$(PYTHON) -m tests.boot $(ARGUMENTS)

plaintext: setup ## search a card's raw image for what was filmed (root, loop devices)
	@.ci/setup tests
	@$(PYTHON) -m pytest tests/system/test_plaintext.py

mutants: setup ## seed a bug for each guarantee, and see its tests find it
	@.ci/setup tests
	@$(PYTHON) -m tests.mutants

dock-install: ## put a dock on this Debian machine, with broker, units and backup: DOCK=path/to/docks/ID
	@systemd/dock-install "$(DOCK)"

camera-install: ## make this Debian board a camera, with users and units: CAMERA=path/to/cameras/ID
	@systemd/camera-install "$(CAMERA)"

bench: setup ## every figure of the design against its peer
	@.ci/setup tests
	@$(PYTHON) -m tests.bench

month: setup ## hand a month's journal, 432,000 entries, over to a dock that is killed in the middle: ARGUMENTS="--entries N"
	@.ci/setup check
	@$(PYTHON) -m tests.month $(ARGUMENTS)

vm: setup ## pins, battery, sound, radio on the kernel's own drivers, in an emulated machine (root): ARGUMENTS="--sound S"
	@.ci/setup vm
	@$(PYTHON) -m tests.vm $(ARGUMENTS)

virtual: setup ## the board's camera without a board: picamera2 on libcamera's virtual camera, in a Debian 13 (root)
	@.ci/setup virtual
	@$(PYTHON) -m tests.virtual

soak: setup ## a camera records for ten minutes in the memory of its board, and nothing grows: HOURS=<n>
	@.ci/setup tests
	@$(PYTHON) -m tests.soak $(if $(HOURS),--hours "$(HOURS)",)

vectors: setup ## generate the vectors of tests/vectors again
	@for script in tests/vectors/make_*.py; do $(PYTHON) -m "tests.vectors.$$(basename $$script .py)" || exit 1; done
