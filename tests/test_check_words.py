"""The check of words finds what it should in files and commits, with and without git."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "tools" / "check_words.py"


def load():
    spec = importlib.util.spec_from_file_location("check_words", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_words"] = module  # NamedTuple looks its module up
    spec.loader.exec_module(module)
    return module


check_words = load()


@pytest.fixture
def repository(tmp_path):
    """Return a folder with the check in it, committed after one commit with a bad subject."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, "Tell of an old time")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "check_words.py").write_text(PATH.read_text())
    commit(tmp_path, "Add a check of words")
    return tmp_path


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=240)


def commit(folder, subject):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", f"{subject}\n\nTold anew.")


def run(folder, *arguments):
    command = [sys.executable, str(folder / "tools" / "check_words.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is told anew.", [(1, "told"), (1, "anew")]),
        ("def told_threads():", [(1, "told")]),
        ("class ToldThreads:", [(1, "told")]),
        ("_TOLD = 1", [(1, "told")]),
        ("# in a process of its\n# own, beside it", [(1, "of its own"), (2, "beside")]),
        ("Its returns hang together.", [(1, "hang together")]),
        ("the colour of a neighbouring cell", [(1, "colour"), (1, "neighbouring")]),
        (
            "normalised, optimisation, utilise",
            [(1, w) for w in ("normalised", "optimisation", "utilise")],
        ),
        ("besides, a recommendation, stellar, tellurium, bygone", []),
        ("otherwise raise a precise, promised exercise", []),
        ("behavior, color, initialize, its own process", []),
    ],
)
def test_words_are_found_with_their_lines(text, words):
    found = [(line, word) for line, word, _ in check_words.find(text)]
    assert sorted(found) == sorted(words)


def test_a_message_names_file_line_word_and_suggestion(tmp_path):
    (tmp_path / "Makefile").write_text("all:\n\ttrue # mend it\n")
    (tmp_path / "notes.txt").write_text("told\n")  # not among the files that are checked
    assert list(check_words.check_files(tmp_path)) == ["Makefile:2: mend: fix"]


def test_only_the_unreleased_part_of_the_changelog_is_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(check_words, "GENERATED", ())
    text = "# Told\n\n## [Unreleased]\n- Mended\n\n## [1.0.0]\n- Told\n"
    (tmp_path / "CHANGELOG.md").write_text(text)
    assert list(check_words.check_files(tmp_path)) == ["CHANGELOG.md:4: mended: fix"]


def test_generated_pages_are_left_out_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(check_words, "GENERATED", ("pufferlib/a/",))
    for folder in ("a", "ab"):
        (tmp_path / "pufferlib" / folder).mkdir(parents=True)
        (tmp_path / "pufferlib" / folder / "b.py").write_text("# mend\n")
    assert list(check_words.check_files(tmp_path)) == ["pufferlib/ab/b.py:1: mend: fix"]


def test_an_exception_holds_for_its_word_and_file_and_must_be_needed(tmp_path, monkeypatch):
    allowed = check_words.Allowed("told", "setup.py", "a reason")
    monkeypatch.setattr(check_words, "ALLOWED", (allowed,))
    (tmp_path / "setup.py").write_text("# told\n# mend\n")
    assert list(check_words.check_files(tmp_path)) == ["setup.py:2: mend: fix"]
    (tmp_path / "setup.py").write_text("# said\n")
    (message,) = check_words.check_files(tmp_path)
    assert message.startswith("setup.py:1: told: no longer there")


def test_commits_are_checked_from_the_one_that_added_the_check(repository):
    assert (run(repository).returncode, run(repository).stdout) == (0, "")
    commit(repository, "Mend it")
    commit(repository, "Add " + "x" * 69)
    result = run(repository)
    long, mended, _ = result.stdout.splitlines()
    assert result.returncode == 1
    assert mended.endswith(":1: mend: fix")
    assert long.endswith(":1: 73 characters: at most 72")


def test_the_commit_that_added_the_check_counts(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "check_words.py").write_text(PATH.read_text())
    commit(tmp_path, "Mend words")
    assert "mend: fix" in run(tmp_path).stdout


def test_older_commits_of_a_branch_that_is_merged_later_are_left_alone(repository):
    git(repository, "checkout", "--quiet", "-b", "other", "HEAD~1")
    commit(repository, "Mend it elsewhere")
    git(repository, "checkout", "--quiet", "main")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "Merge other", "other")
    assert run(repository).stdout == ""


def test_commits_are_checked_from_a_given_one(repository):
    assert "tell: " in run(repository, "--since", "HEAD~1").stdout
    result = run(repository, "--since", "no-such")
    assert (result.returncode, "there is no such commit" in result.stderr) == (2, True)


def test_a_shallow_clone_is_checked_as_far_as_it_goes(repository, tmp_path_factory):
    commit(repository, "Mend it")
    commit(repository, "Fix it")
    for depth, found in ((1, 0), (2, 1)):
        clone = tmp_path_factory.mktemp("clone")
        git(clone, "clone", "--quiet", f"--depth={depth}", f"file://{repository}", ".")
        assert run(clone).stdout.count("mend: fix") == found


def test_it_works_outside_git(repository):
    (repository / ".git").rename(repository / "not-git")
    assert (run(repository).returncode, run(repository).stderr) == (0, "")
    (repository / "setup.py").write_text("# told\n")
    assert run(repository).returncode == 1
