# shellcheck shell=bash
# Prepare a container for its first command. Source this file; it may run any number of times.
#
# The entrypoint sources it, and so does onstart.sh, because rented hosts replace the entrypoint.

# With --user, or on a read-only root, the home directory may be missing or not writable. Several
# libraries keep caches in it, so it is moved to a writable place.
if [ ! -w "${HOME:-/}" ] || [ "${HOME:-/}" = / ]; then
  HOME=${TMPDIR:-/tmp}/home-$(id -u)
  (umask 077 && mkdir -p "$HOME") 2>/dev/null || echo "puffer: no writable home; mount a tmpfs on /tmp" >&2
  export HOME
fi

# A login over SSH starts with an empty environment: save this one for it, without secrets.
if [ "$(id -u)" = 0 ] && [ -w /etc/environment ]; then
  kept=$(grep -vE '^(PATH|LANG|VIRTUAL_ENV|SDL_VIDEODRIVER|MUJOCO_GL|PUFFERLIB_[A-Z_]*|NVIDIA_[A-Z_]*)=' /etc/environment || true)
  {
    [ -z "$kept" ] || printf '%s\n' "$kept"
    env | grep -E '^(PATH|LANG|VIRTUAL_ENV|SDL_VIDEODRIVER|MUJOCO_GL|PUFFERLIB_[A-Z_]*|NVIDIA_[A-Z_]*)=' | sort
  } > "/etc/environment.$$" && cat "/etc/environment.$$" > /etc/environment && rm "/etc/environment.$$"
fi
