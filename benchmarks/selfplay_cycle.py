"""Train a policy on a biased rock-paper-scissors by self-play, and draw how it cycles, or not.

    OMP_NUM_THREADS=1 python benchmarks/selfplay_cycle.py --out docs/images/selfplay-cycle.svg

Rock beats scissors by 1, paper beats rock and scissors beat paper by 0.5. The equilibrium plays
rock with 1/4, paper with 1/2 and scissors with 1/4. A table of three logits learns by PPO with a
snapshot after every fourth update, against others only (`self_share=0`). Exploitability is what the
best response to the policy wins in a game. The entropy bonus keeps the policy from the corners,
where gradients vanish; with it the best that can be had is an exploitability of 0.07.
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pettingzoo
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pufferlib import vector
from pufferlib.ppo import PPOConfig
from pufferlib.selfplay.config import SelfPlayConfig
from pufferlib.selfplay.opponents import PoolOpponents
from pufferlib.training import Trainer

PAYOFF = np.array([[0, -0.5, 1], [0.5, 0, -0.5], [-1, 0.5, 0]])  # of the row: rock, paper, scissors
OPPONENTS = {
    "latest": "latest,random:0",
    "uniform": "uniform,random:0",
    "PFSP (hard) and uniform": "pfsp-hard:0.5,uniform:0.5,random:0",
}
UPDATES = 160


class RockPaperScissors(pettingzoo.ParallelEnv):
    """Two agents choose once, at the same time."""

    metadata: ClassVar = {"name": "rock_paper_scissors"}
    possible_agents = ("first", "second")
    render_mode = None

    def observation_space(self, agent):
        return gymnasium.spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent):
        return gymnasium.spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return self._look(), {agent: {} for agent in self.agents}

    def step(self, actions):
        won = float(PAYOFF[actions["first"], actions["second"]])
        self.agents = []
        both = self.possible_agents
        rewards = {"first": won, "second": -won}
        return self._look(), rewards, dict.fromkeys(both, True), dict.fromkeys(both, False), {}

    def _look(self):
        return {agent: np.zeros(1, np.float32) for agent in self.possible_agents}


class Table(nn.Module):
    """The same logits and the same value for every observation."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        rows = len(observations)
        return self.logits.expand(rows, 3), self.value.expand(rows, 1)


def trained(opponents: str, seed: int, updates: int = UPDATES) -> NDArray[np.float64]:
    """Return the probabilities of the actions after each update, (updates, 3)."""
    settings = SelfPlayConfig(
        opponents=opponents, self_share=0.0, snapshot_interval=4, pool_size=1000, active=8
    )
    config = PPOConfig(
        horizon=8,
        total_timesteps=10**9,
        learning_rate=0.1,
        anneal_learning_rate=False,
        minibatches=1,
        update_epochs=4,
        entropy_coefficient=0.3,
        normalize_advantages=False,
        max_gradient_norm=1e9,
        gamma=0.0,
        seed=seed,
        device="cpu",
    )
    policy, found = Table(), []
    with (
        closing(vector.make(RockPaperScissors, backend="Serial", num_envs=32)) as vecenv,
        tempfile.TemporaryDirectory() as folder,
    ):
        others = PoolOpponents(settings, vecenv, (0, 1), policy, Path(folder), "brps")
        trainer = Trainer(config, vecenv, policy, opponents=others)
        for _ in range(updates):
            trainer.step()
            found.append(torch.softmax(policy.logits.detach(), 0).double().numpy())
    return np.array(found)


def exploitability(policies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the best response wins in a game against each policy, (updates,)."""
    best: NDArray[np.float64] = (policies @ PAYOFF.T).max(1)
    return best


def main() -> None:
    """Train with each way to choose opponents, print a table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".svg, .png, .pdf")
    arguments = parser.parse_args()
    print("| opponents | exploitability, second half | highest |\n|---|---|---|")
    runs = {}
    for name, opponents in OPPONENTS.items():
        runs[name] = [trained(opponents, seed) for seed in arguments.seeds]
        late = np.array([exploitability(run)[UPDATES // 2 :] for run in runs[name]])
        print(f"| {name} | {late.mean():.2f} | {late.max():.2f} |", flush=True)
    if arguments.out is not None:
        draw(runs, arguments.out)


def draw(runs: dict[str, list[NDArray[np.float64]]], path: Path) -> None:
    """Draw the paths of the first seed on the simplex, and the exploitability of all seeds."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "selfplay"}):
        figure = Figure(figsize=(9, 5.2), layout="constrained")
        axes = figure.subplots(2, len(runs), height_ratios=(3, 2), sharey="row")
        corners = np.array([[0, 0], [0.5, np.sqrt(0.75)], [1, 0]])
        for column, (name, policies) in enumerate(runs.items()):
            simplex, below = axes[0, column], axes[1, column]
            simplex.set_title(name)
            simplex.plot(*corners[[0, 1, 2, 0]].T, color="0.6", linewidth=1)
            path_drawn = policies[0] @ corners
            simplex.plot(*path_drawn.T, color="tab:blue", linewidth=0.8)
            simplex.scatter(*path_drawn[-1], color="tab:blue", s=20, zorder=3)
            simplex.scatter(*(np.array([0.25, 0.5, 0.25]) @ corners), marker="*", color="k", s=60)
            places = (("rock", "right", "top"), ("paper", "center", "bottom"))
            for corner, (label, across, up) in enumerate((*places, ("scissors", "left", "top"))):
                simplex.annotate(label, corners[corner], ha=across, va=up)
            simplex.set_aspect("equal")
            simplex.margins(0.15)
            simplex.axis("off")
            for run in policies:
                below.plot(exploitability(run), color="tab:blue", linewidth=0.8, alpha=0.7)
            below.set(xlabel="update", ylim=(0, 1))
            below.spines[["top", "right"]].set_visible(False)
        axes[1, 0].set_ylabel("exploitability")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
