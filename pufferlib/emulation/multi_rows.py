"""The rows of a PettingZoo environment: one for every possible agent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pufferlib.annotations import Action, Agent, Array, Options, Structure
from pufferlib.emulation.results import ResetInfo, copied_info
from pufferlib.emulation.rows import EmulatedRows
from pufferlib.emulation.twin import AgentRows, present
from pufferlib.environment import Buffers, Info, StepResult
from pufferlib.exceptions import ContractError
from pufferlib.old_interfaces import explain_step, five_results

if TYPE_CHECKING:
    from pufferlib.emulation.multi import PettingZooPufferEnv


class PettingZooRows(EmulatedRows["PettingZooPufferEnv"]):
    """A `PettingZooPufferEnv` that writes a row for every possible agent, alive or not.

    In the step in which an agent dies, its last observation is in `final_observations`, and its
    reward and flags are in its row; from then on its `masks` is False and its observation zeros.
    When no agent is left alive, the next episode starts in the same step; also if all flags say
    so, and the environment forgets to empty `agents`.

    Raises:
        ContractError: from `reset` and `step`, if an episode begins without any agent.
    """

    def __init__(self, env: "PettingZooPufferEnv") -> None:
        self.is_one_game = env.is_one_game
        self._rebuild_rows = env.action_layout.rows_rebuilder()
        super().__init__(env, len(env.possible_agents))

    def bind(self, buffers: Buffers) -> None:
        """Write into `buffers` from now on."""
        super().bind(buffers)
        layout, rows = self.observation_layout, range(self.num_agents)
        self._agent_rows = AgentRows(
            self.env.possible_agents,
            layout.plan(),
            # The index ... makes a view of a row without axes, too.
            [layout.views(buffers.observations[row, ...]) for row in rows],
            [layout.views(buffers.final_observations[row, ...]) for row in rows],
            buffers,
        )

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> tuple[Array, list[Info]]:
        """Start an episode; return (observations, infos)."""
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        return self.observations, self._begin(seed, options)

    def step(self, actions: Array) -> StepResult:
        """Step all living agents; if none is left, start the next episode."""
        env = self.env.env
        chosen = self._chosen(actions)
        try:
            results = env.step(chosen)
        except (TypeError, ValueError) as error:
            explain_step(env, error)
            raise
        *result, infos = map(_as_dict, five_results(env, results))
        self._agent_rows.step(env.agents, *result)
        reported = present(infos)
        if not np.count_nonzero(self.masks):  # a third of the time of any()
            reported = self._end(reported)
        return self.observations, self.rewards, self.terminals, self.truncations, reported

    def _end(self, reported: list[Info]) -> list[Info]:
        """Start the next episode; return the infos."""
        # The environment may use the same dicts again in `reset`.
        final = [copied_info(info) for info in reported]
        return [*final, *map(ResetInfo, self._begin())]

    def _begin(self, seed: int | None = None, options: Options | None = None) -> list[Info]:
        observations, infos = map(_as_dict, self.env.reset_structured(seed, options))
        living = self.env.agents
        self._agent_rows.reset(observations, living)
        if not any(agent in observations for agent in living):
            raise ContractError(
                f"reset of {self.env.env} began an episode in which no agent can act: `agents` is "
                f"{list(living)}, and the observations are of {list(observations)}. At least one "
                f"agent of possible_agents must be in `agents` and have an observation."
            )
        return present(infos)

    def _chosen(self, actions: Array) -> dict[Agent, Action]:
        """Return the structured actions of the living agents; other rows are ignored."""
        rows = self._agent_rows
        if len(rows.living) < self.num_agents:
            actions = actions[rows.living_rows]
        if not self.env.is_action_checked:
            self.env.check_actions(dict(zip(rows.living, actions, strict=True)))
        return dict(zip(rows.living, self._rebuild_rows(actions), strict=True))


def _as_dict(mapping: Mapping[Agent, Structure]) -> dict[Agent, Structure]:
    """Return a plain dict, not a subclass such as the defaultdict of `aec_to_parallel`."""
    return mapping if type(mapping) is dict else dict(mapping)
