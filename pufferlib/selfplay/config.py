"""The settings of self-play."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pufferlib.exceptions import ArgumentError, SettingError, suggestion
from pufferlib.rating.games import RANDOM
from pufferlib.references import is_reference, load_attribute
from pufferlib.selfplay.matchmaking import LATEST, MATCHMAKERS
from pufferlib.selfplay.scripted import check_script, player_name
from pufferlib.selfplay.sides import SideRule

_ANCHOR_SHARE = 0.05


@dataclass(frozen=True)
class SelfPlayConfig:
    """Who plays the sides of a game that the policy does not, while it learns; docs/selfplay.md."""

    opponents: str = "none"
    """Whom the policy meets: none (it plays all sides), or shares that are scaled to 1, as in
    pfsp-hard:0.5,uniform:0.3,latest:0.2. Of the run's own past: latest, uniform (fictitious
    self-play, Heinrich et al. 2015), pfsp-hard and pfsp-variance (prioritized fictitious self-play,
    Vinyals et al. 2019), near (by rating). And random, which gets 0.05 unless it is named, as the
    ratings count from it; or a scripted player of your own (observation -> action), as
    module:name or file.py:name."""

    self_share: float = 0.5
    """Share of the games in which the policy plays all sides, and learns from all. AlphaStar's main
    agents have 0.35, Unity's ML-Agents 0.5, OpenAI Five 0.8 (Berner et al. 2019,
    arXiv:1912.06680)."""

    snapshot_interval: int = 10
    """Updates between two snapshots of the policy for the pool; the first is that of its first
    weights."""

    pool_size: int = 20
    """Snapshots in the pool. One more drops the one whose absence leaves the smallest gap, so that
    the first and the newest stay, and the others spread over the whole run. Unity's ML-Agents keeps
    the newest 10."""

    active: int = 4
    """Opponents that new games choose from, drawn again after each update: each acts in a forward
    pass for all its rows. PufferLib 4 has up to 8."""

    window: int = 100
    """Latest games against each opponent, on each side, that its win rate is taken over. Older ones
    were played by a weaker policy."""

    sides: SideRule = "auto"
    """Which agents win and lose together. agents: each is a side. teams: those whose names differ
    only in the number at their end. auto: teams, if there are two or more."""

    first: str | None = None
    """Runs or checkpoints, separated by commas, that the pool begins with, and never drops. They
    need the same network and the same spaces."""

    @property
    def is_on(self) -> bool:
        """Whether the policy has opponents."""
        return self.opponents != "none"

    def check(self) -> None:
        """Refuse impossible settings, whatever the environment.

        Raises:
            SettingError: says which, and what is allowed.
        """
        if self.is_on:
            self._check_first(self.mixture())
        if not 0 <= self.self_share < 1:
            raise SettingError(
                f"selfplay.self_share must lie within [0, 1); got {self.self_share}. With 1 there "
                f"would be no game against opponents: for that, use --selfplay.opponents none."
            )
        for name, least in (("snapshot_interval", 1), ("pool_size", 2), ("active", 1)):
            if getattr(self, name) < least:
                raise SettingError(
                    f"selfplay.{name} must be at least {least}; got {getattr(self, name)}."
                )
        if self.window < 1:
            raise SettingError(f"selfplay.window must be at least 1; got {self.window}.")

    @property
    def uses_pool(self) -> bool:
        """Whether a kind of opponent plays snapshots."""
        return self.is_on and any(kind in MATCHMAKERS for kind in self.mixture())

    def _check_first(self, mixture: Mapping[str, float]) -> None:
        """Refuse first members of the pool that no kind of opponent would play."""
        if self.first is not None and not any(k in MATCHMAKERS and k != LATEST for k in mixture):
            raise SettingError(
                f"selfplay.first has no effect with selfplay.opponents {self.opponents}, which "
                f"never meets members of other runs. Leave it out, or add a kind that does, as "
                f"--selfplay.opponents uniform."
            )

    def mixture(self) -> dict[str, float]:
        """Return the share of each kind of opponent, by name; they add up to 1.

        Raises:
            SettingError: an unknown kind, or an impossible share.
        """
        parts = [_weight(part.strip()) for part in self.opponents.split(",")]
        weights = dict(parts)
        if len(weights) < len(parts):
            names = [name for name, _ in parts]
            twice = next(name for name in names if names.count(name) > 1)
            raise SettingError(
                f"selfplay.opponents must name each opponent once; got {self.opponents!r}, in "
                f"which {twice} occurs {names.count(twice)} times. Add up its shares."
            )
        if not any(weights.values()):
            raise SettingError(
                f"selfplay.opponents must give a share above 0 to an opponent; got "
                f"{self.opponents!r}. To turn self-play off, use none."
            )
        return _scaled(weights)


def load_players(mixture: Mapping[str, float]) -> dict[str, Any]:
    """Return the scripted players among the kinds of opponents, by `player_name`.

    Raises:
        UnknownNameError, ArgumentError: see `pufferlib.references.load_attribute`.
        SettingError: one cannot be called with an observation, or two have one name.
    """
    found: dict[str, Any] = {}
    for reference in filter(is_reference, mixture):
        name, script = player_name(reference), load_attribute(reference)
        if name in found:
            raise SettingError(
                f"selfplay.opponents must have players with different names; two are {name}. "
                f"Rename a file."
            )
        try:
            check_script(name, script)
        except ArgumentError as error:
            raise SettingError(f"selfplay.opponents cannot be {reference}. {error}") from error
        found[name] = script
    return found


def with_names(opponents: str, change: Callable[[str], str]) -> str:
    """Return the setting `opponents` with each reference to a player changed.

    Raises:
        SettingError: an unknown kind of opponent, or an impossible share.
    """
    parts = []
    for part in opponents.split(","):
        name, _ = _weight(part.strip())
        weight = part.strip().removeprefix(name)  # with its colon
        parts.append((change(name) if is_reference(name) else name) + weight)
    return ",".join(parts)


def _weight(part: str) -> tuple[str, float]:
    """Return the name and the weight in "name:weight"; without a weight it is 1."""
    name, _, number = part.rpartition(":")
    try:
        weight = float(number)
    except ValueError:
        name, weight = part, 1.0
    known = [*MATCHMAKERS, RANDOM]
    if name not in known and not is_reference(name):
        raise SettingError(
            f"selfplay.opponents must be none or a list such as uniform or pfsp-hard:0.5,latest:0.5"
            f"; got {part!r}.{suggestion(name, known)} Opponents: {', '.join(known)}; or your own "
            f"as module:name."
        )
    if not 0 <= weight < float("inf"):
        raise SettingError(
            f"selfplay.opponents must have shares of at least 0; got {weight} for {name}."
        )
    return name, weight


def _scaled(weights: dict[str, float]) -> dict[str, float]:
    """Return weights above 0 that add up to 1; "random", if not among them, gets its share."""
    total = sum(weights.values())
    rest = 1.0 if RANDOM in weights else 1 - _ANCHOR_SHARE
    shares = {name: rest * weight / total for name, weight in weights.items() if weight}
    return shares if RANDOM in weights else {**shares, RANDOM: _ANCHOR_SHARE}
