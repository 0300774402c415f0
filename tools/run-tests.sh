#!/bin/sh
# Every test, as two runs beside each other. Conversations, calls and pages live in real time and mostly
# wait; what only computes takes the time they leave, at a lower priority, so that it delays nobody.
set -u
cd "$(dirname "$0")/.."

computing="tests/core tests/scenarios tests/models"
log=build/computing-tests.log
mkdir -p build

# shellcheck disable=SC2086 # several folders
nice -n 10 .venv/bin/python -m pytest --durations=5 $computing >"$log" 2>&1 &
computed=$!
trap 'kill $computed 2>/dev/null' EXIT INT TERM

ignored=""
for folder in $computing; do ignored="$ignored --ignore=$folder"; done
# shellcheck disable=SC2086
.venv/bin/python -m pytest --durations=5 $ignored
real_time=$?

wait $computed
computing=$?
trap - EXIT
echo "the tests that only compute:"
cat "$log"
[ $real_time = 0 ] && [ $computing = 0 ]
