"""Which policy acts for which rows."""

import pytest
import torch
from torch import nn

from pufferlib.agent_policies import AgentPolicies, policies_of
from pufferlib.exceptions import ArgumentError, ContractError

POLICY_OF = ["giver", "taker", "giver"]


def policies(*names):
    return {name: nn.Linear(2, 2) for name in names}


def test_rows_are_those_of_the_agents_of_each_environment():
    giver, taker = policies_of(AgentPolicies(policies("giver", "taker"), POLICY_OF))
    # Of rows 0 to 5: two environments of three agents.
    assert giver.among(6).tolist() == [0, 2, 3, 5]
    assert taker.among(6).tolist() == [1, 4]
    assert (giver.count(6), taker.count(6)) == (4, 2)


def test_some_rows_are_found_by_their_numbers():
    giver, taker = policies_of(AgentPolicies(policies("giver", "taker"), POLICY_OF))
    rows = torch.tensor([2, 3, 4, 8])  # of environments 0, 1, 1 and 2
    places, numbers = giver.within(rows)
    # The givers' rows are 0, 2, 3, 5, 6, 8 of the vectorizer.
    assert (places.tolist(), numbers.tolist()) == ([0, 1, 3], [1, 2, 5])
    places, numbers = taker.within(rows)
    assert (places.tolist(), numbers.tolist()) == ([2], [1])


def test_a_single_policy_acts_for_all_rows():
    network = nn.Linear(2, 2)
    [part] = policies_of(network)
    assert part.policy is network
    assert (part.name, part.among(6), part.count(6)) == ("", slice(None), 6)


def test_calling_it_with_rows_is_refused():
    group = AgentPolicies(policies("giver", "taker"), POLICY_OF)
    with pytest.raises(ContractError, match=r"policies\['giver'\], policies\['taker'\]"):
        group(torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("names", "policy_of", "frozen", "match"),
    [
        (["a"], ["a", "b"], (), "Each agent needs one of the policies"),
        (["a", "b"], ["a", "a"], (), "each policy an agent"),
        (["a/b"], ["a/b"], (), "cannot be named 'a/b'"),
        (["items"], ["items"], (), "cannot be named 'items'"),
        (["a", "b"], ["a", "b"], ["c"], r"frozen must name some.*got \['c'\]"),
        (["a", "b"], ["a", "b"], ["a", "b"], "not all of them"),
    ],
)
def test_what_does_not_fit_is_refused(names, policy_of, frozen, match):
    with pytest.raises(ArgumentError, match=match):
        AgentPolicies(policies(*names), policy_of, frozen)
