# The README's lines install uv and just into .tools; the rest lives in .venv.

export PATH := justfile_directory() / ".tools/bin" + ":" + justfile_directory() / ".venv/bin" + ":" + env("PATH")
# Uses the host's own certificates, as pip does: there may be a proxy.
export UV_SYSTEM_CERTS := "1"
# DuckDB, pyarrow and polars together are 150 MB: a slow line needs more than 30 s.
export UV_HTTP_TIMEOUT := "300"

_list:
    @just --list --unsorted

# Install the program alone into .venv
install:
    @test -x .venv/bin/python || uv venv --quiet --python ">=3.11" .venv
    @uv pip install --quiet --python .venv/bin/python --editable .

# Install the program and what its tests need; Debian packages too, as root
setup: _packages
    @test -x .venv/bin/python || uv venv --quiet --python ">=3.11" .venv
    @uv pip install --quiet --python .venv/bin/python --editable . --group dev

_packages:
    @.ci/setup

# The main job on a shipped recording of a live stack, without privileges
demo *ARGS: install
    @stackledger demo {{ ARGS }}

# The whole suite: what needs no root first, then bpftrace and real servers
test *ARGS: setup
    pytest -n auto --dist worksteal -m "not live and not kernels" {{ ARGS }}
    pytest -m live {{ ARGS }}

# Only what needs no root
unit *ARGS: setup
    pytest -n auto --dist worksteal -m "not live and not kernels" {{ ARGS }}

# Only what needs root, bpftrace and real servers
live *ARGS: setup
    pytest -m live {{ ARGS }}

# Every signal with another bpftrace and on another kernel; writes docs/compatibility.md
test-kernels *ARGS: setup
    #!/usr/bin/env bash
    set -euo pipefail
    .ci/setup-kernels
    results=$(mktemp -d)
    trap 'rm -rf "$results"' EXIT
    failed=0
    STACKLEDGER_KERNELS_RESULTS=$results pytest -m kernels {{ ARGS }} || failed=$?
    python tests/kernels/compatibility.py "$results" || [[ ${STACKLEDGER_KERNELS:-} != required ]]
    exit $failed

# Format, lint, types, import contracts
lint: setup
    ruff format --check .
    ruff check .
    mypy
    lint-imports --no-cache

# Rewrite what the formatter would
format: setup
    ruff format .
    ruff check --fix .

# Write the expected --help texts anew; read the difference before you commit it
snapshots: setup
    STACKLEDGER_SNAPSHOTS=write pytest -q tests/cli/test_help.py

# Millions of hostile inputs for every parser, guided by coverage, within limits
fuzz *ARGS: setup
    @uv pip install --quiet --python .venv/bin/python --group fuzz
    nice -n 19 python tests/fuzz/run.py {{ ARGS }}

# Compare with what a user would use instead: bench/NAME.py
bench NAME *ARGS: setup
    python bench/{{ NAME }}.py {{ ARGS }}

# Every lab, one after the other: real servers and real faults, some ten minutes, as root
labs *ARGS: setup
    #!/usr/bin/env bash
    failed=0
    for name in $(stackledger lab --format csv | tail -n +2 | cut -d, -f1); do
      stackledger lab "$name" {{ ARGS }} </dev/null || failed=$?
    done
    exit $failed

# Record this host for ten seconds and write the page
report FILE="report.html": install
    stackledger report "$(stackledger capture --for 10s)" -o {{ FILE }}
