"""Infos of games that all end on the same step."""

from pufferlib.annotations import Array
from pufferlib.environment import Info


def results(returns: Array, length: int, scores: Array) -> list[Info]:
    """Return an info for each game, from its return (games,), length and score (games,)."""
    return [
        {"episode_return": total, "episode_length": length, "score": score}
        for total, score in zip(returns.tolist(), scores.tolist(), strict=True)
    ]
