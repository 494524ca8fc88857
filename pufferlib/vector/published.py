"""What users of PufferLib 0.x and 1.0 read from vectorizers; see docs/published-names.md."""

import weakref
from functools import cached_property

from pufferlib.annotations import UserEnv
from pufferlib.emulation import native
from pufferlib.emulation.published import EmulatedNames
from pufferlib.exceptions import CallOrderError
from pufferlib.vector.arguments import Creation
from pufferlib.vector.interface import CallOrder, CallState


class VectorNames(EmulatedNames):
    """Published attributes of every backend.

    Attributes:
        num_environments: `num_envs`, for 1.0, whose `num_envs` counted rows: `agents_per_batch`.
    """

    num_envs: int
    _first: Creation
    _order: CallOrder

    @property
    def num_environments(self) -> int:
        return self.num_envs

    @cached_property
    def driver_env(self) -> UserEnv:
        """An environment like those stepped, in this process; made when first asked for.

        `Serial` has environment 0 itself. Policies take the vectorizer as they take this.

        Raises:
            CallOrderError: the vectorizer is closed.
        """
        if self._order.state is CallState.CLOSED:
            raise CallOrderError(
                "driver_env after close, or after a failure. Make a new vectorizer."
            )
        driver = native(self._first.make()).user_env
        self._close_with = weakref.finalize(self, driver.close)
        return driver

    def _close_driver(self) -> None:
        if self.__dict__.pop("driver_env", None) is not None:
            self._close_with()
