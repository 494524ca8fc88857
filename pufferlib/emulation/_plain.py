"""Write the results of environments into rows, in plain Python: the twin of `_compiled.pyx`.

Both twins have the same classes and write the same bytes; `twin` chooses between them.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    Agent,
    Array,
    GymnasiumReset,
    GymnasiumStep,
    Observation,
)
from pufferlib.emulation._plain_writer import Plan
from pufferlib.emulation.results import copied_info, number, of_agent
from pufferlib.environment import Buffers, Info
from pufferlib.exceptions import ContractError, ObservationError, RewardError
from pufferlib.old_interfaces import five_results


class StepRow:
    """The row of a single-agent environment.

    Args:
        take: the environment's `step`.
        restart: called when an episode ends; returns (observation, info) of the next episode.
        plan: finds the leaves of the environment's observations.
        views: the leaves in `buffers.observations`.
        final_views: the leaves in `buffers.final_observations`.
        buffers: one row.
    """

    def __init__(
        self,
        take: Callable[[Action], GymnasiumStep],
        restart: Callable[[], GymnasiumReset],
        plan: Plan,
        views: Sequence[Array],
        final_views: Sequence[Array],
        buffers: Buffers,
    ) -> None:
        self._take, self._restart, self._buffers = take, restart, buffers
        self._write, self._write_final = plan.writer(views), plan.writer(final_views)

    def begin(self, observation: Observation) -> None:
        """Write the first observation after a reset; set reward and flags to zero."""
        self._write(observation)
        buffers = self._buffers
        buffers.rewards[0], buffers.masks[0] = 0, True
        buffers.terminals[0] = buffers.truncations[0] = False

    def step(self, action: Action) -> list[Info] | None:
        """Step with an action in the environment's own space and write the result.

        Returns:
            The non-empty infos, at most two: of the step and of the reset; None without any.

        Raises:
            ObservationError: see `Plan.writer`.
            RewardError: the reward is not a number.
        """
        result = self._take(action)
        try:
            observation, reward, terminated, truncated, info = result
        except (TypeError, ValueError):  # costs nothing where there is none, unlike a test
            result = five_results(getattr(self._take, "__self__", None), result)
            observation, reward, terminated, truncated, info = result
        infos = [info] if info else None
        buffers = self._buffers
        # Before the restart: the environment may use the same arrays and dict again in `reset`.
        buffers.rewards[0] = reward if reward.__class__ is float else number(reward)
        buffers.terminals[0] = terminated
        buffers.truncations[0] = truncated
        if terminated or truncated:
            self._write_final(observation)
            observation, infos = self._end(observation, info)
        self._write(observation)
        return infos

    def _end(self, observation: Observation, info: Info) -> tuple[Observation, list[Info] | None]:
        """Start the next episode; return (its first observation, infos)."""
        infos = [copied_info(info)] if info else None
        observation, first = self._restart()
        if first:
            infos = [*(infos or ()), first]
        return observation, infos


class NextStepRow(StepRow):
    """The row of an environment that is reset in the step after the end of an episode.

    The step that ends an episode leaves the last observation in both arrays, and the mask False.
    The next one ignores its action and writes what `begin` does.
    """

    _is_over = False

    def begin(self, observation: Observation) -> None:
        """Write the first observation after a reset; set reward and flags to zero."""
        super().begin(observation)
        self._is_over = False

    def step(self, action: Action) -> list[Info] | None:
        """Step with an action, or reset; return the infos as `StepRow` does, at most one."""
        if not self._is_over:
            return super().step(action)
        observation, info = self._restart()
        self.begin(observation)
        return [info] if info else None

    def _end(self, observation: Observation, info: Info) -> tuple[Observation, list[Info] | None]:
        self._is_over, self._buffers.masks[0] = True, False
        return observation, [info] if info else None


class StepRows:
    """Rows that are stepped one after another.

    Attributes:
        current: index of the row that was stepped last, so that an error can name it.
    """

    def __init__(self, rows: Sequence[StepRow]) -> None:
        self._rows = list(rows)
        self.current = 0

    def step(self, actions: list[Action]) -> list[tuple[int, list[Info]]]:
        """Step each row with its action; return (row index, infos) for each row with infos."""
        infos_by_row = []
        for index, (row, action) in enumerate(zip(self._rows, actions, strict=True)):
            self.current = index
            infos = row.step(action)
            if infos:
                infos_by_row.append((index, infos))
        return infos_by_row


class AgentRows:
    """The rows of agents that join and leave, in a fixed order.

    Args:
        agents: every possible agent, in the order of the rows.
        plan: finds the leaves of an agent's observations.
        views: for each row its leaves in `buffers.observations`.
        final_views: the same in `buffers.final_observations`.
        buffers: one row per agent.

    Attributes:
        living: the agents that are now alive, in the order of the rows.
        living_rows: intp (living,), their rows.

    Raises:
        ContractError: from `reset` and `step`, if an agent without a row takes part.
        ObservationError: from `reset` and `step`, see `Plan.writer`; names the agent.
        RewardError: from `step`, if a reward is not a number; names the agent.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        plan: Plan,
        views: Sequence[Sequence[Array]],
        final_views: Sequence[Sequence[Array]],
        buffers: Buffers,
    ) -> None:
        self._agents, self._buffers = tuple(agents), buffers
        self._write = [plan.writer(row) for row in views]
        self._write_final = [plan.writer(row) for row in final_views]
        self._join(set())

    def reset(self, observations: dict[Agent, Observation], living: Sequence[Agent]) -> None:
        """Write first observations; agents without one are absent. Keep rewards and flags."""
        self._join(set(living))
        masks = self._buffers.masks
        for row, agent in enumerate(self._agents):
            masks[row] = agent in observations
            if not masks[row]:
                self._buffers.observations[row] = 0
                continue
            try:
                self._write[row](observations[agent])
            except ObservationError as error:
                raise of_agent(error, agent) from error.__cause__

    def step(
        self,
        living: Sequence[Agent],
        observations: dict[Agent, Observation],
        rewards: dict[Agent, float],
        terminations: dict[Agent, bool],
        truncations: dict[Agent, bool],
    ) -> None:
        """Write the results of a step.

        Args:
            living: the agents that are alive after the step.
            observations: by agent; the row of an agent without one is set to zeros.
            rewards: by agent, 0 by default.
            terminations: by agent, False by default.
            truncations: the same. An agent that is no longer alive although neither flag is set
                counts as truncated.
        """
        agents, buffers = self._agents, self._buffers
        before, now = self._population, set(living)
        paid: list[float] = []
        ends, cuts, masks = [], [], []
        agent: Agent = None
        try:
            for row, agent in enumerate(agents):
                if agent not in now and agent not in before:
                    ends.append(False)
                    cuts.append(False)
                    paid.append(0)
                    masks.append(False)
                    continue
                end, cut = terminations.get(agent, False), truncations.get(agent, False)
                if agent not in now and not end:
                    cut = True
                ends.append(end)
                cuts.append(cut)
                reward = rewards.get(agent, 0)
                paid.append(reward if reward.__class__ is float else number(reward))
                masks.append(not (end or cut))
                if end or cut:
                    buffers.observations[row] = 0
                if agent in observations:
                    (self._write_final if end or cut else self._write)[row](observations[agent])
                else:
                    (buffers.final_observations if end or cut else buffers.observations)[row] = 0
        except (ObservationError, RewardError) as error:
            raise of_agent(error, agent) from error.__cause__
        buffers.rewards[:], buffers.masks[:] = paid, masks
        buffers.terminals[:], buffers.truncations[:] = ends, cuts
        self._join(now)

    def _join(self, now: set[Agent]) -> None:
        """Make `now` the agents that are alive."""
        rows = [row for row, agent in enumerate(self._agents) if agent in now]
        self.living = [self._agents[row] for row in rows]
        self.living_rows: NDArray[np.intp] = np.array(rows, np.intp)
        self._population = now
        if len(rows) < len(now):
            raise ContractError(unknown_agents(self._agents, now))


def unknown_agents(agents: Sequence[Agent], population: set[Agent]) -> str:
    """Return the error message for agents that are alive but not in `possible_agents`."""
    unknown = sorted(map(repr, population - set(agents)))
    return (
        f"{', '.join(unknown)} took part, but possible_agents are {list(agents)}. List every "
        f"agent that may take part in possible_agents."
    )


def present(infos: dict[Agent, Info]) -> list[Info]:
    """Return the infos that are not empty."""
    return [info for info in infos.values() if info]


__all__ = ["AgentRows", "NextStepRow", "Plan", "StepRow", "StepRows", "present", "unknown_agents"]
