"""Torch's global settings are changed in a block and restored after it."""

import os

import pytest
import torch

from pufferlib.training.torch_state import RandomStreams, torch_threads


@pytest.mark.parametrize("threads", [1, 2, None])
def test_threads_are_set_in_the_block_and_restored_after_it(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(64)
    try:
        with torch_threads(threads):
            assert torch.get_num_threads() == (threads or len(os.sched_getaffinity(0)))
        assert torch.get_num_threads() == 64
        with pytest.raises(ZeroDivisionError), torch_threads(threads):
            raise ZeroDivisionError
        assert torch.get_num_threads() == 64
    finally:
        torch.set_num_threads(before)


def test_a_random_stream_depends_on_its_seed_only_and_does_not_affect_others():
    torch.manual_seed(5)
    expected_inside = torch.rand(6)
    torch.manual_seed(9)
    expected_outside = torch.rand(4)

    streams = RandomStreams(5)
    torch.manual_seed(9)
    found_outside, found_inside = [torch.rand(2)], []
    for _ in range(2):
        with streams.active():
            found_inside.append(torch.rand(3))
        found_outside.append(torch.rand(1))
    assert torch.equal(torch.cat(found_inside), expected_inside)
    assert torch.equal(torch.cat(found_outside), expected_outside)


def test_a_restored_stream_continues_where_it_was_saved():
    streams, other = RandomStreams(1), RandomStreams(2)
    with streams.active():
        torch.rand(3)
    other.load_state_dict(streams.state_dict())
    with streams.active():
        expected = torch.rand(3)
    with other.active():
        assert torch.equal(torch.rand(3), expected)
