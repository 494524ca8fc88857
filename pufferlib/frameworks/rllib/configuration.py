"""Put an environment and a policy into an `AlgorithmConfig` of RLlib."""

from collections.abc import Mapping
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from pufferlib.annotations import EnvCreator
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks.rllib.environments import environment_class
from pufferlib.frameworks.rllib.module import PufferRLModule
from pufferlib.policy import PolicyCreator

SHARED_MODULE = "shared"
"""The id of the module that acts for all agents of an environment with several."""

Config = TypeVar("Config", bound=AlgorithmConfig)


def configure(
    config: Config,
    env_creator: EnvCreator,
    policy_creator: PolicyCreator,
    env_kwargs: Mapping[str, object] | None = None,
    *,
    vectorized: bool = False,
    max_seq_len: int = 20,
) -> Config:
    """Set the environment and the module of an RLlib configuration; return it.

    An environment and a policy are made once here, so that errors are raised before Ray starts.
    What RLlib offers besides, such as `num_env_runners`, is set on the result as usual.

    Args:
        config: a `PPOConfig` or `IMPALAConfig`; changed.
        env_creator: a function or class that returns an environment: see `environments.make_env`.
            In RLlib's processes it is called with the entries of `env_config`.
        policy_creator: called with the `EnvDescription` of the environment; returns a policy,
            stateless or recurrent.
        env_kwargs: keyword arguments of `env_creator`; they become `env_config`.
        vectorized: `env_creator` takes `num_envs`, too, and returns a vectorizer, with
            `autoreset="next_step"`.
        max_seq_len: steps of the sequences that a recurrent policy learns from.

    Raises:
        ArgumentError: another algorithm, or an environment or heads of a policy that RLlib cannot
            use; says why.
    """
    # APPO, an IMPALAConfig too, needs modules with target networks.
    if not isinstance(config, (PPOConfig, IMPALAConfig)) or isinstance(config, APPOConfig):
        raise ArgumentError(
            f"A policy, with actions and a value, is a module of PPO and IMPALA; got "
            f"{type(config).__name__}, whose modules have more. Pass PPOConfig() or IMPALAConfig()."
        )
    kwargs = dict(env_kwargs or {})
    env_class = environment_class(env_creator, vectorized)
    model_config = {"policy_creator": policy_creator, "max_seq_len": max_seq_len}
    has_several_agents = _check(env_class, kwargs, vectorized, model_config)
    config.environment(env_class, env_config=kwargs, normalize_actions=False, clip_actions=False)
    config.rl_module(
        rl_module_spec=RLModuleSpec(module_class=PufferRLModule, model_config=model_config)
    )
    if vectorized:
        config.env_runners(gym_env_vectorize_mode="vector_entry_point")
    if has_several_agents:
        config.multi_agent(policies={SHARED_MODULE}, policy_mapping_fn=_shared_module)
    return config


def _check(
    env_class: Any, kwargs: dict[str, object], vectorized: bool, model_config: dict[str, Any]
) -> bool:
    """Make an environment and its module; return whether it has several agents."""
    env = env_class({**kwargs, "num_envs": 1} if vectorized else kwargs)
    try:
        has_several_agents = isinstance(env, MultiAgentEnv)
        if has_several_agents:
            first = env.possible_agents[0]
            spaces = env.get_observation_space(first), env.get_action_space(first)
        elif vectorized:
            spaces = env.single_observation_space, env.single_action_space
        else:
            spaces = env.observation_space, env.action_space
    finally:
        env.close()
    PufferRLModule(observation_space=spaces[0], action_space=spaces[1], model_config=model_config)
    return has_several_agents


def _shared_module(*args: Any, **kwargs: Any) -> str:
    return SHARED_MODULE
