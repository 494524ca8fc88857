"""The environments that the calling process steps itself, as the last worker."""

from collections.abc import Callable
from typing import Any

from pufferlib.annotations import Array
from pufferlib.environment import Buffers
from pufferlib.vector.arguments import Creation
from pufferlib.vector.autoreset import Autoreset
from pufferlib.vector.block import Block
from pufferlib.vector.calls import CALLS, answer_of
from pufferlib.vector.failure import Failure


class CallerWorker:
    """A worker in the calling process. It keeps its order until the caller waits for the workers.

    Args:
        number: of the worker.
        first_env: index of its first environment.
        made: how to make each environment.
        autoreset: when environments whose episode is over are reset.
    """

    def __init__(
        self, number: int, first_env: int, made: tuple[Creation, ...], autoreset: Autoreset
    ) -> None:
        self._number, self._made = number, made
        self._block = Block(first_env, autoreset=autoreset)

    def make(self) -> object:
        """Make the environments; return what a process answers: descriptions, and rows of each.

        Raises:
            WorkerError: an environment raised.
        """

        def make(block: Block) -> object:
            return block.make(self._made), block.num_agents

        return self._guarded("__init__", make)

    def bind(self, buffers: Buffers, actions: Array) -> None:
        """Give the environments their rows, and those of their actions."""
        self._block.bind(buffers)
        self._actions = actions

    def order_step(self) -> None:
        """Order a step with the actions that are then in its rows."""
        self.order("step", self._actions)

    def order(self, command: str, *arguments: Any) -> None:
        """Order another command."""
        self._order = command, arguments

    def run(self, method: str) -> object:
        """Carry out the order; return the answer.

        Args:
            method: of the environments, for the error.

        Raises:
            WorkerError: an environment raised.
        """
        command, arguments = self._order
        if command in CALLS:
            return answer_of(self._block, command, arguments, self._number)
        return self._guarded(method, lambda block: getattr(block, command)(*arguments))

    def _guarded(self, method: str, run: Callable[[Block], object]) -> object:
        try:
            return run(self._block)
        except Exception as error:
            failure = Failure.of(error, self._block, method, self._number)
            raise failure.to_error() from error

    def close(self) -> None:
        """Close the environments."""
        self._block.close()
