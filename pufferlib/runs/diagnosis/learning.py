"""Faults of the optimization: learning rate, entropy, dead units."""

from statistics import median

from pufferlib.runs.diagnosis.history import History, Verdict, rule

_LARGE_KL = 0.1
_LARGE_CLIP = 0.5
_TINY_KL = 1e-5
_ANNEALED = 0.2  # of the highest learning rate; what follows is meant to be small
_UNCERTAIN = 0.9
_COLLAPSED = 0.02
_LARGE_BONUS = 0.1
_WIDE = 5.0
_DEAD = 0.5


@rule("Learning rate too high", "learning_rate", "loss/approximate_kl")
def learning_rate_too_high(run: History) -> Verdict | None:
    """Find that the policy moves too far, in half of the updates or more.

    Usual KL divergences are 0.01 to 0.05 (Spinning Up stops at 0.015), and 0.1 to 0.3 of the
    samples are clipped. Beyond 0.1, or with half of the samples clipped, the surrogate objective no
    longer holds (Schulman et al. 2017, arXiv:1707.06347, section 3).
    """
    kl = _before_annealing(run, "loss/approximate_kl")
    clipped = _before_annealing(run, "loss/clip_fraction")
    if (kl is None or kl < _LARGE_KL) and (clipped is None or clipped < _LARGE_CLIP):
        return None
    rate = max(run.values("learning_rate"))
    share = "" if clipped is None else f", {clipped:.0%} of the samples are clipped"
    return Verdict(
        f"KL divergence of {kl or 0:.2g} in an update{share}",
        f"--train.learning-rate {rate / 4:.2g}, or fewer --train.update-epochs",
    )


@rule("Learning rate too low", "learning_rate", "loss/approximate_kl", "rollout/reward_max")
def learning_rate_too_low(run: History) -> Verdict | None:
    """Find that the policy hardly moves, and has not settled.

    A KL divergence of 1e-5 is a thousandth of the usual (see `learning_rate_too_high`). It is small
    as well where the learning rate is annealed, which is left out, where the policy has become
    certain, where there is no reward, and where the run improves.
    """
    kl = _before_annealing(run, "loss/approximate_kl")
    if kl is None or kl > _TINY_KL or run.improves():
        return None
    entropy = run.late("policy/relative_entropy")
    first, last = run.early("policy/action_std"), run.late("policy/action_std")
    is_wide = first is not None and last is not None and last > _UNCERTAIN * first
    if not is_wide and (entropy is None or entropy < _UNCERTAIN):
        return None
    if not any(run.values("rollout/reward_max")):
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
    entropy, std = run.late("policy/relative_entropy"), run.late("policy/action_std")
    first = run.early("policy/action_std")
    change = f"--train.entropy-coefficient {min(0.01, coefficient / 10):.2g}"
    if std is not None and first is not None and std > _WIDE * first and coefficient > 0:
        return Verdict(f"the standard deviation of actions grew to {std:.3g}", change)
    if entropy is None or entropy < _UNCERTAIN or coefficient < _LARGE_BONUS:
        return None
    return Verdict(
        f"{entropy:.0%} of the maximal entropy at a coefficient of {coefficient:g}", change
    )


@rule("Dead units", "rollout/reward_mean")
def dead_units(run: History) -> Verdict | None:
    """Find that half of the units pass no gradient: tanh saturated, or ReLU zero, everywhere.

    Large steps and large inputs do this (Lu et al. 2019, arXiv:1903.06733; Sokar et al. 2023,
    arXiv:2302.12902).
    """
    share = run.late("policy/dead_units")
    if share is None or share < _DEAD:
        return None
    return Verdict(
        f"{share:.0%} of the units are dead",
        "--policy.normalize-observations, or a lower --train.learning-rate",
    )


def _before_annealing(run: History, name: str) -> float | None:
    """Return the median of a metric over the updates whose learning rate is not yet small."""
    most = max(run.values("learning_rate"), default=0.0)
    values = [
        record[name]
        for record in run.records
        if name in record and record.get("learning_rate", most) >= _ANNEALED * most
    ]
    return median(values) if values else None


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
