"""A run: its settings, and everything that is made from them."""

import dataclasses
import inspect
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from torch import nn

from pufferlib import registry
from pufferlib.annotations import EnvCreator, Kwargs
from pufferlib.config import Config, VecConfig
from pufferlib.emulation.description import HasSpaces
from pufferlib.exceptions import ArgumentError, CheckpointError, PufferError, SettingError
from pufferlib.normalization import NormalizedObservations
from pufferlib.references import load_attribute
from pufferlib.registry import EnvSource
from pufferlib.runs import folder as run_folder
from pufferlib.runs.policy import check_policy, make_policy, policy_class
from pufferlib.runs.resume import check_fixed
from pufferlib.runs.settings import Overrides, assemble, located
from pufferlib.training import Evaluation, checkpoint
from pufferlib.training.curriculum import Choose
from pufferlib.vector import VectorEnv, make


@dataclass(frozen=True)
class Run:
    """A run: from one `Config` its environment, policy, training, evaluation and folder.

    >>> run = Run.configure("squared", {"vec.num_envs": 2, "vec.backend": "Serial"})
    >>> with closing(run.make_vecenv()) as vecenv:
    ...     policy = run.make_policy(vecenv)
    >>> vecenv.num_envs
    2

    Attributes:
        config: all settings.
        source: the environment that `config.env` names.
        resumes: the folder `config.run` holds a run, which training continues.
        given: dotted names of the settings that were overridden.
        init: the checkpoint that a new run takes its first weights from; None: they are drawn.
    """

    config: Config
    source: EnvSource
    resumes: bool = False
    given: frozenset[str] = frozenset()
    init: Path | None = None

    @classmethod
    def configure(
        cls, env: str, overrides: Overrides | None = None, init: Path | str | None = None
    ) -> "Run":
        """Return a new run of `env`: its presets, with `overrides` on top.

        Args:
            env: a family, a task, module:name, file.py:name, gymnasium:ID or pettingzoo:module.
            overrides: settings by dotted name: `{"train.learning_rate": 1e-3}`.
            init: folder of another run, or a checkpoint of it, to start from: its weights, with the
                statistics of observations among them, and its settings of the policy in place of
                the presets', and the scale of its values with `train.normalize_returns`, which both
                or neither must have. Optimizer, counters and schedules are new. The environment may
                be another one with the same spaces.

        Raises:
            UnknownNameError: there is no such environment; suggests the nearest names.
            SettingError: there is no such setting, or its value does not fit or has no effect.
            CheckpointError: `init` is neither the folder of a run nor a checkpoint of one.
        """
        source = registry.resolve(env)
        overrides = overrides or {}
        if init is None:
            return cls(assemble(source, overrides), source, given=frozenset(overrides))
        settings, path = run_folder.locate(Path(init))
        policy = run_folder.read_config(settings).policy
        config = assemble(source, overrides, policy=policy)
        return cls(config, source, given=frozenset(overrides), init=path.absolute())

    @classmethod
    def open(
        cls, folder: Path | str, overrides: Overrides | None = None, env: str | None = None
    ) -> "Run":
        """Return the run in `folder`, to resume or to evaluate.

        Args:
            folder: of the run; or a checkpoint outside of one, which can be evaluated.
            overrides: settings that change, by dotted name.
            env: the environment of the run, if its file was moved; None: as the run names it. Of an
                algorithm or policy whose file was moved, `overrides` name the new place.

        Raises:
            CheckpointError: `folder` is neither the folder of a run nor a checkpoint, or is
                damaged.
            ArgumentError: `env` is not the environment of the run, or the overrides name another
                folder.
            SettingError: a setting that cannot change within a run; see `pufferlib.runs.resume`.
            UnknownNameError, NotInstalledError: the environment is missing here.
        """
        folder, overrides = Path(folder), overrides or {}
        algorithm = overrides.get("algorithm")
        base = run_folder.read_config(
            folder, None if algorithm is None else located(str(algorithm))
        )
        source = _source_of(env or base.env.task, folder)
        config = assemble(source, overrides, base)
        if config.run != base.run:
            raise ArgumentError(
                f"The run in {folder} continues there; got the folder {config.run} (run). Leave "
                f"run out."
            )
        check_fixed(base, config, folder)
        if folder.is_file():
            config = dataclasses.replace(config, run=None)
            return cls(config, source, given=frozenset(overrides))
        config = dataclasses.replace(config, run=folder)
        return cls(config, source, resumes=True, given=frozenset(overrides))

    @property
    def given_kwargs(self) -> Kwargs:
        """The arguments of the environment that were overridden, without those of presets."""
        kwargs = self.config.env.kwargs
        if "env.kwargs" in self.given:
            return dict(kwargs)
        keys = {name.split(".")[2] for name in self.given if name.startswith("env.kwargs.")}
        return {key: value for key, value in kwargs.items() if key in keys}

    def creator(self) -> EnvCreator:
        """Return a function that makes one environment; it can be pickled.

        Raises:
            NotInstalledError: its package is missing.
            ArgumentError: it cannot be made with the arguments in the settings.
        """
        return self.source.creator(self.config.env.kwargs)

    def make_vecenv(self, num_envs: int | None = None) -> VectorEnv:
        """Return the environments of the run; `num_envs` overrides the setting.

        Raises:
            NotInstalledError: before any process starts.
            ArgumentError: likewise.
        """
        arguments = self.config.vec.options()
        if num_envs is not None and arguments:
            # The workers of the settings need not divide another num_envs, and caller_steps needs
            # two of them.
            arguments["num_workers"] = num_envs if self.source.is_one_per_process else None
            arguments["batch_size"], arguments["caller_steps"] = None, False
        return make(
            self.creator(),
            env_kwargs=self.config.env.kwargs,
            backend=self.config.vec.backend,
            num_envs=self.config.vec.num_envs if num_envs is None else num_envs,
            **arguments,
        )

    def in_this_process(self) -> "Run":
        """Return the same run with one environment in this process."""
        vec = VecConfig(backend="Serial", num_envs=1)
        return dataclasses.replace(self, config=dataclasses.replace(self.config, vec=vec))

    def curriculum(self) -> Choose | None:
        """Return the function that changes the environments as training advances, if there is one.

        Raises:
            UnknownNameError, ArgumentError: what the settings name is missing.
            SettingError: it is no function, or one of other arguments.
        """
        name = self.config.env.curriculum
        if name is None:
            return None
        found = load_attribute(name)
        must = "env.curriculum must name a function of (progress, metrics, attributes)"
        if isinstance(found, type):
            raise SettingError(f"{must}; {name} is a class. Name a function.")
        if not callable(found):
            raise SettingError(f"{must}; {name} is an instance of {type(found).__name__}.")
        try:
            inspect.signature(found).bind(0.0, {}, {})
        except TypeError as error:
            raise SettingError(
                f"{must}; {name} cannot be called with these three: {error}. Change its arguments."
            ) from error
        choose: Choose = found
        return choose

    def make_policy(self, env: HasSpaces) -> nn.Module:
        """Return the policy of the run for `env`, with weights drawn from the run's seed.

        Raises:
            UnknownNameError, SettingError, ArgumentError: see `pufferlib.runs.policy.make_policy`.
        """
        config, default = self.config, self.source.default_policy()
        return make_policy(config.policy, default, env, config.train.seed, self.given)

    def make_first_policy(self, env: HasSpaces) -> nn.Module:
        """Return the policy that a new run begins with: the weights are those of `init`, if given.

        Raises:
            CheckpointError: see `load_policy`; and as `make_policy`.
        """
        return self.make_policy(env) if self.init is None else self.load_policy(env, self.init)

    def settled(self, policy: nn.Module) -> "Run":
        """Return the run with the settings that were left to `policy`, as they are in it.

        Whether observations are normalized depends on their declared bounds, which may be others
        where the run is opened again.
        """
        parts = policy.modules()
        is_normalized = any(isinstance(part, NormalizedObservations) for part in parts)
        settings = dataclasses.replace(self.config.policy, normalize_observations=is_normalized)
        return dataclasses.replace(self, config=dataclasses.replace(self.config, policy=settings))

    @property
    def is_recurrent(self) -> bool:
        """Whether the policy has a memory, from the settings or of its class.

        Nothing is made, so a function that returns policies counts as one without.
        """
        name = self.config.policy.name
        made = self.source.default_policy() if name is None else policy_class(name)
        return self.config.policy.memory != "none" or hasattr(made, "initial_state")

    def check_policy(self) -> None:
        """Refuse settings of the policy that cannot work, before any process starts.

        With several policies, or a central critic, an environment is made to know its agents.

        Raises:
            UnknownNameError, SettingError: see `pufferlib.runs.policy.check_policy`, and
                `make_policy` for `policy.agents`.
        """
        try:
            check_policy(self.config.policy, self.source.default_policy(), self.given)
            if self.config.policy.agents != "shared" or self.config.policy.critic == "central":
                with closing(self.in_this_process().make_vecenv()) as one:
                    self.make_policy(one)
        except PufferError as error:
            if not self.resumes or self.config.policy.name is None:
                raise
            raise type(error)(
                f"{error} The run {self.config.run} was made with the policy "
                f"{self.config.policy.name}. If it was moved, name its place with --policy.name."
            ) from error

    def load_policy(self, env: HasSpaces, path: Path) -> nn.Module:
        """Return the policy of the run for `env` with the weights of a checkpoint.

        Raises:
            CheckpointError: it cannot be read, or is of another architecture.
        """
        policy = self.make_policy(env)
        checkpoint.load_policy(policy, checkpoint.load(path), path)
        return policy

    def check_checkpoint(self, path: Path) -> None:
        """Refuse a checkpoint that does not fit the run's policy, before any process starts.

        Raises:
            CheckpointError: it cannot be read, or is of another architecture.
        """
        state = checkpoint.load(path)
        with closing(self.in_this_process().make_vecenv()) as one:
            try:
                checkpoint.load_policy(self.make_policy(one), state, path)
            except CheckpointError as error:
                changed = [n for n in sorted(self.given) if n.startswith(("policy.", "env.kwargs"))]
                if not changed:
                    raise
                raise CheckpointError(
                    f"{error} Given were {', '.join(changed)}: leave out what changes the network "
                    f"or the spaces of the environment."
                ) from error

    def check_init(self) -> None:
        """Refuse a checkpoint to start from that does not fit, before any process starts.

        Raises:
            CheckpointError: it cannot be read, or is of another architecture or other spaces.
            SettingError: one of the two runs has normalized returns, and not the other; or
                `policy.initial_std` is given.
        """
        if self.init is None:
            return
        if "policy.initial_std" in self.given:
            raise SettingError(
                f"policy.initial_std has no effect: the standard deviations are among the weights "
                f"of {self.init}. Leave it out."
            )
        try:
            self.check_checkpoint(self.init)
        except CheckpointError as error:
            task = run_folder.read_task(run_folder.locate(self.init)[0])
            raise CheckpointError(
                f"A run of {self.config.env.task} cannot start from {self.init}, which was trained "
                f"on {task}. It needs the same network and the same spaces of observations and "
                f"actions. {error}"
            ) from error
        algorithm = checkpoint.load(self.init)["algorithm"]
        states = algorithm.get("policies", {"": algorithm}).values()
        is_normalized = any("normalizer" in state for state in states)
        if is_normalized != getattr(self.config.train, "normalize_returns", False):
            raise SettingError(
                f"train.normalize_returns must be {'on' if is_normalized else 'off'} to start from "
                f"{self.init}, whose values are in that scale. "
                f"{'Set' if is_normalized else 'Leave out'} --train.normalize-returns"
                f"{', with --algorithm ppo' if is_normalized else ''}."
            )

    def train(self, console: Console | None = None, profile: bool = False) -> Path:
        """Train as the settings say; return the path of the latest checkpoint.

        See `pufferlib.runs.train`.
        """
        from pufferlib.runs.train import train

        return train(self, console, profile)

    def evaluate(
        self, path: Path | None, episodes: int = 32, seed: int = 1_000_000
    ) -> dict[str, Evaluation]:
        """Return evaluations of a random policy and of a checkpoint on the same seeds.

        They are "random", "sampled" and "greedy", the last two by the actions of the checkpoint.

        See `pufferlib.runs.evaluation.compare`.
        """
        from pufferlib.runs.evaluation import compare

        return compare(self, path, episodes, seed)


def _source_of(env: str, folder: Path) -> EnvSource:
    """Return the source of a run's environment; an error says how and where the run was made."""
    try:
        source = registry.resolve(env)
        source.check()
    except PufferError as error:
        facts = run_folder.read_facts(folder)
        where = f" in the directory {facts['directory']}" if "directory" in facts else ""
        raise type(error)(
            f"{error} The run {folder} was made{where} with the environment "
            f"{run_folder.read_task(folder)}. Go there, install what is missing, or "
            f"name the environment where it is now."
        ) from error
    return source
