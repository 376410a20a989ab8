set minimum-version := "1.59.0"

set default-list
set positional-arguments

# Recipes run in your folder, so that a relative path means what it says. The programs are those of the checkout.
export PATH := justfile_directory() / ".venv/bin:" + justfile_directory() / "scripts:" + env("PATH") + ":/usr/sbin:/sbin"

# Dispatch embedding runs from a plan: plan=latest workers=4 notes="second try" skip-unchanged
[group("embed")]
[no-cd]
dispatch *words:
    @embed_dispatch.sh "$@"

# Check every run, or the runs of a plan, at no cost, and write a bundle that can be dispatched
[group("embed")]
[no-cd]
preflight *words:
    @trailblazer embed plan-preflight "$@"

# Chunk and embed every run that waits: just run runs='2026-*' limit=10 dry-run
[group("embed")]
[no-cd]
run *words:
    @trailblazer run "$@"

# Find the chunks that answer a question: just ask "how do I …"
[group("embed")]
[no-cd]
ask *words:
    @trailblazer ask "$@"

# Turn md, txt, rst and html files into runs: just normalize PATH --run RID
[group("text")]
[no-cd]
normalize *words:
    @trailblazer normalize "$@"

# Cut the documents of runs into chunks under the token cap
[group("text")]
[no-cd]
chunk *words:
    @trailblazer chunk "$@"

# Show a dispatch while it runs: a live screen on a terminal, plain lines elsewhere
[group("watch")]
[no-cd]
monitor *words:
    @monitor_embedding.sh "$@"

# Print the state of a dispatch as JSON: just status [TS]
[group("watch")]
[no-cd]
status dispatch="latest":
    @trailblazer dispatch --status "$1"

# Say which agents can work now, and why not: just providers check claude
[group("watch")]
[no-cd]
providers *words:
    @trailblazer providers "$@"

# Show the table of runs: just runs list status=failed, just runs status
[group("watch")]
[no-cd]
runs *words:
    @trailblazer runs "$@"

# Make runs wait again: just reset scope=embeddings runs='2026-*' dry-run
[group("embed")]
[no-cd]
reset *words:
    @trailblazer runs reset "$@"

# Prove that the folder of a dispatch is unchanged: just verify [TS]
[group("watch")]
[no-cd]
verify *words:
    @trailblazer verify "$@"

# Manage the database: start, stop, status, doctor, migrate, url
[group("watch")]
[no-cd]
db *words:
    @trailblazer db "$@"

# Take issues from the tracker, and give each to an agent: just nightly dry-run max-dispatch=3
[group("issues")]
[no-cd]
nightly *words:
    @nightly_dispatch.sh "$@"

# Give the cases of a scenario to agents, and score their answers: just calibrate scenario=ptp-mock provider=claude
[group("signals")]
[no-cd]
calibrate *words:
    @trailblazer calibrate "$@"

# The whole shipped calibration, answered by the stub in batches of 4: just calibrate-batch cost-report
[group("signals")]
[no-cd]
calibrate-batch *words:
    @trailblazer calibrate scenario=ptp-mock adapter=stub dispatch=batch-file parallel=4 batch-size=4 "$@"

# The side of an agent that works through files: just signals next wait=60
[group("signals")]
[no-cd]
signals *words:
    @trailblazer signals "$@"

# Show the lines of config/crontab as they would be installed, and how each job ended last
[group("cron")]
[no-cd]
cron-show *words:
    @trailblazer cron show "$@"

# Check the lines of config/crontab and put them into this user's crontab: just cron-install dry-run
[group("cron")]
[no-cd]
cron-install *words:
    @trailblazer cron install "$@"

# Take the lines of this project out of this user's crontab
[group("cron")]
[no-cd]
cron-remove *words:
    @trailblazer cron remove "$@"

# Install what Tab completes in bash and zsh, and `man trailblazer`: just completions dry-run
[group("develop")]
[no-cd]
completions *words:
    @trailblazer completions install "$@"

# Run every test in four processes, or those of one name: just test NAME
[group("develop")]
test *words:
    @scripts/bootstrap.sh && scripts/test.sh "$@"

# Run the tests that repeat until chance has had its say, or type a whole session
[group("develop")]
proofs *words:
    @scripts/bootstrap.sh && scripts/test.sh -n 4 -m proof "$@"

# Kill, freeze, fill and double everything, and count what is lost: just chaos minutes=20 seed=5
[group("develop")]
chaos *words:
    @scripts/bootstrap.sh && PYTHONPATH=tests python -m chaos "$@"

# Check the code: ruff, mypy, shellcheck, shfmt, just
[group("develop")]
lint:
    @scripts/bootstrap.sh && python -m pytest -q tests/repo/test_linters.py

# Format Python, shell scripts and this file
[group("develop")]
fmt:
    @scripts/bootstrap.sh && scripts/fmt.sh

# Draw the pictures of the README anew; needs scripts/bootstrap.sh browser
[group("develop")]
pictures:
    @scripts/bootstrap.sh && PYTHONPATH=tests python -m reports.pictures

# Measure what docs/numbers.md promises: just bench [NAME]
[group("develop")]
bench *words:
    @scripts/bootstrap.sh && scripts/bench.sh "$@"
