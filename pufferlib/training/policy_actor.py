"""Choose actions of environments with a policy, or with several."""

import numpy as np
import torch
from torch import Tensor, nn

from pufferlib.agent_policies import policies_of
from pufferlib.annotations import Array
from pufferlib.emulation.description import HasSpaces
from pufferlib.exceptions import ArgumentError
from pufferlib.policy import Rows
from pufferlib.pytorch import action_converter
from pufferlib.training.policy_runner import ALL_ROWS, PolicyRunner


class PolicyActor:
    """Chooses actions for rows of environments; a policy with memory has it for each row.

    Args:
        env: the vectorizer whose rows they are, or one of its environments.
        policy: on `device`; of `AgentPolicies` each acts for the rows of its agents, in one batch.
        num_rows: how many rows there are, those of whole environments.
        device: where observations will be.

    Attributes:
        num_rows: as given, or as `reset` last was.
    """

    def __init__(
        self, env: HasSpaces, policy: nn.Module, num_rows: int, device: torch.device
    ) -> None:
        self._device = device
        self._parts = policies_of(policy)
        self._convert = [action_converter(env, part.policy) for part in self._parts]
        self.reset(num_rows)

    def reset(self, num_rows: int) -> None:
        """Begin episodes in all rows, `num_rows` from now on.

        Raises:
            ArgumentError: they are not those of whole environments.
        """
        agents = self._parts[0].num_agents
        if num_rows % agents:
            raise ArgumentError(
                f"The policies are for environments of {agents} agents, so the number of rows must "
                f"be a multiple of {agents}; got {num_rows}."
            )
        self.num_rows = num_rows
        self._runners = [
            PolicyRunner(part.policy, part.count(num_rows), self._device) for part in self._parts
        ]

    @property
    def has_memory(self) -> bool:
        """Whether a policy remembers what it has seen in its rows."""
        return any(runner.is_recurrent for runner in self._runners)

    @torch.no_grad()
    def act(
        self, observations: Tensor, starts: Tensor, rows: Rows = ALL_ROWS, is_greedy: bool = False
    ) -> Array:
        """Return flat actions (B, *single_action_space.shape).

        Args:
            observations: (B, ...), on the device.
            starts: bool (B,), the observation is the first of an episode.
            rows: which of the rows these are.
            is_greedy: take the most probable actions; otherwise they are sampled.

        Raises:
            NotFiniteError: a policy gives NaN in place of actions or their probabilities.
        """
        if self._parts[0].agents is None:
            decision = self._runners[0].act(observations, starts, rows, is_greedy)
            decision.check_finite(self._parts[0].policy)
            return self._convert[0](decision.actions, decision.heads)
        if isinstance(rows, slice):
            rows = torch.arange(self.num_rows, device=self._device)[rows]
        chosen: list[tuple[Tensor, Array]] = []
        for part, runner, convert in zip(self._parts, self._runners, self._convert, strict=True):
            places, own = part.within(rows)
            if len(places):
                decision = runner.act(observations[places], starts[places], own, is_greedy)
                decision.check_finite(part.policy)
                chosen.append((places, convert(decision.actions, decision.heads)))
        return joined(chosen, len(observations))


def joined(parts: list[tuple[Tensor, Array]], rows: int) -> Array:
    """Return the actions of several policies in the order of rows.

    Args:
        parts: int64 (N,), which rows, and their actions (N, ...).
        rows: in all.
    """
    actions: Array = np.zeros((rows, *parts[0][1].shape[1:]), parts[0][1].dtype)
    for places, own in parts:
        actions[places.cpu().numpy()] = own
    return actions
