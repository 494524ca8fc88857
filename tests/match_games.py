"""A game whose result says who played which seat, and players for it."""

import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from pufferlib import PufferEnv

ACTIONS = 8


def lifetimes(seed, agents):
    """Return for how many steps each agent of a game lives: 1, 2, ..., in the order of the seed."""
    order = np.random.default_rng(seed).permutation(len(agents)) + 1
    return dict(zip(agents, order.tolist(), strict=True))


class Lives(pettingzoo.ParallelEnv):
    """In each step of its life an agent is paid its action.

    Args:
        agents: their names.
        forbidden: an action that is not legal.
        absent: an agent that takes no part.
        returning: who died comes back a step later and is paid a hundred times as much.
    """

    metadata = {"name": "lives"}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self, agents=("player_0", "player_1"), forbidden=None, absent=None, returning=False
    ):
        self.possible_agents, self.agents = list(agents), []
        self._forbidden, self._absent, self._returning = forbidden, absent, returning
        space = Box(0, ACTIONS, (1,), np.float32)
        if forbidden is not None:
            space = Dict(observation=space, action_mask=Box(0, 1, (ACTIONS,), np.int8))
        self._space, self._actions = space, {a: Discrete(ACTIONS) for a in agents}
        self._random = np.random.default_rng()

    def observation_space(self, agent):
        return self._space

    def action_space(self, agent):
        return self._actions[agent]

    def reset(self, seed=None, options=None):
        seed = int(self._random.integers(2**31)) if seed is None else seed
        self._step, self._lives = 0, lifetimes(seed, self.possible_agents)
        self.agents = [agent for agent in self.possible_agents if agent != self._absent]
        return self._shown(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        self._step += 1
        playing, last = self.agents, max(self._lives[agent] for agent in self.possible_agents)
        is_back = {agent: self._lives[agent] < self._step for agent in playing}
        paid = {agent: float(actions[agent]) * (100 if is_back[agent] else 1) for agent in playing}
        is_last = self._step == last
        ends = {agent: is_last or self._lives[agent] == self._step for agent in playing}
        self.agents = [agent for agent in playing if not ends[agent]]
        if self._returning and not is_last:
            dead = [agent for agent in self.possible_agents if self._lives[agent] < self._step]
            self.agents = [a for a in self.possible_agents if a in self.agents or a in dead]
        cut = dict.fromkeys(ends, False)
        return self._shown({*playing, *self.agents}), paid, ends, cut, {agent: {} for agent in ends}

    def _shown(self, agents):
        seen = np.full(1, self._step, np.float32)
        if self._forbidden is not None:
            mask = np.ones(ACTIONS, np.int8)
            mask[self._forbidden] = 0
            seen = {"observation": seen, "action_mask": mask}
        return dict.fromkeys(agents, seen)


class Buttons(Lives):
    """As many numbers of a policy for an action, but of another space."""

    def action_space(self, agent):
        return MultiDiscrete([2] * (ACTIONS // 2))


class Scaled(Lives):
    """Observations as wide, but with other bounds."""

    def observation_space(self, agent):
        return Box(0, 10 * ACTIONS, (1,), np.float32)


class Waiting(PufferEnv):
    """Two agents act by turns, four times; who waits has no row. Each is paid its own actions.

    In the last step the episode of both ends, also that of the one who waits.

    Args:
        leaver: the second agent's episode ends with its first action.
    """

    is_one_game = True

    def __init__(self, leaver=False, buffers=None):
        self.leaver, self.num_agents = leaver, 2
        self.single_observation_space = Box(0, ACTIONS, (1,), np.float32)
        self.single_action_space = Discrete(ACTIONS)
        super().__init__(buffers)

    def reset(self, seed=None):
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        self._begin()
        return self.observations, []

    def step(self, actions):
        row, self.time = self.turn, self.time + 1
        self.rewards[:], self.terminals[:] = 0, False
        self.rewards[row] = actions[row]
        is_over, has_left = self.time == 4, self.leaver and self.time >= 2
        self.terminals[:] = is_over
        self.terminals[1] = self.time == 2 if self.leaver else is_over
        self.final_observations[:] = self.time
        if is_over:
            self._begin()
        else:
            self._show(0 if has_left else 1 - row)
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def _begin(self):
        self.time = 0
        self._show(0)

    def _show(self, turn):
        self.turn = turn
        self.masks[:] = self.observations[:] = 0
        self.masks[turn], self.observations[turn] = True, self.time + 1


def one(observation):
    return 1


def two(observation):
    return 2


def three(observation):
    return 3


def five(observation):
    return 5


PAID = {
    f"match_games:{each.__name__}": n for each, n in ((one, 1), (two, 2), (three, 3), (five, 5))
}


class Counting:
    """Plays how many observations it has had in its life."""

    def __init__(self):
        self.count = 100

    def reset(self):
        self.count = 0

    def __call__(self, observation):
        self.count += 1
        return self.count


def too_high(observation):
    return ACTIONS


def failing(observation):
    raise RuntimeError("no idea")


class FailsLater:
    """Plays 1, and fails when the process has called it often enough."""

    calls = 0
    limit = 40

    def __call__(self, observation):
        FailsLater.calls += 1
        if FailsLater.calls > FailsLater.limit:
            raise RuntimeError("tired")
        return 1


def of_two(first, second):
    return 1


NUMBER = 3
