"""What the games of an environment report when all of them end."""

from typing import Any

from numpy.typing import NDArray

from pufferlib.environment import Info


def results(returns: NDArray[Any], length: int, scores: NDArray[Any]) -> list[Info]:
    """Return an info for each game, from its return (games,), length and score (games,)."""
    return [
        {"episode_return": total, "episode_length": length, "score": score}
        for total, score in zip(returns.tolist(), scores.tolist(), strict=True)
    ]
