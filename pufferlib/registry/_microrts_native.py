"""Many games of MicroRTS as one native environment, over Java's own vector client."""

from collections.abc import Sequence
from typing import Any

import jpype
import numpy as np

from pufferlib.annotations import Array, Rendered
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.registry._microrts_env import (
    action_space,
    checked_weight,
    draw,
    fill_empty_cells,
    observation_space,
    statistics_of,
)
from pufferlib.registry._microrts_java import (
    REWARDS,
    SELF,
    Memory,
    make_client,
    make_vector_client,
    map_size,
    start_java,
)


class MicroRTSGames(PufferEnv):
    """Games against one kind of bot, each a row, stepped in one call.

    The client starts the next game in the step that ends one. The state of the ended game is kept
    here and read through a second client, so the last observation of an episode is the true one.

    Args: as of `pufferlib.registry.microrts.make_env`.
        num_envs: how many games.
        opponent: a function of gym_microrts.microrts_ai.
        map_path: of an XML file, relative to those of gym_microrts.
        max_steps: a game is truncated after so many.
        reward_weight: six numbers.
        render_mode: "rgb_array" or None.
        buffers: rows to write into; allocated here if None.

    Attributes:
        observation_layout: how an observation lies in its row; `unflatten` gives it back.
        action_layout: the same for actions.
    """

    def __init__(
        self,
        num_envs: int,
        opponent: str,
        map_path: str,
        max_steps: int,
        reward_weight: Sequence[float],
        render_mode: str | None,
        buffers: Buffers | None = None,
    ) -> None:
        self.render_mode = render_mode
        self._weight = checked_weight(reward_weight)
        size = map_size(map_path)
        self.observation_layout = Layout.of(observation_space(size))
        self.action_layout = ActionLayout.of(action_space(size))
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        self.num_agents = num_envs
        start_java()
        self._memory, self._last_memory = Memory.allocate(num_envs, size), Memory.allocate(1, size)
        self._client = make_vector_client(opponent, map_path, max_steps, self._memory)
        self._last_client = make_client(opponent, map_path, self._last_memory)
        self._last_planes = self._last_memory.indexed()[0]
        self._clients = list(self._client.clients)
        self._states: list[Any] = []
        self._players = jpype.JArray(jpype.JInt)([SELF] * num_envs)
        self._sums = np.zeros((num_envs, len(REWARDS)))
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        super().__init__(buffers)

    def bind(self, buffers: Buffers) -> None:
        """Write into these rows from now on."""
        super().bind(buffers)
        self._seen = self.observation_layout.unflatten(buffers.observations)
        self._last_seen = self.observation_layout.unflatten(buffers.final_observations)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, [])."""
        self._client.reset(self._players)
        self._client.envSteps[:] = [0] * self.num_agents
        self._states = [client.gs for client in self._clients]
        fill_empty_cells(self._memory.planes)
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        self.masks[:] = True
        self._sums[:], self._returns[:], self._lengths[:] = 0, 0, 0
        self._observe()
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Step all games; return (observations, rewards, terminals, truncations, infos)."""
        self._memory.actions[:] = actions.reshape(self._memory.actions.shape)
        response = self._client.gameStep(self._players)
        unweighted = np.array(response.reward)  # (games, 6)
        rewards = unweighted @ self._weight
        self.rewards[:] = rewards
        self._sums += unweighted
        self._returns += rewards
        self._lengths += 1
        self.terminals[:], self.truncations[:] = False, False
        over = np.flatnonzero(np.array(response.done)[:, 0])
        infos = [self._end(game) for game in over.tolist()]
        self._observe()
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> Rendered:
        """Return a picture of the first game, see `draw`; None without a render mode."""
        return draw(self._memory.planes[0]) if self.render_mode else None

    def close(self) -> None:
        """Free the games. Java stays: it cannot be started twice in one process."""
        self._client.close()
        self._last_client.close()

    def _observe(self) -> None:
        self._client.getMasks(SELF)
        self._seen["observation"][:] = self._memory.planes
        masks = self._seen["action_mask"]
        masks[:] = self._memory.masks.reshape(masks.shape)

    def _end(self, game: int) -> Info:
        """Write the end of a game, and complete the first observation of the next."""
        state, self._states[game] = self._states[game], self._clients[game].gs
        fill_empty_cells(self._memory.planes[game])
        self._report_last(game, state)
        is_over = bool(state.gameover())
        self.terminals[game], self.truncations[game] = is_over, not is_over
        info = statistics_of(self._sums[game])
        info["episode_return"] = float(self._returns[game])
        info["episode_length"] = int(self._lengths[game])
        self._sums[game], self._returns[game], self._lengths[game] = 0, 0, 0
        return info

    def _report_last(self, game: int, state: Any) -> None:
        """Write the observation of `state`, the last one of `game`."""
        client = self._last_client
        client.gs, client.pgs = state, state.getPhysicalGameState()
        client.getMasks(SELF)
        state.getBufferObservation(SELF, 0, self._last_planes)
        self._last_seen["observation"][game] = self._last_memory.planes[0]
        masks = self._last_seen["action_mask"]
        masks[game] = self._last_memory.masks[0].reshape(masks[game].shape)
