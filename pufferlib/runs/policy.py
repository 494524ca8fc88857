"""The policy of a run, from its settings."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import get_args

from torch import nn

from pufferlib.agent_policies import AgentPolicies
from pufferlib.annotations import Kwargs
from pufferlib.central_critic import CentralCritic
from pufferlib.config import PolicyConfig
from pufferlib.emulation.description import HasSpaces
from pufferlib.exceptions import ArgumentError, SettingError, UnknownNameError, suggestion
from pufferlib.models import (
    ActionHeads,
    Critic,
    FlatFeatures,
    GRUWrapper,
    LSTMWrapper,
    NormalizedObservations,
    check_halves,
)
from pufferlib.normalization import gains_from_normalization
from pufferlib.policies import POLICIES
from pufferlib.policy import is_recurrent
from pufferlib.references import is_reference, load_attribute
from pufferlib.runs.agents import agents_of, policy_of_agents
from pufferlib.training.torch_state import RandomStreams

_MEMORIES = {"lstm": LSTMWrapper, "gru": GRUWrapper}


def policy_class(name: str) -> Callable[..., nn.Module]:
    """Return what makes the policy `name`: one of `POLICIES`, module:name or file.py:name.

    Raises:
        UnknownNameError: there is no such policy; suggests the nearest names.
        SettingError: what the name refers to cannot be called with an environment.
    """
    if name in POLICIES:
        found = load_attribute(POLICIES[name])
    elif is_reference(name):
        found = load_attribute(name)
    else:
        raise UnknownNameError(
            f"There is no policy {name!r}.{suggestion(name, POLICIES)} Policies: "
            f"{', '.join(POLICIES)}; or your own as module:name or file.py:name."
        )
    if isinstance(found, nn.Module) or not callable(found):
        raise SettingError(
            f"policy.name must be a class or function that makes a policy for an environment; "
            f"{name} is an instance of {type(found).__name__}. Name its class."
        )
    made: Callable[..., nn.Module] = found
    return made


def make_policy(
    settings: PolicyConfig,
    default: Callable[..., nn.Module],
    env: HasSpaces,
    seed: int,
    given: Collection[str] = (),
) -> nn.Module:
    """Return the policy of a run, with weights drawn from `seed`.

    Torch's default generator is left as it was.

    Args:
        settings: say which policy, and its arguments.
        default: makes the policy where the settings name none.
        env: the environment, or vectorizer, that the policy acts in.
        seed: of the weights.
        given: dotted names of the settings that the user gave. Of these, a setting without effect
            on the policy is an error; others, from a preset for example, are ignored there.

    Returns:
        The policy; `AgentPolicies` unless `policy.agents` is "shared".

    Raises:
        UnknownNameError, SettingError: see `check_policy`; or the policy is not a module, or it has
            its own memory and another one, or normalization around it, was given; or
            `policy.agents` does not give each agent one policy.
        ArgumentError: the policy cannot act in such an environment, or cannot get a memory.
    """
    make, arguments = check_policy(settings, default, given)

    def one() -> nn.Module:
        return _make_one(make, arguments, settings, env, given)

    with RandomStreams(seed).active():
        if settings.agents == "shared":
            return one()
        policy_of = policy_of_agents(settings.agents, agents_of(env))
        policies = {name: one() for name in dict.fromkeys(policy_of)}
        try:
            return AgentPolicies(policies, policy_of, settings.frozen)
        except ArgumentError as error:
            raise SettingError(f"policy.agents or policy.frozen: {error}") from error


def _make_one(
    make: Callable[..., nn.Module],
    arguments: Kwargs,
    settings: PolicyConfig,
    env: HasSpaces,
    given: Collection[str],
) -> nn.Module:
    """Return a policy as the settings say; for arguments and errors see `make_policy`."""
    policy = make(env, **arguments)
    if not isinstance(policy, nn.Module):
        raise SettingError(
            f"policy.name must make a torch.nn.Module; {_name(make, settings)} returned an "
            f"instance of {type(policy).__name__}."
        )
    _set_gaussian(policy, settings, given)
    _set_uint8(policy, settings, given)
    is_normalized = _is_normalized(policy, settings, env)
    policy = _wrapped(policy, settings, env, given)
    if settings.critic == "central":
        agents = len(agents_of(env, "policy.critic 'central'"))
        policy = CentralCritic(env, policy, agents, settings.hidden_size, is_normalized)
    if not settings.rescale_actions:
        policy.rescale_actions = False  # type: ignore[assignment]
    return policy


def _set_gaussian(policy: nn.Module, settings: PolicyConfig, given: Collection[str]) -> None:
    """Give the Gaussians of `policy` the standard deviations that the settings ask for.

    Raises:
        SettingError: it has none, and a setting of them was given; or they cannot have that one.
    """
    asked = {"gaussian": settings.gaussian, "initial_std": settings.initial_std}
    names = [f"policy.{name}" for name, value in asked.items() if value is not None]
    if not names:
        return
    heads = [each for each in policy.modules() if isinstance(each, ActionHeads)]
    continuous = [each for each in heads if each.is_continuous]
    if not continuous and (without_effect := [name for name in names if name in given]):
        raise SettingError(
            f"{without_effect[0]} has no effect: {type(policy).__name__} has "
            f"{'no continuous actions here' if heads else 'no pufferlib.models.ActionHeads'}. "
            f"Leave it out."
        )
    try:
        for each in continuous:
            each.set_gaussian(settings.gaussian or each.gaussian, settings.initial_std)
    except ArgumentError as error:
        raise SettingError(f"policy.{error}") from error


def _set_uint8(policy: nn.Module, settings: PolicyConfig, given: Collection[str]) -> None:
    """Let `policy` read uint8 as the settings ask for.

    Raises:
        SettingError: it does not read them by `FlatFeatures`, and the setting was given.
    """
    features = [each for each in policy.modules() if isinstance(each, FlatFeatures)]
    if not features and "policy.uint8" in given:
        raise SettingError(
            f"policy.uint8 has no effect: {type(policy).__name__} has no "
            f"pufferlib.models.FlatFeatures. Leave it out."
        )
    for each in features:
        each.uint8 = settings.uint8


def _wrapped(
    policy: nn.Module, settings: PolicyConfig, env: HasSpaces, given: Collection[str]
) -> nn.Module:
    """Return `policy` with the memory and the normalization that the settings ask for."""
    if is_recurrent(policy):
        _refuse_around_memory(settings, given, type(policy).__name__)
        return policy
    if settings.memory != "none":
        check_halves(policy)
    if _is_normalized(policy, settings, env):
        policy = NormalizedObservations(env, policy)
    if settings.memory != "none":
        policy = _MEMORIES[settings.memory](env, policy)
    return policy


def _is_normalized(policy: nn.Module, settings: PolicyConfig, env: HasSpaces) -> bool:
    """Return whether the observations of `policy` are to be normalized."""
    if settings.normalize_observations is not None:
        return settings.normalize_observations
    asks = getattr(type(policy), "normalize_observations", False) is True  # not a method
    return asks and gains_from_normalization(env)


def check_policy(
    settings: PolicyConfig, default: Callable[..., nn.Module], given: Collection[str] = ()
) -> tuple[Callable[..., nn.Module], Kwargs]:
    """Return what makes the policy of a run, and the keyword arguments for it.

    Arguments as `make_policy`.

    Raises:
        UnknownNameError, SettingError: see `policy_class`; or the policy does not take an argument.
        ArgumentError: the policy is a class that cannot get a memory, and the settings ask for one.
    """
    make = default if settings.name is None else policy_class(settings.name)
    if isinstance(make, type) and settings.memory != "none" and not hasattr(make, "initial_state"):
        check_halves(make)
    arguments = _arguments(make, settings, given)
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # some callables of C have no signature
        return make, arguments
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        raise SettingError(
            f"{_name(make, settings)} cannot be called with an environment and the arguments "
            f"{', '.join(arguments) or 'none'}: {error}. Give arguments by --policy.kwargs.KEY "
            f"VALUE."
        ) from error
    return make, arguments


def _arguments(
    make: Callable[..., nn.Module], settings: PolicyConfig, given: Collection[str]
) -> Kwargs:
    """Return the keyword arguments of a policy; of the settings those that it takes."""
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(make).parameters
    except (TypeError, ValueError):  # some callables of C have no signature
        return dict(settings.kwargs)
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    names = [
        name
        for name, each in list(parameters.items())[1:]  # the first is the environment
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    for name in settings.kwargs:
        if name not in names and not takes_any:
            raise SettingError(
                f"policy.kwargs.{name} is not an argument of {_name(make, settings)}."
                f"{suggestion(name, names)} Its arguments: {', '.join(names) or 'none'}."
            )
    own: Kwargs = {}
    if "hidden_size" in names or takes_any:
        own["hidden_size"] = settings.hidden_size
    if "critic" in names and parameters["critic"].default in get_args(Critic):
        own["critic"] = _critic(settings, given)
    for name in ("hidden_size", "critic"):
        if name in settings.kwargs and (name in own or name == "hidden_size"):
            raise SettingError(
                f"policy.kwargs.{name} is the setting policy.{name}. Use "
                f"--policy.{name.replace('_', '-')}."
            )
        if name not in own and f"policy.{name}" in given:
            raise SettingError(
                f"policy.{name} has no effect: {_name(make, settings)} takes no argument {name}. "
                f"Its arguments: {', '.join(names) or 'none'}. Leave it out."
            )
    return {**own, **settings.kwargs}


def _critic(settings: PolicyConfig, given: Collection[str]) -> Critic:
    """Return the argument `critic` of a policy."""
    if settings.critic == "central":
        return "shared"
    if settings.memory == "none":
        return settings.critic
    if settings.critic == "separate" and "policy.critic" in given:
        raise SettingError(
            f"policy.critic must be 'shared' with policy.memory {settings.memory!r}: a "
            f"separate network for the value would have no memory. Leave one of them out."
        )
    return "shared"


def _refuse_around_memory(settings: PolicyConfig, given: Collection[str], policy: str) -> None:
    """Refuse settings that wrap a policy, if they were given for one that has its own memory."""
    for name, is_on in (
        ("policy.memory", settings.memory != "none"),
        ("policy.normalize_observations", settings.normalize_observations),
    ):
        if is_on and name in given:
            raise SettingError(
                f"{name} is for policies without memory; {policy} has its own (initial_state). "
                f"Leave {name} out."
            )


def _name(make: Callable[..., nn.Module], settings: PolicyConfig) -> str:
    return settings.name or str(getattr(make, "__name__", make))
