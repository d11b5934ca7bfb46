# The chain for people who think in files: one rule a stage, its target the stage's manifest. Every rule
# only calls `uavpipe`; `make help` lists what there is.
#
#   make detect VIDEO=flight01.mp4 [CONFIG=flight.yaml] [SET="detector.threshold=0.6 crops.every=5"]

WORKSPACE ?= runs
VIDEO     ?=
CONFIG    ?=
SET       ?=
RECIPE    ?= configs/detector/small.yaml
REID      ?= configs/reid/source.yaml
GRID      ?= configs/reid/table1.yaml
DATA      ?= $(WORKSPACE)/dataset
PROTOCOL  ?= market
WEIGHTS   ?=
MINUTES   ?= 60
ROUNDS    ?= 100
SEED      ?= 0
PYTHON    ?= python3
# detectron2 is on no package index; this commit is known to work with the torch of constraints.txt.
DETECTRON2_SRC ?= git+https://github.com/facebookresearch/detectron2.git@02b5c4e295e990042a714712c21dc79b731e8833
VENV      ?= .venv

UAVPIPE  := $(VENV)/bin/uavpipe
READY    := $(VENV)/.ready
FLIGHT   := $(WORKSPACE)/$(basename $(notdir $(VIDEO)))
# Without VIDEO the configuration names the videos, and the workspace with them.
ARGUMENTS = $(if $(VIDEO),$(VIDEO) --workspace $(WORKSPACE)) $(if $(CONFIG),--config $(CONFIG)) $(addprefix --set ,$(SET))
NAME      = $(basename $(notdir $(RECIPE)))
REID_RUN  = $(WORKSPACE)/reid/$(basename $(notdir $(REID)))
STILLS   := $(patsubst %,data/%/annotations.json,stills flight-stills validation)
# `auto` takes the newest of them, so that a new one is a reason to detect again.
DETECTORS := $(wildcard weights/*.safetensors)
SETTINGS := $(CONFIG) $(if $(SET),always)

.PHONY: help setup video-given run frames detect crops tracks label dataset overlay train evaluate report table1 train-detector detectron2 openvino demo test fuzz faults lint bench doctor clean always
.DEFAULT_GOAL := help

help: ## This text
	@printf 'uavpipe: from drone video to person crops and identities\n\n'
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22
	@printf '\n  VIDEO=flight01.mp4  CONFIG=flight.yaml  WORKSPACE=runs  SET="detector.threshold=0.6"\n'

setup: $(READY) ## Install everything into .venv (the other targets do it themselves)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

video-given:
	@test -n "$(VIDEO)$(CONFIG)" || { echo 'name a video: make $(MAKECMDGOALS) VIDEO=flight01.mp4' >&2; exit 2; }

run: $(READY) video-given ## The whole chain over the flights of CONFIG or VIDEO, up to where you label, and on
	$(UAVPIPE) run $(ARGUMENTS)

frames: $(FLIGHT)/frames/manifest.json ## List the frames of VIDEO and its damage
detect: $(FLIGHT)/detections/manifest.json ## Find the persons in VIDEO
crops: $(FLIGHT)/crops/manifest.json ## Cut the persons out of VIDEO
tracks: $(FLIGHT)/tracks/manifest.json ## Link the persons in VIDEO from frame to frame
label: $(READY) ## Say who is who, in the browser, on all flights of WORKSPACE
	$(UAVPIPE) label --workspace $(WORKSPACE)
dataset: $(READY) ## Make a data set of what is labelled in WORKSPACE
	$(UAVPIPE) dataset $(if $(CONFIG),--config $(CONFIG),--workspace $(WORKSPACE)) $(addprefix --set ,$(SET))
overlay: $(FLIGHT)/overlay/manifest.json ## Render the boxes on VIDEO

$(FLIGHT)/frames/manifest.json: $(wildcard $(VIDEO)) $(SETTINGS) | $(READY) video-given
	$(UAVPIPE) frames $(ARGUMENTS)
	@touch -c $@

# Detection reads the video once for itself and for the table of frames.
$(FLIGHT)/detections/manifest.json: $(wildcard $(VIDEO)) $(DETECTORS) $(SETTINGS) | $(READY) video-given
	$(UAVPIPE) detect $(ARGUMENTS)
	@touch -c $@

$(FLIGHT)/crops/manifest.json: $(FLIGHT)/detections/manifest.json $(SETTINGS)
	$(UAVPIPE) crops $(ARGUMENTS)
	@touch -c $@

# The camera's motion and the persons' looks come from the same pass over the video as the crops.
$(FLIGHT)/tracks/manifest.json: $(wildcard $(VIDEO)) $(DETECTORS) $(SETTINGS) | $(READY) video-given
	$(UAVPIPE) tracks $(ARGUMENTS)
	@touch -c $@

$(FLIGHT)/overlay/manifest.json: $(FLIGHT)/detections/manifest.json $(SETTINGS)
	$(UAVPIPE) overlay $(ARGUMENTS)
	@touch -c $@

train: $(READY) ## Train a re-id network: DATA=data/market1501 REID=configs/reid/source.yaml
	$(UAVPIPE) reid train --config $(REID) --data $(DATA) --output $(REID_RUN) --protocol $(PROTOCOL) $(addprefix --set ,$(SET))

evaluate: $(READY) ## Measure it on DATA; or WEIGHTS=…, and PROTOCOL=tracklet where there is one flight
	$(UAVPIPE) reid evaluate --weights $(or $(WEIGHTS),$(REID_RUN)/last.safetensors) --data $(DATA) --protocol $(PROTOCOL) --out $(REID_RUN)/test

report: $(READY) ## What was found and how, as a page: WORKSPACE/report/index.html
	$(UAVPIPE) report $(if $(CONFIG),--config $(CONFIG),--workspace $(WORKSPACE)) $(addprefix --set ,$(SET))

table1: $(READY) ## The paper's Table 1 on your data: GRID=configs/reid/table1.yaml; goes on where it was
	$(UAVPIPE) reid table1 --config $(GRID) --output $(WORKSPACE)/table1 $(addprefix --set ,$(SET))

train-detector: $(READY) $(if $(findstring small,$(RECIPE)),$(STILLS)) ## Train RECIPE=configs/detector/small.yaml; `auto` finds the result
	$(UAVPIPE) detector train --config $(RECIPE) --output $(WORKSPACE)/detector/$(NAME) --weights weights/$(NAME).safetensors $(addprefix --set ,$(SET))

data/stills/annotations.json: | $(READY)
	$(UAVPIPE) simulate-stills data/stills --count 4500 --seed 101

data/flight-stills/annotations.json: | $(READY)
	$(UAVPIPE) simulate-stills data/flight-stills --flights --count 600 --seed 103

data/validation/annotations.json: | $(READY)
	$(UAVPIPE) simulate-stills data/validation --flights --count 100 --seed 102

detectron2: $(READY) ## Build detectron2, for detector.backend: detectron2; DETECTRON2_SRC= takes a local copy
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'setuptools<82' wheel
	$(VENV)/bin/python -m pip install --disable-pip-version-check --no-build-isolation -c constraints.txt \
		'$(or $(abspath $(wildcard $(DETECTRON2_SRC))),$(DETECTRON2_SRC))'

openvino: $(READY) ## Install OpenVINO, for detector.backend: openvino, which is faster on CPUs
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[openvino]'

demo: $(READY) ## Simulate two flights over the same people, run the chain up to the report
	$(UAVPIPE) demo

test: $(READY) $(VENV)/.browser ## Run the tests
	$(VENV)/bin/python -m pytest $(TESTS)

# The labelling app's pages are tested in a Chromium: the system's, or one of our own. Without, those tests are skipped.
$(VENV)/.browser: $(READY)
	@if which chromium chromium-browser google-chrome | grep -q . || $(VENV)/bin/python -m playwright install --only-shell chromium >/dev/null 2>&1; then touch $@; fi

fuzz: $(READY) ## Damage the files of every reader for MINUTES=60: none may end in a traceback
	UAVPIPE_FUZZ_MINUTES=$(MINUTES) $(VENV)/bin/python -m pytest tests/fuzz -k damage

faults: $(READY) ## Kill, fill the disk, damage, delete at random, ROUNDS=100 times: running again must make it good
	$(VENV)/bin/python -m tests.faults.harness --rounds $(ROUNDS) --seed $(SEED)

lint: $(READY) ## Check style, types and which package imports which
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

doctor: $(READY) ## Say what this machine can do
	$(UAVPIPE) doctor

clean: ## Remove the environment and the demo, never a workspace
	rm -rf $(VENV) demo
