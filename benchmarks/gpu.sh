#!/usr/bin/env bash
# Test and measure on one NVIDIA GPU, in at most eight minutes, without a network:
#
#     benchmarks/gpu.sh [--cpu] [--out FOLDER] [--page docs/benchmarks.md]
#
# Runs the tests that need a GPU, checks and times `unflatten`, trains NetHack and Breakout in
# float32, bfloat16, compiled and by CUDA graphs while nvidia-smi samples the utilization, and
# profiles an update. Then it writes the tables between the markers of the page. A step that fails
# or takes too long is reported, and the next ones run; the status is 1 if any failed. The output of
# each step is shown when it ends, and written to OUT/STEP.log until then.
#
# Needs what `make install ENV="nethack atari test bench"` installs, with the CUDA build of torch;
# nvidia-smi, and gcc for compilation. PYTHON names the interpreter (default .venv/bin/python).
#   --cpu   go the same way on the CPU, with CartPole and tiny sizes: a test of this script
#   --out   folder for the record, logs and the profile's timeline (default build/gpu)
#   --page  the page to write (default docs/benchmarks.md, with --cpu none). The tables of this run
#           are added to docs/records/benchmarks.json; those of another page are of this run only
# Paths are relative to the folder in which the script is called.
set -uo pipefail
from=$PWD
cd "$(dirname "$0")/.." || exit 2

usage() {
  echo "usage: benchmarks/gpu.sh [--cpu] [--out FOLDER] [--page FILE]" >&2
  exit 2
}

# absolute PATH: print it, relative to the caller's folder.
absolute() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$from/$1" ;;
  esac
}

device=cuda out=$PWD/build/gpu page=
while [ $# -gt 0 ]; do
  case $1 in
    --cpu) device=cpu ;;
    --out) [ $# -ge 2 ] || usage; out=$(absolute "$2"); shift ;;
    --page) [ $# -ge 2 ] || usage; page=$(absolute "$2"); shift ;;
    *) usage ;;
  esac
  shift
done

fail() {
  echo "gpu.sh: $1" >&2
  exit 2
}

if [ -z "$page" ] && [ "$device" = cuda ]; then
  page=docs/benchmarks.md
fi
report=(--page "$page" --into "$out/page.json" --replace)
if [ "$page" -ef docs/benchmarks.md ]; then
  [ "$device" = cuda ] || fail "--cpu measures tiny sizes, not for docs/benchmarks.md: name another page."
  report=(--page docs/benchmarks.md)
fi

python=${PYTHON:-}
case $python in
  "")
    python=python3
    [ ! -x .venv/bin/python ] || python=.venv/bin/python
    ;;
  */*) python=$(absolute "$python") ;;
esac
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

modules="torch pytest pytest_timeout"
if [ "$device" = cuda ]; then
  modules+=" nle ale_py cv2 stable_baselines3"
  timeout --signal KILL 5 nvidia-smi > /dev/null 2>&1 || fail "nvidia-smi finds no GPU. Run on a machine with one, or with --cpu."
  command -v gcc > /dev/null || fail "there is no gcc, which compilation needs. Install it."
fi
for module in $modules; do
  "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$module') is None)" ||
    fail "$python has no $module. Run: make install ENV=\"nethack atari test bench\""
done
if [ "$device" = cuda ]; then
  timeout --signal KILL 20 "$python" -c 'import torch, sys; torch.ones(1, device="cuda"); sys.exit(torch.version.cuda is None)' ||
    fail "torch of $python cannot use the GPU. Install the CUDA build of torch."
fi

mkdir -p "$out" || exit 2
record=$out/record.json
rm -f "$record" "$out/page.json"
failed=()

# step NAME LIMIT_S COMMAND...: run it; it is killed 5 s after the limit.
step() {
  local name=$1 limit_s=$2 began=$SECONDS status
  shift 2
  echo "== $name"
  # Not into a pipe: a process that the step leaves behind would keep it open.
  timeout --kill-after 5 "$limit_s" "$@" > "$out/$name.log" 2>&1
  status=$?
  cat "$out/$name.log"
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
    failed+=("$name: not done in $limit_s s")
  elif [ "$status" -ne 0 ]; then
    failed+=("$name: status $status")
  fi
  echo "== $name: $((SECONDS - began)) s"
}

gpu=("$python" benchmarks/gpu.py --device "$device" --record "$record")
options=("$python" benchmarks/options.py --device "$device" --record "$record")
timeout --signal KILL 5 nvidia-smi > "$out/nvidia-smi.txt" 2>&1 || true

# At most 480 s on a GPU: these limits, 420 s, 5 s more for each of the six, and 30 s above.
step tests 80 "$python" benchmarks/gpu_tests.py --device "$device" --record "$record"
step unflatten 30 "${gpu[@]}" unflatten
if [ "$device" = cuda ]; then
  modes=(float32 bfloat16 compile "compile, bfloat16" "CUDA graphs, bfloat16")
  for task in nethack breakout; do
    step "train-$task" 125 "${options[@]}" --only "$task" --rounds 5 --rollouts 2 --limit-s 95 \
      --options "${modes[@]}"
  done
  step profile 50 "${gpu[@]}" profile --only breakout --trace "$out/trace.json"
else
  step train-cartpole 60 "${options[@]}" --only cartpole --rounds 1 --rollouts 1 \
    --options float32 bfloat16
  step profile 60 "${gpu[@]}" profile --only cartpole --horizon 8 --trace "$out/trace.json"
fi
if [ -n "$page" ]; then
  step report 10 "$python" benchmarks/report.py "$record" "${report[@]}"
fi

echo "Record, logs and timeline: $out, after $SECONDS s"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED %s\n' "${failed[@]}"
  exit 1
fi
