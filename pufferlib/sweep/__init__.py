"""Sweeps: search for settings of a run that score high at a low cost.

    puffer sweep CartPole-v1 --sweep.trials 30 --sweep.jobs 2

or from Python:

    from pufferlib.sweep import Sweep

    Sweep.configure("CartPole-v1", {"sweep.trials": 30}).run()

`space` says what is searched, `trial` is the process that trains and scores one choice of settings,
`executor` starts, watches and ends these processes, as `ray` does on the nodes of a cluster,
`journal` keeps the results, `sweep` ties them together. `samplers` propose settings; `report` makes
front, importance and tables of the results, and `preset` writes a trial into a preset.

What the study of a sweep holds, for `samplers` and `report`, and for any program that opens
`journal.log` with Optuna:

- Directions: maximize the score, minimize the cost. The score is the mean return of an evaluation
  on seeds that training has never seen. The cost is the CPU seconds of training and of the
  evaluations during it; that of the final evaluation, and of starting processes, is left out.
- Parameters are named by setting: "train.learning_rate", with the setting's value. Two kinds are
  stored on the scale that they are searched on, and their name says so: "log2(train.horizon)" is 5
  for a horizon of 32 (an integer, without `log`), and "1 - train.gamma" is 0.01 for 0.99 (`log`).
  `space.setting_of(name)` returns the setting. A condition leaves a parameter out of a trial.
- Trial 0 is the preset. Its parameters are the nearest that the space has.
- A complete trial has the values (score, cost). One that was stopped early is complete, too, with
  what it had reached; it is never on the front, as its settings would not lead there again.
- A failed trial (FAIL) has no values. A trial whose settings cannot work together is one of them,
  and was never started; its reason begins with "infeasible: ".
- A running trial belongs to a sweep that is running or can be resumed.

User attributes of a trial:

    settings          the settings that were searched, by dotted name, natural values as JSON; of
                      a trial stopped early `train.total_timesteps` is where it ended
    run               folder of the trial, relative to the sweep's: "trials/0007". With several
                      seeds it is a group of runs, as `puffer train --seeds` makes
    score_low, score_high  95% interval of the score (over episodes; over seeds if several)
    cpu_s             the cost: CPU seconds of training and its evaluations, all processes, startup
                      left out; with several seeds their mean. Of a failed trial: what its
                      processes used in all
    wall_s            seconds of training and of the final evaluation, of all seeds
    timesteps         steps of agents in training, of the longest run
    curve             [[cpu_s, score], ...] at the evaluations during training, of the first seed
    stopped_early     True if it was stopped because it could hardly win
    state_reason      of a failed trial: "diverged", "killed by signal 9", "out of memory",
                      "no progress within 600 s", "disk full", "its node was lost", or the
                      message of the error

User attributes of the study (those of a finished trial can no longer change):

    confirmed:7       of trial 7 once it was trained with fresh seeds: {"seeds": [...],
                      "scores": [...], "cpu_s": [...], "reason": None, or why it failed}

Next to the journal is `sweep.json`, with what the sweep was started with: env, the settings of
its preset (config), the names of those that were given, space, and its own settings (sweep). The
same command, and one with fewer flags, continues with these.

A sampler is made once by each process of a sweep, with `make_sampler(name, seed)`. What it draws
for a trial may depend on the seed, the trial's number and the trials before it, and on nothing
else: a sweep that was killed and resumed then proposes what it would have proposed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pufferlib.sweep.sweep import Sweep

__all__ = ["Sweep"]


def __getattr__(name: str) -> object:
    """Load `Sweep` when it is used: the process of a trial needs none of what it imports."""
    if name == "Sweep":
        from pufferlib.sweep.sweep import Sweep

        return Sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
