"""Infos come where an episode ends and nowhere else, with its return and length, counted here."""

from contextlib import closing

import gymnasium
import numpy as np
import pytest

from pufferlib import registry
from pufferlib.emulation import native

EPISODES, MOST_STEPS = 2, 3_000
# Of families whose games, played at random, take long to end.
SHORT = {
    "butterfly": {"max_cycles": 100},
    "crafter": {"length": 50},
    "dm_control": {"task_kwargs": {"time_limit": 0.5}},
    "griddly": {"max_steps": 100},
    "highway": {"max_episode_steps": 10},
    "magent": {"max_cycles": 60},
    "microrts": {"max_steps": 100},
    "mujoco": {"max_episode_steps": 50},
    "nethack": {"max_episode_steps": 100},
    "nmmo": {"HORIZON": 20},
    "overcooked": {"horizon": 50},
    "pokemon_red": {"max_steps": 20},
    "sisl": {"max_cycles": 100},
    "slimevolley": {"max_steps": 300},
    "stable_retro": {"max_episode_steps": 50},
}
MANY_GAMES = {
    "atari": {"num_envs": 3},
    "microrts": {"num_envs": 3},
    "ocean": {"num_agents": 3},
    "procgen": {"num_envs": 3},
    "slimevolley": {"num_envs": 3},
}
CASES = [pytest.param(name, {}, id=name) for name in registry.builtin_families()]
CASES += [pytest.param(name, many, id=f"{name}, many") for name, many in MANY_GAMES.items()]


@pytest.mark.parametrize(("name", "many"), CASES)
def test_each_info_is_of_an_episode_that_ends_and_each_end_has_one(name, many):
    module = registry.load(name)
    kwargs = SHORT.get(name, {}) | many
    with closing(native(module.make_env(module.FAMILY.samples[0], **kwargs))) as env:
        actions = gymnasium.vector.utils.batch_space(env.single_action_space, env.num_agents)
        actions.seed(0)
        assert env.reset(0)[1] == []
        returns, lengths = np.zeros(env.num_agents), np.zeros(env.num_agents, int)
        episodes = np.zeros(env.num_agents, int)
        for _ in range(MOST_STEPS):
            lengths += env.masks
            infos = env.step(actions.sample())[4]
            returns += env.rewards
            ends = env.terminals | env.truncations
            reported = sorted((info["episode_length"], info["episode_return"]) for info in infos)
            expected = sorted(zip(lengths[ends], returns[ends], strict=True))
            # Rows are of float32, and sums of them.
            np.testing.assert_allclose(reported, expected, rtol=1e-4, atol=1e-3)
            returns[ends], lengths[ends] = 0, 0
            episodes += ends
            if (episodes >= EPISODES).all():
                return
    pytest.fail(f"after {MOST_STEPS} steps the rows have seen {episodes} episodes end")
