"""Faults of the optimization: learning rate, entropy, dead units."""

from statistics import median

from pufferlib.runs.diagnosis.history import History, Verdict, rule

_LARGE_KL = 0.1
_LOST_KL = 1.0
_LARGE_CLIP = 0.5
_TINY_KL = 1e-5
_ANNEALED = 0.2  # of the highest learning rate; what follows is meant to be small
_UNCERTAIN = 0.9
_COLLAPSED = 0.02
_LARGE_BONUS = 0.1
_WIDE = 5.0
_DEAD = 0.7


@rule("Learning rate too high", "learning_rate", "loss/approximate_kl")
def learning_rate_too_high(run: History) -> Verdict | None:
    """Find that the policy moves too far: in half of the updates, or once and was lost.

    Usual KL divergences are 0.01 to 0.05 (Spinning Up stops at 0.015), and 0.1 to 0.3 of the
    samples are clipped. Beyond 0.1, or with half of the samples clipped, the surrogate objective no
    longer holds (Schulman et al. 2017, arXiv:1707.06347, section 3). A single update of more than 1
    counts if the run does not improve: it can make the policy certain, after which nothing moves.
    """
    most = max(run.values("loss/approximate_kl"))
    rate = max(run.values("learning_rate"))
    change = f"--train.learning-rate {rate / 4:.2g}, or fewer --train.update-epochs"
    if most > _LOST_KL and not run.improves():
        return Verdict(f"KL divergence of {most:.2g} in one update, without progress", change)
    kl = _before_annealing(run, "loss/approximate_kl")
    is_clipped = run.has("loss/clip_fraction")
    clipped = _before_annealing(run, "loss/clip_fraction") if is_clipped else 0.0
    if kl < _LARGE_KL and clipped < _LARGE_CLIP:
        return None
    share = f", {clipped:.0%} of the samples are clipped" if is_clipped else ""
    return Verdict(
        f"KL divergence of {kl:.2g} in an update{share}",
        change,
    )


@rule("Learning rate too low", "learning_rate", "loss/approximate_kl", "rollout/reward_max")
def learning_rate_too_low(run: History) -> Verdict | None:
    """Find that the policy hardly moves, and has not settled.

    A KL divergence of 1e-5 is a thousandth of the usual (see `learning_rate_too_high`). It is small
    as well where the learning rate is annealed, which is left out, where the policy has become
    certain, where there is no reward, and where the run improves.
    """
    kl = _before_annealing(run, "loss/approximate_kl")
    if kl > _TINY_KL or run.improves() or not any(run.values("rollout/reward_max")):
        return None
    if run.has("policy/relative_entropy"):
        is_settled = run.late("policy/relative_entropy") < _UNCERTAIN
    else:
        std = "policy/action_std"
        is_settled = not run.has(std) or run.late(std) < _UNCERTAIN * run.early(std)
    if is_settled:
        return None
    rate = max(run.values("learning_rate"))
    return Verdict(
        f"KL divergence of {kl:.1e} in an update, without progress",
        f"--train.learning-rate {max(3e-4, 10 * rate):.2g}",
    )


@rule("Entropy collapsed", "loss/entropy", "rollout/reward_mean")
def entropy_collapsed(run: History) -> Verdict | None:
    """Find a policy that became certain in the first half of the run, and gained nothing.

    Exploration has ended then: other actions are never tried (Mnih et al. 2016, arXiv:1602.01783,
    section 4). A policy that has learned its task is certain too; its reward has grown.
    """
    values = run.values("policy/relative_entropy")
    what = "of the maximal entropy is left"
    if not values:
        values, what = _shrinkage(run), "of the standard deviation of actions is left"
    if not values:
        return None
    middle = values[len(values) // 4 : len(values) // 2 + 1]
    if median(middle) > _COLLAPSED or run.improves():
        return None
    coefficient = run.setting("train.entropy_coefficient", 0)
    return Verdict(
        f"{median(middle):.1%} {what} before the middle of the run, without progress",
        f"--train.entropy-coefficient {max(0.01, 3 * coefficient):.2g}, or a lower "
        f"--train.learning-rate",
    )


@rule("Entropy bonus too large", "loss/entropy")
def entropy_bonus_too_large(run: History) -> Verdict | None:
    """Find a policy that stays random under a large bonus, or whose deviation keeps growing.

    With advantages normalized to 1 a coefficient c of the bonus holds the log-ratio of two actions
    near the difference of their advantages / c (the optimum of eq. 9 of Schulman et al. 2017 for
    one step). Usual coefficients are 0 to 0.05; the rule begins at 0.1.
    """
    coefficient = run.setting("train.entropy_coefficient", 0)
    change = f"--train.entropy-coefficient {min(0.01, coefficient / 10):.2g}"
    if run.has("policy/action_std") and coefficient > 0:
        first, last = run.early("policy/action_std"), run.late("policy/action_std")
        if last > _WIDE * first:
            return Verdict(
                f"the standard deviation of actions grew from {first:.3g} to {last:.3g}", change
            )
    if not run.has("policy/relative_entropy") or coefficient < _LARGE_BONUS:
        return None
    entropy = run.late("policy/relative_entropy")
    if entropy < _UNCERTAIN:
        return None
    return Verdict(
        f"{entropy:.0%} of the maximal entropy at a coefficient of {coefficient:g}", change
    )


@rule("Dead units", "rollout/reward_mean")
def dead_units(run: History) -> Verdict | None:
    """Find that most units pass no gradient: tanh saturated, or ReLU zero, everywhere.

    Large steps and large inputs do this (Lu et al. 2019, arXiv:1903.06733; Sokar et al. 2023,
    arXiv:2302.12902). A policy that has learned its task sees few different observations, and up
    to 45% are dead in our presets; the rule begins at 70%.
    """
    if not run.has("policy/dead_units"):  # neither nn.Tanh nor nn.ReLU is called
        return None
    share = run.late("policy/dead_units")
    if share < _DEAD:
        return None
    return Verdict(
        f"{share:.0%} of the units are dead",
        "--policy.normalize-observations, or a lower --train.learning-rate",
    )


def _before_annealing(run: History, name: str) -> float:
    """Return the median of a metric over the updates whose learning rate is not yet small."""
    most = max(run.values("learning_rate"))
    return median(
        record[name]
        for record in run.records
        if name in record and record.get("learning_rate", most) >= _ANNEALED * most
    )


def _shrinkage(run: History) -> list[float]:
    """Return the standard deviations of actions, as shares of the first."""
    values = run.values("policy/action_std")
    return [value / values[0] for value in values if values[0] > 0]


RULES = (
    learning_rate_too_high,
    learning_rate_too_low,
    entropy_collapsed,
    entropy_bonus_too_large,
    dead_units,
)
