# shellcheck shell=sh
# A login shell starts with the system's PATH: add the virtual environment to it again.
export PATH="/home/puffer/venv/bin:$PATH"
