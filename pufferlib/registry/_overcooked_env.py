"""A kitchen of Overcooked-AI as a PettingZoo parallel environment."""

import importlib
import importlib.util
import sys
import types
from typing import Any

import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from pufferlib.annotations import Observation, Options, ParallelStep, Space
from pufferlib.environment import Info
from pufferlib.wrappers.silencing import silent

with silent():  # it imports gym, which talks
    from overcooked_ai_py.mdp.actions import Action
    from overcooked_ai_py.mdp.overcooked_mdp import OvercookedGridworld, Recipe

Agent = str
Grid = NDArray[np.float32]

# What only notebooks need of the package's drawing, and what it imports from there.
_NOTEBOOK_MODULES = {
    "IPython": (),
    "IPython.display": ("Image", "display"),
    "ipywidgets": ("interactive", "IntSlider"),
}


class Kitchen(pettingzoo.ParallelEnv[Agent, Observation, int]):
    """Two cooks in one kitchen.

    It uses the package's game rules only, not its planners, which write files into the package's
    folder and do not run on NumPy 2.

    Args:
        layout: of the kitchen.
        horizon: steps after which an episode is truncated; the last 40 are observed.
        shaped_reward: weight of a cook's own useful actions, added to the soups of both.
        render_mode: "rgb_array" or None.
    """

    metadata = {"name": "overcooked", "render_modes": ["rgb_array"]}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self, layout: str, horizon: int, shaped_reward: float, render_mode: str | None
    ) -> None:
        Recipe.configure({})  # a layout may begin with a soup, which is read before its recipes
        self.rules = OvercookedGridworld.from_layout_name(layout)
        self.horizon, self.shaped_reward = horizon, shaped_reward
        self.render_mode = render_mode
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents: list[Agent] = []
        shape = tuple(int(n) for n in self.rules.get_lossless_state_encoding_shape())
        self._space = Box(0, np.inf, shape, np.float32)
        self._action_spaces = {
            agent: Discrete(Action.NUM_ACTIONS) for agent in self.possible_agents
        }
        self._visualizer: Any = None

    def observation_space(self, agent: Agent) -> Space:
        """Return the observation space, the same object for both cooks."""
        return self._space

    def action_space(self, agent: Agent) -> Space:
        """Return the cook's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> tuple[dict[Agent, Grid], dict[Agent, Info]]:
        """Start an episode; return (observations, infos). There is no chance to seed."""
        self._use_own_recipes()
        self._state = self.rules.get_standard_start_state()
        self._steps, self._soups, self._sparse_return = 0, 0, 0.0
        self.agents = list(self.possible_agents)
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[Agent, int]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        self._use_own_recipes()
        cooks = self.agents
        joint = [Action.INDEX_TO_ACTION[int(actions[cook])] for cook in cooks]
        self._state, outcome = self.rules.get_state_transition(self._state, joint)
        self._steps += 1
        served = float(sum(outcome["sparse_reward_by_agent"]))
        self._sparse_return += served
        self._soups += sum(outcome["event_infos"]["soup_delivery"])
        is_over = bool(self.rules.is_terminal(self._state))
        is_late = self._steps >= self.horizon and not is_over
        infos: dict[Agent, Info] = {cook: {} for cook in cooks}
        if is_over or is_late:
            self.agents = []
            for cook in cooks:
                infos[cook] = {"soups": self._soups, "sparse_return": self._sparse_return}
        rewards = {
            cook: served + self.shaped_reward * outcome["shaped_reward_by_agent"][number]
            for number, cook in enumerate(cooks)
        }
        return (
            self._observe(),
            rewards,
            dict.fromkeys(cooks, is_over),
            dict.fromkeys(cooks, is_late),
            infos,
        )

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the kitchen, (h, w, 3), or None."""
        if self.render_mode is None:
            return None
        import pygame

        self._use_own_recipes()
        if self._visualizer is None:
            self._visualizer = _visualizer()
        surface = self._visualizer.render_state(self._state, grid=self.rules.terrain_mtx)
        return np.swapaxes(pygame.surfarray.array3d(surface), 0, 1)

    def close(self) -> None:
        """Do nothing: a kitchen has only memory."""

    def _use_own_recipes(self) -> None:
        """Set this kitchen's recipes, which the package keeps once for all kitchens."""
        if Recipe.configuration is not self.rules.recipe_config:
            Recipe.configure(self.rules.recipe_config)

    def _observe(self) -> dict[Agent, Grid]:
        grids = self.rules.lossless_state_encoding(self._state, horizon=self.horizon)
        return {
            agent: np.asarray(grid, np.float32)
            for agent, grid in zip(self.possible_agents, grids, strict=True)
        }


def _visualizer() -> Any:
    """Return the package's visualizer, imported with stand-ins for missing notebook modules."""
    stand_ins = [
        name
        for name in _NOTEBOOK_MODULES
        if importlib.util.find_spec(name.partition(".")[0]) is None
    ]
    for name in stand_ins:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(dict.fromkeys(_NOTEBOOK_MODULES[name]))
    try:
        drawing = importlib.import_module("overcooked_ai_py.visualization.state_visualizer")
    finally:
        for name in stand_ins:
            del sys.modules[name]
    return drawing.StateVisualizer()
