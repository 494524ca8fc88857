"""The commands that the README and the docs show, as bash reads them.

They are in indented blocks, in blocks of `bash`, and in code spans. bash reads those of a page as
one script, in which each program is a function that prints its arguments: variables, arrays,
quotes, comments and continued lines mean what they mean to a reader's shell, and nothing starts.
"""

import ast
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if path.parent != ROOT / "docs" / "families"  # written when the site is built
]
# Programs that tests do not run, with the reason.
NOT_RUN = {
    "cd": "of the shell",
    "docker": "needs Docker: tests/docker",
    "git": "needs a network",
    "mkdir": "of the shell",
    "optuna-dashboard": "serves until Ctrl+C",
    "pip": "needs a network",
    "ray": "needs several machines",
    "source": "of the shell",
    "tail": "runs until Ctrl+C",
    "tensorboard": "serves until Ctrl+C",
    "torchrun": "in tests/cli/test_torchrun.py",
}
PROGRAMS = ("puffer", "make", "python", *NOT_RUN)
# What pages write for something that the reader names, and what it is here.
STAND_INS = {
    r"\b(ENV|TASK)\b(?!=)": "CartPole-v1",
    r"\bFAMILY\b": "classic_control",
    r"\bRUN(\.\.\.)?": "runs/mine",
    r"\bNAME\b": "atari",
    r"\bSEED\b": "1",
    r"\bSTEPS\b": "10000",
    r"^\.\.\.$": "CartPole-v1",
    r"\bcuda\b": "cpu",
    r"^runs/\.\.\.$": "runs/mine",
    r"-\.\.\.": "-*",
    "toy_text": "classic_control",
    r"\bresidual\b": "default",
    r"\ba2c\b": "vtrace",
    "my_package.envs:": "my_env.py:",
}
_RECORD = r"""
set -efo pipefail; PATH=; kind=block
exec 3>&1
id() { echo 1000; }
record() {
  printf '%s\0' "${BASH_LINENO[1]}" "$kind" $# "$@" >&3
  ((BASHPID == $$)) || { echo "line $((BASH_LINENO[1] - 1)): in a pipe: $*" >&2; exit 1; }
}
"""
_SPAN = rf"(?<!`)`((?:[A-Z_]+=[^`\s]* )*(?:{'|'.join(PROGRAMS)}) [^`]+)`(?!`)"
_FIRST_WORD = re.compile(r"(?:\$ )?(?:[A-Z_]+=[^(\s]\S* )*([A-Z_]+=|\S+)")


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Attributes:
        line: of the page, its first; from 1.
        language: of a fenced block, "" if it names none; of an indented one "bash", "python", or
            "unknown".
        text: without the indentation.
        is_fenced: it is not indented.
    """

    line: int
    language: str
    text: str
    is_fenced: bool


@dataclass(frozen=True)
class Command:
    """A command on a page.

    Attributes:
        line: of the page, from 1; the last of a block's command.
        kind: "block"; "error": the sample of a mistake; "span": in a sentence or a table, where
            arguments may be missing.
        words: the program and its arguments; patterns of file names are as on the page.
    """

    line: int
    kind: str
    words: tuple[str, ...]


def parsed(page: str) -> tuple[list[Block], list[str]]:
    """Return the blocks of a page, and its lines, those of blocks empty."""
    lines = (ROOT / page).read_text().split("\n")
    blocks, number = [], 0
    while number < len(lines):
        line, begin = lines[number], number
        fence = re.match(r" *(```+)(.*)", line)
        indent = re.match(r" {4,}(?=\S)", line)
        number += 1
        if fence:
            while not lines[number].strip().startswith(fence[1]):
                number += 1
            blocks.append(Block(begin + 2, fence[2], "\n".join(lines[begin + 1 : number]), True))
            number += 1
        elif indent and not lines[begin - 1].strip():
            while number < len(lines) and (
                not lines[number] or lines[number].startswith(indent[0])
            ):
                number += 1
            text = "\n".join(each[indent.end() :] for each in lines[begin:number]).rstrip()
            blocks.append(Block(begin + 1, _language(text), text, False))
        else:
            continue
        lines[begin:number] = [""] * (number - begin)
    return blocks, lines


def _language(text: str) -> str:
    """Return the language of an indented block."""
    word = _FIRST_WORD.match(text)
    if word is not None and (word[1] in PROGRAMS or word[1].endswith("=")):
        return "bash"
    try:
        ast.parse(text)
    except SyntaxError:
        return "unknown"
    return "python"


def commands(page: str) -> list[Command]:
    """Return the commands of a page, in their order.

    Raises:
        AssertionError: bash cannot read them, or one is in a pipe or of a program that `PROGRAMS`
            lacks.
    """
    blocks, prose = parsed(page)
    script = [""] * (len(prose) + 1)
    for block in blocks:
        if block.language == "bash":
            for number, line in enumerate(_typed(block.text.split("\n")), block.line):
                script[number] = line
    text = "\n".join(prose)
    for span in re.finditer(_SPAN, text):
        number = text.count("\n", 0, span.start()) + 1
        line = span[1].replace("\n", " ").replace(r"\|", "|")
        script[number] += f"kind=span; {line}; kind=block; "
    functions = "".join(f'{name}() {{ record {name} "$@"; }}\n' for name in PROGRAMS)
    script[0] = 'eval "$RECORD"'  # on the line before the first
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            ["/bin/bash", "-c", "\n".join(script)],
            cwd=folder,
            env={"RECORD": _RECORD + functions},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 0, f"{page}: {result.stderr}"
    return _commands(result.stdout.split("\0")[:-1])


def _typed(lines: list[str]) -> list[str]:
    """Return what is typed of a block: of a sample with its output, the lines that begin with $."""
    if not lines[0].startswith("$ "):
        return lines
    is_error = len(lines) > 1 and re.match(r"puffer \w+: ", lines[1])
    kind = "error" if is_error else "block"
    return [
        f"kind={kind}; {line[2:]}; kind=block" if line.startswith("$ ") else "" for line in lines
    ]


def _commands(fields: list[str]) -> list[Command]:
    found = []
    while fields:
        line, kind, count, *fields = fields
        words = fields[: int(count)]
        fields = fields[int(count) :]
        for pattern, stand_in in STAND_INS.items():
            words = [re.sub(pattern, stand_in, word) for word in words]
        found.append(Command(int(line) - 1, kind, tuple(words)))
    return found
