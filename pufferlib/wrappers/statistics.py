"""Report the statistics of an episode in `info` when it ends."""

from collections.abc import Callable

import gymnasium
import pettingzoo

from pufferlib.annotations import (
    Action,
    Agent,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    UserEnv,
)
from pufferlib.emulation.results import number
from pufferlib.environment import Info
from pufferlib.old_interfaces import adapted, checked_reset, five_results

Statistics = Callable[[UserEnv], Info]


class EpisodeStats(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Report an episode in `info` when it ends; `info` is empty on all other steps.

    The last step's info holds `episode_return` (sum of rewards), `episode_length` (steps), the
    results of `statistics`, and the environment's entries.

    Args:
        env: the environment to wrap.
        statistics: called with the unwrapped environment when an episode has ended; returns a dict
            of further numbers to report.
    """

    def __init__(self, env: GymnasiumEnv, statistics: Statistics | None = None) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self, _disable_deepcopy=True, statistics=statistics
        )
        gymnasium.Wrapper.__init__(self, adapted(env))
        self._statistics = statistics
        self._return, self._length = 0.0, 0

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, {})."""
        self._return, self._length = 0.0, 0
        observation, _ = checked_reset(self.env, seed, options)
        return observation, {}

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        result = self.env.step(action)
        try:
            observation, reward, terminated, truncated, info = result
        except (TypeError, ValueError):  # costs nothing where there is none, unlike a test
            observation, reward, terminated, truncated, info = five_results(self.env, result)
        self._return += reward if type(reward) is float else number(reward)
        self._length += 1
        if not (terminated or truncated):
            return observation, reward, terminated, truncated, {}
        info = dict(info, episode_return=self._return, episode_length=self._length)
        if self._statistics is not None:
            info.update(self._statistics(self.env.unwrapped))
        return observation, reward, terminated, truncated, info


class MultiAgentEpisodeStats(pettingzoo.utils.BaseParallelWrapper):
    """Report each agent's episode in its `info` when it ends; infos are empty on all other steps.

    Like `EpisodeStats`, per agent: an agent's episode ends when it terminates or is truncated.
    """

    def __init__(self, env: pettingzoo.ParallelEnv[Agent, Observation, Action]) -> None:
        super().__init__(adapted(env))
        self._returns: dict[Agent, float] = {}
        self._lengths: dict[Agent, int] = {}

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, an empty info for each agent)."""
        self._returns, self._lengths = {}, {}
        observations, infos = checked_reset(self.env, seed, options)
        return observations, {agent: {} for agent in infos}

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        results = five_results(self.env, super().step(actions))
        observations, rewards, terminations, truncations, infos = results
        reported: dict[Agent, Info] = {agent: {} for agent in infos}
        for agent, reward in rewards.items():
            reward = reward if type(reward) is float else number(reward)
            self._returns[agent] = self._returns.get(agent, 0.0) + reward
            self._lengths[agent] = self._lengths.get(agent, 0) + 1
            if terminations.get(agent) or truncations.get(agent):
                reported[agent] = dict(
                    infos.get(agent, {}),
                    episode_return=self._returns.pop(agent),
                    episode_length=self._lengths.pop(agent),
                )
        return observations, rewards, terminations, truncations, reported
