"""Faults of scale: observations, actions, rewards, values."""

import math

from pufferlib.runs.diagnosis.history import History, Verdict, rule

_LARGE_OBSERVATIONS = 10.0
_SMALL_OBSERVATIONS = 1e-2
_CLIPPED = 0.5
_EXCESS = 2.0
_FORBIDDEN = 0.01
_LARGE_RETURNS = 20.0
_LARGE_GRADIENT = 20.0
_SMALL_RETURNS = 1e-2
_BEYOND = 2.0
_GROWTH = 2.0
_FAR = 2.0


@rule("Observations are not normalized", "rollout/reward_mean")
def observations_not_normalized(run: History) -> Verdict | None:
    """Find float observations, as the network reads them, far from 1.

    Either their root mean square is above 10, or none is above 0.01.

    Initial weights suit inputs near 1; large ones saturate tanh, small ones vanish behind the bias
    (Andrychowicz et al. 2021, arXiv:2006.05990, 3.3). Integers, flags and images are left to the
    network.
    """
    names = [f"rollout/observation_{name}" for name in ("mean", "std", "max")]
    if not run.has(*names):
        return None
    mean, std, most = (run.late(name) for name in names)
    size = math.hypot(mean, std)
    if size <= _LARGE_OBSERVATIONS and (most >= _SMALL_OBSERVATIONS or most == 0):
        return None
    return Verdict(
        f"observations have a root mean square of {size:.3g}, at most {most:.3g}",
        "--policy.normalize-observations",
    )


@rule("Actions outside the bounds", "rollout/reward_mean")
def actions_outside(run: History) -> Verdict | None:
    """Find actions of which most are clipped, and far outside the bounds.

    Clipped samples differ for the policy, but not for the environment. A policy that has learned to
    act at the bounds leaves them by less than half their distance; so samples must be outside by
    the whole distance (twice the half) on average.
    """
    if not run.has("policy/clipped_actions", "policy/action_excess"):  # no continuous actions
        return None
    clipped, excess = run.late("policy/clipped_actions"), run.late("policy/action_excess")
    if clipped < _CLIPPED or excess < _EXCESS:
        return None
    is_rescaled = run.setting("policy.rescale_actions")
    return Verdict(
        f"{clipped:.0%} of the actions are clipped, by {excess:.3g} half ranges on average",
        "--train.entropy-coefficient 0, or a smaller --policy.initial-std"
        if is_rescaled
        else "--policy.rescale-actions",
    )


@rule("Forbidden actions are taken", "rollout/reward_mean")
def forbidden_actions(run: History) -> Verdict | None:
    """Find actions that the action mask of the observation forbids.

    A policy that uses the mask never takes one: their logits are lowered until their probability is
    0 (Huang and Ontanon 2022, arXiv:2006.14171).
    """
    if not run.has("policy/forbidden_actions"):  # no mask
        return None
    share = run.late("policy/forbidden_actions")
    if share < _FORBIDDEN:
        return None
    return Verdict(
        f"{share:.1%} of the actions are forbidden by the observation's action_mask",
        "--policy.name masked",
    )


@rule(
    "Rewards are too large",
    "rollout/return_mean",
    "rollout/return_std",
    "loss/gradient_norm",
)
def rewards_too_large(run: History) -> Verdict | None:
    """Find returns so large that the gradient of the value loss drowns that of the policy.

    The gradient of the value loss grows with the returns, that of normalized advantages does not;
    the norm of both is then clipped (Engstrom et al. 2020, arXiv:2005.12729). It must be twenty
    times the clipping norm.
    """
    scale = _returns(run)
    norm, most = run.late("loss/gradient_norm"), run.setting("train.max_gradient_norm")
    if most is None or run.setting("train.normalize_rewards"):
        return None
    if scale < _LARGE_RETURNS or norm < _LARGE_GRADIENT * most:
        return None
    return Verdict(
        f"returns have a root mean square of {scale:.3g}, and the gradient's norm of {norm:.3g} is "
        f"clipped to {most:g}",
        "--train.normalize-rewards",
    )


@rule("Rewards are too small", "rollout/return_mean", "rollout/return_std", "rollout/reward_max")
def rewards_too_small(run: History) -> Verdict | None:
    """Find returns below 0.01: the errors of a new value head are larger.

    Value heads begin with outputs of about 1, so advantages are those errors until they are
    unlearned (Engstrom et al. 2020, arXiv:2005.12729).
    """
    scale = _returns(run)
    if run.setting("train.normalize_rewards"):
        return None
    if scale > _SMALL_RETURNS or not any(run.values("rollout/reward_max")):
        return None
    return Verdict(
        f"returns have a root mean square of {scale:.2g}",
        "--train.normalize-rewards",
    )


@rule(
    "Values diverge",
    "rollout/return_mean",
    "rollout/return_std",
    "rollout/value_mean",
    "rollout/value_std",
    "rollout/reward_max",
    "loss/explained_variance",
    "loss/value",
)
def values_diverge(run: History) -> Verdict | None:
    """Find values that are impossible, or worse than zeros.

    No value can exceed the largest reward / (1 - gamma), the sum of a geometric series; returns
    bootstrap from values, and follow them. And an error above the returns' own size is more than
    zeros would have. So have those of a new network: the value loss must have doubled since, or
    the error be twice as large.
    """
    gamma = run.setting("train.gamma")
    reward = max(run.values("rollout/reward_max"))
    change = "a smaller last layer of the value head, or a lower --train.learning-rate"
    size = math.hypot(run.late("rollout/value_mean"), run.late("rollout/value_std"))
    if gamma is not None and gamma < 1 and reward > 0 and size > _BEYOND * reward / (1 - gamma):
        return Verdict(
            f"values have a root mean square of {size:.3g}, and no return can exceed "
            f"{reward / (1 - gamma):.3g}",
            change,
        )
    scale, explained = _returns(run), run.late("loss/explained_variance")
    error = math.sqrt(max(0.0, 1 - explained)) * run.late("rollout/return_std")
    grows = run.late("loss/value") > _GROWTH * run.early("loss/value")
    most = scale if grows else _FAR * scale
    if explained < 0 and error > most and scale > _SMALL_RETURNS:
        return Verdict(
            f"the explained variance is {explained:.2f}: errors of {error:.3g} at returns of "
            f"{scale:.3g}",
            change,
        )
    return None


def _returns(run: History) -> float:
    """Return the root mean square of the returns."""
    return math.hypot(run.late("rollout/return_mean"), run.late("rollout/return_std"))


RULES = (
    observations_not_normalized,
    actions_outside,
    forbidden_actions,
    rewards_too_large,
    rewards_too_small,
    values_diverge,
)
