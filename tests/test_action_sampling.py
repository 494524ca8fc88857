"""Probabilities, entropies and their gradients equal those of `torch.distributions`."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from pufferlib.action_sampling import ActionSampler, greedy_actions, sample_actions

ROWS = 5


def logits(n):
    return torch.randn(ROWS, n, generator=torch.Generator().manual_seed(n))


def normal(n):
    return Normal(logits(n), 1 + logits(n).abs())


class Joint:
    """The joint distribution of independent parts, composed of torch's distributions."""

    def __init__(self, heads):
        self.parts = [
            Independent(head, 1)
            if isinstance(head, Normal)
            else Independent(Categorical(logits=head.unsqueeze(1)), 1)
            for head in heads
        ]

    def log_prob(self, actions):
        columns = actions.split([part.event_shape[0] for part in self.parts], 1)
        return sum(part.log_prob(c) for part, c in zip(self.parts, columns, strict=True))

    def entropy(self):
        return sum(part.entropy() for part in self.parts)


HEADS = {
    "Discrete": (logits(4), Categorical(logits=logits(4))),
    "MultiDiscrete": ([logits(4), logits(2)], Joint([logits(4), logits(2)])),
    "Normal": (normal(3), Independent(normal(3), 1)),
    "list of a Normal": ([normal(3)], Independent(normal(3), 1)),
    "mixed": (
        [logits(4), normal(2), logits(3), normal(1)],
        Joint([logits(4), normal(2), logits(3), normal(1)]),
    ),
}
over_heads = pytest.mark.parametrize(("heads", "reference"), HEADS.values(), ids=HEADS)


@over_heads
def test_probabilities_and_entropies_equal_those_of_torch(heads, reference):
    torch.manual_seed(0)
    actions, log_probabilities, entropies = sample_actions(heads)
    torch.testing.assert_close(log_probabilities, reference.log_prob(actions))
    torch.testing.assert_close(entropies, reference.entropy())
    assert log_probabilities.shape == entropies.shape == (ROWS,)


@over_heads
def test_the_trainers_samples_are_those_of_sample_actions(heads, reference):
    torch.manual_seed(0)
    expected = sample_actions(heads)
    torch.manual_seed(0)
    actions, log_probabilities = ActionSampler()(heads)
    assert torch.equal(actions, expected[0])
    assert torch.equal(log_probabilities, expected[1])


def test_one_discrete_action_is_drawn_as_torch_draws_it():
    sample = ActionSampler()
    for rows in (ROWS, 3, ROWS):
        torch.manual_seed(0)
        expected = torch.multinomial(logits(4)[:rows].softmax(-1), 1)[:, 0]
        torch.manual_seed(0)
        assert torch.equal(sample(logits(4)[:rows])[0], expected)


@torch.no_grad()
def test_a_compiled_sampler_keeps_no_memory_of_its_graph():
    graphs = []

    def as_it_is(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    sampled = torch.compile(ActionSampler().__call__, backend=as_it_is)(logits(4))
    torch.compiler.reset()
    nodes = [node for graph in graphs for node in graph.graph.nodes]
    # The next run of a CUDA graph overwrites its outputs, and it must not write to its inputs.
    assert [len(node.args[0]) for node in nodes if node.op == "output"] == [len(sampled)]
    assert len([node for node in nodes if node.op == "placeholder"]) == 1


@over_heads
def test_given_actions_are_evaluated_and_returned(heads, reference):
    torch.manual_seed(0)
    given_actions = sample_actions(heads)[0]
    actions, log_probabilities, _ = sample_actions(heads, given_actions)
    assert torch.equal(actions, given_actions)
    torch.testing.assert_close(log_probabilities, reference.log_prob(given_actions))


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("Discrete", (ROWS,), torch.int64),
        ("MultiDiscrete", (ROWS, 2), torch.int64),
        ("Normal", (ROWS, 3), torch.float32),
        ("mixed", (ROWS, 5), torch.float32),
    ],
)
def test_actions_have_a_column_for_each_part(name, shape, dtype):
    actions = sample_actions(HEADS[name][0])[0]
    assert (actions.shape, actions.dtype) == (shape, dtype)


def test_sample_frequencies_equal_probabilities():
    torch.manual_seed(0)
    count, probabilities = 40_000, torch.tensor([0.1, 0.6, 0.3])
    discrete, scale = probabilities.log().expand(count, 3), torch.full((count, 1), 2.0)
    actions, _, _ = sample_actions([discrete, Normal(scale * 0 + 5, scale)])
    frequencies = actions[:, 0].long().bincount() / count
    # Five standard deviations: sqrt(0.6 * 0.4 / 40000) * 5 = 0.012, 2 / sqrt(40000) * 5 = 0.05.
    torch.testing.assert_close(frequencies, probabilities, atol=0.012, rtol=0)
    assert abs(actions[:, 1].mean() - 5) < 0.05
    assert abs(actions[:, 1].std() - 2) < 0.05


@pytest.mark.parametrize("widths", [(4,), (4, 2, 4)])
def test_gradients_of_choices_equal_those_of_torch(widths):
    weights = torch.randn(2, ROWS, generator=torch.Generator().manual_seed(0))
    actions = torch.stack([torch.arange(ROWS) % n for n in widths], 1)

    def evaluate(heads):
        if len(heads) == 1:
            return sample_actions(heads[0], actions[:, 0])[1:]
        return sample_actions(heads, actions)[1:]

    def evaluate_by_torch(heads):
        joint = Joint(heads)
        return joint.log_prob(actions), joint.entropy()

    gradients = []
    for function in (evaluate, evaluate_by_torch):
        heads = [(3 * logits(n)).requires_grad_() for n in widths]
        log_probabilities, entropies = function(heads)
        (weights[0] * log_probabilities + weights[1] * entropies).sum().backward()
        gradients.append([head.grad for head in heads])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("low", [-1e9, -np.inf])
def test_entropy_has_a_gradient_where_a_probability_is_0(low):
    logits = torch.tensor([[0.5, 1.0, low]], requires_grad=True)
    alone = torch.tensor([[0.5, 1.0]], requires_grad=True)
    sample_actions(logits)[2].sum().backward()
    Categorical(logits=alone).entropy().sum().backward()
    torch.testing.assert_close(logits.grad, torch.cat([alone.grad, torch.zeros(1, 1)], 1))


def test_a_masked_action_is_never_sampled_and_adds_no_entropy():
    masked = torch.tensor([[0.0, -torch.inf, 0.0]]).expand(500, 3)
    actions, _, entropies = sample_actions(masked)
    assert set(actions.tolist()) == {0, 2}
    torch.testing.assert_close(entropies, torch.full((500,), np.log(2.0), dtype=torch.float32))


@over_heads
def test_greedy_actions_are_as_probable_as_any_sample(heads, reference):
    torch.manual_seed(0)
    greedy, sampled = greedy_actions(heads), sample_actions(heads)[0]
    assert (greedy.shape, greedy.dtype) == (sampled.shape, sampled.dtype)
    most = reference.log_prob(greedy)
    for _ in range(50):
        assert (most >= reference.log_prob(sample_actions(heads)[0])).all()


def test_greedy_actions_of_heads_worked_by_hand():
    # A masked action is never the most probable, though the others are far below 0.
    choice = torch.tensor([[-50.0, -torch.inf, -40.0], [3.0, 5.0, 4.0]])
    loc = torch.tensor([[0.5, -2.0], [0.0, 1.0]])
    assert greedy_actions(choice).tolist() == [2, 1]
    assert greedy_actions(Normal(loc, 9.0)).tolist() == loc.tolist()
    both = greedy_actions([choice, Normal(loc, 9.0), choice[:, :2]])
    assert both.tolist() == [[2, 0.5, -2, 0], [1, 0, 1, 1]]
    # Stable-Baselines3's squashed Gaussian takes tanh of the mean, too.
    squashed = Independent(TransformedDistribution(Normal(loc, 9.0), TanhTransform()), 1)
    torch.testing.assert_close(greedy_actions(squashed), loc.tanh())
    assert greedy_actions(Categorical(logits=choice)).tolist() == [2, 1]
