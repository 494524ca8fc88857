"""Faults of environments and their episodes."""

import math
from statistics import fmean

from pufferlib.runs.diagnosis.history import History, Verdict, rule

_FEW_STEPS = 2_000  # of a row without an end; most time limits are shorter
_IDLE_ROWS = 0.1
_EQUAL_STARTS = 0.05
_SIGNIFICANT = 6.0  # standard deviations
_LONGEST = 0.5
_SURPRISE = -3.0
_LOST_REWARD = 0.05
_SEGMENTS = 4


@rule("Episodes never end", "updates", "rollout/terminated", "rollout/truncated")
def never_end(run: History) -> Verdict | None:
    """Find that no episode has ended in 2,000 steps of each row.

    The time limits of Gymnasium's tasks are 200 to 1,000 steps. Without ends the same trajectory
    goes on, often in a state from which nothing is learned (Pardo et al. 2018, arXiv:1712.00378,
    section 4).
    """
    steps = int(run.latest("updates")) * int(run.setting("train.horizon", 0))
    if steps < _FEW_STEPS or any(run.latest(f"rollout/{end}") for end in _ENDS):
        return None
    return Verdict(
        f"no episode ended in {steps:,} steps of each row",
        "truncate episodes: gymnasium.wrappers.TimeLimit, or --env.kwargs.max-episode-steps 1000",
    )


_ENDS = ("terminated", "truncated")


@rule(
    "Time limit treated as termination",
    "rollout/terminated",
    "rollout/truncated",
)
def limit_as_termination(run: History) -> Verdict | None:
    """Find surprising terminations of most episodes at the same, greatest length.

    A time limit that the observation does not show must truncate: the value of the last state is
    bootstrapped then. As a termination it makes equal states worth more or less for no visible
    reason (Pardo et al. 2018, arXiv:1712.00378, section 3). Games of a fixed length whose
    observation shows the time are sound, and there the values of the last states fit the rewards.
    So the error at terminations must be below zero, and three times as large as the errors at other
    steps.
    """
    if not run.has("rollout/longest_episodes", "rollout/terminal_error"):  # no episode has ended
        return None
    share, error = run.latest("rollout/longest_episodes"), run.late("rollout/terminal_error")
    if run.latest("rollout/truncated") or share < _LONGEST or error > _SURPRISE:
        return None
    return Verdict(
        f"no episode is truncated, {share:.0%} of the last hundred terminate at the greatest "
        f"length, and the last values are {-error:.1f} times as wrong as others",
        "return truncated=True, not terminated, at the time limit; or observe the time left",
    )


@rule("Environments share a seed")
def identical_seeds(run: History) -> Verdict | None:
    """Find episodes of two environments that begin alike more often than those of one.

    For independent environments both shares have the same expectation, whatever the distribution
    of first observations: the sum of the squared probabilities. The difference must be 5%, and the
    equal pairs six standard deviations more than if chance had dealt the starts. Where starts and
    episodes are few their distribution is skewed: of 1,000 simulated runs of independent
    environments up to 12 exceed four standard deviations, and up to 2 six.
    """
    names = [f"rollout/{name}" for name in ("equal_starts", "repeated_starts", "equal_starts_z")]
    if not run.has(*names):  # a single environment
        return None
    across, within, z = (run.latest(name) for name in names)
    if across - within < _EQUAL_STARTS or z < _SIGNIFICANT:
        return None
    return Verdict(
        f"{across:.0%} of the episodes of two environments begin alike, {within:.0%} of those of "
        f"one ({z:.1f} standard deviations more than by chance)",
        "draw from self.np_random, seeded by super().reset(seed=seed), in the environment",
    )


@rule("Rows that never act", "rollout/idle_rows", "rollout/absent")
def idle_rows(run: History) -> Verdict | None:
    """Find rows, a tenth of them or more, that have had no agent since the run began.

    Agents that have died are absent too, but only until their episode ends. Rows that never act
    cost memory and time of the network, and may be an agent name that reset() never returns.
    """
    share, absent = run.latest("rollout/idle_rows"), run.late("rollout/absent")
    if share < _IDLE_ROWS:
        return None
    return Verdict(
        f"{share:.0%} of the rows have never acted; {absent:.0%} of all steps are absent",
        "possible_agents must list only agents that reset() returns; or lower --env.kwargs.* that "
        "set their number",
    )


@rule("No reward", "rollout/reward_max")
def no_reward(run: History) -> Verdict | None:
    """Find that every reward of the run is zero: there is nothing to learn from."""
    if any(run.values("rollout/reward_max")):
        return None
    return Verdict(
        f"all rewards are 0 in {run.latest('timesteps'):,.0f} timesteps",
        "an easier task, pufferlib.wrappers.shape_reward, or more exploration: "
        "--train.entropy-coefficient",
    )


@rule("Horizon shorter than the delay of reward", "rollout/nonzero_rewards", "rollout/reward_max")
def short_horizon(run: History) -> Verdict | None:
    """Find rewards that are further apart than discount or rollout reach.

    A reward D steps away counts gamma^D (below 5% it is lost among the others), and a rollout of
    fewer than D / 4 steps holds one in every fourth segment at most: elsewhere the advantage rests
    on the value function alone (Schulman et al. 2016, arXiv:1506.02438, section 3).
    """
    shares = run.values("rollout/nonzero_rewards")
    share = fmean(shares[-max(1, len(shares) // 3) :])  # most rollouts may have none
    gamma, horizon = run.setting("train.gamma"), run.setting("train.horizon")
    if not share or gamma is None or not horizon:
        return None
    delay = 1 / share
    if gamma > 0 and delay > 1 and gamma**delay < _LOST_REWARD:
        digits = max(4, math.ceil(math.log10(delay)))  # fewer would round it to 1
        return Verdict(
            f"one step in {delay:.0f} has a reward, and gamma={gamma:g} leaves "
            f"{gamma**delay:.2g} of it at that distance",
            f"--train.gamma {1 - 1 / delay:.{digits}g}",
        )
    if delay > _SEGMENTS * horizon:
        return Verdict(
            f"one step in {delay:.0f} has a reward, and a rollout has {horizon} steps of each row",
            f"--train.horizon {2 ** (round(delay) - 1).bit_length()}",
        )
    return None


RULES = (never_end, limit_as_termination, identical_seeds, idle_rows, no_reward, short_horizon)
