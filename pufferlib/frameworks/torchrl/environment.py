"""A vectorizer as an environment of TorchRL."""

from typing import Any

import gymnasium
import numpy as np
import torch
from tensordict import TensorDictBase
from torch import nn
from torchrl.envs import EnvBase, GymWrapper, InitTracker, TransformedEnv

from pufferlib.action_conversion import action_converter, sample_bounds
from pufferlib.annotations import Array
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks.torchrl.policy import PolicyModule, check_actions
from pufferlib.policy import is_recurrent
from pufferlib.vector.gymnasium_env import to_gymnasium
from pufferlib.vector.interface import VectorEnv


def make_env(vecenv: VectorEnv, policy: nn.Module | None = None) -> EnvBase:
    """Return a vectorizer as a TorchRL environment with the batch size (num_agents,).

    Observations are the flat rows, under "observation"; Discrete actions are numbers, not one-hot.
    The last observation of an episode is under ("next", "observation"), as TorchRL expects. Infos
    are left out: sum rewards with TorchRL's `RewardSum`. With several agents per environment,
    "mask" says of each row whether its agent is there: weight the losses by it. No environment is
    reset or stepped before the first call of the result.

    Args:
        vecenv: a vectorizer that steps all its environments at once.
        policy: the policy that will act, one of ours. Actions of a Box are then taken in the
            policy's units and converted as in training; see `pufferlib.pytorch.action_converter`.
            For a recurrent one, the keys of its state and "episode_start" are added; an episode
            also starts where an agent joins or returns.

    Raises:
        ArgumentError: a pool, a vectorizer in the autoreset mode "next_step", or in "disabled" with
            several agents per environment, or an action space that `PolicyModule` refuses.
    """
    check_actions(vecenv)
    rows = _Rows(vecenv, policy)
    env: EnvBase = GymWrapper(rows, categorical_action_encoding=True)
    rows.is_checked = False
    if policy is not None and is_recurrent(policy):
        env = env if isinstance(env, TransformedEnv) else TransformedEnv(env)
        env.append_transform(_Starts("episode_start"))
        env.append_transform(PolicyModule(policy, vecenv).make_tensordict_primer())
    return env


class _Starts(InitTracker):
    """Also marks rows whose agent joins or returns after an absence."""

    def _step(self, tensordict: TensorDictBase, next_tensordict: TensorDictBase) -> TensorDictBase:
        following: TensorDictBase = super()._step(tensordict, next_tensordict)
        if "mask" in following:
            is_new = following["mask"] & ~tensordict["mask"]
            following[self.init_key] = following[self.init_key] | is_new.unsqueeze(-1)
        return following


class _Rows(gymnasium.vector.VectorWrapper[Array, Array, Array, Array, Array]):
    """What `GymWrapper` reads of a vectorizer: no infos but arrays, actions of the policy.

    Attributes:
        is_checked: steps and resets return zeros: `GymWrapper` plays random actions to learn the
            keys, which could be illegal, before it returns.
    """

    def __init__(self, vecenv: VectorEnv, policy: nn.Module | None) -> None:
        envs = to_gymnasium(vecenv)
        self.autoreset_mode = envs.autoreset_mode  # GymWrapper reads the attribute
        if self.autoreset_mode is gymnasium.vector.AutoresetMode.NEXT_STEP:
            raise ArgumentError(
                'TorchRL takes the autoreset modes "same_step" and "disabled"; got "next_step". '
                'Pass autoreset="same_step" to pufferlib.vector.make.'
            )
        super().__init__(envs)
        self._has_masks = max(vecenv.agents_per_env) > 1
        if self._has_masks and self.autoreset_mode is gymnasium.vector.AutoresetMode.DISABLED:
            raise ArgumentError(
                'TorchRL resets single rows in the autoreset mode "disabled", and several agents '
                'of an environment reset together. Pass autoreset="same_step" to '
                "pufferlib.vector.make."
            )
        self._envs, self.is_checked = envs, True
        space: Any = envs.single_observation_space  # rows of absent agents are zeros
        low, high = np.minimum(space.low, 0), np.maximum(space.high, 0)
        self._single_observation_space = gymnasium.spaces.Box(low, high, space.shape, space.dtype)
        self._observation_space = gymnasium.vector.utils.batch_space(
            self._single_observation_space, envs.num_envs
        )
        bounds = None if policy is None else sample_bounds(vecenv, policy)
        self._convert = None if policy is None else action_converter(vecenv, policy)
        if bounds is not None:
            own: Any = envs.single_action_space
            low, high = (bound.astype(np.float32) for bound in bounds)
            self._single_action_space = gymnasium.spaces.Box(low, high, own.shape, np.float32)
            self._action_space = gymnasium.vector.utils.batch_space(
                self._single_action_space, envs.num_envs
            )

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, Info]:
        if self.is_checked:
            return self._zeros(), self._infos({})
        observations, _ = self.env.reset(seed=seed, options=options)
        return observations, self._infos({})

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        if self.is_checked:
            no = np.zeros(self.num_envs, np.bool_)
            return self._zeros(), np.zeros(self.num_envs), no, no, self._infos({})
        if self._convert is not None:
            tensor = torch.as_tensor(actions)
            actions = self._convert(tensor, tensor)
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        return observations, rewards, terminations, truncations, self._infos(infos)

    def _zeros(self) -> Array:
        zeros: Array = np.zeros(self.observation_space.shape or (), self.observation_space.dtype)
        return zeros

    def _infos(self, infos: Info) -> Info:
        kept: Info = {key: infos[key] for key in ("final_obs", "_final_obs") if key in infos}
        if self._has_masks:
            kept["mask"] = self._envs.masks
        return kept
