"""A network for connect four, as OpenSpiel shows it."""

from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import EnvDescription, HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.models import HiddenState, spaces_of
from pufferlib.policies.masked import masked
from pufferlib.pytorch import Heads, layer_init, unflatten

Lookup = tuple[Tensor, Tensor, Tensor]


class ConnectFour(HiddenState):
    """A convolution over all squares in which a line fits, and a linear layer.

    It sees the stones of the player to move, those of the other, and the cells that the next stone
    can fall into. The convolution looks at that as the one player and as the other, with the same
    weights: what wins for one has to be blocked by the other. Of a position and its mirror image
    the network sees the same one, so it plays both alike. The value is a tanh: it assumes returns
    within [-1, 1], as the game gives them and `normalize_rewards` would not. That of the player who
    waits is the negative of the mover's. Where the policy plays both seats there is nothing to
    learn in the rows of who waits; against an opponent there would be. They are left out in both
    (`skips_waiting`).

    Args:
        env: an environment of "open_spiel/connect_four", emulated or vectorized, of any size and
            without `egocentric_obs_tensor`: who is to move is seen by the numbers of stones.
        hidden_size: width of the linear layer.
        channels: of the convolution.
        line: stones in a row that win, the width of the convolution.

    Raises:
        ArgumentError: the observation is another, as far as `env` shows it: an `EnvDescription`
            does not show `egocentric_obs_tensor`.
    """

    normalize_observations = False  # it counts stones
    skips_waiting = True
    _sides: Tensor

    def __init__(
        self, env: HasSpaces, hidden_size: int = 128, channels: int = 64, line: int = 4
    ) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        keys = ("observation", "action_mask", "turn")
        spaces = spaces_of(self._layout, keys, "The policy of connect four")
        board, columns = spaces["observation"].shape, spaces["action_mask"].shape
        if len(board) != 3 or board[0] != 3 or board[2:] != columns or min(board[1:]) < line:
            raise ArgumentError(
                f"The policy of connect four needs 3 planes of at least {line} by {line}, with a "
                f"column for each action; got {board} and {columns[0]} actions. Use --policy.name "
                f"masked."
            )
        if _is_egocentric(env):
            raise ArgumentError(
                "The policy of connect four cannot see who is to move with egocentric_obs_tensor. "
                "Leave that out, or use --policy.name masked."
            )
        height, width = board[1:]
        squares = (height - line + 1) * (width - line + 1)
        self.hidden_size = hidden_size
        # Their sum over stones has one sign for a position, and the other for its mirror image; it
        # is 0 for one that is both: float32 adds up such integers exactly.
        weights = torch.rand(2, height, width, generator=torch.Generator().manual_seed(0))
        sides = ((weights - weights.flip(2)) * (2**24 // (height * width))).round()
        self.register_buffer("_sides", sides, persistent=False)
        self.convolution = layer_init(nn.Conv2d(3, channels, line))
        self.hidden = layer_init(nn.Linear(2 * channels * squares, hidden_size))
        self.decoder = layer_init(nn.Linear(hidden_size, width), std=0.01)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Lookup]:
        """Return ((B, hidden_size), the lookup of `decode_actions`) for flat observations."""
        parts = unflatten(observations, self._layout)
        planes = _seen_by_mover(parts["observation"].float())  # (B, 3, height, width)
        is_mirrored = (planes[:, :2] * self._sides).sum((1, 2, 3), keepdim=True) < 0
        planes = torch.where(is_mirrored, planes.flip(3), planes)
        both = torch.stack([planes, planes[:, [1, 0, 2]]], 1)  # (B, 2, 3, height, width)
        hidden = torch.relu(self.convolution(both.flatten(0, 1))).reshape(len(planes), -1)
        hidden = torch.relu(self.hidden(hidden))
        sign = 2 * parts["turn"].reshape(-1, 1).float() - 1
        return hidden, (parts["action_mask"], is_mirrored[:, 0, :, 0], sign)

    def decode_actions(
        self, hidden: Tensor, lookup: Any = None, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return (logits, value (B, 1)) for the result of `encode_observations`."""
        mask, is_mirrored, sign = lookup
        logits = self.decoder(hidden)
        logits = torch.where(is_mirrored, logits.flip(1), logits)
        return masked(logits, mask), sign * torch.tanh(self.value_head(hidden))


def _is_egocentric(env: Any) -> bool:
    """Return whether a player's own stones come first, which the spaces do not show."""
    if isinstance(env, EnvDescription):
        return False
    own = getattr(env, "driver_env", env)
    game = getattr(getattr(own, "unwrapped", own), "game", None)
    parameters: dict[str, Any] = getattr(game, "get_parameters", dict)()
    return bool(parameters.get("egocentric_obs_tensor"))


def _seen_by_mover(board: Tensor) -> Tensor:
    """Return the mover's stones, the other's, and the cells that the next stone can fall into.

    Args:
        board: (B, 3, height, width): first player, second player, empty; the lowest row first.
    """
    first, second, empty = board.unbind(1)
    is_second = first.sum((1, 2), keepdim=True) > second.sum((1, 2), keepdim=True)
    own, other = torch.where(is_second, second, first), torch.where(is_second, first, second)
    lies_on = nn.functional.pad(1 - empty[:, :-1], (0, 0, 1, 0), value=1.0)
    return torch.stack([own, other, empty * lies_on], 1)
