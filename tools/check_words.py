"""Find odd wording and British spelling in code, docs and commit subjects; `make lint` runs this.

Prints `file:line: word: suggestion` for each, and exits with 1 if there are any:

    python tools/check_words.py [--since COMMIT]

Commit subjects are checked from the commit that added this file, or from COMMIT, to HEAD. Outside
git they are skipped; in a shallow clone the check begins with the oldest commit at hand.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
GAP = r"[\s#]+"  # between two words, also where a comment goes on in the next line
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

# Written by tools/docs/ from texts that are checked where they stand.
GENERATED = ("docs/families/", "docs/reference/settings.md")

CHECKED = (
    ".ci/*",
    ".devcontainer/**/*.json",
    "CHANGELOG.md",  # its Unreleased section
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "benchmarks/**/*.py",
    "docker/**/*",
    "docs/**/*.md",
    "docs/**/*.py",
    "examples/**/*.py",
    "pufferlib/**/*.py",
    "pufferlib/**/*.pyx",
    "pufferlib/**/*.toml",
    "pyproject.toml",
    "setup.py",
    "tests/**/*.py",
    "tools/**/*.py",
)

# Regular expressions of whole words, and what to write instead. A space stands for any white space,
# also of a line break within a comment.
HUNTED = {
    "anew": "again; from the start",
    "beside": "compared with; next to; and",
    "gone": "closed; dead; missing; no longer there",
    "hangs? together": "are correlated; belong together",
    "meanwhile": "in the meantime; while ...",
    "mend(s|ed|ing)?": "fix",
    "nobody": "no one; nothing; no agent",
    "of (its|their) own": "its own ...; separate",
    "(tell|tells|telling|told)": "say; report; inform; instruct",
    "what is none": "say what it is not: 'no checkpoint', 'not a number'",
}
BRITISH = {
    "(analy|paraly)s(e|es|ed|ing|er|ers)": "-yze",
    "artefacts?": "artifact",
    "(cancel|label|model|signal|travel)l(ed|ing|er|ers)": "one l",
    "catalogue(s|d)?": "catalog",
    "centre(s|d)?": "center",
    "cheques?": "check",
    "(colour|behaviour|favour|flavour|honour|labour|neighbour|rumour|vapour)[a-z]*": "-or",
    "(defence|licence|offence|pretence)s?": "-ense",
    "(fibre|litre|metre|theatre)s?": "-er",
    "grey(s|ed|ing|scale)?": "gray",
    "(burnt|dreamt|learnt|spelt|spoilt)": "-ed",
    "judgements?": "judgment",
    "programmes?": "program",
    "whilst": "while",
    (
        "(author|capital|categor|central|character|custom|discret|emphas|equal|final|general|"
        "initial|local|maxim|minim|modern|neutral|normal|optim|organ|parallel|penal|prior|random|"
        "real|recogn|regular|serial|special|stabil|standard|summar|symbol|synchron|token|util|"
        "vector|visual)is(e|es|ed|ing|er|ers|able|ation|ations)"
    ): "-ize, -ization",
}


class Allowed(NamedTuple):
    """A word that may stand in a file."""

    word: str
    path: str
    reason: str


ALLOWED: tuple[Allowed, ...] = (
    Allowed("*", "tools/check_words.py", "it lists the words"),
    Allowed("*", "tests/test_check_words.py", "its cases"),
    Allowed("behaviour", "tests/test_installation.py", "pip's own message"),
    Allowed("behaviour", "docs/environments.md", "the name of a package, Behaviour Suite"),
    Allowed("behaviour", "pufferlib/registry/bsuite.py", "the name of a package"),
    Allowed("behaviour", "tests/registry/test_bsuite.py", "the name of a package"),
    Allowed("centre", "pufferlib/registry/overcooked.py", "the package's names of kitchens"),
    Allowed("grey", "pufferlib/registry/_butterfly_pixels.py", "a published argument"),
    Allowed("grey", "pufferlib/registry/butterfly.py", "a published argument"),
    Allowed("grey", "pufferlib/registry/minigrid.py", "the package's name of a task"),
    Allowed("grey", "tests/registry/test_butterfly.py", "a published argument"),
    Allowed("tell", "benchmarks/samplers.py", "a method of Optuna"),
    Allowed("tell", "tests/sweep/test_dashboard.py", "a method of Optuna"),
    Allowed("tell", "tests/sweep/test_samplers.py", "a method of Optuna"),
    Allowed("tell", "pufferlib/sweep/journal.py", "a method of Optuna"),
)

MAX_SUBJECT = 72
_SUGGESTIONS = [
    (re.compile(rf"(?<![a-z])(?:{word.replace(' ', GAP)})(?![a-z])", re.IGNORECASE), suggestion)
    for word, suggestion in (HUNTED | BRITISH).items()
]


def find(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, word, suggestion) of each word in `text`, in the parts of identifiers too."""
    split = _HUMP.sub(" ", text)  # ToldThreads -> Told Threads; no line is added or removed
    for pattern, suggestion in _SUGGESTIONS:
        for match in pattern.finditer(split):
            line = split.count("\n", 0, match.start()) + 1
            yield line, " ".join(re.split(GAP, match[0])).lower(), suggestion


def check_files(root: Path) -> Iterator[str]:
    """Yield a message for each word in the files below `root` that `CHECKED` matches."""
    used = set()
    for path in sorted({path for pattern in CHECKED for path in root.glob(pattern)}):
        name = path.relative_to(root).as_posix()
        if path.is_dir() or name.startswith(GENERATED):
            continue
        for line, word, suggestion in sorted(find(_checked_part(path))):
            allowed = [each for each in ALLOWED if each.path == name and each.word in ("*", word)]
            used.update(allowed)
            if not allowed:
                yield f"{name}:{line}: {word}: {suggestion}"
    for each in ALLOWED:
        if each not in used and (root / each.path).exists() and not each.path.startswith(GENERATED):
            yield f"{each.path}:1: {each.word}: no longer there; remove it from ALLOWED"


def _checked_part(path: Path) -> str:
    """Return the text of a file; of the changelog no more than its Unreleased section."""
    text = path.read_text(encoding="utf-8")
    if path.name != "CHANGELOG.md":
        return text
    start = text.find("## [Unreleased]")
    end = text.find("\n## ", start + 1)
    before = re.sub(r"[^\n]", "", text[:start])  # keeps the numbers of lines
    return before + text[start : end if end >= 0 else None]


def check_subjects(root: Path, since: str | None = None) -> Iterator[str]:
    """Yield a message for each commit subject that is too long, or has one of the words.

    Args:
        root: the repository; nothing is yielded outside one, or where git is not installed.
        since: the first commit to check; if None, the one that added this file.
    """
    if since is None:
        added = _git(root, "log", "--diff-filter=A", "--format=%H", "--", "tools/check_words.py")
        if not added:
            return
        since = added.split()[0]
    # Only descendants: a branch that is merged later may bring commits older than the check.
    log = _git(root, "log", "--ancestry-path", "--format=%h %s", f"{since}..HEAD")
    first = _git(root, "log", "-1", "--format=%h %s", since)
    for commit in (log + first).splitlines():
        number, _, subject = commit.partition(" ")
        for _, word, suggestion in sorted(find(subject)):
            yield f"commit {number}:1: {word}: {suggestion}"
        if len(subject) > MAX_SUBJECT:
            yield f"commit {number}:1: {len(subject)} characters: at most {MAX_SUBJECT}"


def _git(root: Path, *arguments: str) -> str:
    """Return what a git command prints; "" where it fails, or there is no git."""
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> int:
    """Print what is found; return 1 if there is anything, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--since", metavar="COMMIT", help="the first commit whose subject counts")
    since = parser.parse_args().since
    if since is not None and not _git(ROOT, "rev-parse", "--verify", f"{since}^{{commit}}"):
        parser.error(f"--since {since}: there is no such commit here")
    found = [*check_files(ROOT), *check_subjects(ROOT, since)]
    for message in found:
        print(message)
    if found:
        print(f"{len(found)} to rewrite. ALLOWED in tools/check_words.py holds the exceptions.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
