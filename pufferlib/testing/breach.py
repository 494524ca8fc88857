"""Errors for breaches of a contract."""

from pufferlib.exceptions import ContractError


def require(condition: object, found: str, expected: str) -> None:
    """Raise a ContractError unless `condition` is true."""
    if not condition:
        raise breach(found, expected)


def breach(found: str, expected: str) -> ContractError:
    """Return an error that says what was found and what is expected."""
    return ContractError(f"{found[0].upper()}{found[1:]}. Expected: {expected}.")
