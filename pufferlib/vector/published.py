"""What users of PufferLib 0.x and 1.0 read from vectorizers; see docs/published-names.md."""

from functools import cached_property

from pufferlib.annotations import UserEnv
from pufferlib.emulation import native
from pufferlib.emulation.published import EmulatedNames
from pufferlib.vector.arguments import Creation


class VectorNames(EmulatedNames):
    """Published attributes of every backend.

    Attributes:
        num_environments: `num_envs`, for 1.0, whose `num_envs` counted rows: `agents_per_batch`.
    """

    num_envs: int
    _first: Creation

    @property
    def num_environments(self) -> int:
        return self.num_envs

    @cached_property
    def driver_env(self) -> UserEnv:
        """An environment like those stepped, in this process; made when first asked for.

        `Serial` has environment 0 itself. Policies take the vectorizer as they take this.
        """
        return native(self._first.make()).user_env

    def _close_driver(self) -> None:
        driver = self.__dict__.pop("driver_env", None)
        if driver is not None:
            driver.close()
