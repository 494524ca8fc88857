"""NetHack's native form plays as emulated environments of one game do, and frees what it takes."""

import ctypes
import functools
import gc
import os
import shutil
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from nethack_parity import TWINS, play_both, walks
from nethack_records import check_that_records_are_emptied, check_that_records_differ

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.registry import _nethack_native, _nethack_sharing, nethack
from pufferlib.testing import check_env

TASKS = [task for task in nethack.FAMILY.tasks if task not in nethack.FAMILY.unseeded_tasks]


@pytest.fixture(params=TWINS)
def twin(request, monkeypatch):
    """Let native environments step with each twin of the loop."""
    monkeypatch.setattr(_nethack_native, "Batch", TWINS[request.param])


def play_task(name, num_envs, actions, resets, own_limit=None, **kwargs):
    """Play a task in both forms, see `play_both`; with another limit of NLE's own if given."""
    creator = functools.partial(nethack.make_env, name, **kwargs)
    ones = vector.make(creator, num_envs=num_envs, backend="Serial")
    many = nethack.make_env(name, num_envs=num_envs, **kwargs)
    if own_limit is not None:
        ones.set_attr("_max_episode_steps", [own_limit] * num_envs)
        rules = many._kind.rules._replace(max_steps=own_limit, aborts=True)
        many._kind = many._kind._replace(rules=rules)
        many.bind(_buffers(many))
    try:
        return play_both(ones, many, actions, resets)
    finally:
        ones.close()
        many.close()


def _buffers(env):
    from pufferlib.environment import Buffers

    return Buffers.allocate(env.single_observation_space, env.num_agents)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.usefixtures("twin")
def test_many_games_play_as_as_many_environments(name):
    ends = play_task(name, 3, walks(3, 60), {0: 42, 35: 7}, max_episode_steps=20)
    assert ends[2] == 6


@pytest.mark.long
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.usefixtures("twin")
def test_twenty_games_play_as_twenty_environments_for_long(name):
    ends = play_task(name, 20, walks(20, 500), {0: 42, 250: 77})
    assert ends[0] >= 2  # deaths
    more = {"observation_keys": ("glyphs", "blstats"), "character": "@"}
    ends = play_task(name, 8, walks(8, 500, 4), {0: 4, 130: 7}, max_episode_steps=90, **more)
    assert ends[2] >= 30


@pytest.mark.usefixtures("twin")
def test_the_limit_of_nle_itself_reports_that_it_aborted():
    ends = play_task("NetHackScore-v0", 2, walks(2, 50), {0: 5}, own_limit=20)
    assert ends[2] == 4


@pytest.mark.parametrize(
    ("limits", "ends"),
    [
        ({"max_episode_steps": 11}, (0, 1, 0)),
        ({"max_episode_steps": 10}, (0, 0, 1)),
        ({"own_limit": 11}, (0, 0, 1)),  # which overrules the goal
        ({"own_limit": 12}, (0, 1, 0)),
    ],
)
@pytest.mark.usefixtures("twin")
def test_a_goal_on_the_last_step_allowed(limits, ends):
    west = np.full((11, 1), 4)  # to stairs in the next room
    assert tuple(play_task("NetHackStaircase-v0", 1, west, {0: 1672}, **limits)) == ends


@pytest.mark.parametrize(
    "keys", [nethack.OBSERVATION_KEYS[1:3], ("tty_chars",), ("program_state", "misc")]
)
def test_any_observations_can_be_chosen(keys):
    for name in ("NetHackScout-v0", "NetHackOracle-v0"):
        play_task(name, 2, walks(2, 30), {0: 1}, observation_keys=keys)


@pytest.mark.parametrize("games", [1, 2])
def test_games_of_several_native_environments_are_those_of_as_many_ordinary_ones(games):
    native = functools.partial(nethack.make_env, num_envs=games)
    workers = {"backend": "Multiprocessing", "num_workers": 2, "start_method": "forkserver"}
    with (
        closing(vector.make(nethack.make_env, num_envs=4, backend="Serial")) as ones,
        closing(vector.make(native, num_envs=4 // games, **workers)) as many,
    ):
        np.testing.assert_array_equal(many.reset(seed=9)[0], ones.reset(seed=9)[0])
        for row in walks(4, 20):
            expected, found = ones.step(row), many.step(row)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])


def test_many_games_keep_the_contract():
    check_env(functools.partial(nethack.make_env, num_envs=2, max_episode_steps=15), steps=40)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_envs": 0}, r"num_envs must .* at least 1; got 0\."),
        ({"num_envs": 2, "max_episode_steps": 0}, r"max_episode_steps must .* at least 1; got 0\."),
        ({"num_envs": 2, "name": "NetHackChallenge-v0"}, "has no native form.* Use num_envs=None"),
        ({"num_envs": 2, "render_mode": "human"}, "got render_mode='human'. Use num_envs=None"),
        (
            {"num_envs": 2, "penalty_step": -1},
            r"got penalty_step=-1\. .*--env\.kwargs\.num-envs None",
        ),
        ({"num_envs": 2, "observation_keys": ["glyph"]}, "no observation 'glyph'.*'glyphs'"),
        ({"num_envs": 2, "character": "foo"}, "knows no 'foo'"),
    ],
)
def test_what_native_games_cannot_do_is_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        nethack.make_env(**kwargs)


def traces():
    """Return what games leave in this process: open files, and maps of their libraries."""
    files = [os.readlink(f"/proc/self/fd/{name}") for name in _descriptors()]
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sum("nle.so" in file for file in files), sum("nle.so" in line for line in maps)


def _descriptors():
    return [
        name for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")
    ]


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "dropped"])
def test_nothing_is_left_of_games_that_are_closed_or_dropped(is_closed):
    before = traces()
    env = nethack.make_env(num_envs=2)
    env.reset(seed=0)
    env.step(np.array([1, 2]))
    folders = [Path(game._vardir) for game in env._games]
    assert all(folder.is_dir() for folder in folders)
    assert traces() > before
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if is_closed:
                env.close()
                env.close()
            del env
    finally:
        gc.enable()
    assert traces() == before
    assert not any(folder.exists() for folder in folders)


def test_games_that_have_started_can_be_given_other_rows():
    env = nethack.make_env(num_envs=2)
    first = env.reset(seed=3)[0].copy()
    buffers = _buffers(env)
    env.bind(buffers)
    np.testing.assert_array_equal(env.reset(seed=3)[0], first)
    np.testing.assert_array_equal(buffers.observations, first)
    env.close()


def test_games_that_are_closed_or_not_reset_say_so():
    env = nethack.make_env(num_envs=2)
    with pytest.raises(CallOrderError, match=r"step before reset\. Call reset first"):
        env.step(np.array([0, 0]))
    env.reset(seed=0)
    env.close()
    for call in (env.reset, lambda: env.step(np.array([0, 0])), lambda: env.bind(_buffers(env))):
        with pytest.raises(CallOrderError, match=r"games are closed\. Make a new environment"):
            call()


def broken(env):
    """Return whether an environment can only be closed."""
    for call in (env.reset, lambda: env.step(np.array([0, 0])), lambda: env.bind(_buffers(env))):
        with pytest.raises(CallOrderError, match=r"failed midway.*Close this environment"):
            call()
    return True


def test_after_a_failure_at_an_end_games_can_only_be_closed():
    before = traces()
    env = nethack.make_env(num_envs=2, max_episode_steps=1)
    env.reset(seed=0)
    statuses = iter([env._kind.status(-1)])  # of game 0; the end of game 1 fails

    def status(_):
        return next(statuses)

    env._kind = env._kind._replace(status=status)
    with pytest.raises(StopIteration):
        env.step(np.array([0, 0]))
    assert broken(env)
    env.close()
    assert traces() == before


def test_what_native_games_recorded_is_emptied_before_the_next():
    with closing(nethack.make_env(num_envs=1)) as env:
        check_that_records_are_emptied(env, env._games[0])


def test_native_games_share_no_records():
    with closing(nethack.make_env(num_envs=2)) as env:  # see test_nethack.py for why
        check_that_records_differ(*env._games)


@pytest.mark.long
@pytest.mark.parametrize("share_library", [True, False])
def test_memory_does_not_grow_over_hundreds_of_games(share_library):
    env = nethack.make_env(num_envs=2, max_episode_steps=3, share_library=share_library)
    env.reset(seed=0)

    def play(games):
        for _ in range(3 * games):
            env.step(np.array([1, 2]))
        gc.collect()
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss"))

    play(100)
    before = play(100)
    assert play(400) - before < 1500  # kB: less than 2 a game
    env.close()


is_shareable = pytest.mark.skipif(
    _nethack_sharing._shared() is None, reason="the library is shared on Linux x86-64 with glibc"
)


def shared_segments():
    """Return how many maps of this process are of the library itself, not of a copy."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum(line.endswith(_nethack_sharing.DLPATH) for line in lines)


@is_shareable
@pytest.mark.parametrize("is_shared", [True, False])
def test_games_share_the_library_unless_asked_not_to(is_shared, monkeypatch):
    monkeypatch.setattr(_nethack_native, "_SHORT", 2)
    before = shared_segments()
    env = nethack.make_env(num_envs=2, share_library=is_shared, max_episode_steps=2)
    env.reset(seed=0)
    for _ in range(5):  # over resets, which load the library again
        env.step(np.array([1, 2]))
        assert shared_segments() - before == (2 * 3 if is_shared else 0)
    env.close()
    assert shared_segments() == before


@is_shareable
def test_a_game_after_a_short_one_does_not_share_the_library():
    before = shared_segments()
    env = nethack.make_env(num_envs=2, max_episode_steps=2)
    env.reset(seed=0)
    for is_shared in (True, False, False):
        env.step(np.array([1, 2]))
        assert shared_segments() - before == (2 * 3 if is_shared else 0)
    env.close()


@is_shareable
def test_a_library_of_other_bytes_is_left_as_it_is(tmp_path):
    same, other = tmp_path / "same.so", tmp_path / "other.so"
    for path in (same, other):
        shutil.copyfile(_nethack_sharing.DLPATH, path)
    code = _nethack_sharing.read_only_segments(other.read_bytes())[1]
    with open(other, "r+b") as file:
        file.seek(code.offset + code.size - 1)  # padding
        file.write(b"\x55")
    before = shared_segments()
    libraries = [ctypes.CDLL(str(path)) for path in (same, other)]
    assert _nethack_sharing.share_segments(str(same))
    assert not _nethack_sharing.share_segments(str(other))
    assert shared_segments() - before == 3
    assert not _nethack_sharing.share_segments(str(tmp_path / "not loaded.so"))
    assert len(libraries) == 2


class Full:
    """The C library, which maps no more."""

    def __init__(self, libc):
        self._libc = libc

    def __getattr__(self, name):
        return getattr(self._libc, name)

    def mmap(self, *arguments):
        return _nethack_sharing._FAILED


@is_shareable
def test_a_game_whose_library_may_be_in_pieces_is_not_called_any_more(monkeypatch):
    full = _nethack_sharing._shared()
    full = full._replace(libc=Full(full.libc))
    env = nethack.make_env(num_envs=2)
    before = traces()
    folders = [Path(game._vardir) for game in env._games]
    with monkeypatch.context() as patch:
        patch.setattr(_nethack_sharing, "_shared", lambda: full)
        with pytest.raises(MemoryError, match="Pass share_library=False"):
            env.reset(seed=0)
    assert broken(env)
    env.close()
    del env
    gc.collect()
    files, maps = traces()
    assert files == before[0] - 1  # that of the first game: its number names what is loaded
    assert maps > 0  # of the first game; nothing has unloaded it
    assert not any(folder.exists() for folder in folders)
    with closing(nethack.make_env(num_envs=2)) as another:  # else NLE would end this process
        another.reset(seed=0)


def test_a_library_that_its_loader_may_write_to_is_not_shared():
    library = bytearray(Path(_nethack_sharing.DLPATH).read_bytes())
    headers = int.from_bytes(library[32:40], "little")
    assert len(_nethack_sharing.read_only_segments(bytes(library))) == 3
    assert _nethack_sharing.read_only_segments(b"\x7fELF\x01\x01" + bytes(library[6:])) == ()
    dynamic = next(i for i in range(20) if library[headers + 56 * i] == 2)
    offset = int.from_bytes(library[headers + 56 * dynamic + 8 :][:8], "little")
    library[offset : offset + 8] = (22).to_bytes(8, "little")  # DT_TEXTREL
    assert _nethack_sharing.read_only_segments(bytes(library)) == ()
