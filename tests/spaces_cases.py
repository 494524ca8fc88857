"""Awkward spaces that tests run over, generated spaces, and a comparison of values."""

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from hypothesis import strategies as st

from pufferlib.bounded_spaces import BoundedGraph, BoundedSequence
from pufferlib.spaces import varies


def _bytes(*shape: int, high: int = 255) -> Box:
    return Box(0, high, shape, np.uint8)


SPACES: dict[str, gymnasium.Space[Any]] = {
    "box 0-d": Box(-1, 1, (), np.float32),
    "box 1-d float64": Box(-1, 1, (5,), np.float64),
    "box 2-d int16": Box(-300, 300, (2, 3), np.int16),
    "box 3-d bytes": _bytes(4, 3, 2),
    "box of one bool": Box(0, 1, (1,), np.bool_),
    "box unequal bounds": Box(np.array([-1, 0], np.float32), np.array([2, 9], np.float32)),
    "box unbounded": Box(-np.inf, np.inf, (3,), np.float32),
    "discrete": Discrete(4),
    "discrete with start": Discrete(5, start=-2),
    "discrete int8": Discrete(100, start=-50, dtype=np.int8),
    "multi-discrete": MultiDiscrete([3, 2, 5]),
    "multi-discrete 2-d": MultiDiscrete([[3, 2], [4, 6]]),
    "multi-discrete with start": MultiDiscrete([3, 4], start=[-1, 10]),
    "multi-binary": MultiBinary(4),
    "multi-binary 2-d": MultiBinary((3, 2)),
    "dict of one dtype": Dict(a=Box(-1, 1, (2,)), b=Box(0, 1, (2, 2))),
    "dict of a lone leaf": Dict(only=Discrete(3, start=1)),
    "dict of mixed dtypes": Dict(
        odd=_bytes(3), wide=Box(-9, 9, (2,), np.float64), half=Box(-1, 1, (), np.float16)
    ),
    "dict with awkward keys": Dict({"it's": Discrete(2), 'a "b"\n': Discrete(3), "": Discrete(2)}),
    "tuple": Tuple((Discrete(3), Box(-1, 1, (2,)), MultiBinary(3))),
    "tuple of discrete ones": Tuple((Discrete(3, start=7), MultiDiscrete([2, 2]), MultiBinary(2))),
    "nested": Dict(
        inner=Dict(pair=Tuple((Discrete(3, start=1), Box(-1, 1, (1, 2), np.float64)))),
        empty=Tuple(()),
        flags=MultiBinary((2, 2)),
        scalar=Box(-5, 5, (), np.int32),
    ),
    "like NetHack": Dict(
        blstats=Box(-(2**31), 2**31 - 1, (27,), np.int64),
        chars=_bytes(21, 79),
        colors=_bytes(21, 79, high=15),
        glyphs=Box(0, 5976, (21, 79), np.int16),
        inv_glyphs=Box(0, 5976, (55,), np.int16),
        inv_letters=_bytes(55, high=127),
        inv_oclasses=_bytes(55, high=18),
        inv_strs=_bytes(55, 80, high=127),
        message=_bytes(256),
        specials=_bytes(21, 79),
        tty_chars=_bytes(24, 80),
        tty_colors=Box(0, 31, (24, 80), np.int8),
        tty_cursor=_bytes(2),
    ),
}
over_spaces = pytest.mark.parametrize("space", list(SPACES.values()), ids=list(SPACES))


def samples(space: gymnasium.Space[Any], count: int, seed: int = 0) -> list[Any]:
    """Return `count` seeded samples; the given space is unchanged."""
    space = copy.deepcopy(space)
    space.seed(seed)
    return [space.sample() for _ in range(count)]


def assert_agree(actual: Any, expected: Any, path: str = "value") -> None:
    """Refuse any difference in nesting, keys, dtype, shape or bits between two structures.

    A plain int has the dtype that is expected of it.
    """
    if isinstance(expected, dict):
        assert isinstance(actual, dict), path
        assert actual.keys() == expected.keys(), path
        for key in expected:
            assert_agree(actual[key], expected[key], f"{path}[{key!r}]")
    elif isinstance(expected, tuple):
        assert isinstance(actual, tuple), path
        assert len(actual) == len(expected), path
        for index, part in enumerate(expected):
            assert_agree(actual[index], part, f"{path}[{index}]")
    else:
        expected = np.asarray(expected)
        actual = np.asarray(actual, expected.dtype if type(actual) is int else None)
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), path
        assert actual.tobytes() == expected.tobytes(), path


_SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)
_FLOATS, _INTEGERS = ("f2", "f4", "f8"), ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
_BOXES = st.one_of(
    st.builds(Box, st.just(-np.inf), st.just(np.inf), _SHAPES, st.sampled_from(_FLOATS)),
    st.builds(Box, st.just(0), st.just(100), _SHAPES, st.sampled_from((*_FLOATS, *_INTEGERS))),
    st.builds(Box, st.just(0), st.just(1), _SHAPES, st.just(np.bool_)),
)
_COUNTS = st.integers(1, 9)
_MULTI_DISCRETES = st.tuples(_SHAPES.filter(bool), _COUNTS, st.integers(-3, 3)).map(
    lambda drawn: MultiDiscrete(
        np.full(drawn[0], drawn[1]), start=np.full(drawn[0], drawn[2], np.int64)
    )
)
_LEAVES = st.one_of(
    _BOXES,
    st.builds(Discrete, _COUNTS, start=st.integers(-5, 5)),
    _MULTI_DISCRETES,
    st.builds(MultiBinary, _SHAPES.filter(bool)),
)
nested_spaces = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=4).map(Dict),
        st.lists(inner, min_size=1, max_size=4).map(Tuple),
    ),
    max_leaves=8,
)

# Spaces whose values vary in size, within a bound.
BOUNDED: dict[str, gymnasium.Space[Any]] = {
    "text": Text(5),
    "text, perhaps empty": Text(3, min_length=0, charset="no"),
    "text of one length": Text(4, min_length=4, charset="\U0001f40d é"),
    "text of 300 characters": Text(2, charset="".join(map(chr, range(300, 600)))),
    "sequence of boxes": BoundedSequence(Box(-1, 1, (2, 3)), 4),
    "sequence of 0-d boxes": BoundedSequence(Box(3, 9, (), np.float64), 2),
    "sequence of discrete": BoundedSequence(Discrete(3, start=5), 3),
    "sequence of multi-discrete": BoundedSequence(MultiDiscrete([3, 4], start=[-1, 10]), 3),
    "sequence of multi-binary": BoundedSequence(MultiBinary((2, 2)), 1),
    "sequence of texts": BoundedSequence(Text(3), 2),
    "sequence of sequences": BoundedSequence(BoundedSequence(Discrete(2), 3), 2),
    "sequence of dicts": BoundedSequence(
        Dict(b=Discrete(3), a=Tuple((Box(0, 1, (2,)), Text(2)))), 3
    ),
    "stacked boxes": BoundedSequence(Box(-1, 1, (2,)), 3, stacked=True),
    "stacked discrete": BoundedSequence(Discrete(3, start=5), 3, stacked=True),
    "stacked texts": BoundedSequence(Text(3), 3, stacked=True),
    "stacked dicts": BoundedSequence(
        Dict(a=Box(-1, 1, (2,)), b=Tuple((MultiBinary(2), Text(2)))), 3, stacked=True
    ),
    "graph": BoundedGraph(Box(-1, 1, (3,)), Discrete(3), 4, 5),
    "graph of one node": BoundedGraph(Discrete(3, start=1), Discrete(2), 1),
    "graph without edges": BoundedGraph(MultiBinary(3), None, 3),
    "graph of dicts": BoundedGraph(Dict(a=Box(-1, 1, (1,)), b=Text(2)), Text(3), 3),
    "nested": Dict(
        z=Tuple((Discrete(2), Text(3))),
        a=BoundedSequence(BoundedGraph(Discrete(3), Box(2, 3, (2,)), 2, 3), 2),
        plain=Box(-1, 1, (2,), np.float64),
    ),
}
over_bounded_spaces = pytest.mark.parametrize("space", list(BOUNDED.values()), ids=list(BOUNDED))

_TEXTS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.text(min_size=1, max_size=5)).map(
    lambda drawn: Text(drawn[0] + drawn[1] + 1, min_length=drawn[0], charset=drawn[2])
)
bounded_spaces = st.recursive(
    st.one_of(_TEXTS, _LEAVES),
    lambda inner: st.one_of(
        st.builds(BoundedSequence, inner, st.integers(1, 3), stacked=st.booleans()),
        st.builds(BoundedGraph, inner, inner, st.integers(1, 3), st.none() | st.integers(0, 4)),
        st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=3).map(Dict),
        st.lists(inner, min_size=1, max_size=3).map(Tuple),
    ),
    max_leaves=5,
).filter(varies)
