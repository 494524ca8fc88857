"""The published path of `pufferlib.published.utils`; see docs/published-names.md."""

from pufferlib.published.utils import (
    Profiler,
    Suppress,
    get_init_args,
    install_and_import,
    profile,
    unroll_nested_dict,
    validate_args,
)

__all__ = [
    "Profiler",
    "Suppress",
    "get_init_args",
    "install_and_import",
    "profile",
    "unroll_nested_dict",
    "validate_args",
]
