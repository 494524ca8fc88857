"""The checkpoints of a run: the latest, the best, and weights that another library trained."""

import json
import math
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pufferlib import config as presets
from pufferlib.annotations import StateDict
from pufferlib.config import Config
from pufferlib.runs.folder import BEST, CHECKPOINT, defer_signals
from pufferlib.runs.periodic import PeriodicEvaluation
from pufferlib.runs.run import Run
from pufferlib.training import Trainer, checkpoint

_JUDGMENTS = 20  # of a training by the returns of its episodes


class CheckpointManager:
    """Saves two checkpoints of a run.

    `checkpoint.pt` is the latest. `best.pt` has the highest mean return of an evaluation with
    sampled actions, of equals the latest. Until there is an evaluation it is the one whose last
    hundred episodes of training, fewer at first, had the highest mean return. They judge again
    once the budget covers no further evaluation, as their episodes have become longer. Returns are
    compared only if they are of the same task: with other arguments of the environment, other
    attributes from a curriculum or other settings of evaluations, judging starts over. Where
    episodes judge, `best.pt` has the latest weights until those of the task before have ended.

    Args:
        folder: of the run.
        trainer: whose state is saved.
        config: saved with the weights.
        evaluation: its results judge, and its state is saved; None: there are no evaluations.

    Attributes:
        path: of the latest.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        config: Config,
        evaluation: PeriodicEvaluation | None = None,
    ) -> None:
        self.path = folder / CHECKPOINT
        self._best_path = folder / BEST
        self._trainer, self._evaluation = trainer, evaluation
        self._about: dict[str, Any] = {
            "config": presets.as_json(config),
            "version": version("pufferlib"),
        }
        self._best_return, self._is_best_evaluated = -math.inf, False
        self._best_task = ""  # see `task_of`
        if self._best_path.exists():
            best = checkpoint.load(self._best_path)
            self._is_best_evaluated = best.get("evaluation_return") is not None
            self._best_return = _judged_by(best)
            attributes = best.get("curriculum", {})
            self._best_task = task_of(best["config"], attributes, self._is_best_evaluated)
        self._judgments = self._judgments_due()

    def update(self) -> None:
        """Save what is due after an update.

        Raises:
            CheckpointError: see `save`.
        """
        due = self._judgments_due()
        is_due = due > self._judgments or self._evaluated_return is not None
        self._judgments = due
        if self._trainer.updates % self._trainer.config.checkpoint_interval == 0:
            self.save()
        elif is_due and self._is_best():
            with defer_signals():
                self._save_best(self._state())

    def save(self) -> None:
        """Save the latest checkpoint, and the best if it is better; defer Ctrl+C and SIGTERM.

        Raises:
            CheckpointError: it could not be written; earlier ones are complete.
        """
        opponents = self._trainer.opponents
        with defer_signals():  # torch reports an interrupt during a write as a failed disk
            if opponents is not None:
                opponents.save_files()
            state = self._state()
            checkpoint.save(self.path, state)
            if opponents is not None:
                opponents.remove_files()
            if self._is_best():
                self._save_best(state)

    def save_last(self) -> bool:
        """Save the end of training; return False if the previous checkpoint was kept instead.

        The previous checkpoint is kept if an update failed midway, if weights are NaN or infinite,
        or if a run with `exact_resume` was interrupted: such a run resumes exactly only from its
        regular checkpoints.
        """
        trainer = self._trainer
        if trainer.is_updating:
            return False
        is_finite = all(bool(torch.isfinite(w).all()) for w in trainer.policy.parameters())
        if not is_finite or (trainer.config.exact_resume and not trainer.is_done):
            return False
        self.save()
        return True

    def _judgments_due(self) -> int:
        """Return how often the returns of training should have judged by now."""
        return int(_JUDGMENTS * self._trainer.progress)

    @property
    def _evaluated_return(self) -> float | None:
        """The mean return of the present weights in an evaluation; None if there was none."""
        return None if self._evaluation is None else self._evaluation.result

    @property
    def _episode_return(self) -> float | None:
        return self._trainer.episodes.means().get("episode_return")

    def _is_best(self) -> bool:
        """Return whether the present weights are better than those of `best.pt`."""
        if self._task_now() != self._best_task:
            self._best_return, self._is_best_evaluated = -math.inf, False
        evaluated = self._evaluated_return
        if evaluated is not None:
            return not self._is_best_evaluated or evaluated >= self._best_return
        if self._is_best_evaluated and not (self._evaluation is None or self._evaluation.is_over):
            return False
        returned = self._episode_return
        return returned is not None and returned >= self._best_return

    def _save_best(self, state: StateDict) -> None:
        if not self._trainer.episodes.are_current:  # some returns are of the task before
            state = {**state, "episode_return": None}
        checkpoint.save(self._best_path, state)
        self._is_best_evaluated = state["evaluation_return"] is not None
        self._best_return = _judged_by(state)
        self._best_task = self._task_now()

    def _task_now(self) -> str:
        return task_of(self._about["config"], self._trainer.attributes, self._is_best_evaluated)

    def _state(self) -> StateDict:
        return {
            **self._trainer.state_dict(),
            **self._about,
            "episode_return": self._episode_return,
            "evaluation_return": self._evaluated_return,
            "evaluation": None if self._evaluation is None else self._evaluation.state_dict(),
        }


def save_policy(run: Run, policy: nn.Module, path: Path | str) -> None:
    """Save a policy that another library has trained as a checkpoint, to evaluate and to load.

        run = Run.configure("CartPole-v1")
        ...  # train run.make_policy(env) with any library
        save_policy(run, policy, "trained.pt")

    `puffer eval CartPole-v1 --checkpoint trained.pt` and `pufferlib.load("trained.pt")` take it,
    and so does `puffer train CartPole-v1 --init trained.pt`.

    Args:
        run: whose settings describe the environment and the policy; it need not have a folder.
        policy: with the weights of one that `run.make_policy` makes.
        path: of the file.

    Raises:
        CheckpointError: the policy has another architecture than the run's, or the file cannot be
            written.
    """
    path = Path(path)
    weights = policy.state_dict()
    with closing(run.in_this_process().make_vecenv()) as one:
        checkpoint.load_policy(run.make_policy(one), {"policy": weights}, path)
    config = presets.as_json(run.settled(policy).config)
    about = {"config": config, "version": version("pufferlib")}
    checkpoint.save(path, {"policy": weights, "algorithm": {"name": "other"}, **about})


def task_of(config: Mapping[str, Any], attributes: Mapping[str, Any], is_evaluated: bool) -> str:
    """Return what a return is of, as JSON, in which lists and tuples are equal."""
    evaluation = [config["eval"]["seed"], config["eval"]["episodes"]] if is_evaluated else []
    return json.dumps([config["env"]["kwargs"], attributes, evaluation], sort_keys=True)


def _judged_by(best: StateDict) -> float:
    """Return the mean return that `best.pt` was chosen by; -inf if anything is better."""
    evaluated = best.get("evaluation_return")  # checkpoints of earlier versions lack it
    returned = best["episode_return"] if evaluated is None else evaluated
    return -math.inf if returned is None else float(returned)
