# `make` lists the targets, each with the words behind its `##`.
.DEFAULT_GOAL := help
.PHONY: help bootstrap dispatch test proofs chaos lint fmt bench lock clean
MAKEFLAGS += --no-builtin-rules

# The words of a dispatch are the variables of the command line with a lower-case name (`workers=4`) and, after
# `dispatch`, the goals that are not targets (`skip-unchanged`). A name in capitals is a setting and stays in the
# environment. Each word is quoted for the shell as it was typed: $(value) stops make from expanding a $ in it, and
# unexport keeps it out of the environment. A line break becomes a space, because a recipe is one line.
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
	@echo '  make dispatch plan=latest workers=4 notes="second try" skip-unchanged dry-run   with words for the dispatch'
	@[ ! -x .venv/bin/trailblazer ] || scripts/bootstrap.sh path

bootstrap: ## make or repair .venv from the hashed lock
	@scripts/bootstrap.sh
	@scripts/bootstrap.sh path

test: ## run the tests, two minutes of chaos among them; k=NAME runs the tests of that name
	@scripts/bootstrap.sh
	@scripts/test.sh $(if $(value k),$(call quote,$(value k))) $(args)

proofs: ## run the tests that repeat until chance has had its say, or type a whole session
	@scripts/bootstrap.sh
	@scripts/test.sh -n 4 -m proof $(args)

chaos: ## kill, freeze, fill and double everything, and count what is lost: minutes=20 seed=5
	@scripts/bootstrap.sh
	@PYTHONPATH=tests .venv/bin/python -m chaos $(words)

lint: ## check the code: ruff, mypy, shellcheck, shfmt, just
	@scripts/bootstrap.sh
	@.venv/bin/python -m pytest -q tests/repo/test_linters.py

fmt: ## format Python, shell scripts and the justfile
	@scripts/bootstrap.sh
	@scripts/fmt.sh

bench: ## measure what docs/numbers.md promises, and print tables
	@scripts/bootstrap.sh
	@scripts/bench.sh $(args)

lock: ## write the hashed locks from pyproject.toml; needs uv
	@scripts/lock.sh

clean: ## remove .venv and caches; var/ (runs, vectors, records) stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find helpers tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'var/ is still there: it holds the runs, the database and the records of all dispatches.'
else
$(flags):
	@:
endif

dispatch: ## make what is missing (.venv, sample runs, chunks, a plan), then dispatch
	@scripts/bootstrap.sh
	@scripts/first_dispatch.sh $(words)
