"""The interface of every backend, and the two checks that all of them make."""

from enum import StrEnum
from typing import Any, NoReturn, Protocol

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pufferlib.annotations import Array, Options, Rendered, Space
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.environment import StepResult
from pufferlib.exceptions import ActionError, ActionTypeError, CallOrderError
from pufferlib.spaces import difference, joint_space
from pufferlib.vector.arguments import EnvArgs, EnvCreators, EnvKwargs, Indices, Seed
from pufferlib.vector.autoreset import DEFAULT_SEED, GYMNASIUM_MODES, Autoreset
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.block import Description
from pufferlib.vector.calls import CALLS


class VectorEnv(Protocol):
    """Many environments behind one interface.

    Synchronous use: `reset`, then `step` repeatedly. Asynchronous use: `async_reset`, then `recv`
    and `send` in turn; the actions given to `send` are for the batch that the last `recv` returned.

    Attributes:
        num_envs: environments.
        num_agents: rows of all environments together.
        agents_per_env: rows of each environment.
        num_seeds: seeds that a reset of all with one seed uses: `num_envs`, or more where an
            environment plays several games with a seed each.
        num_workers: how many workers step them.
        envs_per_worker: environments of each worker.
        batch_size: environments in a batch.
        agents_per_batch: rows in a batch.
        zero_copy: batches are views of neighboring rows, always the same rows together.
        single_observation_space: of one row; a Box.
        single_action_space: of one row.
        observation_space: of a batch.
        action_space: of a batch; if the action space of environment 0 is seeded, with its random
            state, as Gymnasium does.
        observation_layout: unflattens observations; None if the space is already flat.
        action_layout: the same for actions.
        render_mode: of the environments.
        autoreset: "same_step", "next_step" or "disabled"; see `VectorOptions`.
        metadata: that of environment 0, with its `render_modes` and `render_fps`; `autoreset_mode`
            is `autoreset` as Gymnasium's AutoresetMode.
        num_restarts: how many workers have been replaced after a failure.
        final_observations: that of the last batch; see `Batch`.
        lost: that of the last batch; see `Batch`.
    """

    num_envs: int
    num_agents: int
    agents_per_env: list[int]
    num_seeds: int
    num_workers: int
    envs_per_worker: int
    batch_size: int
    agents_per_batch: int
    zero_copy: bool
    single_observation_space: gymnasium.spaces.Box
    single_action_space: Space
    observation_space: Space
    action_space: Space
    observation_layout: Layout | None
    action_layout: ActionLayout | None
    render_mode: str | None
    autoreset: Autoreset
    metadata: dict[str, Any]
    lost: NDArray[np.bool_]

    def __init__(
        self,
        env_creators: EnvCreators,
        env_args: EnvArgs,
        env_kwargs: EnvKwargs,
        num_envs: int,
        **options: Any,
    ) -> None: ...

    @property
    def final_observations(self) -> Array: ...

    @property
    def num_restarts(self) -> int: ...

    def reset(
        self, seed: Seed = DEFAULT_SEED, options: Options | None = None
    ) -> tuple[Array, Infos]:
        """Reset all environments; return (observations, infos).

        Args:
            seed: a whole number: environment i gets `seed + i`; of native environments of several
                games, each game the next one (`num_seeds`). A list with a whole number or None for
                each environment. None: the environments continue their random streams.
            options: passed to the reset of every environment that is reset, a copy to each; that
                of a native `PufferEnv` needs an argument `options`. Episodes that follow by
                autoreset get no options.

        Raises:
            ArgumentError: another seed, another mask, or options that the environments do not take
                (the reset of a native `PufferEnv` may take a seed only); nothing is reset.
        """
        ...

    def step(self, actions: ArrayLike) -> StepResult:
        """Step a batch; return (observations, rewards, terminals, truncations, infos)."""
        ...

    def async_reset(self, seed: Seed = DEFAULT_SEED, options: Options | None = None) -> None:
        """Begin to reset all environments; `recv` returns the first observations. See `reset`."""
        ...

    def send(self, actions: ArrayLike) -> None:
        """Begin to step the environments of the last batch received."""
        ...

    def recv(self) -> Batch:
        """Wait for a batch and return it."""
        ...

    def step_async(self, actions: ArrayLike) -> None:
        """Do what `send` does; the name is that of Stable-Baselines3."""
        ...

    def step_wait(self) -> StepResult:
        """Wait for a batch, as `recv` does; return what `step` returns."""
        ...

    def call(
        self, name: str, *args: object, indices: Indices = None, **kwargs: object
    ) -> list[Any]:
        """Call a method of every environment, or of those at `indices`; return the results.

        An attribute that is not callable is returned, as Gymnasium does.

        Args:
            name: of the method.
            *args: its arguments. If the method has an argument named `indices`, give it here, by
                position: as a keyword it chooses environments, as in Stable-Baselines3.
            indices: of the environments to ask, in the order of the results; None: all of them.
            **kwargs: its keyword arguments.

        Raises:
            ArgumentError: an index that no environment has.
            WorkerError: an environment raised; names it. The vectorizer can be used as before, also
                after a failure in `get_attr`, `set_attr` and `render`; but if a worker died or
                exceeded the timeout, everything is closed.
        """
        ...

    def has_attr(self, name: str, indices: Indices = None) -> bool:
        """Return whether every environment has the attribute `name`, itself or in a wrapper."""
        ...

    def get_attr(self, name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of every environment, of the outermost wrapper that has it.

        Raises:
            MissingAttributeError: an environment lacks it; a `WorkerError` and an `AttributeError`.
        """
        ...

    def set_attr(self, name: str, values: object, indices: Indices = None) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all.

        It is set where it is stored, in the environment or in a wrapper. A new attribute is set on
        the outermost Gymnasium wrapper, as Gymnasium does, or on the unwrapped PettingZoo
        environment; never on the wrappers of `pufferlib.emulation`.
        """
        ...

    def render(self, indices: Indices = None) -> list[Rendered]:
        """Return the result of each environment's `render`."""
        ...

    def close(self) -> None:
        """Close every environment and free all resources. May be called again."""
        ...


def metadata_of(description: Description, autoreset: Autoreset) -> dict[str, Any]:
    """Return the `metadata` of a vectorizer of environments with this description."""
    return description.metadata | {"autoreset_mode": GYMNASIUM_MODES[autoreset]}


class CallState(StrEnum):  # of strings, whose hashes are quick: each step looks up two
    """What the caller of a vectorizer has called so far."""

    NEW = "new"  # nothing
    PENDING = "pending"  # a reset or a step that no `recv` has followed
    RECEIVED = "received"  # `recv`: the batch waits for actions
    CLOSED = "closed"  # `close`, or the vectorizer closed itself after a failure


# For each state, the calls that are allowed and the state that follows.
CALL_TRANSITIONS: dict[CallState, dict[str, CallState]] = {
    CallState.NEW: {
        "reset": CallState.PENDING,
        **dict.fromkeys(CALLS, CallState.NEW),
        "close": CallState.CLOSED,
    },
    CallState.PENDING: {
        "reset": CallState.PENDING,
        "recv": CallState.RECEIVED,
        "step_wait": CallState.RECEIVED,
        "close": CallState.CLOSED,
    },
    CallState.RECEIVED: {
        "reset": CallState.PENDING,
        "masked reset": CallState.PENDING,
        "send": CallState.PENDING,
        **dict.fromkeys(CALLS, CallState.RECEIVED),
        "close": CallState.CLOSED,
    },
    CallState.CLOSED: {"close": CallState.CLOSED},
}


class CallOrder:
    """Refuse calls that come out of order: the state machine of `CALL_TRANSITIONS`.

    `async_reset` counts as "reset", and `step` as "send" and "recv".

    >>> order = CallOrder()
    >>> order.advance("reset")
    >>> order.check("send")
    Traceback (most recent call last):
    ...
    pufferlib.exceptions.CallOrderError: send after send. Call recv for the pending batch first.
    """

    def __init__(self) -> None:
        self.state = CallState.NEW
        self._allowed = CALL_TRANSITIONS[self.state]

    @property
    def is_new(self) -> bool:
        """Whether there was no reset yet."""
        return self.state is CallState.NEW

    def check(self, call: str) -> None:
        """Refuse `call` if it is not allowed now; change nothing.

        Raises:
            CallOrderError: it is not allowed; says what to call first.
        """
        if call not in self._allowed:
            raise self._error(call)

    def advance(self, call: str) -> None:
        """Enter the state that follows `call`.

        Raises:
            CallOrderError: it is not allowed now; the state stays as it is.
        """
        if call not in self._allowed:
            raise self._error(call)
        self.state = self._allowed[call]
        self._allowed = CALL_TRANSITIONS[self.state]

    def _error(self, call: str) -> CallOrderError:
        if self.state is CallState.CLOSED:
            return CallOrderError(f"{call} after close, or after a failure. Make a new vectorizer.")
        if call == "recv":
            return CallOrderError(
                "recv without a pending batch. Call async_reset first, or send for the last batch."
            )
        if call == "step_wait":
            return CallOrderError("step_wait without a pending step. Call step_async first.")
        if call == "masked reset" and self.state is CallState.NEW:
            return CallOrderError("The first reset must be of all: leave out reset_mask.")
        if call == "send" and self.state is CallState.NEW:
            return CallOrderError("step before reset. Call reset (or async_reset and recv) first.")
        if call == "send":
            return CallOrderError("send after send. Call recv for the pending batch first.")
        return CallOrderError(f"{call} while a batch is pending. Call recv first.")


class ActionCheck:
    """Convert actions to the dtype and shape of a batch; check the values of the first batch only.

    Args:
        single_action_space: of one row.
        rows: of a batch.
    """

    def __init__(self, single_action_space: Space, rows: int) -> None:
        assert single_action_space.shape is not None
        self._space = joint_space(single_action_space, rows)
        self.shape = (rows, *single_action_space.shape)
        self.dtype = np.dtype(single_action_space.dtype)
        self._has_checked_values = False

    def __call__(self, actions: ArrayLike) -> Array:
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
            kind = ActionError if array.ndim else ActionTypeError
            allowed = f"{self.shape}: a row for each agent of the batch"
            self._fail(f"shape {array.shape}", allowed, kind)
        if not self._has_checked_values:
            fault = difference(array, self._space)
            if fault:
                self._fail(fault.replace("value", "actions", 1), f"any element of {self._space}")
            self._has_checked_values = True
        if array.dtype != self.dtype:
            if not np.can_cast(array.dtype, self.dtype, casting="same_kind"):
                self._fail(f"dtype {array.dtype}", f"{self.dtype}, or a dtype that casts to it")
            array = array.astype(self.dtype)
        return array

    @staticmethod
    def _fail(given: str, allowed: str, kind: type[ActionError] = ActionError) -> NoReturn:
        raise kind(f"The actions do not fit: {given}. Allowed is {allowed}.")
