"""What Gymnasium and PettingZoo environments made of a native `PufferEnv` have in common."""

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pettingzoo

from pufferlib.annotations import Action, Options, Space, UserEnv
from pufferlib.emulation.description import carry_layouts
from pufferlib.environment import Info, PufferEnv
from pufferlib.exceptions import ActionError, ArgumentError, CallOrderError
from pufferlib.spaces import difference

_LARGEST_SEED = 2**31 - 1


class Episodes:
    """Starts the episodes of a native environment when `reset` asks for them.

    A native environment begins the next episode in the step that ends one. Its first observation
    stays in the rows until the next `reset`.

    Attributes:
        env: the native environment.
        is_next_ready: the rows hold the first observation of an episode not yet handed out.
    """

    def __init__(self, env: PufferEnv) -> None:
        self.env = env
        self.is_next_ready = False
        self._takes_options = "options" in inspect.signature(env.reset).parameters

    def begin(
        self, seed: int | None, options: Options | None, random: np.random.Generator
    ) -> list[Info]:
        """Begin an episode; return the infos of a reset.

        Args:
            seed: of the environment. None: hand out the next episode if one is ready, else draw a
                seed, since `PufferEnv.reset` without one may not be reproducible.
            options: passed on if its `reset` takes options, and ignored otherwise.
            random: draws the seed.

        Raises:
            ArgumentError: options that are not a dict.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ArgumentError(f"options must be a dict or None, got {type(options).__name__}.")
        keywords = {"options": options} if options and self._takes_options else {}
        is_ready, self.is_next_ready = self.is_next_ready, False
        if is_ready and seed is None and not keywords:
            return []
        if seed is None:
            seed = int(random.integers(_LARGEST_SEED))
        return self.env.reset(seed, **keywords)[1]


def take_layouts(env: Any, native: PufferEnv) -> None:
    """Give `env` the layouts of `native`, if it has any, and let the spaces carry them."""
    carry_layouts(native)
    for name in ("observation_layout", "action_layout"):
        if getattr(native, name, None) is not None:
            setattr(env, name, getattr(native, name))


def merged(infos: list[Info]) -> Info:
    """Return the entries of all `infos`; of equal names, the last."""
    return {name: value for info in infos for name, value in info.items()}


def no_episode() -> CallOrderError:
    """Return the error of a step outside an episode."""
    return CallOrderError(
        "step without an episode: none has begun, or the last one has ended. Call reset first."
    )


def check_action(action: Action, space: Space, name: str) -> None:
    """Refuse an action outside `space`; `name` says which it is."""
    fault = difference(action, space)
    if fault:
        raise ActionError(
            f"{name} does not belong to the action space {space}: "
            f"{fault.replace('value', 'action', 1)}."
        )


def advice_for_agents(env: PufferEnv) -> str:
    """Return what to do with an environment of several agents."""
    if env.is_one_game:
        return "Use pufferlib.emulation.to_pettingzoo."
    return (
        "If each agent plays a separate game, make the environment with num_agents=1 (or "
        "num_envs=1, as its creator calls it); if they play one game together, set "
        "is_one_game=True on its class and use pufferlib.emulation.to_pettingzoo."
    )


def check_native(env: UserEnv, function: str) -> None:
    """Refuse what is not a `PufferEnv`."""
    if isinstance(env, PufferEnv):
        return
    if inspect.isclass(env) or inspect.isroutine(env):
        raise ArgumentError(
            f"{function} takes an environment, got the "
            f"{'class' if inspect.isclass(env) else 'function'} {env.__name__}. Call it first: "
            f"{function}({env.__name__}())."
        )
    name = f"{type(env).__module__}.{type(env).__name__}"
    if hasattr(env, "agents_per_env"):
        advice = "a vectorizer. Use pufferlib.vector.to_gymnasium."
    elif isinstance(env, gymnasium.Env):
        advice = (
            "a Gymnasium environment already. Use it as it is, or "
            "pufferlib.emulation.GymnasiumPufferEnv(env) for flat spaces."
        )
    elif isinstance(env, (pettingzoo.ParallelEnv, pettingzoo.AECEnv)):
        advice = (
            "a PettingZoo environment already. Use it as it is, or "
            "pufferlib.emulation.PettingZooPufferEnv(env) for flat spaces."
        )
    else:
        advice = "none. For one of another kind, see pufferlib.emulation.native."
    raise ArgumentError(f"{function} takes a native PufferEnv; {name} is {advice}")
