"""Ocean: small environments, each of which tests one thing that trainers get wrong.

Source: this package   License: MIT
Cite: after the Ocean suite of Suarez 2024, PufferLib, arXiv:2406.12905.
Install: part of pufferlib
Observations: Box(-1.0, 1.0, (49,), float32) squared, Box(1.0, 1.0, (1,), float32) bandit and
stochastic, Box(-1.0, 1.0, (1,), float32) memory, Box(-1.0, 1.0, (5,), float32) password, Box(-1.0,
1.0, (4,), float32) continuous, Box(0.0, 1.0, (2,), float32) multiagent, Box(0, 255, (1,), uint8)
performance and performance_empiric, Dict('image': Box(0, 255, (4, 4), uint8), 'rest':
Dict('numbers': Box(-1.0, 1.0, (4,), float32), 'symbol': Discrete(3, start=2))) spaces. Actions:
Discrete(8) squared, Discrete(10) bandit, Box(-1.0, 1.0, (2,), float32) continuous, Dict('image':
Discrete(2), 'rest': MultiDiscrete([2 3])) spaces, Discrete(2) the others. One agent, two in
multiagent; the native ones step `num_agents` games, each a row.
Deterministic under a seed.

| task | asks | random | optimal |
|---|---|---|---|
| `squared` | does anything learn at all? | 0.01 | 1 |
| `bandit` | is the best arm found without any observation? | 0.1 | 1 |
| `memory` | does a recurrent policy remember? | 0.25 | 1 |
| `password` | is one rare reward found and kept? | 0.03 | 1 |
| `stochastic` | does a policy stay random where it must? | 0.53 | 0.98 |
| `continuous` | are continuous actions and truncation learned? | 0.00 | 1 |
| `spaces` | does each part of a nested space reach its place? | 0.08 | 1 |
| `multiagent` | does each agent get its own row? | 0.5 | 1 |
| `performance` | what does vectorization cost? Normal delays | | |
| `performance_empiric` | the same, with log-normal delays | | |

The last two columns are the `score` that infos report at the end of an episode; the class of each
task explains how it is computed. `spaces`, `performance` and
`performance_empiric` are Gymnasium environments and `multiagent` a PettingZoo one, all emulated;
the others are native and step `num_agents` games in one NumPy call.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.registry._emulated import FlatEnv

_CLASSES = {
    "squared": "Squared",
    "bandit": "Bandit",
    "memory": "Memory",
    "password": "Password",
    "stochastic": "Stochastic",
    "continuous": "Continuous",
    "spaces": "Spaces",
    "multiagent": "Multiagent",
    "performance": "Performance",
    "performance_empiric": "PerformanceEmpiric",
}
FAMILY = Family(
    name="ocean",
    package=None,
    default="squared",
    tasks=tuple(_CLASSES),
    samples=tuple(_CLASSES),
    render_modes=("ansi",),
)
__getattr__ = lazily(
    Policy="pufferlib.models:Default",
    **{name: f"{__name__}.{task}:{name}" for task, name in _CLASSES.items()},
)


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "FlatEnv":
    """Return the task `name`: a native `PufferEnv`, or emulated, with episode statistics.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "ansi", the first game as text, or None.
        **kwargs: passed to its class; the native ones take `num_agents`, how many games they step.
    """
    FAMILY.check(name, render_mode)
    import gymnasium

    from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
    from pufferlib.environment import PufferEnv
    from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats

    env = __getattr__(_CLASSES[name])(**kwargs)
    env.render_mode = render_mode
    if isinstance(env, PufferEnv):
        return env
    if isinstance(env, gymnasium.Env):
        return GymnasiumPufferEnv(EpisodeStats(env))
    return PettingZooPufferEnv(MultiAgentEpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
