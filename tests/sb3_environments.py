"""Small environments for the tests of the binding to Stable-Baselines3."""

import gymnasium
import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary


class Mixture(gymnasium.Env):
    """Random observations of several dtypes; episodes of 5 to 12 steps end either way.

    The reward is a random number plus the action. The last step of an episode has an info, and so
    has every reset.
    """

    def __init__(self):
        self.observation_space = Dict(
            picture=Box(0, 255, (3, 2), np.uint8),
            speed=Box(-1, 1, (2,), np.float32),
            kind=Discrete(3, start=1),
            flags=MultiBinary(2),
        )
        self.action_space = Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.options, self.left = options, int(self.np_random.integers(5, 13))
        return self._observe(), {"length": self.left}

    def step(self, action):
        self.left -= 1
        ends, is_cut = self.left == 0, bool(self.np_random.random() < 0.5)
        reward = float(self.np_random.normal()) + int(action)
        info = {"how": "cut" if is_cut else "over"} if ends else {}
        return self._observe(), reward, ends and not is_cut, ends and is_cut, info

    def _observe(self):
        return {
            "picture": self.np_random.integers(0, 256, (3, 2)).astype(np.uint8),
            "speed": self.np_random.uniform(-1, 1, 2).astype(np.float32),
            "kind": int(self.np_random.integers(1, 4)),
            "flags": self.np_random.integers(0, 2, 2).astype(np.int8),
        }


class OneLegal(gymnasium.Env):
    """Five actions, of which the mask leaves two; the lower of the two is right, and earns 1.

    Episodes take 8 steps. An illegal action raises.
    """

    observation_space = Dict(action_mask=Box(0, 1, (5,), np.int8), bias=Box(0, 1, (1,), np.float32))
    action_space = Discrete(5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(), {}

    def step(self, action):
        assert action in self.legal, "an illegal action"
        reward = float(action == min(self.legal))
        self.steps += 1
        return self._observe(), reward, self.steps == 8, False, {}

    def _observe(self):
        self.legal = self.np_random.choice(5, 2, replace=False).tolist()
        mask = np.isin(np.arange(5), self.legal).astype(np.int8)
        return {"action_mask": mask, "bias": np.ones(1, np.float32)}


class MethodMasks(gymnasium.ObservationWrapper):
    """`OneLegal` whose masks are a method, as sb3-contrib has it, not a part of what it observes.

    It observes the legal actions in a plain Box.
    """

    def __init__(self):
        super().__init__(OneLegal())
        self.observation_space = Box(0, 1, (5,), np.float32)

    def observation(self, observation):
        return observation["action_mask"].astype(np.float32)

    def action_masks(self):
        return np.isin(np.arange(5), self.unwrapped.legal)


class Pictured(OneLegal):
    """`OneLegal` with pictures, 16 by 32."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012
    render_mode = "rgb_array"

    def step(self, action):
        return super().step(self.legal[0])

    def render(self):
        return np.full((16, 32, 3), 10 * self.steps, np.uint8)


class Lights(pettingzoo.ParallelEnv):
    """Each of three agents sees which of its three lights is on, and earns 1 for naming it.

    The one called "early" terminates after two of the six steps, "late" joins after three, and the
    episodes of both others are truncated. The light that is on next may not be named: the mask of
    an observation leaves it out.
    """

    metadata = {"name": "lights_v0"}  # noqa: RUF012
    possible_agents = ["early", "through", "late"]  # noqa: RUF012
    render_mode = None

    def observation_space(self, agent):
        return Dict(action_mask=Box(0, 1, (3,), np.int8), lights=Box(0, 1, (3,), np.float32))

    def action_space(self, agent):
        return Discrete(3)

    def reset(self, seed=None, options=None):
        if seed is not None or not hasattr(self, "random"):
            self.random = np.random.default_rng(seed)
        self.steps, self.agents = 0, ["early", "through"]
        return self._observe(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        rewards = {agent: float(actions[agent] == self.on[agent]) for agent in self.agents}
        self.steps += 1
        seen = [*self.agents, "late"] if self.steps == 3 else self.agents
        terminations = {agent: agent == "early" and self.steps == 2 for agent in seen}
        truncations = dict.fromkeys(seen, self.steps == 6)
        self.agents = [agent for agent in seen if not terminations[agent] and self.steps < 6]
        infos = {agent: {} for agent in seen}
        return self._observe(seen), rewards, terminations, truncations, infos

    def _observe(self, agents):
        self.on = {agent: int(self.random.integers(3)) for agent in agents}
        return {
            agent: {
                "action_mask": (np.arange(3) != (on + 1) % 3).astype(np.int8),
                "lights": (np.arange(3) == on).astype(np.float32),
            }
            for agent, on in self.on.items()
        }
