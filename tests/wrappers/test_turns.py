"""Turn-based games have a row for every agent on every step."""

from contextlib import closing

import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.emulation import native
from pufferlib.exceptions import ArgumentError
from pufferlib.testing import check_env
from pufferlib.wrappers import MultiAgentEpisodeStats, Turns

ROUNDS = 3


class Parcel(pettingzoo.AECEnv):
    """Three children pass on a parcel; child 2 goes home early.

    An action is 1 to 3, never the one taken before; the child after the one who acts is paid it,
    by turns of whoever is still there. Child 2 leaves after its first turn. The others end after
    three rounds.
    """

    metadata = {"name": "parcel"}  # noqa: RUF012
    render_mode = None

    def __init__(self):
        self.possible_agents = ["a", "b", "c"]

    def observation_space(self, agent):
        return Dict(observation=Box(0, 99, (2,), np.int16), action_mask=Box(0, 1, (4,), np.int8))

    def action_space(self, agent):
        return Discrete(4)

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        self.agent_selection, self.turns, self.last_action = "a", 0, 0
        self.drawn = np.random.default_rng(seed).integers(90)
        self._set()

    def _set(self):
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}

    def observe(self, agent):
        mask = np.array([0, 1, 1, 1], np.int8)
        mask[self.last_action] = 0
        return {"observation": np.array([self.turns, self.drawn], np.int16), "action_mask": mask}

    def step(self, action):
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            assert action is None
            self.agents.remove(agent)
            for values in (self.rewards, self._cumulative_rewards, self.terminations):
                del values[agent]
            del self.truncations[agent], self.infos[agent]
            self.agent_selection = self.agents[0] if self.agents else agent
            return
        assert self.observe(agent)["action_mask"][action]
        self._set()
        after = self.agents[(self.agents.index(agent) + 1) % len(self.agents)]
        self.rewards[after] = action
        self.last_action = action
        self.turns += 1
        if agent == "c":
            self.terminations["c"] = True
            self.agent_selection = "c"
        elif self.turns >= ROUNDS * 2 + 1:
            self.truncations = dict.fromkeys(self.agents, True)
        else:
            self.agent_selection = after

    def close(self):
        pass


def test_all_agents_observe_and_get_rewards_on_every_turn_until_they_leave():
    env = Turns(Parcel())
    observations, infos = env.reset(seed=4)
    assert [int(observations[agent]["turn"]) for agent in "abc"] == [1, 0, 0]
    assert observations["a"]["action_mask"].tolist() == [0, 1, 1, 1]
    assert observations["b"]["action_mask"].tolist() == [1, 0, 0, 0]
    assert infos == {"a": {}, "b": {}, "c": {}}
    # The acting agent, its action and all rewards, worked out from the rules above.
    script = [
        ("a", 2, {"a": 0, "b": 2, "c": 0}),
        ("b", 3, {"a": 0, "b": 0, "c": 3}),
        ("c", 1, {"a": 1, "b": 0, "c": 0}),
        ("a", 2, {"a": 0, "b": 2}),
        ("b", 3, {"a": 3, "b": 0}),
        ("a", 1, {"a": 0, "b": 1}),
        ("b", 2, {"a": 2, "b": 0}),
    ]
    for number, (agent, action, paid) in enumerate(script, start=1):
        assert [a for a in env.agents if observations[a]["turn"]] == [agent]
        actions = dict.fromkeys(env.agents, 0) | {agent: action}
        observations, rewards, terminations, truncations, infos = env.step(actions)
        assert rewards == paid
        assert {a: o["observation"][0] for a, o in observations.items()} == dict.fromkeys(
            paid, number
        )
        assert terminations == {a: number == 3 and a == "c" for a in paid}
        assert truncations == dict.fromkeys(paid, number == 7)
        if number == 3:
            assert env.agents == ["a", "b"]
            assert infos["c"] == {"illegal_actions": 0}
    assert env.agents == []
    assert infos == {"a": {"illegal_actions": 0}, "b": {"illegal_actions": 0}}


def test_an_illegal_action_is_replaced_by_a_legal_one_and_counted():
    for seed in range(20):
        env = Turns(Parcel())
        env.reset(seed=seed)
        env.step({"a": 0, "b": 0, "c": 0})  # 0 is never legal, so another action was played
        played = env.env.last_action
        assert played in (1, 2, 3)
        _, rewards, *_ = env.step({"a": 0, "b": played, "c": 0})  # nor is the last one
        assert rewards["c"] in {1, 2, 3} - {played}
    while env.agents:
        *_, infos = env.step(dict.fromkeys(env.agents, 0))
    assert infos["a"]["illegal_actions"] == 3
    assert infos["b"]["illegal_actions"] == 3


@pytest.mark.parametrize("action", [-1, -4, 4, np.int64(-1)])
def test_an_action_outside_its_space_is_illegal(action):
    env = Turns(Parcel())
    env.reset(seed=0)
    while env.agents:
        *_, infos = env.step(dict.fromkeys(env.agents, action))
        assert env.env.last_action in (1, 2, 3)
    assert infos == {"a": {"illegal_actions": 3}, "b": {"illegal_actions": 3}}


def test_it_keeps_the_contract():
    check_env(lambda: native(Turns(Parcel(), is_reseeded=True)))
    check_env(lambda: native(MultiAgentEpisodeStats(Turns(Parcel()))), is_deterministic=False)


def test_with_reseeding_episodes_differ_and_one_seed_repeats_them():
    drawn = []
    for _ in range(2):
        with closing(Turns(Parcel(), is_reseeded=True)) as env:
            env.reset(seed=1)
            for _ in range(4):
                drawn.append(int(env.env.drawn))
                env.reset()
    assert drawn[:4] == drawn[4:]
    assert len(set(drawn)) > 1


class Wordless(Parcel):
    def observation_space(self, agent):
        return Box(0, 99, (2,), np.int16)


@pytest.mark.parametrize(
    ("env", "said"),
    [(object(), r"takes a pettingzoo\.AECEnv"), (Wordless(), "'observation' and 'action_mask'")],
)
def test_other_environments_are_refused(env, said):
    with pytest.raises(ArgumentError, match=said):
        Turns(env)
