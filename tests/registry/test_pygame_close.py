"""Environments that draw with pygame, of which there is one in a process."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("pygame")

# Each test has a fresh process, forked before any of pygame starts: SDL, which pygame is made of,
# may end what others draw with as well.
DRAWN = """
import json, os, sys, traceback
from contextlib import closing
import numpy as np
import pygame
from pufferlib import emulation, registry

def drawn(task, render_mode="rgb_array"):
    env = registry.resolve(task).make_env(render_mode=render_mode)
    env.reset(seed=1)
    env.render()
    return env
"""
FORKS = """
for line in sys.stdin:
    script, *sys.argv = json.loads(line)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        try:
            exec(script)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with open(reading) as errors:
        text = errors.read()
    print(json.dumps([os.waitpid(child, 0)[1], text]), flush=True)
"""
NEIGHBORS = """
this, other, mode = sys.argv
with closing(drawn(this)) as env:
    alone = env.render()
with closing(drawn(this)) as env:
    drawn(other, mode).close()
    np.testing.assert_array_equal(env.render(), alone)
"""
WINDOW = """
env = drawn(sys.argv[0], "human")
assert pygame.display.get_surface() is not None
env.close()
assert not pygame.display.get_init()
"""
COPIES = """
import copy, pickle
with closing(drawn(sys.argv[0])) as env:
    alone = env.render()
env = registry.resolve(sys.argv[0]).make_env(render_mode="rgb_array")
copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
env.reset(seed=1)
env.render()
for each in copies:
    each.close()
np.testing.assert_array_equal(env.render(), alone)
env.close()
"""
SPEAKER, WALKERS, PURSUIT = "simple_speaker_listener_v4", "multiwalker_v9", "pursuit_v5"


@pytest.fixture(scope="module")
def run():
    """Return a function that runs a script with arguments in a separate process."""
    server = subprocess.Popen(
        [sys.executable, "-c", DRAWN + FORKS],
        env={**os.environ, "SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(script, *arguments):
        server.stdin.write(json.dumps([script, *arguments]) + "\n")
        server.stdin.flush()
        status, errors = json.loads(server.stdout.readline())
        assert status == 0, errors[-3000:]

    with server:
        yield run
        server.kill()


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
def test_an_environment_is_drawn_as_before_when_another_is_closed(this, other, mode, run):
    run(NEIGHBORS, this, other, mode)


@pytest.mark.parametrize(
    "task", ["CartPole-v1", "parking-v0", "LunarLander-v3", "simple_spread_v3"]
)
def test_a_copy_that_is_closed_leaves_the_original_to_be_drawn(task, run):
    run(COPIES, task)


@pytest.mark.parametrize(
    "task", ["parking-v0", "simple_spread_v3", PURSUIT, "CartPole-v1", "LunarLander-v3"]
)
def test_a_window_is_closed(task, run):
    run(WINDOW, task)
