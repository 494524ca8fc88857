"""Gymnasium's classic control."""

import gymnasium

from pufferlib.registry import classic_control


def test_the_tasks_are_those_that_gymnasium_registers():
    registered = {
        task
        for task, spec in gymnasium.registry.items()
        if str(spec.entry_point).startswith("gymnasium.envs.classic_control")
    }
    assert set(classic_control.FAMILY.tasks) == registered - {"CartPole-v0"}  # v1 is its successor
