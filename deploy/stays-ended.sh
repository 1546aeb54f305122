#!/bin/sh
# Runs a worker and turns its exit 3 into 0: a stop limit or a gap ended it on purpose, and an engine that starts
# again whatever fails (`restart: on-failure`) must leave it so. Everything else, a crash above all, stays a failure.
"$@" &
worker=$!
# Without this the engine's SIGTERM would end this shell, and the worker with SIGKILL ten seconds later.
trap 'kill -TERM "$worker"' TERM INT
wait "$worker"
status=$?
# A signal ends the waiting, not the worker.
while kill -0 "$worker" 2>/dev/null; do
	wait "$worker"
	status=$?
done
[ "$status" -ne 3 ] || status=0
exit "$status"
