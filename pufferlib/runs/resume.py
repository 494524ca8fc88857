"""Which settings can change when a run is resumed, and which are fixed by its checkpoint."""

from pathlib import Path

from pufferlib.config import Config
from pufferlib.exceptions import SettingError
from pufferlib.runs.settings import find_setting, names_of

_WEIGHTS = "its weights belong to a network with that setting"
# Every other setting of these tables, and of an algorithm, takes effect from the resumption on;
# policy.name, policy.kwargs and env.kwargs if the weights fit the network that they make.
FIXED = {
    "train.seed": "its random generators continue from the checkpoint",
    "policy.memory": _WEIGHTS,
    "policy.hidden_size": _WEIGHTS,
    "policy.critic": _WEIGHTS,
    "policy.normalize_observations": _WEIGHTS,
    "policy.gaussian": _WEIGHTS,
    "policy.initial_std": "its standard deviations are among the weights of the checkpoint",
    "policy.uint8": _WEIGHTS,
    "policy.rescale_actions": "its policy has learned actions in that scale",
    "policy.agents": _WEIGHTS,
    "policy.frozen": "its frozen policies have no optimizer to continue with",
    "train.normalize_returns": "its values are in that scale",
    "selfplay.sides": "its games are recorded by those sides",
    "selfplay.first": "its pool has begun",
}


def check_fixed(base: Config, config: Config, folder: Path) -> None:
    """Refuse changes that the checkpoint of a run does not allow.

    Args:
        base: the settings of the run.
        config: those to continue with.
        folder: of the run, for the error.

    Raises:
        SettingError: names the first setting, its two values, and what to do.
    """
    settings = names_of(base)
    for name, reason in FIXED.items():
        if name not in settings:  # of another algorithm
            continue
        before, now = find_setting(name, base).value, find_setting(name, config).value
        if now != before:
            raise SettingError(
                f"{name} cannot change within a run: {reason}. Got {now!r}; {folder} has "
                f"{before!r}. Leave {name} out, or start a new run with it."
            )
