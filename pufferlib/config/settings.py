"""The settings of a run, as dataclasses: each field is a flag, a key of a preset, an attribute."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pufferlib.annotations import JsonObject, Kwargs
from pufferlib.exceptions import ArgumentError, SettingError, UnknownNameError, suggestion
from pufferlib.ppo.config import PPOConfig
from pufferlib.references import is_reference, load_attribute
from pufferlib.selfplay.config import SelfPlayConfig
from pufferlib.training.config import MAX_SEED, LoopConfig
from pufferlib.vector.options import WorkerOptions
from pufferlib.vtrace.config import VTraceConfig

_SEEDS_APART = 100_000
ALGORITHMS: dict[str, type[LoopConfig]] = {"ppo": PPOConfig, "vtrace": VTraceConfig}


@dataclass(frozen=True)
class EnvConfig:
    """Which environment."""

    task: str = ""
    """Named on the command line by ENV, not by a flag."""

    kwargs: Kwargs = field(default_factory=dict)
    """Arguments of the environment's make_env: --env.kwargs.KEY VALUE."""

    curriculum: str | None = None
    """A function that sets attributes of the environments as training advances, as module:name or
    file.py:name; see docs/curriculum.md. None: they stay as they are."""


@dataclass(frozen=True, kw_only=True)
class VecConfig(WorkerOptions):
    """How many environments, and which processes step them."""

    backend: Literal["Serial", "Multiprocessing", "Ray"] = "Multiprocessing"
    """Serial steps in this process: for debugging, and for environments that step many agents
    natively; num_envs is the only other setting here that it uses. Ray steps on a cluster."""

    num_envs: int = 32
    """Environments; a multiple of num_workers."""

    timeout_s: float | None = 300.0
    """Fail when a worker takes longer than this to make, reset or step its environments."""

    def options(self) -> Kwargs:
        """Return the options of `vector.make` by name; those that Serial ignores are left out."""
        if self.backend == "Serial":  # they need not divide
            return {}
        return {name: getattr(self, name) for name in WorkerOptions.names()}

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            SettingError: says which, and what is allowed.
        """
        try:
            WorkerOptions(**{name: getattr(self, name) for name in WorkerOptions.names()}).check()
        except ArgumentError as error:
            raise SettingError(f"vec.{error}") from error


@dataclass(frozen=True)
class PolicyConfig:
    """Which network."""

    name: str | None = None
    """default, mlp, cnn, impala ... (pufferlib.policies.POLICIES), or your own as module:name or
    file.py:name, a class called with the environment. None: the one of the environment's family."""

    kwargs: Kwargs = field(default_factory=dict)
    """More arguments of the policy: --policy.kwargs.KEY VALUE."""

    memory: Literal["none", "lstm", "gru"] = "none"
    """Put an LSTM or a GRU between the policy's encoder and its decoder."""

    hidden_size: int = 128
    """Width of the hidden state, and of the memory."""

    critic: Literal["separate", "shared", "central"] = "separate"
    """Whether the value has separate hidden layers, as in CleanRL's ppo.py and Stable-Baselines3's
    MlpPolicy, or shares those of the actions, for policies that take this argument: default, auto
    and masked. With a memory they are shared: the value needs the memory, too. central: the value
    has a network that sees the observations of all agents of the game (MAPPO, Yu et al. 2021,
    arXiv:2103.01955), for any policy; see docs/multi-agent-policies.md."""

    normalize_observations: bool | None = None
    """Shift and scale the floats of observations to running mean 0 and deviation 1, clipped to 10
    (Andrychowicz et al. 2021, arXiv:2006.05990, 3.3: decisive for locomotion). None: for policies
    whose class says so, as default, masked and mlp do, and where floats have other bounds than
    [0, 1] and [-1, 1]."""

    uint8: Literal["log", "scaled"] = "log"
    """How default, masked and mlp read uint8 that are not an image: as log(1 + x) (symlog of Hafner
    et al. 2023, arXiv:2301.04104), which suits the cells of a grid and the RAM of an Atari, or
    divided by 255."""

    rescale_actions: bool = True
    """Rescale continuous actions from [-1, 1], where a new policy samples, to the bounds of the
    action space where both are finite. False clips them to the bounds, as CleanRL and
    Stable-Baselines3 do."""

    gaussian: Literal["independent", "state-dependent", "squashed"] | None = None
    """Of continuous actions. independent: one standard deviation for all states, as PPO usually has
    (Andrychowicz et al. 2021, arXiv:2006.05990, 3.2). state-dependent: the network computes it.
    squashed: that, and tanh of the sample, as in SAC (Haarnoja et al. 2018, arXiv:1801.01290,
    appendix C). None: as the policy is written; those here are independent."""

    initial_std: float | None = None
    """Initial standard deviation of continuous actions, in half ranges of an action with finite
    bounds, before tanh if squashed. With `rescale_actions` off it is in the environment's units, as
    exp(log_std_init) of Stable-Baselines3. Andrychowicz et al. 2021, arXiv:2006.05990, 3.2, advise
    to lower it for locomotion. None: as the policy is written; those here begin with 1."""

    agents: Literal["shared", "by-name"] | dict[str, Any] = "shared"
    """Which policy acts for which agent of a game. shared: one policy for all. by-name: one for the
    agents whose names differ only in the number at their end. Or from the name of each policy to
    its agents, by names or patterns: '{"tiger": "tiger_*", "prey": ["deer_0", "deer_1"]}'. Each
    learns by itself, with the same settings; see docs/multi-agent-policies.md."""

    frozen: list[str] = field(default_factory=list)
    """Names of policies that act and do not learn, with --init for example: '["adversary"]'."""

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            SettingError: says which, and what is allowed.
        """
        if self.hidden_size < 1:
            raise SettingError(f"policy.hidden_size must be at least 1; got {self.hidden_size}.")
        if self.initial_std is not None and not 0 < self.initial_std < math.inf:
            raise SettingError(
                f"policy.initial_std must be above 0 and finite; got {self.initial_std}."
            )
        check_json("policy.kwargs", self.kwargs)
        for name, agents in self.agents.items() if isinstance(self.agents, dict) else ():
            if not _are_texts([agents] if isinstance(agents, str) else agents):
                raise SettingError(
                    f"policy.agents must give the policy {name!r} the name of an agent, a pattern, "
                    f"or a list of these; got {agents!r}."
                )
        if not self.frozen:
            return
        if self.agents == "shared":
            raise SettingError(
                "policy.frozen has no effect with policy.agents 'shared', where one policy acts "
                "for all agents. Leave it out, or add --policy.agents by-name."
            )
        if not _are_texts(self.frozen):
            raise SettingError(f"policy.frozen must be a list of names; got {self.frozen!r}.")


@dataclass(frozen=True)
class EvalConfig:
    """Evaluations during training, which do not change what is learned."""

    episodes: int = 10
    """Episodes of an evaluation with sampled actions, and as many with greedy ones.
    Stable-Baselines3's EvalCallback plays 5."""

    share: float = 0.1
    """Evaluations take at most this share of the steps that training has taken. There are at most
    twenty; the last is at the end. 0 turns them off."""

    seed: int = 2_000_000
    """Of the first episode, the same in each evaluation. Far from the seeds of training, and from
    those of `puffer eval`, so that best.pt is not chosen by the episodes that it is tested on."""

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            SettingError: says which, and what is allowed.
        """
        if self.episodes < 1:
            raise SettingError(f"eval.episodes must be at least 1; got {self.episodes}.")
        if not 0 <= self.share <= 1:
            raise SettingError(f"eval.share must lie within [0, 1]; got {self.share}.")
        if not 0 <= self.seed <= MAX_SEED:
            raise SettingError(
                f"eval.seed must be a whole number from 0 to {MAX_SEED}; got {self.seed}."
            )


@dataclass(frozen=True)
class LogConfig:
    """Where metrics go, besides metrics.jsonl in the run's folder."""

    tensorboard: bool = True
    """Write events for TensorBoard into the run's folder: tensorboard --logdir runs."""

    wandb: str | None = None
    """Project of Weights & Biases. The key is read from WANDB_API_KEY; WANDB_MODE=offline writes
    into the run's folder, for a later `wandb sync`."""


@dataclass(frozen=True)
class Config:
    """All settings of a run."""

    algorithm: str = "ppo"
    """Which algorithm learns: ppo, vtrace, or your own as module:name, a LoopConfig."""

    env: EnvConfig = field(default_factory=EnvConfig)
    vec: VecConfig = field(default_factory=VecConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    train: LoopConfig = field(default_factory=PPOConfig)
    selfplay: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    log: LogConfig = field(default_factory=LogConfig)

    run: Path | None = None
    """Folder of the run; None makes runs/<task>-<time>. A flag only."""

    def check(self) -> None:
        """Refuse impossible settings, whatever the environment.

        Raises:
            SettingError: says which, and what is allowed.
        """
        check_json("env.kwargs", self.env.kwargs)
        self.vec.check()
        self.policy.check()
        self.selfplay.check()
        if self.selfplay.is_on and self.policy.agents != "shared":
            raise SettingError(
                f"selfplay.opponents needs one policy for all agents; got policy.agents "
                f"{self.policy.agents!r}. Leave out one of the two."
            )
        self.eval.check()
        for folder in () if self.run is None else (self.run, *self.run.parents):
            try:
                is_file = folder.is_file()
            except OSError as error:  # a name that is too long, or a folder that may not be read
                raise SettingError(
                    f"run must be a folder; got {self.run}, which the system refuses: "
                    f"{error.strerror}. Name another."
                ) from error
            if is_file:
                raise SettingError(
                    f"run must be a folder; got {self.run}, where {folder} is a file. Name another."
                )
        for setting in dataclasses.fields(self.train):  # of your own algorithm they may be any
            value = getattr(self.train, setting.name)
            if isinstance(value, tuple):
                raise SettingError(
                    f"train.{setting.name} must be a JSON value, as config.json keeps it; got the "
                    f"tuple {value!r}. Use a list."
                )
            check_json("train", {setting.name: value})
        self.train.check()
        self._check_seeds()

    def _check_seeds(self) -> None:
        """Refuse an evaluation on seeds that training may use: it counts on from its first."""
        if self.eval.share and abs(self.eval.seed - self.train.seed) < _SEEDS_APART:
            raise SettingError(
                f"eval.seed must be at least {_SEEDS_APART:,} from train.seed, so that evaluations "
                f"play episodes that training does not; got eval.seed {self.eval.seed} and "
                f"train.seed {self.train.seed}. Change one of them."
            )


def _are_texts(values: Any) -> bool:
    """Return whether `values` is a list of strings, and not empty."""
    return isinstance(values, list) and bool(values) and all(isinstance(v, str) for v in values)


def algorithm_config(name: str) -> type[LoopConfig]:
    """Return the class of the settings of an algorithm, by its name or as module:name.

    Raises:
        UnknownNameError: there is no such algorithm; suggests the nearest names.
        SettingError: what module:name refers to is not a LoopConfig.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    if not is_reference(name):
        raise UnknownNameError(
            f"There is no algorithm {name!r}.{suggestion(name, ALGORITHMS)} Algorithms: "
            f"{', '.join(ALGORITHMS)}; or your own as module:name."
        )
    found = load_attribute(name)
    if not (isinstance(found, type) and issubclass(found, LoopConfig)):
        raise SettingError(
            f"algorithm must name a class derived from pufferlib.training.LoopConfig; {name} is "
            f"{found!r}."
        )
    if found.make_algorithm is LoopConfig.make_algorithm or not found.algorithm:
        raise SettingError(f"{name} must set `algorithm`, its name, and define make_algorithm.")
    try:
        found()
    except TypeError as error:
        raise SettingError(f"Every setting of {name} needs a default: {error}.") from error
    return found


def check_json(name: str, values: JsonObject) -> None:
    """Refuse arguments that config.json could not give back as they are.

    Raises:
        SettingError: says which, and what is allowed.
    """
    for key, value in values.items():
        try:
            is_kept = json.loads(json.dumps(value)) == with_lists(value)
        except (TypeError, ValueError):
            is_kept = False
        if not is_kept:
            raise SettingError(
                f"{name}.{key} must be a JSON value (numbers, strings, lists, and dicts whose keys "
                f"are strings), as a run's settings are kept in config.json; got {value!r}."
            )


def with_lists(value: Any) -> Any:
    """Return `value` with lists in place of tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: with_lists(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_lists(part) for part in value]
    return value
