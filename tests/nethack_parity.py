"""Play NetHack in two forms at once: environments of one game, and a native one of as many."""

import numpy as np

from pufferlib.registry import _nethack_batch_plain

TWINS = {"plain": _nethack_batch_plain.Batch}
try:
    from pufferlib.registry import _nethack_batch
except ModuleNotFoundError:  # no compiler
    pass
else:
    TWINS["compiled"] = _nethack_batch.Batch


def walks(num_envs, steps, seed=3, num_actions=23):
    """Return actions at random, MORE and the answers to prompts among them."""
    return np.random.default_rng(seed).integers(num_actions, size=(steps, num_envs))


def play_both(ones, many, actions, resets):
    """Play the same in both; compare all they return. Return how many died, succeeded, were cut.

    Args:
        ones: a vectorizer of environments of one game.
        many: a native environment of as many.
        actions: (steps, games).
        resets: by step, the seed that all games are reset with before it.
    """
    ends = np.zeros(3, int)
    for step, row in enumerate(actions):
        if step in resets:
            expected, _ = ones.reset(seed=resets[step])
            np.testing.assert_array_equal(many.reset(seed=resets[step])[0], expected)
        expected, rewards, terminals, truncations, infos = ones.step(row)
        found = many.step(row)
        np.testing.assert_array_equal(found[0], expected)
        assert found[1].tobytes() == rewards.tobytes()
        np.testing.assert_array_equal(found[2], terminals)
        np.testing.assert_array_equal(found[3], truncations)
        is_end = terminals | truncations
        np.testing.assert_array_equal(
            many.final_observations[is_end], ones.final_observations[is_end]
        )
        reported = [{key: info[key] for key in info if key != "env_id"} for info in infos]
        assert found[4] == reported
        assert [list(info) for info in found[4]] == [list(info) for info in reported]
        won = sum(bool(info.get("success")) for info in reported)
        ends += terminals.sum() - won, won, truncations.sum()
    assert many.masks.all()
    return ends
