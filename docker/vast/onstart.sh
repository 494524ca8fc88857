#!/usr/bin/env bash
# Start, or go on with, a training on a rented machine. It may run any number of times.
#
#   onstart.sh                in the background; its output goes to a log beside the run
#   onstart.sh --foreground   in its place: for `docker run`, which ends with the training
#
# Hosts such as vast.ai run it at every start of an instance, in place of the image's entrypoint.
# From the environment:
#   PUFFERLIB_TRAIN      what to train: an environment, and flags, as for `puffer train`
#   PUFFERLIB_RUN        its folder (default /workspace/runs/main): kept there, resumed from there
#   PROVISIONING_SCRIPT  a file or an https address, run once before anything else
#   WANDB_API_KEY        is read by wandb itself, never written anywhere
set -euo pipefail

# shellcheck source=docker/prepare.sh
. /usr/local/bin/prepare.sh
cd /workspace
run=${PUFFERLIB_RUN:-/workspace/runs/main}
folder=$(dirname "$run")
log=$folder/$(basename "$run").log
mkdir -p "$folder"
puffer doctor --brief || true

# One at a time: a second start finds the lock taken and leaves the training to the first. The lock
# goes with the training process, however that ends.
exec 9>"$folder/.$(basename "$run").lock"
if ! flock --nonblock 9; then
  echo "puffer: $run is being trained already"
  exit 0
fi

if [ -n "${PROVISIONING_SCRIPT:-}" ] && [ ! -e "$folder/.provisioned" ]; then
  # Without the lock: what it leaves running would hold it.
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
mapfile -t arguments < <(xargs -n 1 printf '%s\n' <<< "$PUFFERLIB_TRAIN") # quotes count, as in a shell
if [ -e "$run/config.json" ]; then # it is written once there is a checkpoint
  arguments+=(--resume "$run")
else
  arguments+=(--run "$run")
fi
if [ "${1:-}" = --foreground ]; then
  exec puffer train "${arguments[@]}"
fi
nohup puffer train "${arguments[@]}" >> "$log" 2>&1 &
echo "puffer: training $run, process $!, log $log"
