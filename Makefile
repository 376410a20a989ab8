# What to do with a checkout: `make` lists the targets, each with its line below.
.DEFAULT_GOAL := help
.PHONY: help bootstrap dispatch test lint fmt bench lock clean
MAKEFLAGS += --no-builtin-rules

# The words of a dispatch: variables of the command line with a lower-case name (`workers=4`; the others stay settings
# of the environment) and, after `dispatch`, goals that are no target (`skip-unchanged`). Each one is quoted for the
# shell as it was typed: $(value) keeps make from expanding a $ in it, unexport from putting it into the environment;
# only a line break becomes a space, since a recipe is a line.
define newline


endef
lower := a% b% c% d% e% f% g% h% i% j% k% l% m% n% o% p% q% r% s% t% u% v% w% x% y% z%
named := $(sort $(filter $(lower),$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))))
unexport $(named)
flags := $(if $(filter dispatch,$(firstword $(MAKECMDGOALS))),$(wordlist 2,99,$(MAKECMDGOALS)))
quote = '$(subst $(newline), ,$(subst ','\'',$(1)))'
words = $(foreach name,$(named),$(call quote,$(name)=$(value $(name)))) $(foreach flag,$(flags),$(call quote,$(flag)))

ifeq ($(flags),)
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo '  make dispatch plan=latest workers=4 notes="second try" skip-unchanged dry-run   words go on to the dispatch'
	@[ ! -x .venv/bin/trailblazer ] || scripts/bootstrap.sh path

bootstrap: ## make or mend .venv from the hashed lock
	@scripts/bootstrap.sh
	@scripts/bootstrap.sh path

test: ## run every test in two processes; k=NAME runs the tests of that name
	@scripts/bootstrap.sh
	@scripts/test.sh $(if $(value k),$(call quote,$(value k))) $(args)

lint: ## look for mistakes: ruff, mypy, shellcheck, shfmt, just
	@scripts/bootstrap.sh
	@.venv/bin/python -m pytest -q tests/repo/test_linters.py

fmt: ## put Python, shell and the justfile into their one form
	@scripts/bootstrap.sh
	@scripts/fmt.sh

bench: ## measure what design and README promise; prints tables
	@scripts/bootstrap.sh
	@scripts/bench.sh $(args)

lock: ## write the hashed locks anew from pyproject.toml; needs uv
	@scripts/lock.sh

clean: ## remove .venv and caches; var/ (runs, vectors, records) stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find helpers tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'var/ is still there: it holds the runs, the database and the records of all dispatches.'
else
$(flags):
	@:
endif

dispatch: ## make .venv, the sample, chunks and a plan where there are none, then dispatch
	@scripts/bootstrap.sh
	@scripts/first_dispatch.sh $(words)
