"""Train once by the defaults of a library, evaluate, and print the result as a line of JSON.

    python benchmarks/defaults_run.py pufferlib CartPole-v1 100000 --seed 1
    PYTHON benchmarks/defaults_run.py cleanrl CartPole-v1 100000 --seed 1 --cleanrl FOLDER

benchmarks/defaults.py starts this script, for CleanRL with a Python that has what it needs.
"""

import argparse
import io
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import defaults_tasks
import gymnasium
import numpy as np
import torch

EPISODES, FIRST_SEED, WINDOW = 32, 1_000_000, 100
# Returns actions for observations (B, ...) of the environment, and whether greedy ones are wanted.
Choose = Callable[[np.ndarray, bool], np.ndarray]
Returns = list[float]
Evaluate = Callable[[], tuple[Returns, Returns]]  # with sampled and with greedy actions


class Recorder(gymnasium.Wrapper):
    """Appends the return of every episode to a list that all share."""

    returns: ClassVar[Returns] = []

    def reset(self, **kwargs: Any) -> Any:
        self._total = 0.0
        return super().reset(**kwargs)

    def step(self, action: Any) -> Any:
        result = super().step(action)
        self._total += float(result[1])
        if result[2] or result[3]:
            self.returns.append(self._total)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("task")
    parser.add_argument("timesteps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cleanrl", type=Path, help="folder of a checkout of CleanRL")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    make = gymnasium.make
    gymnasium.make = lambda *args, **kwargs: Recorder(make(*args, **kwargs))
    began_s = time.process_time()
    evaluate = LIBRARIES[arguments.library](arguments)
    train_s = time.process_time() - began_s
    recorded = Recorder.returns[:]
    torch.manual_seed(0)
    sampled, greedy = evaluate()
    result = {
        "library": arguments.library,
        "task": arguments.task,
        "timesteps": arguments.timesteps,
        "seed": arguments.seed,
        "episodes": len(recorded),
        "last": float(np.mean(recorded[-WINDOW:])),
        "cpu_s": round(train_s, 1),
        "sampled": sampled,
        "greedy": greedy,
    }
    print(json.dumps(result))


def pufferlib(arguments: argparse.Namespace) -> Evaluate:
    """Train as `puffer train gymnasium:TASK` does, without other flags."""
    from rich.console import Console

    from pufferlib.runs import Run

    module = f"{defaults_tasks.__name__}:" if arguments.task in defaults_tasks.TASKS else ""
    settings = {
        "train.total_timesteps": arguments.timesteps,
        "train.seed": arguments.seed,
        "run": Path(tempfile.mkdtemp()) / "run",
        "vec.backend": "Serial",  # learns the same as the default, in this process
        "eval.share": 0.0,  # whose episodes would be recorded, too
    }
    run = Run.configure(f"gymnasium:{module}{arguments.task}", settings)
    path = run.train(Console(file=io.StringIO()))

    def evaluate() -> tuple[Returns, Returns]:
        found = run.evaluate(path, EPISODES, FIRST_SEED)
        return found["sampled"].returns.tolist(), found["greedy"].returns.tolist()

    return evaluate


def sb3(arguments: argparse.Namespace) -> Evaluate:
    """Train Stable-Baselines3's PPO with an MlpPolicy and no other argument."""
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", gymnasium.make(arguments.task), seed=arguments.seed, device="cpu")
    model.learn(arguments.timesteps)

    def choose(observations: np.ndarray, is_greedy: bool) -> np.ndarray:
        return model.predict(observations, deterministic=is_greedy)[0]

    return lambda: play(arguments.task, choose)


def cleanrl(arguments: argparse.Namespace) -> Evaluate:
    """Run CleanRL's ppo.py, or ppo_continuous_action.py, and evaluate the agent that it leaves."""
    space = gymnasium.make(arguments.task).action_space
    is_discrete = isinstance(space, gymnasium.spaces.Discrete)
    script = "ppo.py" if is_discrete else "ppo_continuous_action.py"
    path = (arguments.cleanrl / "cleanrl" / script).resolve()
    sys.argv = [script, "--env-id", arguments.task, "--seed", str(arguments.seed)]
    sys.argv += ["--total-timesteps", str(arguments.timesteps), "--no-cuda"]
    os.chdir(tempfile.mkdtemp())  # it writes into runs/
    left = runpy.run_path(str(path), run_name="__main__")
    choose = _discrete(left["agent"]) if is_discrete else _continuous(left, space)
    return lambda: play(arguments.task, choose)


def _discrete(agent: Any) -> Choose:
    @torch.no_grad()
    def choose(observations: np.ndarray, is_greedy: bool) -> np.ndarray:
        logits = agent.actor(torch.Tensor(observations))
        sampled = torch.distributions.Categorical(logits=logits).sample()
        return (logits.argmax(-1) if is_greedy else sampled).numpy()

    return choose


def _continuous(left: dict[str, Any], space: gymnasium.spaces.Box) -> Choose:
    """Return how the agent acts with the normalization that its training ended with."""
    agent, wrapped = left["agent"], left["envs"].envs[0]
    while not isinstance(wrapped, gymnasium.wrappers.NormalizeObservation):
        wrapped = wrapped.env
    scale = wrapped.obs_rms

    @torch.no_grad()
    def choose(observations: np.ndarray, is_greedy: bool) -> np.ndarray:
        apart = (observations - scale.mean) / np.sqrt(scale.var + wrapped.epsilon)
        mean = agent.actor_mean(torch.Tensor(np.clip(apart, -10, 10)))
        noise = torch.randn_like(mean) * agent.actor_logstd.exp()
        return np.clip((mean if is_greedy else mean + noise).numpy(), space.low, space.high)

    return choose


def play(task: str, choose: Choose) -> tuple[Returns, Returns]:
    """Return the returns with sampled and with greedy actions, of a seed for each episode."""
    sampled, greedy = (_play(task, choose, is_greedy) for is_greedy in (False, True))
    return sampled, greedy


def _play(task: str, choose: Choose, is_greedy: bool) -> Returns:
    envs = [gymnasium.make(task) for _ in range(EPISODES)]
    observations = np.stack([env.reset(seed=FIRST_SEED + i)[0] for i, env in enumerate(envs)])
    returns, playing = np.zeros(EPISODES), np.ones(EPISODES, bool)
    while playing.any():
        actions = choose(observations, is_greedy)
        for i in np.flatnonzero(playing):
            observations[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
            returns[i] += float(reward)
            playing[i] = not (terminated or truncated)
    return returns.tolist()


LIBRARIES = {"pufferlib": pufferlib, "cleanrl": cleanrl, "sb3": sb3}

if __name__ == "__main__":
    main()
