"""The commands of the README and the docs: each is one that its program accepts."""

import argparse
import functools
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from documented_commands import PAGES, ROOT, commands, parsed
from reader import Reader
from rich.console import Console

from pufferlib import registry
from pufferlib.cli import train
from pufferlib.cli.main import COMMANDS, main
from pufferlib.config import Config, as_json
from pufferlib.exceptions import PufferError
from pufferlib.installation import plan
from pufferlib.runs import Run
from pufferlib.runs.policy import check_policy
from pufferlib.sweep.sweep import Sweep

NAMES = {"toy_text": "atari", "a2c": "vtrace", "<family>": "atari", "_<what>": "_native"}
NAMED = {(name,) for name in COMMANDS}
OUTSIDE = {"corridor.toml", "corridor-8.toml"}  # of a separate package
MAKEFILE = (ROOT / "Makefile").read_text()
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")  # set by make for its commands
CLEANRL = ("cleanrl/ppo.py", "ppo.py")  # scripts that are not ours
FOLDERS = "benchmarks|docker|docs|examples|pufferlib|tests|tools"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*-]*")


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_are_accepted(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in COMMANDS:
        monkeypatch.setattr(f"pufferlib.cli.{name}.run", arguments_check(name))
    reader = Reader(page, tmp_path, lambda folder, env: write(folder, Run.configure(env).config))
    for command in commands(page):
        if command.words[0] in CHECKS and not is_name(command):
            place = f"{page}, line {command.line}: {shlex.join(command.words)}"
            check(command, reader, place, capsys)


def is_name(command):
    """Whether a sentence names a command of `puffer`, without arguments."""
    return command.kind == "span" and command.words[0] == "puffer" and command.words[1:] in NAMED


def check(command, reader, place, capsys):
    """Fail unless a program accepts a command; one of a sentence may lack an argument."""
    try:
        CHECKS[command.words[0]](reader.words_of(command))
    except (AssertionError, PufferError, SystemExit) as error:
        printed = capsys.readouterr().err
        words, is_span = command.words, command.kind == "span"
        if is_span and "expected one argument" in printed and words[-1].startswith("-"):
            whole = (*words, "runs/mine")
        elif is_span and "are required" in printed and "CartPole-v1" not in words:
            whole = (*words[:2], "CartPole-v1", *words[2:])
        else:
            pytest.fail(f"{place}\n{printed or error}", pytrace=False)
        check(replace(command, words=whole), reader, place, capsys)


def arguments_check(command):
    """Return what takes the place of a command's `run`: what it does before it begins to work."""

    def check(arguments: argparse.Namespace) -> int:
        env, overrides = getattr(arguments, "env", None), getattr(arguments, "overrides", {})
        if command == "install":
            plan(env)
        elif command == "sweep":
            Sweep.configure(env, overrides)
        elif command == "envs" and env is not None:
            registry.resolve(env)
        elif command == "train" and env != "all":
            found = train._runs(env, arguments, Console(file=io.StringIO()))
            for run in found if isinstance(found, list) else [found]:
                check_run(run)
            if isinstance(found, Run) and found.config.run is not None:
                write(found.config.run, found.config)
        elif env not in (None, "all"):
            Run.configure(env, overrides)
        return 0

    return check


def check_run(run):
    run.config.check()
    run.curriculum()
    check_policy(run.config.policy, run.source.default_policy(), run.given)


def write(folder: Path, config: Config) -> None:
    """Make the folder of a run, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(as_json(config)))
    for name in ("checkpoint.pt", "best.pt"):
        (folder / name).touch()


def check_puffer(words):
    try:
        status = main(words)
    except SystemExit as ended:  # also of --help
        status = ended.code
    assert status == 0


def check_make(words):
    known = set(re.findall(r"\$\(([A-Z_]+)\)|^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE))
    given = {word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)}
    assert given <= {name for pair in known for name in pair}
    command = ["make", "--dry-run", "PUFFER=puffer", *words]
    env = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    made = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert made.returncode == 0, made.stderr
    for line in re.findall(r"(?:^| )puffer ([a-z]+ [^\n&>]*)$", made.stdout, re.MULTILINE):
        check_puffer(shlex.split(line))
    for name in re.findall(r" -k '?([\w-]+)", made.stdout):
        assert any(name in test for test in names_of_tests()), f"no test named {name}"


@functools.cache
def names_of_tests():
    """Return the names of the files and functions of tests, and strings of their parameters."""
    found = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        found += [path.stem, *re.findall(r"^def (test_\w+)", text, re.MULTILINE)]
        for parameters in re.findall(r"^@pytest\.mark\.parametrize\((.*?)^def ", text, re.M | re.S):
            found += re.findall(r'"([^"]+)"', parameters)
    return found


def check_python(words):
    script, *arguments = words
    if script == "-m":
        check_inner(arguments)
        return
    path = ROOT / script
    if script in CLEANRL or Path(script).exists():  # the page's own
        return
    assert path.exists()
    if arguments and re.search(r"\.parse(_known)?_args\(", path.read_text()):
        check_script(path, arguments)
    elif arguments:
        assert "sys.argv" in path.read_text()


class ParsedError(Exception):
    """The script has accepted its arguments."""


def check_script(path, arguments):
    """Run a script until it has parsed its arguments."""

    def parse_known(parser, *given, **options):
        known(parser, *given, **options)
        raise ParsedError

    def parse(parser, *given, **options):
        assert known(parser, *given, **options)[1] == []
        raise ParsedError

    known = argparse.ArgumentParser.parse_known_args
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *arguments])
        patch.syspath_prepend(str(path.parent))
        patch.setattr(argparse.ArgumentParser, "parse_known_args", parse_known)
        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        with pytest.raises(ParsedError):
            runpy.run_path(str(path), run_name="__main__")


def check_pip(words):
    for extra in re.findall(r"pufferlib\[(\w+)\]", " ".join(words)):
        plan([extra])


def check_inner(words):
    """Check the command of `puffer` that another program starts."""
    for number, word in enumerate(words):
        if word == "pufferlib.cli":
            check_puffer(words[number + 1 :])
        elif word.startswith("PUFFERLIB_TRAIN="):
            check_puffer(["train", *shlex.split(word.partition("=")[2])])


CHECKS = {
    "puffer": check_puffer,
    "make": check_make,
    "python": check_python,
    "pip": check_pip,
    "docker": check_inner,
    "torchrun": check_inner,
}


def test_every_block_has_a_language():
    for page in PAGES:
        for block in parsed(page)[0]:
            place = f"{page}, line {block.line}"
            assert block.language != "unknown", (
                f"{place}: neither bash nor Python. Fence it: ```text"
            )
            assert block.language, f"{place}: the fence names no language. Use ```text for output"


def test_the_files_that_pages_name_exist():
    for page in PAGES:
        blocks, prose = parsed(page)
        for text in [*spans(prose), *(block.text for block in blocks if block.language == "bash")]:
            for path in PATH.findall(with_names(text)):
                assert any(ROOT.glob(path.rstrip("./"))), f"{page}: {path}"


def test_the_files_that_contributing_names_exist():
    paths = [path for folder in FOLDERS.split("|") for path in (ROOT / folder).rglob("*")]
    ours = [f"/{path.relative_to(ROOT)}" for path in [*paths, *ROOT.iterdir()]]
    names = spans(parsed("CONTRIBUTING.md")[1])
    files = [name for name in names if re.search(r"^[\w./<>-]+(/|\.(md|py|pyx|toml|txt))$", name)]
    assert len(files) > 40
    for name in set(files) - OUTSIDE:
        end = with_names(f"/{name.rstrip('/')}")
        assert any(path.endswith(end) for path in ours), name


def spans(prose):
    """Return the code spans of a page."""
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(prose))


def with_names(text):
    """Return `text` about what is here, instead of what the reader is to add."""
    for name, ours in NAMES.items():
        text = text.replace(name, ours)
    return text
