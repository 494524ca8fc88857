"""Policies of ours as those of PPO and A2C, and of MaskablePPO."""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from torch import Tensor

from pufferlib.action_conversion import sample_scale
from pufferlib.annotations import Kwargs, Space
from pufferlib.emulation.description import describe_spaces
from pufferlib.environment import check_action_space
from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.frameworks.sb3.absence import Presence
from pufferlib.frameworks.sb3.distribution import HeadsDistribution
from pufferlib.policy import PolicyCreator, is_recurrent, made_by
from pufferlib.pytorch import Heads, restore_dtype
from pufferlib.recurrent import GRUWrapper, LSTMWrapper


class Wrapping(BasePolicy):
    """What the policies of this package share: a network of ours, made from spaces alone.

    Args:
        observation_space: flat, of an emulated environment or of `PufferVecEnv`.
        action_space: flat.
        lr_schedule: learning rate as a function of the remaining progress, 1 to 0.
        policy_creator: a class or function that makes the network from the description of an
            environment: `pufferlib.models.Default`, for example.
        channels_first: the environment's images have their channels first, and wrappers such as
            VecFrameStack hide its layout. Without a layout, images are taken to be transposed by
            Stable-Baselines3, and transposed back.
        leaves_out_absent: roll out only with `presence`; `leave_out_absent` passes it on to loaded
            models.
        use_sde: must be False: the network has its own distributions.
        optimizer_class: of the weights.
        optimizer_kwargs: its arguments besides the learning rate; None: `eps=1e-5` for Adam, as in
            Stable-Baselines3.

    Attributes:
        network: the module that `policy_creator` made. Its `state_dict` is that of `puffer train`.
        presence: which rows of observations have an agent, set by `leave_out_absent`; None: all.

    Raises:
        ArgumentError: a space that is not flat, no `policy_creator`, a network of the wrong kind,
            or `use_sde`.
    """

    takes_memory = False
    advice = ""

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        lr_schedule: Callable[[float], float],
        policy_creator: PolicyCreator | None = None,
        channels_first: bool = False,
        leaves_out_absent: bool = False,
        use_sde: bool = False,
        optimizer_class: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: Kwargs | None = None,
    ) -> None:
        if use_sde:
            raise ArgumentError(
                f"{type(self).__name__} takes no use_sde=True: the network has its own "
                f"distributions. Leave it out."
            )
        if optimizer_kwargs is None:
            optimizer_kwargs = {"eps": 1e-5} if optimizer_class is torch.optim.Adam else {}
        BasePolicy.__init__(
            self,
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        check_action_space("the environment", action_space)
        self.channels_first = channels_first
        self._is_transposed = not channels_first and _is_transposed(observation_space)
        if self._is_transposed:
            observation_space = _channels_last(observation_space)
        self.description = describe_spaces(observation_space, action_space)
        self.policy_creator = policy_creator
        self.network = made_by(policy_creator, self.description, "policy_kwargs")
        if is_recurrent(self.network) != self.takes_memory:
            kind = "none" if self.takes_memory else "a memory"
            raise ArgumentError(
                f"{type(self).__name__} takes a policy "
                f"{'with' if self.takes_memory else 'without'} memory; "
                f"{type(self.network).__name__} has {kind}. {self.advice}"
            )
        self._scale_of = sample_scale(self.description, self.network)
        self._keeps_statistics = _keeps_statistics(self.network)
        self._seen: list[Tensor] = []
        self._is_updated = False  # since the first of `_seen`
        self._leaves_out_absent = leaves_out_absent
        self.presence: Presence | None = None
        self.use_sde = False
        self.optimizer = optimizer_class(
            self.network.parameters(), lr=lr_schedule(1), **optimizer_kwargs
        )

    def _refuse(self) -> NoReturn:
        raise ArgumentError(
            f"{type(self).__name__} is a policy of on-policy algorithms: PPO and A2C (sb3.Policy), "
            f"MaskablePPO (sb3.MaskablePolicy) and RecurrentPPO (sb3.RecurrentPolicy); the "
            f"algorithm needs another kind. Use one of these."
        )

    q_net = property(_refuse, doc="DQN reads it: refuse.")
    quantile_net = property(_refuse, doc="QR-DQN reads it: refuse.")
    actor = property(_refuse, doc="SAC, TD3 and their relatives read it: refuse.")

    def extract_features(self, obs: Tensor, features_extractor: Any = None) -> Tensor:
        """Return observations as the network takes them: rows in the dtype of their space."""
        if self._is_transposed:
            obs = obs.permute(0, 2, 3, 1).contiguous()  # (B, C, h, w) -> (B, h, w, C)
        return restore_dtype(obs, self.description.observation_layout)

    def set_training_mode(self, mode: bool) -> None:
        """Set the mode of the network: True while its weights are updated."""
        self._is_updated |= mode
        self.train(mode)

    def _remember(self, obs: Tensor) -> None:
        """Keep the observations of a step of a rollout for the running statistics of the network.

        `observe` is called with those of a rollout before the next: neither `predict` nor `save`
        changes the network. See `pufferlib.policy.Policy`.
        """
        if self._leaves_out_absent and self.presence is None:
            raise CallOrderError(
                "The model was saved without absent agents, and would now learn from them. After "
                "load, call pufferlib.frameworks.sb3.leave_out_absent(model) again."
            )
        if not self._keeps_statistics or self.training:
            return
        if self._is_updated and self._seen:
            rollout = torch.cat(self._seen).unsqueeze(0)  # (1, T * B, ...)
            valid = torch.ones(rollout.shape[:2], dtype=torch.bool, device=rollout.device)
            network: Any = self.network
            network.observe(rollout, valid)
            self._seen.clear()
        self._is_updated = False
        rows = self.extract_features(obs)
        if self.presence is not None:
            rows = rows[torch.as_tensor(self.presence.present, device=rows.device)]
        self._seen.append(rows)

    def _distribution(self, heads: Heads) -> HeadsDistribution:
        return HeadsDistribution(self._scale_of).proba_distribution(heads)

    def _choose(
        self, distribution: HeadsDistribution, deterministic: bool
    ) -> tuple[Tensor, Tensor]:
        """Return actions (B, *action_space.shape) and their log-probabilities (B,)."""
        actions = distribution.get_actions(deterministic)
        log_probabilities = distribution.log_prob(actions)
        return actions.reshape(-1, *self.action_space.shape), log_probabilities

    def _get_constructor_parameters(self) -> Kwargs:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "policy_creator": self.policy_creator,
            "channels_first": self.channels_first,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }


class Policy(Wrapping, ActorCriticPolicy):
    """A stateless policy of ours as one of PPO and A2C.

        PPO(Policy, env, policy_kwargs={"policy_creator": pufferlib.models.Default})

    Any action space works, also one with discrete and continuous parts. Continuous actions are
    rescaled and clipped as in our trainer. See `Wrapping` for arguments and errors.
    """

    advice = "Use sb3.RecurrentPolicy with RecurrentPPO of sb3-contrib."

    @property
    def lstm_actor(self) -> None:
        """RecurrentPPO reads it: refuse."""
        raise ArgumentError(
            f"RecurrentPPO takes policies with memory, not {type(self).__name__}. Use "
            f"sb3.RecurrentPolicy, or PPO."
        )

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions, values (B, 1) and log-probabilities (B,)."""
        self._remember(obs)
        heads, values = self.network(self.extract_features(obs))
        actions, log_probabilities = self._choose(self._distribution(heads), deterministic)
        return actions, values, log_probabilities

    def evaluate_actions(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (B, 1), log-probabilities (B,) and entropies (B,)."""
        heads, values = self.network(self.extract_features(obs))
        return values, *self._distribution(heads).evaluate(actions)

    def get_distribution(self, obs: Tensor) -> HeadsDistribution:
        """Return the distribution over actions."""
        return self._distribution(self.network(self.extract_features(obs))[0])

    def predict_values(self, obs: Tensor) -> Tensor:
        """Return values (B, 1)."""
        values: Tensor = self.network(self.extract_features(obs))[1]
        return values


class MaskablePolicy(Wrapping, MaskableActorCriticPolicy):
    """A stateless policy of ours as one of MaskablePPO of sb3-contrib.

    The network may mask actions itself, as `pufferlib.policies.masked` does: the masks of the
    environment are applied on top, with the same result. See `Wrapping` for arguments and errors.
    """

    advice = "There is no MaskablePPO with memory: use a policy without, or RecurrentPPO."

    def forward(
        self, obs: Tensor, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions, values (B, 1) and log-probabilities (B,).

        Args:
            obs: observations (B, ...).
            deterministic: the most probable actions.
            action_masks: bool (B, choices), False where a choice is illegal; None: all are legal.
        """
        self._remember(obs)
        heads, values = self.network(self.extract_features(obs))
        distribution = self._distribution(heads)
        distribution.apply_masking(action_masks)
        actions, log_probabilities = self._choose(distribution, deterministic)
        return actions, values, log_probabilities

    def evaluate_actions(
        self, obs: Tensor, actions: Tensor, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (B, 1), log-probabilities (B,) and entropies (B,)."""
        heads, values = self.network(self.extract_features(obs))
        distribution = self._distribution(heads)
        distribution.apply_masking(action_masks)
        return values, *distribution.evaluate(actions)

    def get_distribution(self, obs: Tensor, action_masks: Any = None) -> HeadsDistribution:
        """Return the distribution over legal actions."""
        distribution = self._distribution(self.network(self.extract_features(obs))[0])
        distribution.apply_masking(action_masks)
        return distribution

    def predict_values(self, obs: Tensor) -> Tensor:
        """Return values (B, 1)."""
        values: Tensor = self.network(self.extract_features(obs))[1]
        return values


def _is_transposed(space: Any) -> bool:
    """Return whether this is a space of images as VecTransposeImage makes it.

    Stable-Baselines3 puts it around every environment with images. Our spaces have their layout;
    those that wrappers make have none.
    """
    if getattr(space, "layout", None) is not None or not is_image_space(space):
        return False
    return bool(is_image_space_channels_first(space))


def _channels_last(space: Any) -> Space:
    low, high = (bound.transpose(1, 2, 0) for bound in (space.low, space.high))
    made: Space = type(space)(low, high, dtype=space.dtype.type)
    return made


def _keeps_statistics(network: Any) -> bool:
    """Return whether the network has running statistics that `observe` updates."""
    if isinstance(network, (LSTMWrapper, GRUWrapper)):  # they pass observations on
        network = network.policy
    return callable(getattr(network, "observe", None))
