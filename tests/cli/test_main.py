"""The door of the command line: the system's errors are one line on stderr, with status 2."""

import os
import subprocess
import sys

import pytest

from pufferlib.cli.main import main

LONG = "a" * 300  # a file's name has at most 255 bytes


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "squared", "--run", LONG],
        ["train", "squared", "--run", f"runs/{LONG}/run"],
        ["train", "squared", "--resume", LONG],
        ["train", f"{LONG}.py:Env"],
        ["train", "squared", "--policy.name", f"{LONG}.py:Net"],
        ["train", "squared", "--algorithm", f"{LONG}.py:Config"],
        ["test", f"{LONG}.py:Env"],
        ["eval", "squared", "--checkpoint", LONG],
        ["eval", "squared", "--video", f"{LONG}.mp4"],
        ["bench", "all", "--table", LONG],
        ["autotune", "squared", "--write", f"{LONG}.toml"],
        ["plot", LONG],
        ["envs", "--gallery", LONG],
        ["install", "nethack", "--constraint", LONG],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_a_name_that_is_too_long_is_one_clear_line(capsys, arguments):
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"puffer {arguments[0]}: ")
    assert LONG in errors
    assert "File name too long" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("folder", ["/sys", "/proc/self"])  # even root may not create files there
def test_a_run_folder_that_is_not_writable_is_one_clear_line(capsys, folder):
    assert main(["train", "squared", "--run", folder]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"puffer train: {folder}/.lock cannot be written: ")
    assert "name another with --run" in errors
    assert errors.count("\n") == 1


def puffer(arguments, stdout):
    """Return the status and the errors of a command, whose output is buffered as by default."""
    result = subprocess.run(
        [sys.executable, "-m", "pufferlib.cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
        check=False,
        env={name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"},
    )
    return result.returncode, result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    ("arguments", "prog"), [(["envs"], "puffer envs"), (["--version"], "puffer")]
)
def test_output_to_a_full_disk_is_one_clear_line(arguments, prog):
    with open("/dev/full", "w") as full:
        assert puffer(arguments, full) == (2, f"{prog}: No space left on device.\n")


@pytest.mark.parametrize("arguments", [["envs"], ["train", "squared", "--help"], ["--version"]])
def test_output_to_a_pipe_that_is_closed_prints_no_traceback(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        status, errors = puffer(arguments, writer)
        assert status in (0, 1)  # argparse ignores a help text that cannot be written
        assert errors == ""
    finally:
        os.close(writer)
