"""What the benchmarks should reach, and whether they do."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tables import Row, Table

Rows = Mapping[str, Row]

POOL = "Multiprocessing, pool of half"
SYNCHRONOUS = (
    *("Serial", "Multiprocessing", "Multiprocessing, caller steps"),
    *("Serial, native", "Multiprocessing, native, caller steps"),
)
REFERENCES = ("bound", "one bare")
HALVES = ("Serial, bfloat16", "Serial, bfloat16, compiled")


def best_way(rows: Rows) -> str:
    """Return the fastest of our synchronous rows of a table of benchmarks/vector.py."""
    return max((n for n in SYNCHRONOUS if rows.get(n)), key=lambda n: rows[n]["steps_per_s"])


def best_alternative(rows: Rows) -> str:
    """Return the fastest of the alternatives of a table of benchmarks/vector.py."""
    others = rows.keys() - {*SYNCHRONOUS, *REFERENCES, POOL}
    return max((n for n in others if rows[n]), key=lambda n: rows[n]["steps_per_s"])


def _plain_to_compiled(rows: Rows) -> float:
    prefix = "pufferlib" if "pufferlib, plain" in rows else "emulated into rows"
    return rows[f"{prefix}, plain"]["us"] / rows[f"{prefix}, compiled"]["us"]


def _worst_fall(rows: Rows) -> float:
    return max(row["fall_to_lost"] for name, row in rows.items() if "workers" in name)


def _best_of_ours(rows: Rows) -> float:
    others = ("SB3", "CleanRL", "Sample Factory", "SBX", *HALVES)
    return max(row["of_sb3"] for name, row in rows.items() if not name.startswith(others))


QUANTITIES: dict[str, Callable[[Rows], float]] = {
    "synchronous, of the best alternative": lambda rows: rows[best_way(rows)]["of_best"],
    "synchronous, of the bound": lambda rows: rows[best_way(rows)]["of_bound"],
    "pool, of the best alternative": lambda rows: rows[POOL]["of_best"],
    "plain to compiled": _plain_to_compiled,
    "CPU time, one by one to native": lambda rows: 1 / rows["native"]["cpu_ratio"],
    "fall to CPU lost, at most": _worst_fall,
    "in float32, of SB3's best": _best_of_ours,
    "in bfloat16, of SB3's best": lambda rows: max(rows[name]["of_sb3"] for name in HALVES),
}
SYNC, OF_BOUND, POOLED, TWINS, NATIVE, FALL, TRAINED, TRAINED_HALF = QUANTITIES


@dataclass(frozen=True)
class Target:
    """What a table should reach.

    Attributes:
        section: of the table.
        table: its name.
        quantity: one of `QUANTITIES`; "at most" is in the name where less is better.
        value: the target.
    """

    section: str
    table: str
    quantity: str
    value: float


TARGETS = (
    Target("emulation", "flatten", TWINS, 1.3),
    Target("emulation", "agents", TWINS, 1.3),
    Target("vector", "cartpole-2", SYNC, 2),
    Target("vector", "cartpole-8", SYNC, 2),
    Target("vector", "cartpole-64", POOLED, 3),
    Target("vector", "picture-20us-64", POOLED, 3),
    Target("vector", "dict-64", SYNC, 5),
    Target("vector", "agents-16-8", SYNC, 6),
    Target("vector", "agents-128-8", SYNC, 12),
    Target("vector", "nethack-8", SYNC, 2),
    Target("vector", "nethack-64", SYNC, 3),
    Target("vector", "breakout-8", OF_BOUND, 0.85),
    Target("busy", "cartpole", FALL, 1.3),
    Target("busy", "picture-200us", FALL, 1.3),
    Target("native", "NetHackScore-v0, 1", NATIVE, 1.8),
    Target("native", "NetHackScore-v0, 8", NATIVE, 2.0),
    Target("native", "NetHackScore-v0, 64", NATIVE, 2.2),
    Target("native", "MiniHack-Room-5x5-v0, 8", NATIVE, 2.8),
    Target("training", "cartpole", TRAINED, 2.0),
    Target("training", "hopper", TRAINED, 1.5),
    Target("training", "nethack", TRAINED, 1.5),
    Target("training", "minihack", TRAINED, 1.8),
    Target("training", "breakout", TRAINED, 1.3),
    Target("training", "breakout", TRAINED_HALF, 1.7),
)


@dataclass(frozen=True)
class Verdict:
    """Whether a table reaches a target."""

    target: Target
    reached: float

    @property
    def outcome(self) -> str:
        """Return "met", or by how much it was missed."""
        short = self.target.value - self.reached
        if self.target.quantity.endswith("at most"):
            short = -short
        return "met" if short <= 0 else f"missed by {short:.2f}"

    def __str__(self) -> str:
        target = self.target
        return f"Target {target.value:g}, {target.quantity}: {self.reached:.2f}, {self.outcome}"


def verdicts(section: str, table: Table) -> Iterator[Verdict]:
    """Yield the verdict on each target of a table; none where a contender was left out."""
    for target in TARGETS:
        if (target.section, target.table) == (section, table.name):
            try:
                yield Verdict(target, QUANTITIES[target.quantity](table.rows))
            except KeyError:
                continue
