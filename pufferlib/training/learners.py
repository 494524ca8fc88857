"""All policies that act in training: those that learn, and those that are frozen."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn

from pufferlib.agent_policies import PolicyRows, policies_of
from pufferlib.annotations import StateDict
from pufferlib.central_critic import CentralCritic
from pufferlib.exceptions import ArgumentError
from pufferlib.training.collector import Collector
from pufferlib.training.config import LoopConfig
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.joint import JointObservations
from pufferlib.training.learner import Learner
from pufferlib.training.opponents import Opponents
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.profile import Profile
from pufferlib.training.recorder import Recorder, segments_of
from pufferlib.training.rollout import Rollout, storage_device
from pufferlib.vector import VectorEnv

# One, or of several policies one by the name of each that learns.
Rollouts: TypeAlias = Rollout | Mapping[str, Rollout]


class Learners:
    """The learners of a policy: one, or one for each of `AgentPolicies` that is not frozen.

    A checkpoint keeps the state of a single learner as it is, and of several by name.

    Args:
        config: the settings of all of them.
        vecenv: the environments.
        policy: on `device`, in training mode; those that are frozen are set to evaluation mode.
        device: of the policy.
        context: the processes that learn together.
        seed: of the order of minibatches.

    Attributes:
        algorithms: by the name of the policy; "" of a single one.

    Raises:
        ArgumentError: the policies are for environments of another number of agents.
        SettingError: impossible settings for so many rows.
    """

    def __init__(
        self,
        config: LoopConfig,
        vecenv: VectorEnv,
        policy: nn.Module,
        device: torch.device,
        context: DistributedContext,
        seed: int,
    ) -> None:
        self._config, self._vecenv, self._device, self._context = config, vecenv, device, context
        self._parts = policies_of(policy)
        critics = [p.policy.num_agents for p in self._parts if isinstance(p.policy, CentralCritic)]
        agents = critics[0] if critics else self._parts[0].num_agents
        found = set(vecenv.agents_per_env)
        if (critics or self._parts[0].agents is not None) and found != {agents}:
            raise ArgumentError(
                f"The policies are for environments of {agents} agents; the environments here have "
                f"{sorted(found)}. Make them for as many agents."
            )
        self._learners = {
            part.name: Learner(config, vecenv, part, device, context, seed)
            for part in self._parts
            if not part.is_frozen
        }
        self.algorithms = {name: each.algorithm for name, each in self._learners.items()}

    def collector(self, profile: Profile, opponents: Opponents | None = None) -> Collector:
        """Return what steps the environments with the policies, and collects their rollouts."""
        config, vecenv = self._config, self._vecenv
        joint = None
        if any(isinstance(part.policy, CentralCritic) for part in self._parts):
            device = storage_device(config, vecenv, self._device)
            joint = JointObservations(vecenv, config.horizon, segments_of(vecenv), device)
        recorders = [self._recorder(part, profile, joint) for part in self._parts]
        return Collector(vecenv, recorders, config.horizon, profile, joint, opponents)

    def _recorder(
        self, part: PolicyRows, profile: Profile, joint: JointObservations | None
    ) -> Recorder:
        config, vecenv, device = self._config, self._vecenv, self._device
        learner = self._learners.get(part.name)
        if learner is None:
            part.policy.eval()
            rows = part.count(vecenv.num_agents)
            runner = PolicyRunner(part.policy, rows, device, config.precision, config.compile)
        else:
            runner = learner.runner
        scale = learner.scale if learner is not None and config.normalize_rewards else None
        storage = storage_device(config, vecenv, device)
        return Recorder(vecenv, part, runner, config.horizon, storage, scale, profile, joint)

    def rollouts(self, collected: list[Rollout]) -> Rollouts:
        """Return the rollouts that the recorders have collected, in their order."""
        return self._joined(dict(zip(self._learners, collected, strict=True)))

    def update(self, rollouts: Rollouts, progress: float, updates: int) -> dict[str, float]:
        """Let every policy learn from its rollout; return metrics. Arguments as `Learner.update`.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite.
        """
        metrics: dict[str, float] = {}
        for name, learner in self._learners.items():
            metrics |= learner.update(_own(rollouts, name), progress, updates)
            if self._config.normalize_rewards:
                learner.scale.merge_processes(self._context.all_reduce_sum, self._device)
        return metrics

    def restart(self) -> None:
        """Reset the running sums of rewards, as new episodes begin in all rows."""
        for learner in self._learners.values():
            learner.scale.restart()

    def seed(self, seed: int) -> None:
        """Seed the order of minibatches."""
        for learner in self._learners.values():
            learner.generator.manual_seed(seed)

    def start_from(self, state: StateDict) -> None:
        """Take what weights depend on from the checkpoint that they are from."""
        for name, learner in self._learners.items():
            start_from = getattr(learner.algorithm, "start_from", None)
            own = _of_algorithm(state, name)
            if start_from is not None and own is not None:
                start_from(own)

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps, besides the policies."""
        states = self._by_name(lambda learner: learner.algorithm.state_dict())
        algorithm = {"policies": states} if self._has_names else states
        return {
            "algorithm": {"name": self._config.algorithm, **algorithm},
            "reward_scale": self._by_name(lambda learner: learner.scale.state_dict()),
            "generator": self._by_name(lambda learner: learner.generator.get_state()),
        }

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from a checkpoint; see `state_dict`."""
        for name, learner in self._learners.items():
            own = _of_algorithm(state, name)
            assert own is not None  # what is frozen cannot change within a run
            learner.algorithm.load_state_dict(own)
            learner.scale.load_state_dict(_own(state["reward_scale"], name))
            learner.generator.set_state(_own(state["generator"], name))

    @property
    def _has_names(self) -> bool:
        return "" not in self._learners

    def _by_name(self, get: Callable[[Learner], Any]) -> Any:
        return self._joined({name: get(learner) for name, learner in self._learners.items()})

    def _joined(self, values: dict[str, Any]) -> Any:
        return values if self._has_names else values[""]


def _own(value: Any, name: str) -> Any:
    return value[name] if name else value


def _of_algorithm(state: StateDict, name: str) -> StateDict | None:
    """Return the state of a policy's algorithm in a checkpoint; None if it was frozen."""
    found: StateDict | None = state["algorithm"]
    return state["algorithm"].get("policies", {}).get(name) if name else found
