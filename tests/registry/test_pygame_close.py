"""Environments that draw with pygame, of which there is one in a process."""

from contextlib import closing

import numpy as np
import pytest

from pufferlib import registry

pygame = pytest.importorskip("pygame")


def drawn(family, task, **options):
    """Return an environment whose first picture was drawn."""
    env = registry.load(family).make_env(task, **{"render_mode": "rgb_array"} | options)
    env.reset(seed=1)
    env.render()
    return env


WALKERS, PURSUIT = ("sisl", "multiwalker_v9"), ("sisl", "pursuit_v5")
SPEAKER, SPREAD = ("mpe", "simple_speaker_listener_v4"), ("mpe", "simple_spread_v3")
CARTPOLE, LANDER = ("classic_control", "CartPole-v1"), ("box2d", "LunarLander-v3")
ZOMBIES, PARKING = ("butterfly", "knights_archers_zombies_v11"), ("highway", "parking-v0")


@pytest.mark.parametrize(
    ("this", "other"),
    [
        (SPEAKER, ZOMBIES),
        (WALKERS, PARKING),
        (PURSUIT, SPREAD),
        (SPEAKER, PURSUIT),
        (SPEAKER, CARTPOLE),
    ],
)
def test_an_environment_is_drawn_as_before_when_another_is_closed(this, other):
    with closing(drawn(*this)) as env:
        alone = env.render()
    with closing(drawn(*this)) as env:
        drawn(*other).close()
        np.testing.assert_array_equal(env.render(), alone)


@pytest.mark.parametrize("task", [PARKING, SPREAD, PURSUIT, CARTPOLE, LANDER])
def test_a_window_is_closed(task, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = drawn(*task, render_mode="human")
    assert pygame.display.get_surface() is not None
    env.close()
    assert not pygame.display.get_init()
