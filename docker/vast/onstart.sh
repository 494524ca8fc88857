#!/usr/bin/env bash
# Start or resume a training on a rented machine. This script may run any number of times.
#
#   onstart.sh                in the background; the output goes to a log next to the run's folder
#   onstart.sh --foreground   in this process: for `docker run`, which ends with the training
#
# Hosts such as vast.ai run it at every start of an instance, in place of the image's entrypoint.
# Environment variables:
#   PUFFERLIB_TRAIN      the arguments of `puffer train`: an environment, and flags
#   PUFFERLIB_RUN        the run's folder (default /workspace/runs/main), resumed if it exists
#   PROVISIONING_SCRIPT  a file or an https address, run once before anything else
#   WANDB_API_KEY        is read by wandb only, and never written anywhere
set -euo pipefail

# shellcheck source=docker/prepare.sh
. /usr/local/bin/prepare.sh
cd /workspace
run=${PUFFERLIB_RUN:-/workspace/runs/main}
folder=$(dirname "$run")
log=$folder/$(basename "$run").log
mkdir -p "$folder"
puffer doctor --brief || true

# Only one training at a time: a second start finds the lock taken and exits. The lock is released
# when the training process ends in any way.
exec 9>"$folder/.$(basename "$run").lock"
if ! flock --nonblock 9; then
  echo "puffer: $run is being trained already"
  exit 0
fi

if [ -n "${PROVISIONING_SCRIPT:-}" ] && [ ! -e "$folder/.provisioned" ]; then
  # Without the lock: processes that the script leaves running would keep it.
  case $PROVISIONING_SCRIPT in
    https://*) python -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' "$PROVISIONING_SCRIPT" | bash 9>&- ;;
    *) bash "$PROVISIONING_SCRIPT" 9>&- ;;
  esac
  touch "$folder/.provisioned"
fi

if [ -z "${PUFFERLIB_TRAIN:-}" ]; then
  echo "puffer: PUFFERLIB_TRAIN is not set; nothing to train"
  exit 0
fi
mapfile -t arguments < <(xargs -n 1 printf '%s\n' <<< "$PUFFERLIB_TRAIN") # respects quotes, like a shell
if [ -e "$run/config.json" ]; then # written together with the first checkpoint
  arguments+=(--resume "$run")
else
  arguments+=(--run "$run")
fi
if [ "${1:-}" = --foreground ]; then
  exec puffer train "${arguments[@]}"
fi
nohup puffer train "${arguments[@]}" >> "$log" 2>&1 &
echo "puffer: training $run, process $!, log $log"
