#!/usr/bin/env bash
# The tests with every Python and JAX that setup.py claims; prints a table of what passed.
#
#   experiments/matrix.sh                      # all tests; about as long as five times .ci/run
#   experiments/matrix.sh tests/config -x      # arguments go to pytest
#
# Needs uv and Python 3.11, 3.12 and 3.13. MATRIX is the folder of the environments and logs.
# The entry `lowest` has the lower ends of setup.py, `locked` the versions of requirements.lock.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
folder=$(realpath -m "${MATRIX:-.venv-matrix}")
entries=("3.11 lowest" "3.11 locked" "3.12 jax==0.11.2" "3.12 locked" "3.13 locked")
mkdir -p "$folder"
worst=0
echo "| Python | versions | jax | numpy | tests | minutes |"
echo "| --- | --- | --- | --- | --- | --- |"

# install VERSIONS: into the environment that VIRTUAL_ENV names.
install() {
    case $1 in
        lowest) uv pip install -q -e '.[test]' --resolution lowest-direct ;;
        locked) uv pip install -q -e '.[test]' --constraints requirements.lock ;;
        *) uv pip install -q -e '.[test]' "$1" "${1/jax/jaxlib}" ;;
    esac
}

version() {
    "$VIRTUAL_ENV/bin/python" -c "import importlib.metadata as m; print(m.version('$1'))"
}

for entry in "${entries[@]}"; do
    read -r python versions <<<"$entry"
    export VIRTUAL_ENV="$folder/$python-$versions"
    log="$folder/$python-$versions.log"
    echo "Python $python, $versions: $log" >&2
    uv venv -q --clear --python "$python" "$VIRTUAL_ENV" && install "$versions" || exit 1
    start=$SECONDS
    "$VIRTUAL_ENV/bin/python" -m pytest -q -n 2 --dist loadfile -p no:cacheprovider "$@" >"$log" 2>&1
    code=$?
    ((code > worst)) && worst=$code
    result=$(grep -E '(passed|failed|error).* in [0-9]' "$log" | tail -1 | sed 's/ in [0-9].*//; s/=* *//')
    echo "| $python | $versions | $(version jax) | $(version numpy) | ${result:-none, exit code $code} |" \
        "$(((SECONDS - start + 30) / 60)) |"
done
exit "$worst"
