"""Load the policy of a run, to act in plain environments."""

from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pufferlib.annotations import Action, Agent, Array, Kwargs, Observation, UserEnv
from pufferlib.emulation import ActionLayout, GymnasiumPufferEnv, Layout, PettingZooPufferEnv
from pufferlib.emulation.description import describe
from pufferlib.exceptions import ArgumentError, ObservationError
from pufferlib.runs.folder import CHECKPOINT, locate
from pufferlib.runs.run import Run
from pufferlib.spaces import name_of, value_at
from pufferlib.training.config import choose_device
from pufferlib.training.policy_actor import PolicyActor


def load(
    run: Path | str, checkpoint: str = CHECKPOINT, device: str = "cpu", env: str | None = None
) -> "LoadedPolicy":
    """Return the policy of a run, to act in the environment it was trained in.

        policy = pufferlib.load("runs/CartPole-v1-20260101-120000", "best.pt")
        env = gymnasium.make("CartPole-v1")
        observation, _ = env.reset()
        observation, reward, terminated, truncated, _ = env.step(policy(observation))

    Args:
        run: folder of the run, or a checkpoint file.
        checkpoint: in the folder; "checkpoint.pt" is the latest, "best.pt" the best.
        device: "cpu", "cuda", "cuda:1", ...; "auto" is the GPU if there is one.
        env: the environment of the run, if its file was moved.

    Raises:
        CheckpointError: it is neither, is damaged, or does not fit the run's policy.
        UnknownNameError, NotInstalledError: the environment is missing here.
        SettingError: there is no such device here.
    """
    settings, path = locate(Path(run), checkpoint)
    return LoadedPolicy(Run.open(settings, env=env), path, device)


class LoadedPolicy:
    """A trained policy that takes observations of plain environments and returns their actions.

    With one environment at a time: a policy with memory remembers what it has seen since `reset`.
    Samples are drawn from torch's default generator, which `torch.manual_seed` seeds.

    Args:
        run: what was trained.
        path: of the checkpoint.
        device: see `load`.

    Attributes:
        run: as given.
        network: the `nn.Module`, in eval mode. It takes the flat rows of vectorized environments;
            of several policies it is `AgentPolicies`, whose `policies` do.
        device: where it is.
        observation_space: of one agent of the plain environment.
        action_space: the same for actions.
        observation_layout: unflattens the rows that `network` takes.
        agents: `possible_agents` of a PettingZoo environment; None for all others.
    """

    def __init__(self, run: Run, path: Path, device: str = "cpu") -> None:
        self.run, self.device = run, choose_device(device, "device")
        with closing(self._make_flat({})) as env:
            self.network = run.load_policy(env, path).to(self.device).eval()
            self._open(env)
            self._actor = PolicyActor(env, self.network, len(self._rows), self.device)
        self._is_checked = False
        self.reset()

    def _open(self, env: UserEnv) -> None:
        """Keep what converts observations and actions of `env`, which is closed afterwards."""
        flat = env.single_observation_space
        self.agents: list[Agent] | None = None
        if isinstance(env, GymnasiumPufferEnv):
            self.observation_space, self.action_space = (
                env.env.observation_space,
                env.env.action_space,
            )
        elif isinstance(env, PettingZooPufferEnv):
            self.agents = env.possible_agents
            self.observation_space = env.env.observation_space(self.agents[0])
            self.action_space = env.env.action_space(self.agents[0])
        else:
            self.observation_space, self.action_space = flat, env.single_action_space
        self._is_flat = not isinstance(env, GymnasiumPufferEnv | PettingZooPufferEnv)
        count = env.num_agents if self.agents is None else len(self.agents)
        self._rows = np.zeros((count, *flat.shape), flat.dtype)
        self.observation_layout = describe(env).observation_layout
        self._layout = Layout.of(self.observation_space)
        self._rebuild = ActionLayout.of(self.action_space).rows_rebuilder()
        self._float_leaves = [
            each.leaf for each in self.observation_layout.fields if each.leaf.dtype.kind == "f"
        ]
        self._writers = [self._layout.writer(self._rows[row, ...]) for row in range(count)]

    def make_env(self, **kwargs: object) -> UserEnv:
        """Return a new environment as in the run, without pufferlib's emulation around it.

        Of a family whose make_env wraps its environments, as Atari's does, these see what the
        policy was trained on; the environments of `gymnasium.make` may not.

        Args:
            **kwargs: over the arguments of the run: `render_mode="human"`.
        """
        env = self._make_flat(kwargs)
        return env.env if isinstance(env, GymnasiumPufferEnv | PettingZooPufferEnv) else env

    def _make_flat(self, kwargs: Kwargs) -> UserEnv:
        # A native form steps many games as one environment; here one is played.
        native = ("num_envs", "num_threads") if self.run.source.takes("num_envs") else ()
        own = {k: v for k, v in self.run.config.env.kwargs.items() if k not in native}
        made = {**own, **kwargs}
        return self.run.source.creator(made)(**made)

    def reset(self) -> None:
        """Begin a new episode: forget what a policy with memory has seen."""
        self._is_new = True
        self._present = np.zeros(len(self._rows), np.bool_)

    def __call__(self, observation: Observation, deterministic: bool = False) -> Action:
        """Return an action for the observation of one environment.

        Args:
            observation: a value of `observation_space`. Of a PettingZoo environment: a dict of the
                observations of the agents that take part. Of a `PufferEnv`: its rows.
            deterministic: take the most probable action; otherwise sample, as in training.

        Returns:
            A value of `action_space`; of a PettingZoo environment a dict by agent; of a `PufferEnv`
            a row for each agent.

        Raises:
            ObservationError: it does not belong to the space that the policy was trained with, or
                is NaN or infinite.
        """
        if self._is_flat:
            actions = self.act(self._checked_rows(observation), ~self._present, deterministic)
            self._present = np.ones_like(self._present)
            return actions
        if self.agents is None:
            observations = [observation]
        else:
            unknown = [agent for agent in observation if agent not in self.agents]
            if unknown:
                raise ObservationError(
                    f"There is no agent {unknown[0]!r}; possible_agents are {self.agents}. Pass a "
                    f"dict of observations by agent."
                )
            observations = [observation.get(agent) for agent in self.agents]
        present = self._write(observations)
        chosen = self._rebuild(self.act(self._rows, present & ~self._present, deterministic))
        self._present = present
        if self.agents is None:
            return chosen[0]
        return {a: chosen[row] for row, a in enumerate(self.agents) if a in observation}

    def predict(
        self,
        observation: Observation,
        state: None = None,
        episode_start: bool | NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Action, None]:
        """Return (action, None), with the arguments of `predict` in Stable-Baselines3.

        Its `evaluate_policy(policy, env)` works with this policy, too.

        Args:
            observation: as in `__call__`; or of the `VecEnv` of a Gymnasium environment, each part
                of it (n_envs, ...).
            state: ignored, as a policy with memory keeps its own. The None returned stands for it.
            episode_start: the memory is to be forgotten. With a bool array (n_envs,) the
                observation is that of a `VecEnv`, and so is the action; its n_envs must not change
                until all start.
            deterministic: as in `__call__`.

        Raises:
            ArgumentError: such an array for another environment than a Gymnasium one.
            ObservationError: as `__call__`.
        """
        if episode_start is not None and np.ndim(episode_start) > 0:
            return self._predict_several(
                observation, np.asarray(episode_start), deterministic
            ), None
        if episode_start:
            self.reset()
        return self(observation, deterministic), None

    def _predict_several(
        self, observation: Observation, starts: NDArray[np.bool_], deterministic: bool
    ) -> Action:
        if self._is_flat or self.agents is not None:
            raise ArgumentError(
                f"episode_start must be True, False or None for {self.run.config.env.task}; only "
                f"Gymnasium environments can be given several at a time. Use act."
            )
        if starts.all():
            self.reset()
        rows = []
        for one in _unstacked(observation, len(starts)):
            self._check(one)
            rows.append(self._layout.flatten(one))
        chosen = self._rebuild(self.act(np.stack(rows), starts, deterministic))
        return chosen if isinstance(chosen[0], dict | tuple) else np.stack(chosen)

    def act(
        self, observations: Array, starts: NDArray[np.bool_], deterministic: bool = False
    ) -> Array:
        """Return flat actions (B, ...) for the rows of a vectorizer.

        Args:
            observations: (B, *single_observation_space.shape). The same B until `reset`, if the
                policy has memory. Of several policies all rows of some environments.
            starts: bool (B,), the observation is the first of an episode.
            deterministic: as in `__call__`.

        Raises:
            ObservationError: a row holds a NaN or an infinity.
            ArgumentError: of several policies, the rows are not those of whole environments.
        """
        self._check_finite(observations)
        rows = torch.as_tensor(observations, device=self.device)
        if self._is_new or not self._actor.has_memory:
            self._actor.reset(len(rows))
            self._is_new = False
        flags = torch.as_tensor(starts, device=self.device)
        return self._actor.act(rows, flags, is_greedy=deterministic)

    def _write(self, observations: list[Observation]) -> NDArray[np.bool_]:
        """Write each observation that is not None into its row; return which there are."""
        present = np.array([each is not None for each in observations])
        for row in np.flatnonzero(present):
            self._check(observations[row])
            self._writers[row](observations[row])
        self._rows[~present] = 0
        return present

    def _check(self, observation: Observation) -> None:
        """Check the first observation fully; writing checks later ones for nesting and shape."""
        fault = None if self._is_checked else self._layout.difference(observation)
        if fault is not None:
            raise ObservationError(
                f"The observation does not belong to {self.observation_space}, which "
                f"{self.run.config.env.task} was trained with: {fault}. Make the environment as in "
                f"training, for example with make_env() of this policy."
            )
        self._is_checked = True

    def _check_finite(self, rows: Array) -> None:
        nested = self.observation_layout.unflatten(rows)
        for leaf in self._float_leaves:
            values = np.asarray(value_at(nested, leaf.path))
            wrong = values[~np.isfinite(values)]
            if wrong.size:
                name = name_of(leaf.path).replace("space", "observation", 1)
                raise ObservationError(
                    f"The {name} holds {wrong[0]}, of which a policy can make no action. Replace "
                    f"it before the policy, as in training."
                )

    def _checked_rows(self, observations: Array) -> Array:
        if np.shape(observations) != self._rows.shape:
            raise ObservationError(
                f"{self.run.config.env.task} is a PufferEnv with observations of shape "
                f"{self._rows.shape}, a row for each agent; got {np.shape(observations)}."
            )
        return observations


def _unstacked(stacked: Observation, count: int) -> list[Observation]:
    """Return the observations of `count` environments, of which each part is stacked.

    Raises:
        ObservationError: a part has another number of rows.
    """
    if isinstance(stacked, dict):
        columns = [_unstacked(part, count) for part in stacked.values()]
        return [dict(zip(stacked, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(stacked, tuple):
        return list(zip(*(_unstacked(part, count) for part in stacked), strict=True))
    if np.shape(stacked)[:1] != (count,):
        raise ObservationError(
            f"episode_start is for {count} environments, so each part of the observation must have "
            f"{count} rows; got the shape {np.shape(stacked)}."
        )
    return list(stacked)
