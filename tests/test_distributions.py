"""Any torch distribution is a head: sampled, evaluated and rescaled as torch defines it."""

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple
from torch.distributions import (
    AffineTransform,
    Bernoulli,
    Beta,
    Categorical,
    Dirichlet,
    Independent,
    Kumaraswamy,
    LogisticNormal,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    RelaxedBernoulli,
    SigmoidTransform,
    TanhTransform,
    TransformedDistribution,
    Uniform,
)

from pufferlib import vector
from pufferlib.distributions import TanhNormal, as_float32, mode_of
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ContractError
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.pytorch import action_converter, greedy_actions, sample_actions

ROWS = 5
MEAN = torch.linspace(-1, 1, ROWS * 3).reshape(ROWS, 3)
STD = MEAN.cos() + 0.1
HALF = torch.tensor(0.5)


def squashed(*transforms):
    return TransformedDistribution(Normal(MEAN, STD), [TanhTransform(), *transforms])


# A head, and the same as one distribution whose log-probabilities are (B,).
HEADS = {
    "Categorical": (Categorical(logits=MEAN), Categorical(logits=MEAN)),
    "MultiCategorical": (
        Categorical(logits=torch.stack([MEAN, -MEAN], 1)),
        Independent(Categorical(logits=torch.stack([MEAN, -MEAN], 1)), 1),
    ),
    "Bernoulli": (Bernoulli(logits=MEAN), Independent(Bernoulli(logits=MEAN), 1)),
    "Beta": (Beta(STD, STD + 1), Independent(Beta(STD, STD + 1), 1)),
    "Independent": (Independent(Normal(MEAN, STD), 1), Independent(Normal(MEAN, STD), 1)),
    "tanh-Normal": (squashed(), Independent(squashed(), 1)),
    "TanhNormal": (TanhNormal(MEAN, STD), Independent(squashed(), 1)),
    "MultivariateNormal": (
        MultivariateNormal(MEAN, torch.eye(3) + HALF),
        MultivariateNormal(MEAN, torch.eye(3) + HALF),
    ),
    "LogNormal": (LogNormal(MEAN, STD), Independent(LogNormal(MEAN, STD), 1)),
    "Normal of one number": (Normal(MEAN[:, 0], STD[:, 0]), Normal(MEAN[:, 0], STD[:, 0])),
}
over_heads = pytest.mark.parametrize(("head", "reference"), HEADS.values(), ids=HEADS)


def in_shape_of(reference, actions):
    return actions.reshape(reference.batch_shape + reference.event_shape).float()


@over_heads
def test_log_probabilities_equal_those_of_torch(head, reference):
    torch.manual_seed(0)
    actions, log_probabilities, entropies = sample_actions(head)
    expected = reference.log_prob(in_shape_of(reference, actions))
    torch.testing.assert_close(log_probabilities, expected)
    assert log_probabilities.shape == entropies.shape == (ROWS,)
    given, again, _ = sample_actions(head, actions)
    assert given is actions
    assert torch.equal(again, log_probabilities)


@over_heads
def test_entropies_equal_those_of_torch_or_the_mean_over_samples(head, reference):
    torch.manual_seed(0)
    try:
        expected, tolerance = reference.entropy(), 1e-5
    except NotImplementedError:  # five standard errors of 4000 samples, and 1000 estimates
        expected, tolerance = -reference.log_prob(reference.sample((4_000,))).mean(0), 0.4
    found = torch.stack([sample_actions(head)[2] for _ in range(1_000 if tolerance > 0.1 else 1)])
    torch.testing.assert_close(found.mean(0), expected, atol=tolerance, rtol=0)


def test_the_estimated_entropy_has_the_gradient_of_the_entropy():
    # Of u in [-6, 6], by the trapezoidal rule: d/d std of E[-log p(tanh u)].
    std = torch.tensor(0.5, requires_grad=True)
    u = torch.linspace(-6, 6, 20_001)
    log_density = Normal(0.0, std).log_prob(u) - (1 - u.tanh() ** 2).clamp(min=1e-30).log()
    density = Normal(0.0, std).log_prob(u).exp()
    expected = torch.autograd.grad(-torch.trapezoid(density * log_density, u), std)[0]
    torch.manual_seed(0)
    many = std.expand(200_000, 1)
    entropies = sample_actions(TanhNormal(torch.zeros_like(many), many))[2]
    found = torch.autograd.grad(entropies.mean(), std)[0]
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("Categorical", (ROWS,), torch.int64),
        ("MultiCategorical", (ROWS, 2), torch.int64),
        ("Bernoulli", (ROWS, 3), torch.int64),
        ("Beta", (ROWS, 3), torch.float32),
        ("MultivariateNormal", (ROWS, 3), torch.float32),
        ("Normal of one number", (ROWS, 1), torch.float32),
    ],
)
def test_actions_have_a_column_for_each_part(name, shape, dtype):
    actions = sample_actions(HEADS[name][0])[0]
    assert (actions.shape, actions.dtype) == (shape, dtype)


def test_heads_of_any_kind_are_sampled_together():
    torch.manual_seed(0)
    names = ["Bernoulli", "Categorical", "Beta", "tanh-Normal", "Independent"]
    heads = [MEAN, *(HEADS[name][0] for name in names), Normal(MEAN, STD)]
    actions, log_probabilities, _ = sample_actions(heads)
    assert actions.shape == (ROWS, 1 + 3 + 1 + 3 * 4)
    pieces = actions.split([1, 3, 1, 3, 3, 3, 3], 1)
    expected = Categorical(logits=MEAN).log_prob(pieces[0][:, 0])
    references = [*(HEADS[name][1] for name in names), Independent(Normal(MEAN, STD), 1)]
    for reference, piece in zip(references, pieces[1:], strict=True):
        expected = expected + reference.log_prob(in_shape_of(reference, piece))
    torch.testing.assert_close(log_probabilities, expected)
    torch.testing.assert_close(sample_actions(heads, actions)[1], expected)


@pytest.mark.parametrize(
    ("head", "border"),
    [
        (Beta(STD, STD + 1), [0.0, 1.0, 0.5]),
        (squashed(), [-1.0, 1.0, 0.0]),
        (TanhNormal(MEAN, STD), [-1.0, 1.0, 0.0]),
        (squashed(AffineTransform(1000.5, 0.5)), [1000.0, 1001.0, 1000.5]),
        (TransformedDistribution(Normal(MEAN, STD), SigmoidTransform()), [0.0, 1.0, 0.5]),
    ],
)
def test_actions_at_the_border_have_finite_log_probabilities(head, border):
    assert sample_actions(head, torch.tensor([border] * ROWS))[1].isfinite().all()


def test_a_saturated_sample_has_a_finite_log_probability_and_gradient():
    mean = torch.full((ROWS, 2), 50.0, requires_grad=True)
    actions, log_probabilities, entropies = sample_actions(TanhNormal(mean, torch.ones(ROWS, 2)))
    assert actions.tolist() == [[1.0, 1.0]] * ROWS
    (log_probabilities + entropies).sum().backward()
    assert torch.isfinite(log_probabilities).all()
    assert torch.isfinite(mean.grad).all()


@pytest.mark.parametrize(
    ("head", "match"),
    [
        ({"mean": MEAN}, r"logits \(B, n\), a torch.distributions.*; got a dict"),
        (None, "or a list of these; got a NoneType"),
        ([MEAN, MEAN.numpy()], "got a ndarray"),
        (OneHotCategorical(logits=MEAN), r"samples of shape \(3,\). Use Categorical, or logits"),
        (
            MultivariateNormal(MEAN[0], torch.eye(3)),
            r"MultivariateNormal with the batch shape \(\)",
        ),
        ([Normal(0.0, 1.0)], r"Normal with the batch shape \(\)"),
    ],
)
def test_what_cannot_be_a_head_is_refused_by_its_type(head, match):
    with pytest.raises(ContractError, match=match):
        sample_actions(head)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (Categorical(logits=torch.tensor([[0.0, 2.0, 1.0]])), [1]),
        (Independent(Normal(MEAN[:1], STD[:1]), 1), MEAN[:1].tolist()),
        (Bernoulli(probs=torch.tensor([[0.2, 0.5, 0.9]])), [[0, 0, 1]]),  # torch: NaN at 0.5
        # (a - 1) / (a + b - 2); all are equally likely for a = b = 1, where torch has NaN.
        (Beta(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, 1.0]])), [[2 / 3, 0.5]]),
        (TanhNormal(torch.tensor([[0.5]]), torch.ones(1, 1)), [[np.tanh(0.5)]]),
        (TransformedDistribution(Normal(HALF[None], 1.0), [TanhTransform()]), [np.tanh(0.5)]),
        (MultivariateNormal(MEAN[:1], torch.eye(3)), MEAN[:1].tolist()),
        # torch's mode is NaN. The mean is b B(1 + 1 / a, b): 0.5 B(3, 0.5) and B(4 / 3, 1).
        (
            Kumaraswamy(torch.tensor([[0.5, 3.0]]), torch.tensor([[0.5, 1.0]])),
            [[8 / 15, 3 / 4]],
        ),
        # The mean 0.25 x 1 + 0.75 x 5: a mixture has no closed mode.
        (
            MixtureSameFamily(
                Categorical(probs=torch.tensor([[0.25, 0.75]])),
                Normal(torch.tensor([[1.0, 5.0]]), torch.ones(1, 2)),
            ),
            [4.0],
        ),
        # Of flags rounded: 0.25 x 0 + 0.75 x 0.8 = 0.6.
        (
            MixtureSameFamily(
                Categorical(probs=torch.tensor([[0.25, 0.75]])),
                Bernoulli(probs=torch.tensor([[0.0, 0.8]])),
            ),
            [1.0],
        ),
        # Stick-breaking of 0: sigmoid(-log 2) = 1 / 3, then half of the rest.
        (LogisticNormal(torch.zeros(1, 2), torch.ones(1, 2)), [[1 / 3] * 3]),
    ],
)
def test_modes(head, expected):
    torch.testing.assert_close(mode_of(head).float(), torch.tensor(expected).float())


def test_greedy_actions_without_a_mode_and_a_mean_are_sampled():
    head = RelaxedBernoulli(HALF, logits=torch.full((2000, 1), 1.0))
    torch.manual_seed(0)
    # A sample is above 1/2 with the probability of the flag, sigmoid(1) = 0.731; five deviations.
    assert abs((greedy_actions(head) > 0.5).float().mean() - 0.731) < 0.05


def test_what_cannot_be_a_head_has_no_greedy_actions():
    with pytest.raises(ContractError, match="got a str"):
        greedy_actions("logits")


def test_the_mode_of_a_squashed_gaussian_is_on_itself_too():
    assert torch.equal(TanhNormal(MEAN, STD).mode, MEAN.tanh())


@over_heads
def test_a_head_in_float32_has_the_same_parameters(head, reference):
    copied = as_float32(as_type(head, torch.float64))
    actions = sample_actions(head)[0]
    found, expected = sample_actions(copied, actions), sample_actions(head, actions)
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found[1], expected[1])


def as_type(head, dtype):
    """Return a head made of other parameters."""
    head = head.expand(head.batch_shape)  # a new one
    for part in (head, getattr(head, "base_dist", None)):
        for name, value in vars(part).items() if part is not None else ():
            if isinstance(value, torch.Tensor):
                setattr(part, name, value.to(dtype))
    return head


# A head over three columns, samples of it, and what they are in Box(-2, 2), rescaled and clipped.
BOUNDED = {
    "Beta": (Beta(STD, STD), [0, 0.5, 1], [-2, 0, 2], [0, 0.5, 1]),
    "Independent Beta": (Independent(Beta(STD, STD), 1), [0, 0.25, 1], [-2, -1, 2], [0, 0.25, 1]),
    "tanh": (squashed(), [-1, 0.5, 1], [-2, 1, 2], [-1, 0.5, 1]),
    "TanhNormal": (TanhNormal(MEAN, STD), [-1, 0.5, 1], [-2, 1, 2], [-1, 0.5, 1]),
    "in other units": (
        squashed(AffineTransform(0.0, 2.0)),
        [-2, 0.5, 2],
        [-2, 0.5, 2],
        [-2, 0.5, 2],
    ),
    "turned around": (
        squashed(AffineTransform(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([-1.0, 4.0, 1.0]))),
        [2, 4, 0.5],
        [2, 2, 1],
        [2, 2, 0.5],
    ),
    "Uniform": (Uniform(MEAN * 0, MEAN * 0 + 4), [0, 1, 4], [-2, -1, 2], [0, 1, 2]),
    "Dirichlet": (Dirichlet(STD), [0, 0.25, 0.75], [-2, -1, 1], [0, 0.25, 0.75]),
    "a list": (
        [
            Beta(STD[:, :1], STD[:, :1]),
            Normal(MEAN[:, :1], 1.0),
            TanhNormal(MEAN[:, :1], STD[:, :1]),
        ],
        [0.5, 3, -1],
        [0, 2, -2],
        [0.5, 2, -1],
    ),
}


class Clipping(torch.nn.Module):
    rescale_actions = False


@pytest.mark.parametrize(("head", "sample", "rescaled", "clipped"), BOUNDED.values(), ids=BOUNDED)
def test_a_bounded_support_is_rescaled_to_the_bounds(head, sample, rescaled, clipped):
    env = GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), Box(-2, 2, (3,))))
    actions = torch.tensor([sample] * ROWS, dtype=torch.float32)
    for policy, expected in ((torch.nn.Identity(), rescaled), (Clipping(), clipped)):
        rows = action_converter(env, policy)(actions, head)
        np.testing.assert_allclose(rows, np.float32([expected] * ROWS), atol=1e-6)
        assert rows.dtype == np.float32


def test_supports_next_to_choices_and_infinite_bounds():
    unit = GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), Box(-1, 1, (3,))))
    rows = action_converter(unit, torch.nn.Identity())(torch.zeros(ROWS, 3), Beta(STD, STD))
    assert rows.tolist() == [[-1, -1, -1]] * ROWS
    space = Tuple((Discrete(3), Box(10, 20, (3,)), Box(-np.inf, np.inf, (3,))))
    mixed = GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), space))
    heads = [MEAN, Beta(STD, STD), TanhNormal(MEAN, STD)]
    actions = torch.tensor([[2, 0, 0.5, 1, -1, 0, 1]] * ROWS)
    rows = action_converter(mixed, torch.nn.Identity())(actions, heads)
    assert rows.tolist() == [[2, 10, 15, 20, -1, 0, 1]] * ROWS


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (LogNormal(MEAN, STD), r"one bound cannot be rescaled .* heads of LogNormal.*no-rescale"),
        (Uniform(MEAN, MEAN + 1), "must be the same in all rows.*that of Uniform differs"),
    ],
)
def test_what_cannot_be_rescaled_is_refused(head, match):
    env = GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), Box(-2, 2, (3,))))
    with pytest.raises(ContractError, match=match):
        action_converter(env, torch.nn.Identity())(torch.zeros(ROWS, 3), head)


@pytest.mark.parametrize("space", [Box(-2, 2, (3,)), MultiDiscrete([3, 3, 3])], ids=str)
@pytest.mark.parametrize(
    ("head", "columns"),
    [
        (Beta(STD[:, :2], STD[:, :2]), 2),
        (Normal(MEAN[:, :1], STD[:, :1]), 1),
        (Normal(MEAN[:3, :1], STD[:3, :1]), 1),  # three rows of one column: as many numbers
        (MEAN, 1),  # logits
        ([MEAN, MEAN], 2),
    ],
)
def test_another_number_of_columns_is_refused(space, head, columns):
    convert = action_converter(GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), space)), Clipping())
    message = f"The heads choose {columns} columns; the action space has 3"
    with pytest.raises(ContractError, match=message):
        convert(sample_actions(head)[0], head)


class Policy(torch.nn.Module):
    """A network whose two outputs are the parameters of a head over one action."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.layer = kind, torch.nn.Linear(3, 3)

    def forward(self, observations):
        first, second, value = self.layer(observations).split(1, 1)
        std = torch.nn.functional.softplus(second) + 0.1
        if self.kind == "Beta":
            return Beta(first.exp() + 1, std + 1), value
        if self.kind == "TanhNormal":
            return TanhNormal(first, std), value
        if self.kind == "MultivariateNormal":
            return MultivariateNormal(first, std.unsqueeze(-1)), value
        return Independent(Normal(first, std), 1), value


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["Beta", "TanhNormal", "MultivariateNormal", "Independent"])
def test_the_ratio_is_one_before_the_first_gradient_step(kind, precision):
    vecenv = vector.make(Sampler, [Box(-1, 1, (3,)), Box(-2, 2, (1,))], num_envs=2)
    torch.manual_seed(0)
    config = TrainConfig(horizon=8, minibatches=1, update_epochs=1, precision=precision)
    trainer = Trainer(config, vecenv, Policy(kind))
    rollout = trainer.collect()
    assert rollout.actions.dtype == torch.float32
    metrics = trainer.update(rollout)
    assert abs(metrics["loss/approximate_kl"]) < (1e-6 if precision == "float32" else 1e-3)
    assert all(weight.isfinite().all() for weight in trainer.policy.parameters())
    vecenv.close()


@pytest.mark.parametrize("kind", ["Beta", "TanhNormal", "Independent"])
def test_a_policy_with_any_head_can_be_compiled(kind):
    torch.compiler.reset()
    torch.manual_seed(0)
    policy = Policy(kind)
    compiled, rows = torch.compile(policy, backend="aot_eager"), torch.randn(ROWS, 3)
    heads, expected = compiled(rows)[0], policy(rows)[0]
    actions = sample_actions(expected)[0]
    torch.testing.assert_close(
        sample_actions(heads, actions)[1], sample_actions(expected, actions)[1]
    )
