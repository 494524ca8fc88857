"""Pokemon Red, its rewards and its ROM: played on a game of our own."""

import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import pokemon_red

pytest.importorskip("pufferlib.registry._pokemon_red_env")  # which says where to draw
DOWN, LEFT, RIGHT, UP, A, B, START = range(7)
HOMEBREW = "HomebrewWalk-v0"


@pytest.fixture
def env():
    env = pokemon_red.make_env(HOMEBREW, max_steps=6, render_mode="rgb_array")
    yield env
    env.close()


def test_tiles_and_events_are_rewarded_once(env):
    env.reset(seed=0)
    rewards = [env.step(action)[1] for action in (RIGHT, B, A, A, LEFT, DOWN)]
    # A step walks 8 tiles, of which the last is seen; LEFT comes back to where it began.
    assert rewards == pytest.approx([0.02, 0, 2, 0, 0, 0.02])


def test_a_place_looks_like_itself_and_like_no_other(env):
    env.reset(seed=0)
    pictures = [env.render()]
    for action in (RIGHT, RIGHT, DOWN, DOWN):
        env.step(action)
        pictures.append(env.render())
    assert len({picture.tobytes() for picture in pictures}) == 5
    env.reset()
    for action in (DOWN, RIGHT, RIGHT, DOWN):
        env.step(action)
    np.testing.assert_array_equal(env.render(), pictures[-1])


def test_badges_and_levels_are_read_where_the_game_keeps_them(env):
    env.reset(seed=0)
    memory = env.unwrapped._machine.memory

    def reward_after(address, value):
        memory[address] = value
        return env.step(B)[1]

    assert reward_after(0xD356, 0b101) == 2 * 5  # two badges
    assert reward_after(0xD18C, 50) == 0  # no one in the party
    assert reward_after(0xD163, 1) == 22 + 28 / 4
    # wEventFlags is NUM_EVENTS = $A00 flags from 0xD747 on: 320 bytes (pret/pokered).
    assert reward_after(0xD886, 0b10) == 2  # the last of them
    memory[0xD887] = 0xFF  # behind them
    assert reward_after(0xD356, 0) == 0  # lost again
    info = env.step(B)[4]
    assert {name: info[name] for name in ("badges", "events", "levels", "tiles")} == {
        "badges": 2,
        "events": 1,
        "levels": 50,
        "tiles": 1,
    }
    assert info["episode_return"] == pytest.approx(10 + 29 + 2)


def test_an_episode_is_cut_off_and_the_next_begins_as_the_first(env):
    first = env.reset(seed=0)[0]
    reported = [env.step(RIGHT)[2:4] for _ in range(6)]
    assert reported == [(False, False)] * 5 + [(False, True)]
    again = env.reset()[0]
    np.testing.assert_array_equal(again, first)
    assert env.step(RIGHT)[1] == pytest.approx(0.02)


def test_the_stack_has_the_screen_last_in_half_its_size(env):
    first = env.reset(seed=0)[0]
    assert (first[0] == first[2]).all()
    second = env.step(RIGHT)[0]
    np.testing.assert_array_equal(second[:2], first[1:])
    assert (second[2] != first[2]).any()
    np.testing.assert_array_equal(second[2], env.render()[::2, ::2, 0])
    assert env.render().shape == (144, 160, 3)


def test_an_episode_begins_where_a_saved_state_says(env, tmp_path):
    env.reset(seed=0)
    walked = env.step(RIGHT)[0]
    with (tmp_path / "walked.state").open("wb") as file:
        env.unwrapped._machine.save_state(file)
    other = pokemon_red.make_env(HOMEBREW, state=tmp_path / "walked.state")
    np.testing.assert_array_equal(other.reset()[0][2], walked[2])
    other.close()


def test_a_state_may_be_named_from_the_home_directory(env, tmp_path, monkeypatch):
    with (tmp_path / "begun.state").open("wb") as file:
        env.unwrapped._machine.save_state(file)
    monkeypatch.setenv("HOME", str(tmp_path))
    pokemon_red.make_env(HOMEBREW, state="~/begun.state").close()


@pytest.mark.parametrize("written", [b"", b"not a state", b"\x09 and no more"])
def test_a_file_that_is_no_saved_state_is_refused(written, tmp_path):
    path = tmp_path / "walked.state"
    path.write_bytes(written)
    with pytest.raises(ArgumentError, match=r"cannot load .*walked\.state': .* leave out state"):
        pokemon_red.make_env(HOMEBREW, state=path)


def test_a_missing_rom_is_an_error_that_says_how_to_give_it(monkeypatch, tmp_path):
    monkeypatch.delenv(pokemon_red.ROM_VARIABLE, raising=False)
    with pytest.raises(ArgumentError, match=r"rom='PokemonRed.gb'.*PUFFERLIB_POKEMON_RED_ROM"):
        pokemon_red.make_env()
    with pytest.raises(ArgumentError, match=r"no ROM '.*nowhere\.gb'"):
        pokemon_red.make_env(rom=tmp_path / "nowhere.gb")
    monkeypatch.setenv(pokemon_red.ROM_VARIABLE, str(tmp_path / "elsewhere.gb"))
    with pytest.raises(ArgumentError, match=r"no ROM '.*elsewhere\.gb'"):
        pokemon_red.make_env()


def test_another_game_is_refused_and_one_of_that_title_is_played(tmp_path):
    from pufferlib.registry._pokemon_red_rom import walk_rom

    rom, path = bytearray(walk_rom()), tmp_path / "game.gb"
    path.write_bytes(rom)
    with pytest.raises(ArgumentError, match=r"not Pokemon Red: its header says b'PUFFER WALK"):
        pokemon_red.make_env(rom=path)
    rom[0x134:0x13F] = b"POKEMON RED"
    rom[0x14D] = -sum(byte + 1 for byte in rom[0x134:0x14D]) & 0xFF
    path.write_bytes(rom)
    env = pokemon_red.make_env(rom=path)
    env.reset()
    assert env.step(RIGHT)[1] == pytest.approx(0.02)
    env.close()
    assert list(tmp_path.iterdir()) == [path]  # no saved game next to it


def test_a_rom_that_is_broken_is_refused(tmp_path):
    from pufferlib.registry._pokemon_red_rom import walk_rom

    rom, path = bytearray(walk_rom()), tmp_path / "game.gb"
    rom[0x134:0x13F] = b"POKEMON RED"
    path.write_bytes(rom)  # with the checksum of the other title
    with pytest.raises(ArgumentError, match=r"cannot play .*: .*checksum.* whole .*\.gb file"):
        pokemon_red.make_env(rom=path)
    path.write_bytes(rom[:336])
    with pytest.raises(ArgumentError, match=r"cannot play .*: .*length.* whole .*\.gb file"):
        pokemon_red.make_env(rom=path)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rom": "a.gb"}, "brings its own ROM"),
        ({"state": "nowhere.state"}, r"no saved state 'nowhere\.state'"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 1"),
        ({"frames_per_action": 8}, "frames_per_action must be a whole number of at least 9; got 8"),
    ],
)
def test_a_wrong_argument_is_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        pokemon_red.make_env(HOMEBREW, **kwargs)
