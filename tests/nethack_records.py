"""Checks of the files in which NetHack records the games of an instance."""

from pathlib import Path

RECORDS = ("record", "logfile", "xlogfile")


def check_that_records_are_emptied(env, game):
    """Check that before each game the high scores are emptied, and logs once they are large."""
    env.reset(seed=0)
    files = [path for path in (Path(game._vardir, name) for name in RECORDS) if path.exists()]
    assert {"record", "logfile"} <= {path.name for path in files}
    for path in files:
        path.write_bytes(bytes(100))
    env.reset()
    assert [path.stat().st_size for path in files if path.name == "record"] == [0]
    assert all(path.stat().st_size >= 100 for path in files if path.name != "record")
    for path in files:
        path.write_bytes(bytes(200_000))
    env.reset()
    assert all(path.stat().st_size < 1000 for path in files)


def check_that_records_differ(one, other):
    """Check that two instances of `nle.nethack.Nethack` share none of these files."""
    for name in RECORDS:
        assert not Path(one._vardir, name).samefile(Path(other._vardir, name))
