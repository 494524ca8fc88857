"""Calls out of order: errors of ours that are those of Gymnasium's `AsyncVectorEnv`, too."""

from gymnasium.error import AlreadyPendingCallError, ClosedEnvironmentError, NoAsyncCallError

from pufferlib.exceptions import CallOrderError


class ClosedVectorError(CallOrderError, ClosedEnvironmentError):
    """A method was called after close."""


class PendingCallError(AlreadyPendingCallError, CallOrderError):
    """A method was called between `reset_async` and `reset_wait`, or likewise for step.

    Attributes:
        name: "reset" or "step", the pending call.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message, name)


class NoPendingCallError(NoAsyncCallError, CallOrderError):
    """`reset_wait` was called without `reset_async`, or likewise for step.

    Attributes:
        name: "reset" or "step", the call that is not pending.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message, name)


def call_error(
    call: str, pending: str | None, is_closed: bool, error: CallOrderError
) -> CallOrderError:
    """Return the error to raise where a vectorizer refuses a call with `error`.

    Args:
        call: the method that was called.
        pending: "reset" or "step", the pending call; None if there is none.
        is_closed: `close` was called.
        error: raised as it is, if neither is the reason.
    """
    if is_closed:
        return ClosedVectorError(f"Calling `{call}` after `close`. Make a new vector environment.")
    if pending is None:
        return error
    return PendingCallError(
        f"Calling `{call}` while waiting for a pending call to `{pending}` to complete. Call "
        f"`{pending}_wait` first.",
        pending,
    )


def wait_error(name: str, pending: str | None) -> NoPendingCallError:
    """Return the error of `reset_wait` or `step_wait` if that call is not pending."""
    advice = f"`{pending}_wait`" if pending else f"`{name}_async`"
    return NoPendingCallError(
        f"Calling `{name}_wait` without any prior call to `{name}_async`. Call {advice} first.",
        name,
    )
