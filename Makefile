# The chain for people who think in files: one rule a stage, its target the stage's manifest. Every rule
# only calls `uavpipe`; `make help` lists what there is.
#
#   make detect VIDEO=flight01.mp4 [CONFIG=flight.yaml] [SET="detector.threshold=0.6 crops.stride=5"]

WORKSPACE ?= runs
VIDEO     ?=
CONFIG    ?=
SET       ?=
RECIPE    ?= small
REID      ?= auto
GRID      ?= table1
DATA      ?= $(WORKSPACE)/dataset
PROTOCOL  ?=
WEIGHTS   ?=
MINUTES   ?= 60
CARD_DATA ?= data/cards
ROUNDS    ?= 100
SEED      ?= 0
TORCH     ?= cpu
PYTHON    ?= python3
# detectron2 is on no package index; this commit is known to work with the torch of constraints.txt.
DETECTRON2_SRC ?= git+https://github.com/facebookresearch/detectron2.git@02b5c4e295e990042a714712c21dc79b731e8833
VENV      ?= .venv

# Names as they were typed: a `$` in them is no variable of make's.
override VIDEO     := $(value VIDEO)
override CONFIG    := $(value CONFIG)
override SET       := $(value SET)
override WORKSPACE := $(value WORKSPACE)

define NEWLINE


endef
HASH    := \#
SPECIAL := ' " $$ $(HASH) % & ( ) * ; < > ? [ ] \ ` { } | ~ ! : = ,
# Not empty if make or a shell would read more into the name $1 than a name.
awkward = $(strip $(word 2,x$1x) $(foreach each,$(SPECIAL),$(findstring $(each),$1)))
# $1 as one word for the shell.
quote   = $(if $(call awkward,$1),'$(subst ','\'',$1)',$1)
ifneq ($(findstring $(NEWLINE),$(VIDEO)$(CONFIG)$(SET)$(WORKSPACE)),)
  $(error a name with a line break: rename the file, or call uavpipe itself)
endif

UAVPIPE  := $(VENV)/bin/uavpipe
# Runs a command without a network, and counts its attempts to reach another machine.
COUNT    := $(VENV)/bin/python -m tests.network.count
READY    := $(VENV)/.ready
# A name that cannot be a target of make has none: then uavpipe alone decides what is up to date.
PLAIN    := $(if $(call awkward,$(VIDEO)$(CONFIG)$(WORKSPACE)),,yes)
FLIGHT   := $(if $(PLAIN),$(WORKSPACE)/$(basename $(notdir $(VIDEO))),$(VENV)/.no-target)
FOOTAGE  := $(if $(PLAIN),$(wildcard $(VIDEO)))
SETTING   = $(foreach each,$(SET),--set $(call quote,$(each)))
# Without VIDEO the configuration names the videos, and the workspace with them.
ARGUMENTS = $(if $(VIDEO),$(call quote,$(VIDEO)) --workspace $(call quote,$(WORKSPACE))) $(if $(CONFIG),--config $(call quote,$(CONFIG))) $(SETTING)
ALL       = $(if $(CONFIG),--config $(call quote,$(CONFIG)),--workspace $(call quote,$(WORKSPACE))) $(SETTING)
NAME      = $(basename $(notdir $(RECIPE)))
# `auto` takes the recipe `drone` where `make train REID=source` has left a network here, else `finetune`.
SOURCE    = $(wildcard $(WORKSPACE)/reid/source/last.safetensors runs/reid/source/last.safetensors)
REID_NAME = $(if $(filter auto,$(REID)),$(if $(SOURCE),drone,finetune),$(basename $(notdir $(REID))))
REID_RUN  = $(WORKSPACE)/reid/$(REID_NAME)
RANKED    = $(if $(PROTOCOL),--protocol $(PROTOCOL))
STILLS   := $(patsubst %,data/%/annotations.json,stills flight-stills validation)
# `auto` takes the newest of them, so that a new one is a reason to detect again.
DETECTORS := $(wildcard weights/*.safetensors)
SETTINGS := $(if $(PLAIN),$(CONFIG)) $(if $(SET),always)

.PHONY: help setup video-given run frames detect crops tracks label dataset overlay train evaluate report table1 train-detector detectron2 openvino image demo test gpu cards fuzz faults lint doctor docs clean always
.DEFAULT_GOAL := help

help: ## Show this text
	@printf 'uavpipe: from drone video to person crops and identities\n\n'
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22
	@printf '\n  VIDEO=flight01.mp4  CONFIG=flight.yaml  WORKSPACE=$(WORKSPACE)  SET="detector.threshold=0.6"\n'
	@printf '  train, evaluate: DATA=$(DATA)  REID=$(REID)  PROTOCOL=…  WEIGHTS=…\n'
	@printf '    REID=auto: drone where REID=source has left a network, else finetune, from the bundled one\n'
	@printf '  table1: GRID=$(GRID)  train-detector: RECIPE=$(RECIPE)\n'
	@printf '  detectron2: DETECTRON2_SRC=a local copy  image: TORCH=$(TORCH)  cards: CARD_DATA=$(CARD_DATA)\n'
	@printf '  fuzz: MINUTES=$(MINUTES)  faults: ROUNDS=$(ROUNDS) SEED=$(SEED)\n'

setup: $(READY) ## Install everything into .venv (the other targets do it when needed)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo 'Installing uavpipe and the packages it needs into $(VENV): 3 GB to download, mostly PyTorch with CUDA; 7 GB on disk.'
	@echo 'The first time this takes about 15 minutes at 50 Mbit/s. Nothing is printed until it is done.'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

video-given:
	@$(if $(VIDEO)$(CONFIG),true,false) || { echo 'name a video: make $(MAKECMDGOALS) VIDEO=flight01.mp4' >&2; exit 2; }

run: $(READY) video-given ## Run the chain on the flights of CONFIG or VIDEO; stop when labels are needed, then resume
	$(UAVPIPE) run $(ARGUMENTS)

frames: $(FLIGHT)/frames/manifest.json ## List the frames of a video and its damage
detect: $(FLIGHT)/detections/manifest.json ## Detect the persons in every frame
crops: $(FLIGHT)/crops/manifest.json ## Cut the detected persons out of the frames
tracks: $(FLIGHT)/tracks/manifest.json ## Link detections of one person into tracklets
label: $(READY) ## Label the identities in the browser
	$(UAVPIPE) label --workspace $(call quote,$(WORKSPACE))
dataset: $(READY) ## Make a re-ID data set of the labelled crops
	$(UAVPIPE) dataset $(ALL)
overlay: $(FLIGHT)/overlay/manifest.json ## Draw the detections on the video

$(FLIGHT)/frames/manifest.json: $(FOOTAGE) $(SETTINGS) | $(READY) video-given
	$(UAVPIPE) frames $(ARGUMENTS)
	@touch -c $@

# Detection reads the video once for itself and for the table of frames.
$(FLIGHT)/detections/manifest.json: $(FOOTAGE) $(DETECTORS) $(SETTINGS) | $(READY) video-given
	$(UAVPIPE) detect $(ARGUMENTS)
	@touch -c $@

$(FLIGHT)/crops/manifest.json: $(FLIGHT)/detections/manifest.json $(SETTINGS)
	$(UAVPIPE) crops $(ARGUMENTS)
	@touch -c $@

# The camera's motion and the persons' descriptors come from the same pass over the video as the crops.
$(FLIGHT)/tracks/manifest.json: $(FOOTAGE) $(DETECTORS) $(SETTINGS) | $(READY) video-given
	$(UAVPIPE) tracks $(ARGUMENTS)
	@touch -c $@

$(FLIGHT)/overlay/manifest.json: $(FLIGHT)/detections/manifest.json $(SETTINGS)
	$(UAVPIPE) overlay $(ARGUMENTS)
	@touch -c $@

train: $(READY) ## Train a re-ID network on the data set
	$(UAVPIPE) reid train --config $(call quote,$(REID)) --data $(call quote,$(DATA)) --out $(call quote,$(REID_RUN)) $(RANKED) $(SETTING)

evaluate: $(READY) ## Measure CMC and mAP of the re-ID network
	$(UAVPIPE) reid evaluate --weights $(call quote,$(or $(WEIGHTS),$(REID_RUN)/last.safetensors)) --data $(call quote,$(DATA)) $(RANKED) --out $(call quote,$(REID_RUN)/test)

report: $(READY) ## Write what was found as a page
	$(UAVPIPE) report $(ALL)

table1: $(READY) ## Fill the paper's Table 1 on your data; resume an interrupted grid
	$(UAVPIPE) reid table1 --config $(call quote,$(GRID)) --out $(call quote,$(WORKSPACE)/table1) $(SETTING)

train-detector: $(READY) $(if $(findstring small,$(RECIPE)),$(STILLS)) ## Train a person detector; `auto` finds the result
	$(UAVPIPE) detector train --config $(call quote,$(RECIPE)) --out $(call quote,$(WORKSPACE)/detector/$(NAME)) --weights weights/$(NAME).safetensors $(SETTING)

data/stills/annotations.json: | $(READY)
	$(UAVPIPE) simulate-stills data/stills --count 4500 --seed 101

data/flight-stills/annotations.json: | $(READY)
	$(UAVPIPE) simulate-stills data/flight-stills --flights --count 600 --seed 103

data/validation/annotations.json: | $(READY)
	$(UAVPIPE) simulate-stills data/validation --flights --count 100 --seed 102

detectron2: $(READY) ## Build detectron2, for detector.backend: detectron2
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'setuptools<82' wheel
	$(VENV)/bin/python -m pip install --disable-pip-version-check --no-build-isolation -c constraints.txt \
		'$(or $(abspath $(wildcard $(DETECTRON2_SRC))),$(DETECTRON2_SRC))'

openvino: $(READY) ## Install OpenVINO, for detector.backend: openvino (faster on a CPU)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[openvino]'

image: ## Build a container image of uavpipe; for GPUs with TORCH=cu130
	docker build -t uavpipe --build-arg TORCH=$(TORCH) .

demo: $(READY) ## Simulate two flights over the same people and run the whole chain on them
	$(COUNT) $(UAVPIPE) demo

test: $(READY) $(VENV)/.browser ## Run the tests
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile $(TESTS)

# The labelling app's pages are tested in a Chromium: the system's, or one of our own. Without, those tests are skipped.
$(VENV)/.browser: $(READY)
	@if which chromium chromium-browser google-chrome | grep -q . || $(VENV)/bin/python -m playwright install --only-shell chromium >/dev/null 2>&1; then touch $@; fi

gpu: $(READY) ## Check and measure this machine's GPU, in 8 minutes at most; figures for docs/benchmarks.md
	@$(VENV)/bin/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "no usable NVIDIA GPU here; uavpipe doctor says why")'
	$(VENV)/bin/python -m pytest tests/gpu tests/detector/models/test_faster_rcnn.py
	$(VENV)/bin/python benchmarks/gpu.py
	$(VENV)/bin/python benchmarks/detect_stage.py --rounds 1

cards: $(READY) ## Measure the tables of the model cards again, on the data in CARD_DATA
	$(VENV)/bin/python -m benchmarks.cards $(call quote,$(CARD_DATA))

fuzz: $(READY) ## Damage the files of every reader for MINUTES minutes; none may end in a traceback
	UAVPIPE_FUZZ_MINUTES=$(MINUTES) $(VENV)/bin/python -m pytest tests/fuzz -k damage

faults: $(READY) ## Kill, damage, fill the disk ROUNDS times; let each write, fsync, rename fail; a rerun must recover
	$(VENV)/bin/python -m tests.faults.harness --rounds $(ROUNDS) --seed $(SEED)
	$(VENV)/bin/python -m tests.faults.every

lint: $(READY) ## Check style, types and imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(READY) ## Build the documentation as a site, site/index.html
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

doctor: $(READY) ## Check the environment and suggest fixes
	$(UAVPIPE) doctor

clean: ## Remove the environment and the demo, never a workspace
	rm -rf $(VENV) demo
