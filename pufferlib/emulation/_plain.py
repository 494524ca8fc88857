"""Writing observations into rows, in plain Python: the twin of `_compiled.pyx`.

Both twins have these three classes, and give the same bytes; `twin` chooses. The code that looks an
observation's leaves up and assigns them is generated once a layout: nothing is faster without a
compiler, and nothing is allocated by it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Buffers, Info
from pufferlib.exceptions import ContractError

Tree = int | list[tuple[Any, "Tree"]]
"""Where leaves lie: (key, subtree) pairs, a leaf being its number; of a lone leaf just 0."""

Write = Callable[[Any], None]


class Plan:
    """How to find the leaves of an observation.

    Args:
        tree: keys and numbers of the leaves.
        pack: applied to an observation first; None if it is to be taken as it is.
    """

    def __init__(self, tree: Tree, pack: Callable[[Any], Any] | None = None) -> None:
        namespace: dict[str, Any] = {"pack": pack}
        lines = [] if pack is None else ["value = pack(value)"]
        numbers: list[int] = []
        _assign(tree, "value", lines, namespace, numbers)
        views = ", ".join(f"view{number}" for number in numbers)
        body = "".join(f"        {line}\n" for line in lines)
        source = f"def bind({views}):\n    def write(value):\n{body}    return write\n"
        exec(compile(source, "<pufferlib layout>", "exec"), namespace)  # our own text only
        self._bind: Callable[..., Write] = namespace["bind"]

    def writer(self, views: Sequence[NDArray[Any]]) -> Write:
        """Return a function that writes an observation into `views`, its leaves in one row."""
        return self._bind(*views)


class StepRow:
    """The row of an environment's only agent.

    Args:
        take: the environment's `step`.
        restart: called where an episode ends; returns (observation, info) of the next one.
        plan: of its observations.
        views: the leaves in `buffers.observations`.
        final_views: the leaves in `buffers.final_observations`.
        buffers: one row.
    """

    def __init__(
        self,
        take: Callable[[Any], tuple[Any, Any, Any, Any, Info]],
        restart: Callable[[], tuple[Any, Info]],
        plan: Plan,
        views: Sequence[NDArray[Any]],
        final_views: Sequence[NDArray[Any]],
        buffers: Buffers,
    ) -> None:
        self._take, self._restart, self._buffers = take, restart, buffers
        self._write, self._write_final = plan.writer(views), plan.writer(final_views)

    def begin(self, observation: Any) -> None:
        """Write the first observation of an episode that no step has begun."""
        self._write(observation)
        buffers = self._buffers
        buffers.rewards[0], buffers.masks[0] = 0, True
        buffers.terminals[0] = buffers.truncations[0] = False

    def step(self, action: Any) -> list[Info] | None:
        """Take a step with an action of the environment's own and write it; return its infos."""
        observation, reward, terminated, truncated, info = self._take(action)
        infos = [info] if info else None
        if terminated or truncated:
            self._write_final(observation)
            observation, first = self._restart()
            if first:
                infos = [*(infos or ()), first]
        self._write(observation)
        buffers = self._buffers
        buffers.rewards[0] = reward
        buffers.terminals[0] = terminated
        buffers.truncations[0] = truncated
        return infos


class StepRows:
    """Rows that are stepped one after the other.

    Attributes:
        current: number of the row that was last stepped, to say which failed.
    """

    def __init__(self, rows: Sequence[StepRow]) -> None:
        self._rows = list(rows)
        self.current = 0

    def step(self, actions: list[Any]) -> list[tuple[int, list[Info]]]:
        """Step each row with its action; return the numbers of those with infos, and these."""
        news = []
        for number, (row, action) in enumerate(zip(self._rows, actions, strict=True)):
            self.current = number
            infos = row.step(action)
            if infos:
                news.append((number, infos))
        return news


class AgentRows:
    """The rows of agents that come and go, in a fixed order.

    Args:
        agents: every agent that may take part, in the order of the rows.
        plan: of an agent's observations.
        views: for each row its leaves in `buffers.observations`.
        final_views: the same in `buffers.final_observations`.
        buffers: one row an agent.

    Attributes:
        living: the agents now in the population, in the order of the rows.
        living_rows: intp (living,), their rows.

    Raises:
        ContractError: from `reset` and `step`, where an agent takes part that has no row.
    """

    def __init__(
        self,
        agents: Sequence[Any],
        plan: Plan,
        views: Sequence[Sequence[NDArray[Any]]],
        final_views: Sequence[Sequence[NDArray[Any]]],
        buffers: Buffers,
    ) -> None:
        self._agents, self._buffers = tuple(agents), buffers
        self._write = [plan.writer(row) for row in views]
        self._write_final = [plan.writer(row) for row in final_views]
        self._join(set())

    def reset(self, observations: dict[Any, Any], living: Sequence[Any]) -> None:
        """Write first observations; agents without one are absent. Rewards and flags stay."""
        self._join(set(living))
        masks = self._buffers.masks
        for row, agent in enumerate(self._agents):
            masks[row] = agent in observations
            if masks[row]:
                self._write[row](observations[agent])
            else:
                self._buffers.observations[row] = 0

    def step(
        self,
        living: Sequence[Any],
        observations: dict[Any, Any],
        rewards: dict[Any, Any],
        terminations: dict[Any, Any],
        truncations: dict[Any, Any],
    ) -> None:
        """Write what a step has brought.

        Args:
            living: the agents now in the population.
            observations: of each agent that took part; a row of zeros where there is none.
            rewards: 0 where there is none.
            terminations: False where there is none.
            truncations: the same; an agent that is gone and was not told so has been truncated.
        """
        agents, buffers = self._agents, self._buffers
        before, now = self._population, set(living)
        ends, cuts, paid, masks = [], [], [], []
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
            paid.append(rewards.get(agent, 0))
            masks.append(not (end or cut))
            if end or cut:
                buffers.observations[row] = 0
            if agent in observations:
                (self._write_final if end or cut else self._write)[row](observations[agent])
            else:
                (buffers.final_observations if end or cut else buffers.observations)[row] = 0
        buffers.rewards[:], buffers.masks[:] = paid, masks
        buffers.terminals[:], buffers.truncations[:] = ends, cuts
        self._join(now)

    def _join(self, now: set[Any]) -> None:
        """Take `now` for the population."""
        rows = [row for row, agent in enumerate(self._agents) if agent in now]
        self.living = [self._agents[row] for row in rows]
        self.living_rows: NDArray[np.intp] = np.array(rows, np.intp)
        self._population = now
        if len(rows) < len(now):
            raise ContractError(strangers(self._agents, now))


def strangers(agents: Sequence[Any], population: set[Any]) -> str:
    """Return what there is to say when agents take part that were not announced."""
    unknown = sorted(map(repr, population - set(agents)))
    return (
        f"{', '.join(unknown)} took part, but possible_agents are {list(agents)}. Let "
        f"possible_agents hold every agent that may ever take part."
    )


def present(infos: dict[Any, Info]) -> list[Info]:
    """Return the infos that are not empty."""
    return [info for info in infos.values() if info]


def _assign(
    tree: Tree, source: str, lines: list[str], namespace: dict[str, Any], numbers: list[int]
) -> None:
    """Append lines that copy each leaf of `source` into its view; look inner dicts up once."""
    if isinstance(tree, int):
        numbers.append(tree)
        lines.append(f"view{tree}[...] = {source}")
        return
    for key, part in tree:
        name = f"key{len(namespace)}"
        namespace[name] = key
        if isinstance(part, int):
            _assign(part, f"{source}[{name}]", lines, namespace, numbers)
        else:
            lines.append(f"part_{name} = {source}[{name}]")
            _assign(part, f"part_{name}", lines, namespace, numbers)
