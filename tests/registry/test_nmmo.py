"""Neural MMO: the package's own game without its files, its deaths and its statistics."""

import gc
import os
import weakref

import nmmo
import numpy as np
import pytest
from nmmo.lib import material

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


def steps_of(env, steps, seed=3):
    """Yield what each step of a fixed choice of actions gives, flattened to bytes."""
    random = np.random.default_rng(0)
    observations, _ = env.reset(seed=seed)
    yield observations
    for _ in range(steps):
        high = env.single_action_space.nvec
        actions = {agent: random.integers(high) for agent in env.agents}
        yield env.step(actions)[:4]
        if not env.agents:
            yield env.reset()[0]


def play(env, steps, seed=3):
    return list(steps_of(env, steps, seed))


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
    named = {f"agent_{agent}": agent for agent in theirs.possible_agents}
    unflatten = ours.observation_layout.unflatten
    random = np.random.default_rng(0)
    (observations, _), (expected, _) = ours.reset(seed=5), theirs.reset(seed=5)
    for _ in range(40):
        observations = {named[name]: row for name, row in observations.items()}
        assert set(observations) == set(expected)
        for agent, row in observations.items():
            found = unflatten(row)
            for key in ("Tile", "Entity", "Inventory", "Market"):
                np.testing.assert_array_equal(found[key], expected[agent][key])
            mask = expected[agent]["ActionTargets"]["Attack"]["Target"]
            np.testing.assert_array_equal(found["ActionTargets"]["Attack"]["Target"], mask)
        directions = {agent: int(random.integers(5)) for agent in theirs.agents}
        observations, rewards, *_ = ours.step(
            {f"agent_{agent}": walk(ours, move) for agent, move in directions.items()}
        )
        expected, expected_rewards, *_ = theirs.step(
            {agent: aimless(ours, move) for agent, move in directions.items()}
        )
        assert rewards == {agent: expected_rewards[named[agent]] for agent in rewards}


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


def test_worlds_in_turn_play_as_each_does_alone(make_small):
    mine = {"num_agents": 6, "HORIZON": 20}
    settings = [mine, mine | {"COMMUNICATION_NUM_TOKENS": 5, "PRICE_N_OBS": 10}]
    alone = [play(make_small(**those), 30) for those in settings]
    worlds = [make_small(**those) for those in settings]
    in_turn = zip(*(steps_of(world, 30) for world in worlds), strict=True)
    for expected, found in zip(alone, zip(*in_turn, strict=True), strict=True):
        np.testing.assert_equal(list(found), expected)


def test_what_a_world_drops_is_decided_by_its_own_settings(make_small):
    chances = [0.025, 1.0, 0.5]  # the first is the package's default
    worlds = [make_small(num_agents=2, WEAPON_DROP_PROB=chance) for chance in chances]
    unarmed = make_small(num_agents=2, EQUIPMENT_SYSTEM_ENABLED=False)
    for env, chance in [*zip(worlds, chances, strict=True), (unarmed, None)]:
        env.reset(seed=0)
        for other in worlds:
            other.reset(seed=0)
        env.step(dict.fromkeys(env.agents, walk(env, 4)))
        for kind in (material.Ore, material.Tree, material.Crystal):
            # Ammunition always; a weapon by chance.
            dropped = [drop.prob for drop in kind.table.drops]
            assert dropped == [1.0] + [chance] * (chance is not None)


def test_nothing_is_written(make_small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_small().reset(seed=0)
    assert os.listdir(tmp_path) == []


def test_the_end_of_the_time_truncates_and_reports_of_each_agent(make_small):
    env = make_small(num_agents=4, HORIZON=3)
    env.reset(seed=0)
    stay = walk(env, 4)
    for _ in range(2):
        *_, truncations, infos = env.step(dict.fromkeys(env.agents, stay))
        assert not any(truncations.values())
        assert infos == {"agent_1": {}, "agent_2": {}, "agent_3": {}, "agent_4": {}}
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
    # Food and water are used up with the first step; from then 10 + 10 of 100 health a step.
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
    env = make_small(num_agents=2, NPC_N=0, render_mode="rgb_array")
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


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HORIZON": "x"}, "HORIZON must be a whole number from 1 to 32766; got 'x'"),
        ({"HORIZON": 2**15 - 1}, "HORIZON must be a whole number from 1 to 32766; got 32767"),
        ({"MAP_N": 0}, "MAP_N must be a whole number of at least 1; got 0"),
        ({"num_agents": "3"}, "num_agents must be a whole number of at least 1; got '3'"),
        ({"NPC_N": True}, "NPC_N must be a number, as its default 32 is; got True"),
        ({"WEAPON_DROP_PROB": "1"}, r"WEAPON_DROP_PROB must be a number, .* 0\.025 is; got '1'"),
        ({"WEAPON_DROP_PROB": None}, "WEAPON_DROP_PROB must be a number, .*; got None"),
        ({"IMMORTAL": "no"}, "IMMORTAL must be True or False; got 'no'"),
    ],
)
def test_a_setting_of_another_kind_is_refused(settings, said):
    with pytest.raises(ArgumentError, match=said):
        family.make_env(SMALL, **settings)


def test_numbers_may_be_of_any_type(make_small):
    world = make_small(HORIZON=np.int16(9), NPC_N=np.int64(3), DEATH_FOG_SPEED=1 / 16).unwrapped
    assert (world.config.HORIZON, world.config.DEATH_FOG_SPEED) == (9, 1 / 16)


def test_there_is_a_place_to_begin_for_each_of_as_many_agents_as_are_allowed(make_small):
    """The map's edge has four sides of 32 tiles."""
    assert len(make_small(num_agents=128).reset(seed=0)[0]) == 128
    with pytest.raises(ArgumentError, match=r"at most 128, .* MAP_CENTER=32; got 129\. Give fewer"):
        family.make_env(SMALL, num_agents=129)


def test_a_world_that_no_one_holds_is_freed():
    env = family.make_env(SMALL, num_agents=2)
    env.reset(seed=0)
    world = weakref.ref(env.unwrapped)
    env.close()
    del env
    gc.collect()
    assert world() is None
