"""Call into environments between two batches: a failure is an answer, and nothing closes."""

from collections.abc import Callable, Sequence
from typing import Any

from pufferlib.vector.block import Block
from pufferlib.vector.failure import Failure

CALLS = ("call", "get_attr", "has_attr", "set_attr")
"""The methods of a vectorizer that call into its environments, and of `Block` likewise."""

Answer = list[Any] | Failure
"""A result for each environment, or the first failure; environments after it were not called."""


def called_method(command: str, arguments: Sequence[object]) -> str:
    """Return the name of the method that a command calls, for messages.

    >>> called_method("call", ("greet", (), {}))
    'greet'
    >>> called_method("get_attr", ("skill",))
    'get_attr'
    """
    return str(arguments[0]) if command == "call" else command


def answer_of(
    block: Block, command: str, arguments: Sequence[object], worker: int | None
) -> Answer:
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
        return _failure(error, block, command, arguments, worker)


def pickled_answer_of(
    block: Block,
    command: str,
    arguments: Sequence[object],
    worker: int,
    dumps: Callable[[object], bytes],
) -> bytes:
    """Return the answer, pickled by `dumps`; a `Failure` if a result cannot be pickled."""
    answer = answer_of(block, command, arguments, worker)
    try:
        return dumps(answer)
    except Exception as error:  # pickling a user's object may raise anything
        assert isinstance(answer, list)
        block.current = position = _first_unpicklable(answer, dumps)
        refusal = TypeError(
            f"the result, an instance of {type(answer[position]).__name__}, cannot be pickled, to "
            f"be sent to the calling process: {error}"
        )
        return dumps(_failure(refusal, block, command, arguments, worker))


def results_of(answers: Sequence[Answer]) -> list[Any]:
    """Return the results of all workers' answers in one list.

    Raises:
        WorkerError: the first failure.
    """
    results = []
    for answer in answers:
        if isinstance(answer, Failure):
            raise answer.to_error()
        results += answer
    return results


def _failure(
    error: Exception, block: Block, command: str, arguments: Sequence[object], worker: int | None
) -> Failure:
    name = str(arguments[0])  # of the method or attribute
    lacks = isinstance(error, AttributeError) and block.current_lacks(name)
    method = called_method(command, arguments)
    return Failure.of(error, block, method, worker, ends_worker=False, is_missing=lacks)


def _first_unpicklable(results: list[Any], dumps: Callable[[object], bytes]) -> int:
    """Return the position of the first result that `dumps` refuses; 0 if it takes each alone."""
    for position, result in enumerate(results):
        try:
            dumps(result)
        except Exception:  # as above
            return position
    return 0
