"""Butterfly: games of PettingZoo in which agents must cooperate.

Source: https://pettingzoo.farama.org/environments/butterfly/   License: MIT
Cite: Terry et al. 2021, PettingZoo: Gym for Multi-Agent Reinforcement Learning, arXiv:2009.14471.
Install: make install ENV=butterfly
Observations: Box(0, 255, (4, 84, 84), uint8), four gray frames made of (280, 480, 3) pixels in
cooperative_pong, of (457, 120, 3) in pistonball; Box(-1.0, 1.0, (27, 5), float64) in
knights_archers_zombies. Actions: Discrete(3) cooperative_pong, Discrete(6) knights_archers_zombies,
Box(-1.0, 1.0, (1,), float32) pistonball. 2 agents in cooperative_pong, 20 in pistonball, 4 that die
in knights_archers_zombies.
Deterministic under a seed.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="butterfly",
    package="pettingzoo",
    needs=("pygame", "pymunk"),
    default="cooperative_pong_v6",
    tasks=("cooperative_pong_v6", "knights_archers_zombies_v11", "pistonball_v6"),
    samples=("knights_archers_zombies_v11", "cooperative_pong_v6"),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.butterfly:policy")


def make_env(
    name: str = FAMILY.default,
    size: tuple[int, int] | None = (84, 84),
    grey: bool = True,
    frames: int = 4,
    render_mode: str = "rgb_array",
    **kwargs: Any,
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    Images are resized by averaging over areas; other observations are left as they are.

    At the end of an agent's episode its info has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        size: height and width in pixels that images are reduced to; None leaves them.
        grey: convert colors to brightness.
        frames: how many of the last images an observation holds, on the channels' axis.
        render_mode: "rgb_array" or "human"; the observations are drawn with it.
        **kwargs: passed to `pettingzoo.make` (`max_cycles`, `n_pistons`, `obs_method` ...).

    Raises:
        ArgumentError: a render mode that draws nothing, or a size or number of frames that the
            images do not have.
    """
    FAMILY.check(name, render_mode)
    frames = whole_number("frames", frames)
    import pettingzoo

    from pufferlib.exceptions import ArgumentError
    from pufferlib.registry._butterfly_env import ZombieEpisode
    from pufferlib.registry._butterfly_pixels import PixelAgents, sees_pixels
    from pufferlib.registry._emulated import emulate_agents

    if render_mode is None:
        raise ArgumentError(
            f"render_mode must be 'rgb_array' or 'human', got None: without one {name} draws "
            f"nothing, and its observations would be black."
        )
    env = pettingzoo.make("parallel", f"butterfly/{name}", render_mode=render_mode, **kwargs)
    if name.startswith("knights_archers_zombies"):
        env = ZombieEpisode(env)
    if sees_pixels(env):
        env = PixelAgents(env, size=size, grey=grey, frames=frames)
    return emulate_agents(env)


env_creator = creator_of(FAMILY, make_env)
