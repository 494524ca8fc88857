# shellcheck shell=bash
# What a container needs before the first command. Source it; it may run any number of times.
#
# The entrypoint does, and so does onstart.sh, because rented hosts replace the entrypoint.

# With --user, or on a read-only root, home may not be there or not be writable. Several libraries
# keep caches in it, so it is given a place of its own.
if [ ! -w "${HOME:-/}" ] || [ "${HOME:-/}" = / ]; then
  HOME=${TMPDIR:-/tmp}/home-$(id -u)
  (umask 077 && mkdir -p "$HOME") 2>/dev/null || echo "puffer: no writable home; mount a tmpfs on /tmp" >&2
  export HOME
fi

# A login over SSH starts from an empty environment: leave it what this one has. Secrets stay out.
if [ "$(id -u)" = 0 ] && [ -w /etc/environment ]; then
  kept=$(grep -vE '^(PATH|LANG|VIRTUAL_ENV|SDL_VIDEODRIVER|MUJOCO_GL|PUFFERLIB_[A-Z_]*|NVIDIA_[A-Z_]*)=' /etc/environment || true)
  {
    [ -z "$kept" ] || printf '%s\n' "$kept"
    env | grep -E '^(PATH|LANG|VIRTUAL_ENV|SDL_VIDEODRIVER|MUJOCO_GL|PUFFERLIB_[A-Z_]*|NVIDIA_[A-Z_]*)=' | sort
  } > "/etc/environment.$$" && cat "/etc/environment.$$" > /etc/environment && rm "/etc/environment.$$"
fi
