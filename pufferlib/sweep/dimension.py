"""How one setting is searched: its range or choices, and the scale."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

KINDS = {
    "uniform": "LOW HIGH",
    "log": "LOW HIGH",
    "integer": "LOW HIGH",
    "power2": "LOW HIGH",
    "logit": "LOW HIGH",
    "choices": "VALUE ...",
}
_LOG2, _LOGIT = "log2({})", "1 - {}"
_DIGITS = 4  # of a float, as it reads in a command line

Value = bool | int | float | str | None
Condition = tuple[str, tuple[Value, ...]]
"""A setting, and its values with which another one is searched."""


@dataclass(frozen=True)
class Dimension:
    """How one setting is searched.

    Attributes:
        setting: its dotted name.
        kind: one of `KINDS`.
        low: the least value, of the setting itself; NaN for choices.
        high: the greatest value.
        choices: the values, for that kind.
        is_integer: values are whole numbers.
        condition: a setting and its values with which this one is searched; None: always.
        text: as the dimension was written.
    """

    setting: str
    kind: str
    low: float
    high: float
    choices: tuple[Value, ...]
    is_integer: bool
    condition: Condition | None
    text: str

    @property
    def parameter(self) -> str:
        """The name in the study, which says on which scale it is stored."""
        names = {"power2": _LOG2, "logit": _LOGIT}
        return names.get(self.kind, "{}").format(self.setting)

    def distribution(self) -> "BaseDistribution":
        """Return Optuna's distribution of the parameter."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.kind == "choices":
            return CategoricalDistribution(self.choices)
        if self.kind == "power2":
            return IntDistribution(*self.exponents)
        if self.kind == "logit":
            return FloatDistribution(1 - self.high, 1 - self.low, log=True)
        if self.is_integer:
            return IntDistribution(int(self.low), int(self.high), log=self.kind == "log")
        return FloatDistribution(self.low, self.high, log=self.kind == "log")

    def suggest(self, trial: "Trial") -> Value:
        """Return the setting's value for a trial, which the study's sampler chooses."""
        own = self.distribution()
        return self.to_value(trial._suggest(self.parameter, own))

    def to_value(self, parameter: Any) -> Value:
        """Return the setting's value for a value of the parameter."""
        if self.kind == "power2":
            return int(2 ** int(parameter))
        if self.kind == "choices" or self.is_integer:
            value: Value = parameter
            return value
        near = float(f"{parameter:.{_DIGITS}g}")
        value = round(1 - near, 12) if self.kind == "logit" else near
        return min(max(value, self.low), self.high)

    def to_parameter(self, value: Any) -> Any:
        """Return the parameter for a value of the setting, the nearest that the grid has."""
        if self.kind == "power2":
            low, high = self.exponents
            return min(max(round(math.log2(value)), low), high)
        if self.kind == "logit":
            return min(max(1 - value, 1 - self.high), 1 - self.low)
        return value

    def contains(self, value: Any) -> bool:
        """Return whether a value of the setting lies within the range, on its grid or not."""
        if self.kind == "choices":
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high

    def samples(self) -> tuple[Value, ...]:
        """Return values to check: all choices, or the ends of the range."""
        if self.kind == "choices":
            return self.choices
        ends = (self.low, self.high)
        return tuple(int(end) for end in ends) if self.is_integer else ends

    @property
    def exponents(self) -> tuple[int, int]:
        """The least and the greatest exponent of powers of two."""
        return math.ceil(math.log2(self.low)), math.floor(math.log2(self.high))
