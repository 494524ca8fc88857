"""What a breach of a contract is called."""

from typing import Any

from pufferlib.exceptions import ContractError


def require(holds: Any, found: str, due: str) -> None:
    """Raise the breach that was `found`, unless what is due `holds`."""
    if not holds:
        raise breach(found, due)


def breach(found: str, due: str) -> ContractError:
    """Return the error that says what was found and, after it, what is due instead."""
    return ContractError(f"{found[0].upper()}{found[1:]}. Due is: {due}.")
