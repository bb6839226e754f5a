#!/bin/sh
# Every check of this repository, the same for a contributor and for CI. Arguments go to pytest:
#   tests/check.sh                 everything
#   tests/check.sh -x tests/cli    the static checks, then only these tests
# Uses the active virtual environment, else .venv; CONTRIBUTING.md says how to make it.
set -eu
cd "$(dirname "$0")/.."
python=${VIRTUAL_ENV:-.venv}/bin/python
if [ ! -x "$python" ]; then
    echo "no virtual environment at ${VIRTUAL_ENV:-.venv}: see 'Run the tests' in README.md" >&2
    exit 1
fi

# mypy and ruff see the three folders under their import name, lorgnette, through a link.
mkdir -p .typing
[ -e .typing/lorgnette ] || ln -s .. .typing/lorgnette

say() { printf '\n== %s\n' "$1"; }
say "ruff format" && "$python" -m ruff format --check .
say "ruff check" && "$python" -m ruff check .
say "mypy" && "$python" -m mypy
say "generated messages" && "$python" firmware_bridge/generate.py --check
say "headers and drawings of the boards" && "$python" hardware/boards/generate.py --check
say "vectors and cases of conformance" && "$python" tests/update_conformance.py --check
say "generated parts of README.md" && "$python" tests/update_readme.py --check
# Two at a time, file by file: what a file shares is made once.
say "pytest" && exec "$python" -m pytest -n 2 --dist loadfile "$@"
