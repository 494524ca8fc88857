"""Several policies in one environment: which of them acts for which agent."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from pufferlib.exceptions import ArgumentError, ContractError
from pufferlib.policy import Rows

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class AgentPolicies(nn.Module):
    """Policies by name, and for each agent of an environment the one that acts for it.

    Agents of unlike roles learn a policy each. The `Trainer` and `evaluate` take this module where
    they take a policy. It cannot be called with rows, which do not say whose they are; whatever
    runs it splits rows by `policies_of`.

    Args:
        policies: by name; each a `Policy` or a `RecurrentPolicy` for the rows of the environment.
        policy_of: the name of the policy of each agent of an environment, in the order of rows.
        frozen: names of policies that act, and do not learn.

    Raises:
        ArgumentError: a name that cannot be part of the name of a metric; a policy that no agent
            has, or an agent without one; all policies are frozen.
    """

    def __init__(
        self,
        policies: Mapping[str, nn.Module],
        policy_of: Sequence[str],
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__()
        for name in policies:
            if not _NAME.fullmatch(name) or hasattr(nn.ModuleDict, name):
                raise ArgumentError(
                    f"A policy cannot be named {name!r}: a name has letters, digits, _ and -, "
                    f"begins with a letter, and is not an attribute of torch.nn.ModuleDict. "
                    f"Choose another name."
                )
        unknown = [name for name in policy_of if name not in policies]
        idle = [name for name in policies if name not in policy_of]
        if unknown or idle:
            raise ArgumentError(
                f"Each agent needs one of the policies, and each policy an agent; got the policies "
                f"{list(policies)} and, for the agents in order, {list(policy_of)}."
            )
        strangers = sorted(set(frozen) - set(policies))
        if strangers or set(frozen) == set(policies):
            raise ArgumentError(
                f"frozen must name some of the policies {list(policies)}, and not all of them; got "
                f"{sorted(frozen)}."
            )
        self.policies = nn.ModuleDict(policies)
        self.policy_of, self.frozen = tuple(policy_of), frozenset(frozen)

    def forward(self, *_: Any) -> NoReturn:
        """Refuse: rows do not say which agent they are of.

        Raises:
            ContractError: always.
        """
        raise ContractError(
            f"AgentPolicies cannot be called with rows, which do not say whose they are. Run it "
            f"with pufferlib.training.PolicyActor, or call one of its policies: "
            f"{', '.join(f'policies[{name!r}]' for name in self.policies)}."
        )


class PolicyRows(NamedTuple):
    """A policy and the rows that it acts for: those of some agents of every environment.

    Attributes:
        name: of the policy; "" if it acts for all rows.
        policy: the module.
        agents: int64, the places of its agents among those of an environment; None: all.
        num_agents: of an environment.
        is_frozen: it acts, and does not learn.
    """

    name: str
    policy: nn.Module
    agents: Tensor | None = None
    num_agents: int = 1
    is_frozen: bool = False

    def count(self, rows: int) -> int:
        """Return for how many rows the policy acts, of so many of whole environments."""
        return rows if self.agents is None else rows // self.num_agents * len(self.agents)

    def among(self, rows: int) -> Rows:
        """Return which rows it acts for, of so many of whole environments."""
        if self.agents is None:
            return slice(None)
        return torch.arange(rows).view(-1, self.num_agents)[:, self.agents].flatten()

    def within(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return which of `rows` the policy acts for, and their numbers among all of its rows.

        Args:
            rows: int64 (B,), numbers of rows of a vectorizer.

        Returns:
            Two int64 tensors: places in `rows`, and numbers counted from 0.
        """
        if self.agents is None:
            return torch.arange(len(rows), device=rows.device), rows
        place = torch.full((self.num_agents,), -1)
        place[self.agents] = torch.arange(len(self.agents))
        places = place.to(rows.device)[rows % self.num_agents]
        chosen = (places >= 0).nonzero()[:, 0]
        return chosen, rows[chosen] // self.num_agents * len(self.agents) + places[chosen]


def policies_of(policy: nn.Module) -> list[PolicyRows]:
    """Return the policies in `policy`, each with its rows: itself alone unless `AgentPolicies`."""
    if not isinstance(policy, AgentPolicies):
        return [PolicyRows("", policy)]
    count = len(policy.policy_of)
    return [
        PolicyRows(
            name,
            each,
            torch.tensor([place for place in range(count) if policy.policy_of[place] == name]),
            count,
            name in policy.frozen,
        )
        for name, each in policy.policies.items()
    ]
