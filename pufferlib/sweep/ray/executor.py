"""Trials on the nodes of a Ray cluster, as the sweep sees them."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pufferlib.exceptions import SettingError
from pufferlib.sweep import trial
from pufferlib.sweep.executor import Ending, end_all, python_path
from pufferlib.sweep.ray.actor import Answer, TrialActor
from pufferlib.sweep.ray.files import FolderReader, write_changes
from pufferlib.sweep.trial_files import is_asked_to_stop
from pufferlib.vector.ray.cluster import join, places, ray_module

_COPY_S = 1.0  # between copies of a trial's folder
_KILL_S = 10.0  # until an actor that was to kill its trial is killed itself
_LOSS_S = 5.0  # until Ray has noticed that a node is lost, and places nothing there


class RayExecutor:
    """Processes on the nodes of a Ray cluster, each started and watched by an actor.

    The cluster is that of `pufferlib.vector.Ray`. The folder of a trial is copied to its node, and
    back every second, so nodes need no file system in common and what has ended is here. A trial
    whose node or actor is lost was interrupted: it goes on from its last checkpoint on another.

    Args:
        jobs: how many run side by side; None: as many as fit on the cluster now.
        num_cpus: CPUs of the cluster that each takes.
        num_gpus: its GPUs.
        environment: variables that they get in addition.

    Raises:
        NotInstalledError: Ray is not installed.
        SettingError: so many do not fit on the cluster.
    """

    def __init__(
        self,
        jobs: int | None,
        num_cpus: float = 1,
        num_gpus: float = 0,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._ray, self._lease = ray_module(), join()
        self._running: list[RayProcess] = []
        most = places(num_cpus, num_gpus)
        self.jobs = most if jobs is None else jobs
        if not 1 <= self.jobs <= most:
            cpus, gpus = (self._ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU"))
            self._lease.leave()
            cluster = f"this Ray cluster of {cpus:g} CPUs and {gpus:g} GPUs"
            if not most:
                raise SettingError(
                    f"No node has place for a trial of sweep.num_cpus={num_cpus:g} and "
                    f"sweep.num_gpus={num_gpus:g}, on {cluster}. Lower these settings, or add a "
                    f"node with `ray start`."
                )
            raise SettingError(
                f"sweep.jobs={jobs} trials of sweep.num_cpus={num_cpus:g} and sweep.num_gpus="
                f"{num_gpus:g} do not fit on {cluster}, which has places for {most}. Change "
                f"these settings, or add nodes with `ray start`."
            )
        self._num_cpus = num_cpus
        self._environment = {"PYTHONPATH": python_path(), **(environment or {})}
        self._actor_class = self._ray.remote(TrialActor).options(
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )

    def start(self, folder: Path) -> "RayProcess":
        """See `Executor.start`."""
        actor = self._actor_class.remote()
        files = FolderReader(folder).changes()
        begun = actor.begin.remote(files, self._num_cpus, self._environment, os.getcwd())
        process = RayProcess(actor, begun, folder, self._running.remove)
        self._running.append(process)
        return process

    def close(self) -> None:
        """See `Executor.close`. The Ray that this executor has joined is left."""
        try:
            end_all(self._running)
        finally:
            for process in self._running:  # a full disk here keeps what has ended from being copied
                process.abandon()
            self._lease.leave()


class RayProcess:
    """A trial at work on a node, or waiting for a place on one.

    Args:
        actor: of `TrialActor`.
        begun: Ray's reference to the answer of its `begin`.
        folder: of the trial, here.
        release: called once with this object when it has ended.
    """

    def __init__(
        self, actor: Any, begun: Any, folder: Path, release: Callable[["RayProcess"], None]
    ) -> None:
        self._ray = ray_module()
        self._actor, self._answer, self._folder, self._release = actor, begun, folder, release
        self._begin_s = time.monotonic()
        self._placed_s: float | None = None
        self._killed_s: float | None = None
        self._lost_s: float | None = None
        self._is_abandoned = False
        self._ending: Ending | None = None

    @property
    def started_s(self) -> float:
        """See `Process.started_s`."""
        return time.time() if self._placed_s is None else self._placed_s

    def poll(self) -> Ending | None:
        """See `Process.poll`."""
        if self._ending is None:
            self._ending = self._poll()
            if self._ending is not None:
                self.abandon()
                self._release(self)
        return self._ending

    def _poll(self) -> Ending | None:
        if self._killed_s is not None and time.monotonic() > self._killed_s + _KILL_S:
            self.abandon()
        if not self._ray.wait([self._answer], timeout=0)[0]:
            return None
        errors = self._ray.exceptions
        try:
            answer: Answer = self._ray.get(self._answer)
        except errors.RayTaskError as error:
            return self._failed(1, trial.reason_of(error.cause))
        except errors.RayError as error:
            if "OUT_OF_MEMORY" in str(error):  # Ray's own watch over the memory of nodes
                return self._failed(1, "out of memory")
            if getattr(error, "actor_init_failed", False):
                return self._failed(1, f"Ray cannot start it: {error}")
            self._lost_s = self._lost_s or time.monotonic()
            if not self._is_abandoned and time.monotonic() < self._lost_s + _LOSS_S:
                return None
            return self._failed(trial.INTERRUPTED, "its node was lost")
        ending, changes = answer
        try:
            missing = write_changes(self._folder, changes)
        except ValueError as error:
            return self._failed(1, str(error))
        if missing and ending is not None:
            return self._failed(trial.INTERRUPTED, "its files could not be copied back")
        if self._placed_s is None:
            self._placed_s = time.time()
        if ending is None:
            self._answer = self._actor.report.remote(_COPY_S, missing)
        return ending

    def _failed(self, code: int, reason: str) -> Ending:
        return Ending(code, cpu_s=0.0, wall_s=time.monotonic() - self._begin_s, error=reason)

    def interrupt(self) -> None:
        """See `Process.interrupt`."""
        if self._placed_s is None:
            self.abandon()
        elif self._ending is None:
            self._actor.interrupt.remote(is_asked_to_stop(self._folder))

    def kill(self) -> None:
        """See `Process.kill`."""
        if self._placed_s is None:
            self.abandon()
        elif self._ending is None and self._killed_s is None:
            self._killed_s = time.monotonic()
            self._actor.kill.remote()

    def abandon(self) -> None:
        """Kill the actor, and its trial with it; nothing more is copied."""
        self._is_abandoned = True
        if self._ray.is_initialized():
            self._ray.kill(self._actor)
