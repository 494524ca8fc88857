#!/usr/bin/env bash
# Start, or go on with, a training on a rented machine. It may run any number of times.
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
run=${PUFFERLIB_RUN:-/workspace/runs/main}
folder=$(dirname "$run")
mkdir -p "$folder"
cd /workspace
puffer doctor --brief || true

# One at a time: a second start finds the lock taken and leaves the training to the first. The lock
# goes with the training process, however that ends.
exec 9>"$folder/.$(basename "$run").lock"
if ! flock --nonblock 9; then
  echo "puffer: $run is being trained already"
  exit 0
fi

if [ -n "${PROVISIONING_SCRIPT:-}" ] && [ ! -e "$folder/.provisioned" ]; then
  case $PROVISIONING_SCRIPT in
    https://*) python -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' "$PROVISIONING_SCRIPT" | bash ;;
    *) bash "$PROVISIONING_SCRIPT" ;;
  esac
  touch "$folder/.provisioned"
fi

if [ -z "${PUFFERLIB_TRAIN:-}" ]; then
  echo "puffer: PUFFERLIB_TRAIN is not set; nothing to train"
  exit 0
fi
read -r -a words <<< "$PUFFERLIB_TRAIN"
if [ -e "$run/checkpoint.pt" ]; then
  arguments=("${words[@]}" --resume "$run")
else
  # Without a checkpoint nothing was learned yet: what an interrupted start left makes room.
  rm -rf "$run"
  arguments=("${words[@]}" --run "$run")
fi
nohup puffer train "${arguments[@]}" >> "$folder/$(basename "$run").log" 2>&1 9>&9 &
echo "puffer: training $run, process $!, log $folder/$(basename "$run").log"
