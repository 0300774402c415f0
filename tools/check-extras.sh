#!/bin/sh
# Installs every extra into an environment of its own and lets pip check it. TORCH as for `make
# parakeet`. Takes minutes and, for one extra at a time, up to 6 GB.
set -eu
python=${PYTHON:-python3}
extras=$("$python" -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["project"]["optional-dependencies"])')
for extra in ${EXTRAS:-$extras}; do
    place=build/extras/$extra
    rm -rf "$place"
    "$python" -m venv "$place"
    pins=constraints.txt
    case $extra in
        parakeet) pins=constraints-parakeet.txt ;;
    esac
    case $extra in
        parakeet | kokoro-torch) "$place/bin/python" -m pip install -q "${TORCH:-torch==2.13.0}" ;;
    esac
    "$place/bin/python" -m pip install -q --no-compile -c "$pins" ".[$extra]"
    printf '%s: ' "$extra"
    "$place/bin/python" -m pip check
    rm -rf "$place"
done
