#!/usr/bin/env bash
# Prepare, say what is wrong, then become the command. What is wrong never fails the start.
set -euo pipefail

# shellcheck source=docker/prepare.sh
. /usr/local/bin/prepare.sh
if command -v puffer >/dev/null && [ -z "${PUFFERLIB_QUIET:-}" ] && [ -w "$HOME" ]; then
  puffer doctor --brief >&2 || true
fi
exec "$@"
