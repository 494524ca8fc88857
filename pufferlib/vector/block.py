"""The environments of one worker: made, bound to their rows and stepped together.

Every backend steps its environments through this class, so all backends give the same rows.
"""

import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Kwargs, Options, Space, UserEnv
from pufferlib.emulation import native
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import carry_layouts
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.rows import EmulatedRows
from pufferlib.emulation.single import GymnasiumRows
from pufferlib.emulation.twin import StepRows
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.exceptions import ArgumentError, UnequalSpacesError
from pufferlib.global_random import seed_globals
from pufferlib.old_interfaces import explain_step
from pufferlib.spaces import Path
from pufferlib.vector.arguments import Creation
from pufferlib.vector.attributes import (
    base_env,
    get_attribute,
    has_attribute,
    is_missing,
    own_env,
    set_attribute,
)
from pufferlib.vector.autoreset import Autoreset, refusal
from pufferlib.vector.batch import Infos
from pufferlib.vector.held_back import HeldBack

_PLAIN = (bool, int, float, str, list, tuple, type(None))  # every process can unpickle these


@dataclass(frozen=True)
class Description:
    """The spaces of an environment's rows.

    Attributes:
        single_observation_space: of one row.
        single_action_space: of one row.
        observation_layout: unflattens observations; None if the environment's own space is flat.
        action_layout: the same for actions.
        render_mode: of the environment.
        metadata: of the environment, without values that are neither numbers, texts nor lists.
        takes_options: its `reset` takes options; of the common description, that of each does.
        num_seeds: seeds that its `reset` uses; of the common description, the most.
        same_as: index of the earlier environment that is the same object, itself or inside its
            wrappers; None if there is none.
        refusal: why it cannot be stepped in the vectorizer's autoreset mode; None if it can.
    """

    single_observation_space: gymnasium.spaces.Box
    single_action_space: Space
    observation_layout: Layout | None
    action_layout: ActionLayout | None
    render_mode: str | None
    metadata: Kwargs
    takes_options: bool = True
    num_seeds: int = 1
    same_as: int | None = None
    refusal: str | None = None

    @classmethod
    def of(cls, env: PufferEnv) -> "Description":
        """Describe `env`."""
        carry_layouts(env)
        return cls(
            env.single_observation_space,
            env.single_action_space,
            getattr(env, "observation_layout", None),
            getattr(env, "action_layout", None),
            env.render_mode,
            _plain(env.metadata),
            "options" in inspect.signature(env.reset).parameters,
            env.num_seeds,
        )


def common_description(descriptions: Sequence[Description]) -> Description:
    """Return the one description that all environments share.

    Different spaces may flatten to the same rows, so the environments' own spaces are compared too.

    Raises:
        UnequalSpacesError: the spaces of an environment differ from those of environment 0.
        ArgumentError: two environments are the same object, or one does not support the autoreset
            mode.
    """
    first = descriptions[0]
    for index, description in enumerate(descriptions):
        if description.same_as is not None:
            raise ArgumentError(
                f"Each environment must be a new object; environments {description.same_as} and "
                f"{index} are the same one, or wrap the same one. Make the environment inside the "
                f"creator: a function that returns one made before returns it for every row."
            )
        if description.refusal is not None:
            raise ArgumentError(description.refusal)
        for name in ("single_observation_space", "single_action_space"):
            one, other = getattr(first, name), getattr(description, name)
            if one != other:
                raise _unequal(name, one, other, index)
        for kind in ("observation", "action"):
            (one, keys), (other, other_keys) = _own(first, kind), _own(description, kind)
            if one != other or keys != other_keys:
                raise _unequal(f"the {kind} space", one, other, index)
    return replace(
        first,
        takes_options=all(each.takes_options for each in descriptions),
        num_seeds=max(each.num_seeds for each in descriptions),
    )


def _own(description: Description, kind: str) -> tuple[Space, list[Path]]:
    """Return an environment's own space and the paths to its leaves, which order a Dict's keys."""
    layout = getattr(description, f"{kind}_layout")
    if layout is None:
        return getattr(description, f"single_{kind}_space"), [()]
    return layout.original, [field.leaf.path for field in layout.fields]


def _unequal(name: str, one: object, other: object, index: int) -> UnequalSpacesError:
    return UnequalSpacesError(
        f"Environments of one vectorizer must have equal spaces: {name} is {one} in environment 0, "
        f"{other} in environment {index}. Make a vectorizer for each kind, or pad the smaller."
    )


def _plain(metadata: Kwargs | None) -> Kwargs:
    values = {
        name: each.item() if isinstance(each, np.generic) else each
        for name, each in (metadata or {}).items()
    }
    return {name: each for name, each in values.items() if isinstance(each, _PLAIN)}


class Block:
    """Consecutive environments, stepped one after the other.

    Args:
        first_env: index of the first environment.
        owns_process: the process is a worker, and its global random generators are seeded, too.
        autoreset: "same_step", or when an episode that has ended is followed by the next one. In
            "disabled" the caller must not step environments that are over.

    Attributes:
        first_env: index of the first environment.
        envs: the environments.
        current: position of the environment that was last called; if one failed, of that one.
        steps: how many steps they have taken since `reset`.
        seeds: the last seed of each, or None.
    """

    def __init__(
        self, first_env: int, owns_process: bool = False, autoreset: Autoreset = "same_step"
    ) -> None:
        self.first_env = first_env
        self._owns_process, self._autoreset = owns_process, autoreset
        self.current = 0
        self.envs: list[PufferEnv] = []
        self.seeds: list[int | None] = []
        self.steps = 0
        self._together: StepRows | None = None

    def make(self, creations: Sequence[Creation]) -> list[Description]:
        """Make the environments; return the description of each.

        Stops at one that is the same object as an earlier one, which its description says.
        """
        descriptions: list[Description] = []
        known: dict[int, tuple[int, UserEnv]] = {}  # by id; kept alive, so that ids stay unique
        for position, creation in enumerate(creations):
            self.current = position
            env = native(creation.make(), same_step=self._autoreset == "same_step")
            descriptions.append(Description.of(env))
            if self._autoreset != "same_step" and not isinstance(env, EmulatedRows):
                descriptions[-1] = replace(descriptions[-1], refusal=refusal(env, self._autoreset))
                env = HeldBack(env)
            base = base_env(env)
            earlier, _ = known.setdefault(id(base), (position, base))
            if earlier != position:
                descriptions[-1] = replace(descriptions[-1], same_as=self.first_env + earlier)
                break
            self.envs.append(env)
            self.seeds.append(None)
        return descriptions

    def part(self, start: int, stop: int) -> "Block":
        """Return a block of the environments from `start` to `stop`; this one closes them."""
        part = copy.copy(self)
        part.first_env = self.first_env + start
        part.envs, part.seeds = self.envs[start:stop], self.seeds[start:stop]
        return part

    @property
    def num_agents(self) -> list[int]:
        """Rows of each environment."""
        return [env.num_agents for env in self.envs]

    def bind(self, buffers: Buffers) -> None:
        """Give each environment its rows of `buffers`, which has those of the whole block."""
        self._row_slices, start = [], 0
        for env in self.envs:
            stop = start + env.num_agents
            env.bind(buffers.rows(start, stop))
            self._row_slices.append(slice(start, stop))
            start = stop
        rows = [env for env in self.envs if isinstance(env, GymnasiumRows)]
        # Different action spaces may flatten to the same one.
        has_one_action_space = all(row.own_action_space == rows[0].own_action_space for row in rows)
        if len(rows) == len(self.envs) and has_one_action_space:
            self._together = StepRows([row.step_row for row in rows])
            self._rebuild_rows = rows[0].rebuild_rows

    def reset(
        self,
        seeds: Sequence[int | None],
        options: Options | list[Options | None] | None = None,
        reset_mask: NDArray[np.bool_] | None = None,
    ) -> Infos:
        """Reset environments, each with its seed, and with a copy of its options if there are any.

        Args:
            seeds: of each environment.
            options: of all; or a list, of each.
            reset_mask: bool (environments of this block,), which to reset; None: all. The rows of
                the others do not change.
        """
        infos = Infos()
        if reset_mask is None:
            reset_mask, self.steps = np.ones(len(self.envs), np.bool_), 0
        if self._owns_process and reset_mask[0] and seeds[0] is not None:
            seed_globals(seeds[0])
        for position in np.flatnonzero(reset_mask).tolist():
            self.current, seed = position, seeds[position]
            self.seeds[position] = seed
            own = options[position] if isinstance(options, list) else options
            # Only if there are any: the reset of a native environment may take none.
            keywords: Kwargs = {} if own is None else {"options": dict(own)}
            new = self.envs[position].reset(seed, **keywords)[1]
            infos.extend_from(self.first_env + position, new)
        return infos

    def step(self, actions: Array) -> Infos:
        """Step every environment with its rows of `actions`."""
        infos = Infos()
        self.steps += 1
        if self._together is not None:
            self._step_together(self._together, actions, infos)
            return infos
        for position, env in enumerate(self.envs):
            self.current = position
            new = env.step(actions[self._row_slices[position]])[4]
            if new:
                infos.extend_from(self.first_env + position, new)
        return infos

    def _step_together(self, rows: StepRows, actions: Array, infos: Infos) -> None:
        """Step single-agent environments with the same action space, in one call."""
        try:
            for position, new in rows.step(self._rebuild_rows(actions)):
                infos.extend_from(self.first_env + position, new)
        except (TypeError, ValueError) as error:
            explain_step(own_env(self.envs[rows.current]), error)
            raise
        finally:
            self.current = rows.current

    def call(
        self, name: str, positions: Sequence[int], args: tuple[object, ...], kwargs: Kwargs
    ) -> list[Any]:
        """Call the method `name` of the environments at `positions`; return the results.

        An attribute that is not callable is returned, as Gymnasium does.
        """
        results = []
        for env in self._each(positions):
            found = get_attribute(env, name)
            results.append(found(*args, **kwargs) if callable(found) else found)
        return results

    def has_attr(self, name: str, positions: Sequence[int]) -> list[bool]:
        """Return whether each of the environments has the attribute `name`."""
        return [has_attribute(env, name) for env in self._each(positions)]

    def get_attr(self, name: str, positions: Sequence[int]) -> list[Any]:
        """Return the attribute `name` of each of the environments."""
        return [get_attribute(env, name) for env in self._each(positions)]

    def set_attr(self, name: str, positions: Sequence[int], values: list[object]) -> None:
        """Set the attribute `name` of each of the environments to its entry of `values`."""
        for env, value in zip(self._each(positions), values, strict=True):
            set_attribute(env, name, value)

    def current_lacks(self, name: str) -> bool:
        """Return whether the environment that was last called lacks the attribute `name`."""
        return is_missing(self.envs[self.current], name)

    def _each(self, positions: Sequence[int]) -> Iterator[PufferEnv]:
        """Yield the environments at `positions`; `current` is then that of each."""
        for position in positions:
            self.current = position
            yield self.envs[position]

    def close(self) -> None:
        """Close every environment; raise the first failure when all have been tried."""
        failed: Exception | None = None
        while self.envs:
            try:
                self.envs.pop().close()
            except Exception as error:  # an environment may raise anything; the rest must close
                failed = failed or error
        if failed is not None:
            raise failed
