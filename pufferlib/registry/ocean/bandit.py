"""Bandit: find the best arm, which is always the same, without any observation."""

import gymnasium
import numpy as np

from pufferlib.annotations import Array
from pufferlib.arguments import finite_number, whole_number
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.registry.ocean._results import results


class Bandit(PufferEnv):
    """Many one-armed bandits with the same best arm, stepped together.

    Tests whether the best action is found in spite of noise, with no help from the observation.
    A game is one pull. The best arm pays `reward_scale`, the others nothing; normal noise with
    standard deviation `reward_noise` is added. `score` is 1 where the best arm was pulled.

    The optimal score is 1; a random policy scores 1 / num_actions: 0.1.

    Observation: Box(1, 1, (1,)), always 1. Action: Discrete(num_actions), an arm.

    Args:
        num_agents: games, each with its one agent.
        num_actions: arms.
        reward_scale: what the best arm pays on average.
        reward_noise: deviation of the error, at least 0.
        best_action: the arm that pays.
        buffers: rows to write into.

    Raises:
        ArgumentError: fewer than two arms, a best one that is not among them, or a deviation that
            is below 0 or not finite.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self,
        num_agents: int = 1,
        num_actions: int = 10,
        reward_scale: float = 1.0,
        reward_noise: float = 1.0,
        best_action: int = 1,
        buffers: Buffers | None = None,
    ) -> None:
        num_actions = whole_number("num_actions", num_actions, least=2)
        best_action = whole_number("best_action", best_action, least=0, most=num_actions - 1)
        reward_scale = finite_number("reward_scale", reward_scale)
        reward_noise = finite_number("reward_noise", reward_noise, least=0)
        self.num_actions, self.best_action = num_actions, best_action
        self.reward_scale, self.reward_noise = reward_scale, reward_noise
        self.num_agents = num_agents
        self.single_observation_space = gymnasium.spaces.Box(1, 1, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(num_actions)
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, infos)."""
        self._random = np.random.default_rng(seed)
        self._pulled: int | None = None  # in the first game, before this
        self.observations[:] = 1
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Pull an arm in every game, which ends it."""
        is_best = actions == self.best_action
        errors = self._random.standard_normal(self.num_agents) * self.reward_noise
        self.rewards[:] = is_best * self.reward_scale + errors
        self.terminals[:] = True
        self.observations[:] = self.final_observations[:] = 1
        self._pulled = int(actions[0])
        infos = results(self.rewards, 1, is_best.astype(np.float64))
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> str | None:
        """Return the first game as text: the arms, `*` the best, `[ ]` around the one pulled."""
        if self.render_mode is None:
            return None
        arms = ["*" if arm == self.best_action else "." for arm in range(self.num_actions)]
        return "".join(
            f"[{arm}]" if index == self._pulled else f" {arm} " for index, arm in enumerate(arms)
        )
