"""Spaces of the real `gym` package, 0.26, are treated like Gymnasium's equivalents."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from old_gym_spaces import FIXED, VARYING, gym
from spaces_cases import assert_agree, samples

from pufferlib.emulation import ActionLayout, Layout
from pufferlib.emulation.bounded import fixed
from pufferlib.emulation.packing import packer, unpacker
from pufferlib.exceptions import ObservationError, SpaceError
from pufferlib.spaces import difference, leaves

over_fixed = pytest.mark.parametrize("make", FIXED.values(), ids=FIXED)
over_varying = pytest.mark.parametrize("make", VARYING.values(), ids=VARYING)
over_all = pytest.mark.parametrize(
    "make", [*FIXED.values(), *VARYING.values()], ids=[*FIXED, *VARYING]
)


def described(found: Any) -> list[tuple[Any, ...]]:
    """Return the attributes of each leaf."""
    return [
        (leaf.path, leaf.kind, leaf.dtype, leaf.shape, leaf.low.tolist(), leaf.high.tolist())
        for leaf in found
    ]


def fields_of(layout: Any) -> list[tuple[Any, ...]]:
    places = [(field.start, field.stop) for field in layout.fields]
    return list(zip(described(field.leaf for field in layout.fields), places, strict=True))


def with_links_as_gymnasium_has_them(sample: Any) -> Any:
    """Return a sample with int32 edge links in graphs, whose dtype no space declares."""
    if getattr(sample, "edge_links", None) is None:
        return sample
    return sample._replace(edge_links=sample.edge_links.astype(np.int32))


def test_the_old_classes_are_not_those_of_gymnasium():
    assert gym.__version__ == "0.26.2"
    assert not isinstance(gym.spaces.Discrete(2), gymnasium.Space)


@over_fixed
def test_leaves_are_those_of_the_equal_space(make):
    assert described(leaves(make(gym.spaces))) == described(leaves(make(gymnasium.spaces)))


@over_varying
def test_the_fixed_space_is_that_of_the_equal_space(make):
    old, new = fixed(make(gym.spaces)), fixed(make(gymnasium.spaces))
    assert isinstance(old, gymnasium.Space)
    assert described(leaves(old)) == described(leaves(new))


@over_all
@pytest.mark.parametrize("compiled", [Layout, ActionLayout])
def test_layouts_are_those_of_the_equal_space(make, compiled):
    old, new = compiled.of(make(gym.spaces)), compiled.of(make(gymnasium.spaces))
    assert fields_of(old) == fields_of(new)
    assert old.space == new.space


@over_all
def test_samples_belong_and_pass_through_layouts_unchanged(make):
    space = make(gym.spaces)
    observations, actions = Layout.of(space), ActionLayout.of(space)
    rebuild = actions.rebuilder()
    for sample in map(with_links_as_gymnasium_has_them, samples(space, 5)):
        assert difference(sample, space) is None
        assert_agree(observations.restore(observations.flatten(sample)), sample)
        assert_agree(rebuild(actions.flatten(sample)), sample)


@over_varying
def test_any_fixed_value_unpacks_to_a_value_of_the_old_space(make):
    space = make(gym.spaces)
    unpack = unpacker(space)
    assert all(space.contains(unpack(packed)) for packed in samples(fixed(space), 5))


def test_a_fault_is_reported_with_its_path():
    space = gym.spaces.Dict(a=gym.spaces.Tuple((gym.spaces.Discrete(3), gym.spaces.Text(2))))
    assert difference({"a": (3, "x")}, space) == "value['a'][0] must lie within [0, 2], got 3"
    said = "value['a'][1] must be a text of 1 to 2 characters, got str 'xyz'"
    assert difference({"a": (0, "xyz")}, space) == said
    with pytest.raises(ObservationError, match=r"value\['a'\]\[1\] must be a text of 1 to 2 char"):
        packer(space)({"a": (0, "xyz")})


def test_an_old_sequence_without_a_bound_is_refused_with_its_path():
    space = gym.spaces.Dict(a=gym.spaces.Sequence(gym.spaces.Discrete(3)))
    with pytest.raises(SpaceError, match=r"space\['a'\] is Sequence.*set the attribute max_length"):
        Layout.of(space)
