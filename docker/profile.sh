# shellcheck shell=sh
# A login shell begins with a PATH of the system's own: put the virtual environment back into it.
export PATH="/home/puffer/venv/bin:$PATH"
