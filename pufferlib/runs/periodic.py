"""Evaluate a policy now and then while it is trained, within a budget of steps."""

import dataclasses
import math
from pathlib import Path

from rich.console import Console

from pufferlib.agent_policies import AgentPolicies
from pufferlib.annotations import StateDict
from pufferlib.config import VecConfig
from pufferlib.exceptions import WorkerError
from pufferlib.global_random import GlobalStreams
from pufferlib.runs.run import Run
from pufferlib.training import Evaluation, Trainer, checkpoint, evaluate
from pufferlib.training.torch_state import RandomStreams, torch_threads
from pufferlib.training.utilization import cpu_seconds
from pufferlib.vector import VectorEnv

_EVALUATIONS = 20  # of a training, at most


class PeriodicEvaluation:
    """Evaluates the policy of a trainer: episodes with sampled actions, and as many with greedy.

    All evaluations play the same seeds, with the attributes that a curriculum set last. An update
    learns the same without them; but they take time, so with `train.max_seconds` there are fewer
    updates. The budget is counted in steps of agents, so the same seed evaluates after the same
    updates. The evaluations that it covers are spread over the rest of training, the last at its
    end; that one has fewer episodes, down to half, if the budget covers no more.

    Args:
        run: its settings and environment.
        trainer: whose policy is evaluated.
        agents_per_env: of the environment.
        console: where to print that episodes did not end within the budget, once.
    """

    def __init__(self, run: Run, trainer: Trainer, agents_per_env: int, console: Console) -> None:
        self._run, self._trainer, self._console = run, trainer, console
        self._agents_per_env = agents_per_env
        self._most_envs = -(-run.config.eval.episodes // agents_per_env)
        self._vecenv: VectorEnv | None = None
        self._result: float | None = None
        self._has_printed = False
        # Steps of agents in all evaluations; the timesteps of training at the last one, and for how
        # many steps that played with either kind of actions.
        self._state: dict[str, int] = {"steps": 0, "timesteps": 0, "sampled": 0, "greedy": 0}
        self._cpu_s_before, self._cpu_s_at_start = 0.0, cpu_seconds()

    def run(self) -> dict[str, float]:
        """Evaluate; return metrics.

        Raises:
            WorkerError: an environment failed, and those of training would not be restarted.
        """
        threads, trainer = self._run.config.train.threads, self._trainer
        with trainer.pausing("evaluation"), torch_threads(threads):
            try:
                return self._evaluate()
            except WorkerError as error:
                self.close()
                if self._run.config.vec.on_failure != "restart":
                    raise
                self._state["timesteps"], self._result = trainer.timesteps, None
                self._print_once(f"An evaluation failed, and training goes on: {error}")
                return {}

    @property
    def is_due(self) -> bool:
        """Whether it is time for an evaluation, after the update that has just ended."""
        trainer = self._trainer
        if trainer.is_done:
            return not self.is_over
        if self._affordable_envs(trainer.timesteps) < self._most_envs:
            return False
        last, total = self._state["timesteps"], self._total
        affordable = self._affordable_envs(total) // self._most_envs
        wait = max(total / _EVALUATIONS, (total - last) / affordable)
        return trainer.timesteps >= last + wait

    @property
    def result(self) -> float | None:
        """The mean return of the trainer's present weights with sampled actions.

        None if they were not evaluated, or if an episode was cut.
        """
        is_current = self._state["timesteps"] == self._trainer.timesteps
        return self._result if is_current else None

    @property
    def is_over(self) -> bool:
        """Whether the budget covers no further evaluation."""
        taken = self._trainer.timesteps if self._trainer.is_done else self._total
        return 2 * self._affordable_envs(taken) < self._most_envs

    @property
    def cpu_s(self) -> float:
        """CPU seconds of training and evaluations so far, of all processes, up to a resumption.

        What was lost between the last checkpoint and the end of a killed process is not counted.
        """
        return self._cpu_s_before + cpu_seconds() - self._cpu_s_at_start

    def close(self) -> None:
        """Close the environments."""
        if self._vecenv is not None:
            self._vecenv.close()
            self._vecenv = None

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: steps taken, when the last was, its length, CPU time."""
        return {**self._state, "cpu_s": self.cpu_s}

    def resume(self, path: Path) -> None:
        """Continue with the budget that is left at a checkpoint."""
        state = checkpoint.load(path).get("evaluation")  # earlier versions saved none
        if state is not None:
            self._state |= {key: state[key] for key in self._state if key in state}
            self._cpu_s_before = state.get("cpu_s", 0.0)

    @property
    def _total(self) -> float:
        """The steps of agents that training will take."""
        trainer = self._trainer
        if trainer.config.max_seconds is None:
            return max(trainer.config.total_timesteps, trainer.timesteps)
        return trainer.timesteps / max(trainer.progress, 1e-9)

    def _budget(self, timesteps: float) -> int:
        """Return the steps left for evaluations once training has taken `timesteps`."""
        return int(self._run.config.eval.share * timesteps) - self._state["steps"]

    def _affordable_envs(self, timesteps: float) -> int:
        """Return in how many environments the budget at `timesteps` pays for an evaluation."""
        cost = sum(self._cost())
        return self._budget(timesteps) // cost if cost else 0

    def _cost(self) -> tuple[int, int]:
        """Return how many steps an environment takes for sampled and greedy episodes; 0: unknown.

        Estimated by the longest of the last hundred episodes of training, and by the last
        evaluation.
        """
        longest = self._trainer.counts.longest
        if not longest:
            return 0, 0
        sampled, greedy = (max(longest, self._state[kind]) for kind in ("sampled", "greedy"))
        return sampled * self._agents_per_env, greedy * self._agents_per_env

    def _evaluate(self) -> dict[str, float]:
        now = self._trainer.timesteps
        num_envs = min(self._most_envs, self._affordable_envs(now))
        sampled, greedy = self._cost()
        budget = self._budget(now)
        first = self._play(num_envs, "sampled", budget * sampled // (sampled + greedy))
        second = self._play(num_envs, "greedy", self._budget(now))
        is_whole = not first.num_unfinished and math.isfinite(first.mean)
        self._result = first.mean if is_whole else None
        self._state["timesteps"] = now
        metrics: dict[str, float] = {"cpu_seconds": self.cpu_s}
        policy = self._trainer.policy
        policy_of = policy.policy_of if isinstance(policy, AgentPolicies) else ()
        for kind, played in (("sampled", first), ("greedy", second)):
            if len(played.returns):
                metrics[f"eval/{kind}_return"] = played.mean
                metrics[f"eval/{kind}_length"] = float(played.lengths.mean())
            for name, own in played.by_policy(policy_of).items():
                if len(own.returns):
                    metrics[f"eval/{name}/{kind}_return"] = own.mean
        unfinished = first.num_unfinished + second.num_unfinished
        if unfinished:
            metrics["eval/unfinished"] = unfinished
            self._print_once(
                f"{unfinished} episodes of an evaluation did not end within its budget, and are "
                f"left out. Limit their length, raise --eval.share, or lower --eval.episodes."
            )
        return metrics

    def _play(self, num_envs: int, kind: str, budget: int) -> Evaluation:
        """Evaluate sampled or greedy actions for at most `budget` steps of agents."""
        seed, rows = self._run.config.eval.seed, num_envs * self._agents_per_env
        if self._vecenv is None or self._vecenv.num_envs != num_envs:
            self.close()
            with GlobalStreams(seed).active(), RandomStreams(seed).active():
                self._vecenv = _make_rows(self._run, num_envs)
        for name, value in self._trainer.attributes.items():
            self._vecenv.set_attr(name, [value] * num_envs)
        policy, is_greedy = self._trainer.policy, kind == "greedy"
        played = evaluate(self._vecenv, policy, seed, is_greedy, max_steps=budget // rows)
        self._state["steps"] += played.num_steps * rows
        self._state[kind] = played.num_steps
        return played

    def _print_once(self, text: str) -> None:
        if not self._has_printed:
            self._has_printed = True
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _make_rows(run: Run, num_envs: int) -> VectorEnv:
    """Return environments in this process; each in a process if only one is allowed in each."""
    if not run.source.is_one_per_process:
        return run.in_this_process().make_vecenv(num_envs)
    if run.config.vec.backend == "Serial":
        vec = VecConfig(num_envs=num_envs)
        run = dataclasses.replace(run, config=dataclasses.replace(run.config, vec=vec))
    return run.make_vecenv(num_envs)
