"""Every error that pufferlib raises on purpose.

    PufferError
    ├── ArgumentError (ValueError)        an argument that no call could accept
    │   ├── SettingError                  an unknown or ill-typed setting in a file or flag
    │   ├── UnequalSpacesError (RuntimeError)  environments that cannot be vectorized together
    │   └── UnknownNameError              a name that is not registered; suggests the nearest
    ├── SpaceError (TypeError)            a space that cannot be flattened; names the path
    ├── ObservationError (ValueError)     an environment returned what its space does not allow
    ├── RewardError (ValueError)          an environment returned a reward that is not a number
    ├── ActionError (ValueError)          actions of the wrong shape or outside the space
    │   └── ActionTypeError (TypeError)   one number in place of an array of actions
    ├── ContractError (AssertionError)    the conformance kit found a breach
    ├── CallOrderError (RuntimeError)     step before reset, recv without send, use after close
    ├── WorkerError (RuntimeError)        an environment failed, died or hung
    │   └── MissingAttributeError (AttributeError)  an environment lacks an attribute
    ├── NotInstalledError (ImportError)   an optional package is missing; says how to install it
    ├── CheckpointError (RuntimeError)    a checkpoint that does not match, or cannot be read
    ├── LogError (RuntimeError)           the metrics of a run could not be written
    └── NotFiniteError (ArithmeticError)  a reward, observation, loss or gradient is NaN or infinite

A message says what was given, what is allowed and what to do.

`OldInterfaceWarning` is a UserWarning of `pufferlib.testing.check_env`.
"""

import difflib
from collections.abc import Iterable


class PufferError(Exception):
    """Base of every error raised on purpose by pufferlib."""


class ArgumentError(PufferError, ValueError):
    """An argument that no call could accept."""


class UnequalSpacesError(ArgumentError, RuntimeError):
    """Environments of one vectorizer have different spaces: a RuntimeError in Gymnasium."""


class SettingError(ArgumentError):
    """An unknown or ill-typed setting in a preset file or on the command line."""


class UnknownNameError(ArgumentError):
    """A name that is not registered."""


class SpaceError(PufferError, TypeError):
    """A space that emulation cannot flatten."""


class ObservationError(PufferError, ValueError):
    """An environment returned an observation that its space does not allow."""


class RewardError(PufferError, ValueError):
    """An environment returned a reward that is not a number."""


class ActionError(PufferError, ValueError):
    """Actions of the wrong shape or outside the action space."""


class ActionTypeError(ActionError, TypeError):
    """One number in place of an array of actions, which is a TypeError in Gymnasium."""


class ContractError(PufferError, AssertionError):
    """The conformance kit found that an environment or a vectorizer breaks its contract."""


class CallOrderError(PufferError, RuntimeError):
    """A method was called before the one it depends on, or after close."""


class NotInstalledError(PufferError, ImportError):
    """An optional package is missing."""


class CheckpointError(PufferError, RuntimeError):
    """A checkpoint that cannot be read, or does not match the policy or settings."""


class LogError(PufferError, RuntimeError):
    """The metrics of a run could not be written."""


class NotFiniteError(PufferError, ArithmeticError):
    """A reward, an observation, a loss or a gradient is NaN or infinite."""


class OldInterfaceWarning(UserWarning):
    """An environment has the interface of an earlier gym or PettingZoo, which is adapted."""


class WorkerError(PufferError, RuntimeError):
    """An environment raised, or the process that steps it died or hung.

    The original exception is the `__cause__`, if it could be pickled.

    Attributes:
        worker: index of the worker, or None for the Serial backend.
        env_index: index of the environment that failed, or None if it is not known.
        seed: the last seed given to that environment, or None.
        step: how many steps that environment had taken since `reset`, or None.
        original_type: name of the original exception's class, or None if the process died or hung.
        original_traceback: the original traceback as text, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        worker: int | None = None,
        env_index: int | None = None,
        seed: int | None = None,
        step: int | None = None,
        original_type: str | None = None,
        original_traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.worker = worker
        self.env_index = env_index
        self.seed = seed
        self.step = step
        self.original_type = original_type
        self.original_traceback = original_traceback


class MissingAttributeError(WorkerError, AttributeError):
    """A call into an environment raised AttributeError. The vectorizer can be used as before."""


# What PufferLib 1.0 raised.
APIUsageError = PufferError
InvalidAgentError = ActionError


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return " Did you mean 'x' or 'y'?" for the allowed names nearest to `name`, or ""."""
    lowered = {candidate.lower(): candidate for candidate in allowed}
    near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    if not near:
        return ""
    return f" Did you mean {' or '.join(repr(lowered[key]) for key in near)}?"
