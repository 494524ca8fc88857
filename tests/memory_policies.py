"""Recurrent policies that keep the contract of `pufferlib.policy` without any class of ours."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

WIDTH = 8


class _Heads(nn.Module):
    """Linear layers around a memory that a subclass has; counts the calls of `observe`."""

    def __init__(self, vecenv, inputs):
        super().__init__()
        features = vecenv.single_observation_space.shape[0]
        self.encoder = nn.Linear(features, WIDTH)
        self.memory = nn.Linear(inputs, WIDTH)
        self.decoder = nn.Linear(WIDTH, int(vecenv.single_action_space.n))
        self.value_head = nn.Linear(WIDTH, 1)
        self.register_buffer("observed", torch.tensor(0))

    def forward(self, observations, state=None, starts=None):
        if observations.dim() == 2:  # one step, (B, features)
            observations = observations.unsqueeze(1)
            starts = None if starts is None else starts.unsqueeze(1)
        if state is None:
            state = self.initial_state(len(observations), observations.device)
        outputs = []
        for t in range(observations.shape[1]):
            if starts is not None and starts[:, t].any():
                state = self._cleared(state, starts[:, t])
            hidden, state = self._step(self.encoder(observations[:, t]), state)
            outputs.append(hidden)
        hidden = torch.stack(outputs, 1).flatten(0, 1)  # (B * T, WIDTH)
        return self.decoder(hidden), self.value_head(hidden), state

    def observe(self, observations, valid, all_reduce_sum=lambda tensor: tensor):
        assert observations.shape[:2] == valid.shape
        self.observed += all_reduce_sum(valid.sum())


class DictMemory(_Heads):
    """Keeps a hidden vector and the step of the episode, in a dict."""

    state_batch_dim = 0

    def __init__(self, vecenv):
        super().__init__(vecenv, 2 * WIDTH + 1)

    def initial_state(self, rows, device=None):
        return {
            "hidden": torch.zeros(rows, WIDTH, device=device),
            "step": torch.zeros(rows, dtype=torch.int64, device=device),
        }

    def _cleared(self, state, starts):
        return {
            "hidden": torch.where(starts.unsqueeze(1), 0, state["hidden"]),
            "step": torch.where(starts, 0, state["step"]),
        }

    def _step(self, features, state):
        step = state["step"].unsqueeze(1) / 10
        hidden = self.memory(torch.cat([features, state["hidden"].float(), step], 1)).tanh()
        return hidden, {"hidden": hidden, "step": state["step"] + 1}


class Latest(NamedTuple):
    """The last three hidden vectors, each (1, B, WIDTH)."""

    first: Tensor
    others: tuple[Tensor, list[Tensor]]


class NestedMemory(_Heads):
    """Keeps its last three hidden vectors, in a NamedTuple, a tuple and a list.

    Each step passes two of them on as they are. What an episode begins with is learned.
    """

    state_batch_dim = 1

    def __init__(self, vecenv):
        super().__init__(vecenv, 4 * WIDTH)
        self.initial = nn.Parameter(torch.linspace(-1, 1, WIDTH))

    def initial_state(self, rows, device=None):
        initial = self.initial.to(device).expand(1, rows, WIDTH)
        return Latest(initial, (initial, [initial]))

    def _cleared(self, state, starts):
        def cleared(part):
            return torch.where(starts.unsqueeze(1), self.initial, part)

        second, (third,) = state.others
        return Latest(cleared(state.first), (cleared(second), [cleared(third)]))

    def _step(self, features, state):
        first, (second, (third,)) = state
        seen = [features, first[0].float(), second[0].float(), third[0].float()]
        hidden = self.memory(torch.cat(seen, 1)).tanh()
        return hidden, Latest(hidden.unsqueeze(0), (first, [second]))
