"""A curriculum: attributes of the environments that change as training advances."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch

from pufferlib.exceptions import SettingError
from pufferlib.training.distributed import DistributedContext
from pufferlib.vector import VectorEnv

Attributes = Mapping[str, Any]
Choose = Callable[[float, Mapping[str, float], Attributes], Attributes | None]
"""(progress, metrics, attributes so far) -> the attributes to set; None changes nothing."""


class Curriculum:
    """Sets attributes of every environment after each update, as a function chooses.

    An environment reads them in its next reset: an episode that has begun is not changed.

    Args:
        choose: called with the share of the training that is done, in [0, 1], the latest metrics
            (none at first) and the attributes that it chose last. It returns attributes by name,
            numbers, strings, lists or dicts, and must choose by its arguments alone, so that a
            resumed run continues.
        vecenv: whose environments have these attributes.
        context: the processes that learn together; the main one chooses for all.
        device: of the process.

    Attributes:
        attributes: those set last, by name.

    Raises:
        SettingError: a pool, in which some environments are always stepping.
    """

    def __init__(
        self, choose: Choose, vecenv: VectorEnv, context: DistributedContext, device: torch.device
    ) -> None:
        if vecenv.batch_size != vecenv.num_envs:
            raise SettingError(
                "env.curriculum needs every environment in every batch; got a pool. Leave out "
                "vec.batch_size."
            )
        self._choose, self._vecenv = choose, vecenv
        self._context, self._device = context, device
        self._num_restarts = 0
        self.attributes: dict[str, Any] = {}

    def advance(self, progress: float, metrics: Mapping[str, float]) -> bool:
        """Choose and set the attributes of the episodes to come; return whether they changed.

        Raises:
            SettingError: `choose` returned something else than attributes, or one that the
                environment lacks.
        """
        text = ""
        if self._context.is_main:
            chosen = self._choose(progress, metrics, dict(self.attributes))
            text = _as_text(self.attributes if chosen is None else chosen)
        before = self.attributes
        self.set(json.loads(self._context.broadcast_text(text, self._device)))
        return self.attributes != before

    def set(self, attributes: Attributes) -> None:
        """Set attributes; those with the same value already only in replaced environments.

        Raises:
            SettingError: an environment lacks one.
        """
        is_replaced = self._vecenv.num_restarts != self._num_restarts
        self._num_restarts = self._vecenv.num_restarts
        for name, value in attributes.items():
            if name not in self.attributes and not self._vecenv.has_attr(name):
                raise SettingError(
                    f"env.curriculum sets {name!r}, which the environment does not have. Give it "
                    f"an attribute of this name, which its reset() reads."
                )
            if is_replaced or name not in self.attributes or self.attributes[name] != value:
                self._vecenv.set_attr(name, [value] * self._vecenv.num_envs)
        self.attributes = {**self.attributes, **attributes}

    def metrics(self) -> dict[str, float]:
        """Return the attributes that are numbers, to log."""
        return {
            f"curriculum/{name}": float(value)
            for name, value in self.attributes.items()
            if isinstance(value, (bool, int, float))
        }


def _as_text(chosen: object) -> str:
    """Return attributes as JSON, in which processes and checkpoints pass them on."""
    try:
        text = json.dumps(chosen)
        is_kept = isinstance(chosen, Mapping) and json.loads(text) == chosen
    except (TypeError, ValueError):
        is_kept = False
    if not is_kept:
        raise SettingError(
            f"env.curriculum must return a dict of attributes, whose values are numbers, strings, "
            f"lists or dicts, or None to change nothing; got {chosen!r:.80}."
        )
    return text
