#!/bin/sh
# Fuzzes the frame's C for as long as you like: tests/fuzz.sh [MINUTES], 10 for each of the two targets by default.
# What it learns stays in build/fuzz, so that the next run goes on from there. An input that breaks something lies there
# too; move it to tests/vectors/fuzz/TARGET with the fix, and every check runs it from then on.
set -eu
cd "$(dirname "$0")/.."
python=${VIRTUAL_ENV:-.venv}/bin/python
exec "$python" -m tests.support.fuzzers build/fuzz $((${1:-10} * 60))
