"""Neural MMO: the package's own game without its files, its deaths and its statistics."""

import gc
import os
import weakref

import nmmo
import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import nmmo as family

SMALL = "NMMO-Small"


@pytest.fixture
def make_small():
    made = []

    def make_env(**kwargs):
        made.append(family.make_env(SMALL, **kwargs))
        return made[-1]

    yield make_env
    for env in made:
        env.close()


def play(env, steps, seed=3):
    """Return what each step of a fixed choice of actions gives, flattened to bytes."""
    random = np.random.default_rng(0)
    observations, _ = env.reset(seed=seed)
    told = [observations]
    for _ in range(steps):
        high = env.single_action_space.nvec
        actions = {agent: random.integers(high) for agent in env.agents}
        told.append(env.step(actions)[:4])
        if not env.agents:
            told.append(env.reset()[0])
    return told


def test_the_tasks_are_the_sizes_of_the_package():
    config = nmmo.config
    sizes = {
        name
        for name, value in vars(config).items()
        if isinstance(value, type) and issubclass(value, config.Config) and value.PLAYER_N
    }
    assert set(family.FAMILY.tasks) == {f"NMMO-{size}" for size in sizes - {"Default"}}


def test_the_default_is_the_default_of_the_package():
    ours = family.make_env().unwrapped.config
    theirs = nmmo.config.Default()
    differing = {name for name, value in theirs.items() if ours.original[name] != value}
    assert differing <= {"PATH_MAPS", "MAP_GENERATOR", "env_initialized"}


def test_the_game_is_that_of_the_package_with_maps_in_files(make_small, tmp_path):
    class Config(nmmo.config.Small, nmmo.config.AllGameSystems):
        PATH_CWD = str(tmp_path)

    theirs = nmmo.Env(Config(), seed=0)  # the seed of the maps that are written
    assert (tmp_path / "maps" / "small" / "map1" / "map.npy").exists()
    ours = make_small()
    unflatten = ours.observation_layout.unflatten
    random = np.random.default_rng(0)
    (observations, _), (expected, _) = ours.reset(seed=5), theirs.reset(seed=5)
    for _ in range(40):
        assert set(observations) == set(expected)
        for agent, row in observations.items():
            found = unflatten(row)
            for key in ("Tile", "Entity", "Inventory", "Market"):
                np.testing.assert_array_equal(found[key], expected[agent][key])
            mask = expected[agent]["ActionTargets"]["Attack"]["Target"]
            np.testing.assert_array_equal(found["ActionTargets"]["Attack"]["Target"], mask)
        directions = {agent: int(random.integers(5)) for agent in theirs.agents}
        observations, rewards, *_ = ours.step(
            {agent: walk(ours, move) for agent, move in directions.items()}
        )
        expected, expected_rewards, *_ = theirs.step(
            {agent: aimless(ours, move) for agent, move in directions.items()}
        )
        assert rewards == {agent: expected_rewards[agent] for agent in rewards}


def aimless(env, direction):
    """Return the action that moves and, in each other part, is the last: mostly to do nothing."""
    action = {
        name: {part: int(space.n) - 1 for part, space in parts.spaces.items()}
        for name, parts in env.action_layout.structure.spaces.items()
    }
    action["Move"]["Direction"] = direction
    return action


def walk(env, direction):
    """Return the same, flat."""
    parts = aimless(env, direction).values()
    return np.array([choice for part in parts for choice in part.values()])


def test_a_seed_gives_its_world_in_every_instance_and_in_one_seeded_again(make_small):
    env = make_small(num_agents=8, HORIZON=6)
    first = play(env, 10)
    for again in (play(make_small(num_agents=8, HORIZON=6), 10), play(env, 10)):
        np.testing.assert_equal(again, first)
    other = play(env, 0, seed=4)
    assert any(not np.array_equal(other[0][agent], first[0][agent]) for agent in other[0])


def test_the_paths_of_one_episode_are_not_taken_in_the_next(make_small):
    env = make_small()
    game = env.env.unwrapped
    play(env, 60)
    assert game.realm.map.pathfinding_cache
    env.reset(seed=3)
    assert not game.realm.map.pathfinding_cache


def test_nothing_is_written(make_small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_small().reset(seed=0)
    assert os.listdir(tmp_path) == []


def test_the_end_of_the_time_truncates_and_tells_of_each_agent(make_small):
    env = make_small(num_agents=4, HORIZON=3)
    env.reset(seed=0)
    stay = walk(env, 4)
    for _ in range(2):
        *_, truncations, infos = env.step(dict.fromkeys(env.agents, stay))
        assert not any(truncations.values())
        assert infos == {1: {}, 2: {}, 3: {}, 4: {}}
    _, _, terminations, truncations, infos = env.step(dict.fromkeys(env.agents, stay))
    assert (set(terminations.values()), set(truncations.values())) == ({False}, {True})
    assert env.agents == []
    for info in infos.values():
        assert info["episode_length"] == 3
        assert info["exploration"] == info["player_kills"] == 0
        assert info["level"] == 1
        assert info["task_progress"] == pytest.approx(3 / 3)  # the task: to live until the end


def test_who_starves_terminates_with_a_penalty_and_is_absent(make_small):
    env = make_small(num_agents=4, RESOURCE_DEPLETION_RATE=100, NPC_N=0)
    env.reset(seed=0)
    stay = walk(env, 4)
    # Food and water gone with the first step; from then 10 + 10 of 100 health a step.
    for _ in range(10):
        observations, rewards, terminations, truncations, infos = env.step(
            dict.fromkeys(env.agents, stay)
        )
        dead = [agent for agent, is_dead in terminations.items() if is_dead]
        if dead:
            break
    assert dead
    for agent in dead:
        assert (rewards[agent], truncations[agent]) == (-1.0, False)
        assert infos[agent]["episode_length"] in (5, 6)
        assert infos[agent]["damage_received"] >= 0
        assert agent in observations
        assert agent not in env.agents


def test_the_map_is_drawn_with_its_players(make_small):
    env = make_small(num_agents=2, NPC_N=0)
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((384, 384, 3), np.uint8)
    for player in env.unwrapped.realm.players.values():
        row, column = player.pos
        assert picture[6 * row + 3, 6 * column + 3].tolist() == [255, 64, 64]
    red = (picture == (255, 64, 64)).all(2).sum()
    assert red == 2 * 6 * 6
    assert make_small(render_mode=None).render() is None


def test_a_setting_that_is_none_or_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match=r"no setting 'HORIZN' of Neural MMO\. Give attributes"):
        family.make_env(SMALL, HORIZN=3)
    with pytest.raises(
        ArgumentError, match=r"num_agents must be a whole number of at least 1; got 0"
    ):
        family.make_env(SMALL, num_agents=0)


def test_there_is_a_place_to_begin_for_each_of_as_many_agents_as_are_allowed(make_small):
    """The map's edge has four sides of 32 tiles."""
    assert len(make_small(num_agents=128).reset(seed=0)[0]) == 128
    with pytest.raises(ArgumentError, match=r"at most 128, .* MAP_CENTER=32; got 129\. Give fewer"):
        family.make_env(SMALL, num_agents=129)


def test_a_world_that_nobody_holds_is_freed():
    env = family.make_env(SMALL, num_agents=2)
    env.reset(seed=0)
    world = weakref.ref(env.unwrapped)
    env.close()
    del env
    gc.collect()
    assert world() is None
