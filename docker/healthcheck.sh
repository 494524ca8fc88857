#!/usr/bin/env bash
# Healthy: the package can be imported, and no training hangs.
#
# A running training writes metrics after every update to a file that it keeps open. If the latest
# are older than PUFFERLIB_HEALTH_S seconds (default 900), it hangs.
set -euo pipefail

python -c 'import pufferlib.vector' || { echo "pufferlib cannot be imported"; exit 1; }

limit_s=${PUFFERLIB_HEALTH_S:-900}
newest=$(find /proc/[0-9]*/fd -lname '*/metrics.jsonl' -exec stat -L -c %Y {} + 2>/dev/null | sort -n | tail -n 1) || true
for process in /proc/[0-9]*; do
  words=$(tr '\0' ' ' 2>/dev/null < "$process/cmdline") || continue
  [[ $words =~ python.*(puffer|pufferlib\.cli)\ train\  ]] || continue
  # A process younger than the limit may not have written metrics yet.
  age_s=$(ps -o etimes= -p "${process#/proc/}" | tr -d ' ') || continue
  [ "$age_s" -ge "$limit_s" ] || continue
  still_s=$age_s # without metrics, the age of the process
  [ -z "$newest" ] || still_s=$(($(date +%s) - newest))
  [ "$still_s" -lt "$limit_s" ] || { echo "no update for ${still_s} s"; exit 1; }
done
echo "healthy"
