"""Call into environments between two batches: a failure is an answer, and nothing closes."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pufferlib.vector.block import Block
from pufferlib.vector.failure import Failure
from pufferlib.vector.pickling import pickled

CALLS = ("call", "get_attr", "has_attr", "set_attr")
"""The methods of a vectorizer that call into its environments, and of `Block` likewise."""


@dataclass(frozen=True)
class PickledResults:
    """The results of one worker, each pickled, so that one that cannot be unpickled is known.

    Attributes:
        results: one for each environment; none for `set_attr`.
        worker: index of the worker.
        first_env: index of its first environment.
        method: the method that returned them.
    """

    results: list[bytes]
    worker: int
    first_env: int
    method: str

    def unpickled(self) -> list[Any]:
        """Return the results.

        Raises:
            WorkerError: one cannot be unpickled in this process.
        """
        values = []
        for env_index, result in enumerate(self.results, self.first_env):
            try:
                values.append(pickle.loads(result))
            except Exception as error:  # unpickling a user's object may raise anything
                failure = Failure.of_unpickling(
                    error, "the result", "the calling process", self.worker, env_index, self.method
                )
                raise failure.to_error() from error
        return values


Answer = list[Any] | PickledResults | Failure
"""A result for each environment, or the first failure; environments after it were not called."""


def called_method(command: str, arguments: Sequence[object]) -> str:
    """Return the name of the method that a command calls, for messages.

    >>> called_method("call", ("greet", (), {}))
    'greet'
    >>> called_method("get_attr", ("skill",))
    'get_attr'
    """
    return str(arguments[0]) if command == "call" else command


def pickled_command(command: str, arguments: tuple[object, ...]) -> bytes:
    """Return a command as bytes for a worker: (command, method that it calls, pickled arguments).

    The arguments are pickled separately: a worker that cannot unpickle them knows the command.

    Raises:
        ArgumentError: the arguments cannot be pickled.
    """
    own = pickled(f"The arguments of {command}", arguments)
    return pickle.dumps((command, called_method(command, arguments), own))


def answer_of(
    block: Block, command: str, arguments: Sequence[object], worker: int | None
) -> list[Any] | Failure:
    """Run one of `CALLS` on the environments of `block`; return the answer.

    Args:
        block: the environments.
        command: one of `CALLS`.
        arguments: of the method of `Block`.
        worker: index of the worker that steps them; None for Serial.
    """
    try:
        return getattr(block, command)(*arguments) or []
    except Exception as error:  # an environment may raise anything
        name = str(arguments[0])  # of the method or attribute
        return Failure.of(
            error,
            block,
            called_method(command, arguments),
            worker,
            ends_worker=False,
            is_missing=isinstance(error, AttributeError) and block.current_lacks(name),
        )


def pickled_answer_of(
    block: Block,
    command: str,
    method: str,
    pickled_arguments: bytes,
    worker: int,
    dumps: Callable[[object], bytes],
) -> bytes:
    """Run one of `CALLS` and return the answer, pickled by `dumps`.

    It is a `Failure` if the arguments cannot be unpickled, or a result cannot be pickled.

    Args:
        block: the environments.
        command: one of `CALLS`.
        method: the method that it calls.
        pickled_arguments: see `pickled_command`.
        worker: index of the worker.
        dumps: pickles an object.
    """
    try:
        arguments = pickle.loads(pickled_arguments)
    except Exception as error:  # unpickling a user's object may raise anything
        failure = Failure.of_unpickling(
            error, "the arguments", "the worker", worker, block.first_env, method
        )
        return dumps(failure)
    answer = answer_of(block, command, arguments, worker)
    if isinstance(answer, Failure):
        return dumps(answer)
    results: list[bytes] = []
    for position, result in enumerate(answer):
        try:
            results.append(dumps(result))
        except Exception as error:  # pickling a user's object may raise anything
            block.current = position
            refusal = TypeError(
                f"the result, an instance of {type(result).__name__}, cannot be pickled, to be "
                f"sent to the calling process: {error}"
            )
            return dumps(Failure.of(refusal, block, method, worker, ends_worker=False))
    return dumps(PickledResults(results, worker, block.first_env, method))


def results_of(answers: Sequence[Answer]) -> list[Any]:
    """Return the results of all workers' answers in one list.

    Raises:
        WorkerError: the first failure.
    """
    results = []
    for answer in answers:
        if isinstance(answer, Failure):
            raise answer.to_error()
        results += answer.unpickled() if isinstance(answer, PickledResults) else answer
    return results
