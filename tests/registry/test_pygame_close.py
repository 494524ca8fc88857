"""Environments that draw with pygame, of which there is one in a process."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("pygame")

# Of a fresh process: SDL, which pygame is made of, may end what others draw with as well.
DRAWN = """
import sys
from contextlib import closing
import numpy as np
import pygame
from pufferlib import registry

def drawn(task, render_mode="rgb_array"):
    env = registry.resolve(task).make_env(render_mode=render_mode)
    env.reset(seed=1)
    env.render()
    return env
"""
NEIGHBORS = """
this, other, mode = sys.argv[1:]
with closing(drawn(this)) as env:
    alone = env.render()
with closing(drawn(this)) as env:
    drawn(other, mode).close()
    np.testing.assert_array_equal(env.render(), alone)
"""
WINDOW = """
env = drawn(sys.argv[1], "human")
assert pygame.display.get_surface() is not None
env.close()
assert not pygame.display.get_init()
"""
COPIES = """
import copy, pickle
with closing(drawn(sys.argv[1])) as env:
    alone = env.render()
env = registry.resolve(sys.argv[1]).make_env(render_mode="rgb_array")
copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
env.reset(seed=1)
env.render()
for each in copies:
    each.close()
np.testing.assert_array_equal(env.render(), alone)
env.close()
"""
SPEAKER, WALKERS, PURSUIT = "simple_speaker_listener_v4", "multiwalker_v9", "pursuit_v5"


@pytest.mark.parametrize(
    ("this", "other", "mode"),
    [
        (SPEAKER, "knights_archers_zombies_v11", "rgb_array"),
        (WALKERS, "parking-v0", "rgb_array"),
        (PURSUIT, "simple_spread_v3", "rgb_array"),
        (WALKERS, "CartPole-v1", "rgb_array"),
        (SPEAKER, "connect_four_v3", "rgb_array"),
        (SPEAKER, "battle_v4", "rgb_array"),
        (SPEAKER, "MiniGrid-Empty-5x5-v0", "human"),
        (SPEAKER, "VizdoomBasic-v1", "human"),
    ],
)
def test_an_environment_is_drawn_as_before_when_another_is_closed(this, other, mode):
    run(NEIGHBORS, this, other, mode)


@pytest.mark.parametrize(
    "task", ["CartPole-v1", "parking-v0", "LunarLander-v3", "simple_spread_v3"]
)
def test_a_copy_that_is_closed_leaves_the_original_to_be_drawn(task):
    run(COPIES, task)


@pytest.mark.parametrize(
    "task", ["parking-v0", "simple_spread_v3", PURSUIT, "CartPole-v1", "LunarLander-v3"]
)
def test_a_window_is_closed(task):
    run(WINDOW, task)


def run(script, *arguments):
    command = [sys.executable, "-c", DRAWN + script, *arguments]
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
