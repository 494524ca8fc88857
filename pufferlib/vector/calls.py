"""Call into environments between two batches: a failure is an answer, and nothing closes."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pufferlib.vector.block import Block
from pufferlib.vector.failure import Failure
from pufferlib.vector.pickling import pickled

T = TypeVar("T")

CALLS = ("call", "get_attr", "has_attr", "set_attr")
"""The methods of a vectorizer that call into its environments, and of `Block` likewise."""


@dataclass(frozen=True)
class PickledResults:
    """The results of one worker, each pickled, so that one that cannot be unpickled is known.

    Attributes:
        results: one for each environment that was asked; none for `set_attr`.
        worker: index of the worker.
        envs: indices of the environments that were asked.
        method: the method that returned them.
    """

    results: list[bytes]
    worker: int
    envs: list[int]
    method: str

    def unpickled(self) -> list[Any]:
        """Return the results.

        Raises:
            WorkerError: one cannot be unpickled in this process.
        """
        values = []
        for env_index, result in zip(self.envs, self.results, strict=False):
            try:
                values.append(pickle.loads(result))
            except Exception as error:  # unpickling a user's object may raise anything
                failure = Failure.of_unpickling(
                    error, "the result", "the calling process", self.worker, env_index, self.method
                )
                raise failure.to_error() from error
        return values


@dataclass(frozen=True)
class Asked:
    """The environments that a call is for, divided among workers.

    >>> asked = Asked([5, 0, 1, 0], num_workers=2, envs_per_worker=3)
    >>> asked.by_worker(asked.envs)
    [[0, 1, 0], [5]]
    >>> asked.in_order(["zero", "one", "zero again", "five"])
    ['five', 'zero', 'one', 'zero again']

    Attributes:
        envs: their indices, in the order of the results.
        num_workers: workers there are, asked or not.
        envs_per_worker: environments of each worker.
    """

    envs: list[int]
    num_workers: int
    envs_per_worker: int

    def by_worker(self, values: Sequence[T]) -> list[list[T]]:
        """Return the values of each worker's environments; there is one for each of `envs`."""
        split: list[list[T]] = [[] for _ in range(self.num_workers)]
        for env, value in zip(self.envs, values, strict=True):
            split[env // self.envs_per_worker].append(value)
        return split

    def positions(self) -> list[list[int]]:
        """Return the positions of the environments among those of each worker."""
        return self.by_worker([env % self.envs_per_worker for env in self.envs])

    def in_order(self, results: Sequence[T]) -> list[T]:
        """Return the results, which are ordered by worker, in the order of `envs`."""
        places = [place for own in self.by_worker(range(len(self.envs))) for place in own]
        by_place = dict(zip(places, results, strict=True))
        return [by_place[place] for place in range(len(places))]


Answer = list[Any] | PickledResults | Failure
"""A result for each environment, or the first failure; environments after it were not called."""


def called_method(command: str, arguments: Sequence[object]) -> str:
    """Return the name of the method that a command calls, for messages.

    >>> called_method("call", ("greet", [0, 1], (), {}))
    'greet'
    >>> called_method("get_attr", ("skill", [0, 1]))
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
        arguments: of the method of `Block`: the name of a method or attribute, the positions of
            the environments that are asked, and others.
        worker: index of the worker that steps them; None for Serial.
    """
    try:
        return getattr(block, command)(*arguments) or []
    except Exception as error:  # an environment may raise anything
        name = str(arguments[0])
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
    positions = arguments[1]
    for position, result in zip(positions, answer, strict=False):  # `set_attr` has no results
        try:
            results.append(dumps(result))
        except Exception as error:  # pickling a user's object may raise anything
            block.current = position
            refusal = TypeError(
                f"the result, an instance of {type(result).__name__}, cannot be pickled, to be "
                f"sent to the calling process: {error}"
            )
            return dumps(Failure.of(refusal, block, method, worker, ends_worker=False))
    envs = [block.first_env + position for position in positions]
    return dumps(PickledResults(results, worker, envs, method))


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
