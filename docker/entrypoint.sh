#!/usr/bin/env bash
# Prepare, report problems, then run the command. Problems never prevent the start.
set -euo pipefail

# shellcheck source=docker/prepare.sh
. /usr/local/bin/prepare.sh
if command -v puffer >/dev/null && [ -z "${PUFFERLIB_QUIET:-}" ] && [ -w "$HOME" ]; then
  puffer doctor --brief >&2 || true
fi
exec "$@"
