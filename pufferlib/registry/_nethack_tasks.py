"""The tasks of NLE as native environments."""

from collections.abc import Sequence

import gymnasium
from nle import nethack
from nle.env import tasks
from nle.env.base import NLE_SPACE_ITEMS

from pufferlib.exceptions import ArgumentError, suggestion
from pufferlib.registry import _nethack_batch_plain as plain
from pufferlib.registry._nethack_native import Kind, NetHackGames

_REWARDS_AND_GOALS = {
    "NetHackEat-v0": ("eat", "none"),
    "NetHackGold-v0": ("gold", "none"),
    "NetHackOracle-v0": ("goal", "oracle"),
    "NetHackScore-v0": ("score", "none"),
    "NetHackScout-v0": ("scout", "none"),
    "NetHackStaircase-v0": ("goal", "stairs"),
    "NetHackStaircasePet-v0": ("goal", "stairs with pet"),
}
_NLE_LIMIT = 5000


def nethack_games(
    name: str,
    num_envs: int,
    observation_keys: Sequence[str],
    max_episode_steps: int | None,
    share_library: bool,
    character: str = "mon-hum-neu-mal",
) -> NetHackGames:
    """Return games of a task of NLE; arguments as of `pufferlib.registry.nethack.make_env`.

    Raises:
        ArgumentError: an unknown observation.
    """
    reward, goal = _REWARDS_AND_GOALS[name]
    kind = Kind(
        rules=make_rules(
            reward=reward,
            goal=goal,
            max_steps=_NLE_LIMIT if max_episode_steps is None else max_episode_steps,
            aborts=max_episode_steps is None,
            leaves_all=False,
        ),
        status=getattr(tasks, name.removesuffix("-v0")).StepStatus,
        observations=_observation_space(observation_keys),
        actions=tuple(int(action) for action in tasks.TASK_ACTIONS),
        options=_options(name),
        character=character,
    )
    return NetHackGames(kind, num_envs, share_library)


def make_rules(
    reward: str, goal: str, max_steps: int, aborts: bool, leaves_all: bool
) -> plain.Rules:
    """Return rules with the glyphs of NetHack; see `plain.Rules`."""
    return plain.Rules(
        reward=reward,
        goal=goal,
        max_steps=max_steps,
        aborts=aborts,
        leaves_all=leaves_all,
        blank=nethack.GLYPH_CMAP_OFF,
        pets=(nethack.GLYPH_PET_OFF, nethack.GLYPH_INVIS_OFF),
        oracle=_oracle_glyph(),
    )


def _observation_space(keys: Sequence[str]) -> gymnasium.spaces.Dict:
    known = dict(NLE_SPACE_ITEMS)
    for key in keys:
        if key not in known:
            raise ArgumentError(
                f"NetHack has no observation {key!r}.{suggestion(key, tuple(known))} Give "
                f"observation_keys of {', '.join(known)}."
            )
    return gymnasium.spaces.Dict({key: known[key] for key in keys})


def _oracle_glyph() -> int:
    glyphs = range(nethack.GLYPH_MON_OFF, nethack.GLYPH_PET_OFF)
    names = (nethack.permonst(nethack.glyph_to_mon(glyph)).mname for glyph in glyphs)
    return next(glyph for glyph, name in zip(glyphs, names, strict=True) if name == "Oracle")


def _options(name: str) -> tuple[str, ...]:
    """Return NLE's options for a task: in NetHackGold, gold alone is picked up."""
    options = tuple(nethack.NETHACKOPTIONS)
    if name != "NetHackGold-v0":
        return options
    return tuple("pickup_types:$" if o.startswith("pickup_types") else o for o in options)
