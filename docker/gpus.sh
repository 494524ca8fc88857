#!/bin/sh
# Print the flags that give a container this host's GPUs; print nothing if that is impossible.
#   gpus.sh [docker]
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi >/dev/null 2>&1; then
  echo "No NVIDIA GPU here: the container runs on the CPU." >&2
elif ! "${1:-docker}" info --format '{{json .Runtimes}}' 2>/dev/null | grep -q nvidia; then
  echo "There is a GPU, but Docker cannot pass it to containers: install the NVIDIA Container Toolkit, and run: nvidia-ctk runtime configure" >&2
else
  echo "--gpus all"
fi
