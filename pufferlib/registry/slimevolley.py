"""Slime Volleyball, against the small recurrent network of its author, or for two players.

Source: https://github.com/hardmaru/slimevolleygym   License: Apache-2.0
Cite: Ha 2020, Slime Volleyball Gym Environment.
Install: make install ENV=slimevolley
Observations: Box(-3.4028235e+38, 3.4028235e+38, (12,), float32), where both players and the ball
are and how they move; Box(0, 255, (84, 168, 3), uint8) in the tasks of pixels. Actions:
MultiBinary(3), forward, backward, jump; Discrete(6) in the tasks named NoFrameskip. One agent, on
the right; two in SlimeVolleyTwoPlayer-v0, left and right.
Deterministic under a seed: the opponent's memory is cleared at each reset, which the package does
not do.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.environment import PufferEnv
    from pufferlib.registry._emulated import FlatEnv

FAMILY = Family(
    name="slimevolley",
    package="slimevolleygym",
    needs=("cv2", "gym"),
    default="SlimeVolley-v0",
    tasks=(
        "SlimeVolley-v0",
        "SlimeVolleyNoFrameskip-v0",
        "SlimeVolleyPixel-v0",
        "SlimeVolleySurvivalNoFrameskip-v0",
        "SlimeVolleyTwoPlayer-v0",
    ),
    samples=(
        "SlimeVolley-v0",
        "SlimeVolleyPixel-v0",
        "SlimeVolleyNoFrameskip-v0",
        "SlimeVolleyTwoPlayer-v0",
    ),
    render_modes=("rgb_array",),
)
_STATES, _TWO_PLAYERS = "SlimeVolley-v0", "SlimeVolleyTwoPlayer-v0"
PLAYERS = {_TWO_PLAYERS: {"baseline": "pufferlib.registry.slimevolley:Baseline"}}
"""Scripted players for `puffer match`: of a task, what each is called and where it is."""

__getattr__ = lazily(
    Policy="pufferlib.policies.by_observation:policy_of",
    Baseline="pufferlib.registry._slimevolley_env:Baseline",
)


def make_env(
    name: str = FAMILY.default,
    max_steps: int = 3000,
    render_mode: str | None = None,
    *,
    num_envs: int | None = None,
) -> "FlatEnv | PufferEnv":
    """Return the task `name`, flat, with episode statistics; or many games of it as one.

    A point won is +1, one lost -1; a game ends when a player has lost five. At its end `info` has,
    besides `episode_return` and `episode_length`: `lives` and `opponent_lives`, the points that
    each player has left. In SlimeVolleyTwoPlayer-v0 both players are agents, and each observes the
    court as if it were its own half; what one wins the other loses. The games of one player have
    the attribute `survival_reward`, for a curriculum: added in each step of the games that begin
    from then on.

    With `num_envs` it is a native environment: that many games of SlimeVolley-v0, one per row,
    whose courts are stepped together in NumPy (docs/benchmarks.md). All numbers are equal to those
    of `num_envs` environments of one game, of which game i has the seed `seed + i`. The other
    tasks, and pictures, are those of one game.

    Args:
        name: one of `FAMILY.tasks`; Survival adds 0.01 in each step.
        max_steps: truncates a game.
        render_mode: "rgb_array" draws at 336 x 672 when asked, without a display; or None.
        num_envs: games of one native environment; one ordinary environment if None.

    Raises:
        ArgumentError: `max_steps` or `num_envs` is below 1; `num_envs` with another task than
            SlimeVolley-v0, or with a render mode.
    """
    FAMILY.check(name, render_mode)
    max_steps = whole_number("max_steps", max_steps)
    if num_envs is not None:
        return _make_many(name, whole_number("num_envs", num_envs), max_steps, render_mode)
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._slimevolley_env import SlimeGame, SlimeMatch
    from pufferlib.wrappers import EpisodeStats

    if name == _TWO_PLAYERS:
        return emulate_agents(SlimeMatch(max_steps, render_mode))
    game = SlimeGame(
        is_pixels=name != _STATES,
        is_discrete="NoFrameskip" in name,
        survival_reward=0.01 if "Survival" in name else 0.0,
        max_steps=max_steps,
        render_mode=render_mode,
    )
    return GymnasiumPufferEnv(EpisodeStats(game))


def _make_many(name: str, num_envs: int, max_steps: int, render_mode: str | None) -> "PufferEnv":
    if name != _STATES:
        raise ArgumentError(
            f"{name} has no native form, which num_envs asks for. Leave out num_envs, or use "
            f"{_STATES}."
        )
    if render_mode is not None:
        raise ArgumentError(
            f"The native form, which num_envs asks for, draws nothing; got "
            f"render_mode={render_mode!r}. Leave out num_envs, or render_mode."
        )
    from pufferlib.registry._slimevolley_native import SlimeGames

    return SlimeGames(num_envs, max_steps)


env_creator = creator_of(FAMILY, make_env)


def survival_first(
    progress: float, metrics: Mapping[str, float], attributes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Add 0.01 to the reward of each step until rallies last, then nothing.

    That is when games last 2,500 steps on average, or with a smaller `max_steps`, when players have
    four of their five lives at the end.

    A curriculum for `env.curriculum`: a player that loses every point sees the same return whatever
    it does, so some trainings never learn to return the ball. The reward is that of
    SlimeVolleySurvivalNoFrameskip-v0, of the package.
    """
    is_long = metrics.get("episode/episode_length", 0.0) >= 2500
    is_learned = is_long or metrics.get("episode/lives", 0.0) >= 4
    reward = 0.0 if is_learned else attributes.get("survival_reward", 0.01)
    return {"survival_reward": reward}
