"""What every backend offers, and the two checks that all of them make."""

from typing import Any, Literal, NoReturn, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.environment import StepResult
from pufferlib.exceptions import ActionError, CallOrderError
from pufferlib.spaces import difference, joint_space
from pufferlib.vector.batch import Batch, Infos


class VectorEnv(Protocol):
    """Many environments behind one interface.

    Synchronous use: `reset`, then `step` again and again. Asynchronous use: `async_reset`, then
    `recv` and `send` in turn; `send` answers the batch that the last `recv` returned.

    Attributes:
        num_envs: environments.
        num_agents: rows of all environments together.
        agents_per_env: rows of each environment.
        num_workers: processes that step them.
        batch_size: environments in a batch.
        agents_per_batch: rows in a batch.
        zero_copy: batches are views of neighbouring rows, the same ones together each time.
        single_observation_space: of one row; a Box.
        single_action_space: of one row.
        observation_space: of a batch.
        action_space: of a batch.
        observation_layout: unflattens observations; None where they were flat from the start.
        action_layout: the same for actions.
        metadata: `autoreset_mode` is SAME_STEP: an episode that ends starts anew in that step.
        final_observations: (rows, *single_observation_space.shape) of the last batch; the true
            last observation of a row's episode where `terminals | truncations`, stale elsewhere.
        lost: bool (rows,) of the last batch: what the step brought was lost with the worker, which
            is being replaced. Leave such a step out of training. Always False where failures are
            raised.
    """

    num_envs: int
    num_agents: int
    agents_per_env: list[int]
    num_workers: int
    batch_size: int
    agents_per_batch: int
    zero_copy: bool
    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.Space[Any]
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    observation_layout: Layout | None
    action_layout: ActionLayout | None
    metadata: dict[str, Any]
    lost: NDArray[np.bool_]

    def __init__(
        self, env_creators: Any, env_args: Any, env_kwargs: Any, num_envs: int, **kwargs: Any
    ) -> None: ...

    @property
    def final_observations(self) -> NDArray[Any]: ...

    def reset(self, seed: int | None = 42) -> tuple[NDArray[Any], Infos]:
        """Reset all; environment i gets `seed + i`. Return (observations, infos).

        Raises:
            ArgumentError: `seed` is not None or a whole number from 0; nothing is reset.
        """
        ...

    def step(self, actions: Any) -> StepResult:
        """Step a batch; return (observations, rewards, terminals, truncations, infos)."""
        ...

    def async_reset(self, seed: int | None = 42) -> None:
        """Begin to reset all; `recv` gives the first observations."""
        ...

    def send(self, actions: Any) -> None:
        """Begin to step the batch that was last received."""
        ...

    def recv(self) -> Batch:
        """Wait for a batch and return it."""
        ...

    def call(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of every environment; return the results."""
        ...

    def get_attr(self, name: str) -> list[Any]:
        """Return an attribute of every environment."""
        ...

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        ...

    def render(self) -> list[Any]:
        """Return what each environment's `render` returns."""
        ...

    def close(self) -> None:
        """Close every environment and free everything. May be called again."""
        ...


METADATA = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}


class Turns:
    """Whose turn it is: refuses calls that come out of order."""

    def __init__(self) -> None:
        self._state: Literal["new", "pending", "received", "closed"] = "new"

    @property
    def is_closed(self) -> bool:
        return self._state == "closed"

    @property
    def is_pending(self) -> bool:
        return self._state == "pending"

    def reset(self) -> None:
        """Note that a reset is under way."""
        self.check_open("reset")
        self._state = "pending"

    def check_send(self) -> None:
        """Refuse actions that answer no batch."""
        self.check_open("send")
        if self._state == "new":
            raise CallOrderError("step before reset. Call reset (or async_reset and recv) first.")
        if self._state == "pending":
            raise CallOrderError("send after send. Call recv for the batch under way first.")

    def sent(self) -> None:
        """Note that steps are under way."""
        self._state = "pending"

    def check_recv(self) -> None:
        """Refuse to wait for a batch that nobody asked for."""
        self.check_open("recv")
        if self._state != "pending":
            raise CallOrderError(
                "recv without a batch under way. Call async_reset, or send for the last batch."
            )

    def received(self) -> None:
        """Note that the caller has a batch to answer."""
        self._state = "received"

    def check_idle(self, name: str) -> None:
        """Refuse to reach into environments that are stepping."""
        self.check_open(name)
        if self._state == "pending":
            raise CallOrderError(f"{name} while a batch is under way. Call recv first.")

    def check_open(self, name: str) -> None:
        """Refuse any use after close."""
        if self._state == "closed":
            raise CallOrderError(f"{name} after close, or after a failure. Make a new vectorizer.")

    def closed(self) -> None:
        """Note that nothing is left."""
        self._state = "closed"


class ActionCheck:
    """Bring actions to the dtype and shape of a batch; check the values of the first in full."""

    def __init__(self, single_action_space: gymnasium.Space[Any], rows: int) -> None:
        assert single_action_space.shape is not None
        self._space = joint_space(single_action_space, rows)
        self.shape = (rows, *single_action_space.shape)
        self.dtype = np.dtype(single_action_space.dtype)
        self._checked = False

    def __call__(self, actions: Any) -> NDArray[Any]:
        """Return `actions` as an array of the batch's shape and dtype.

        Raises:
            ActionError: another shape, a dtype that would lose values, or, on the first call,
                values outside the space.
        """
        try:
            array = np.asarray(actions)
        except ValueError:
            self._fail("rows of different lengths", f"{self.shape}")
        if array.shape != self.shape:
            self._fail(f"shape {array.shape}", f"{self.shape}: a row for each agent of the batch")
        if not self._checked:
            fault = difference(array, self._space)
            if fault:
                self._fail(fault.replace("value", "actions", 1), f"what {self._space} contains")
            self._checked = True
        if array.dtype != self.dtype:
            if not np.can_cast(array.dtype, self.dtype, casting="same_kind"):
                self._fail(f"dtype {array.dtype}", f"{self.dtype}, or a kind that casts to it")
            array = array.astype(self.dtype)
        return array

    @staticmethod
    def _fail(given: str, allowed: str) -> NoReturn:
        raise ActionError(f"The actions do not fit: {given}. Allowed is {allowed}.")
