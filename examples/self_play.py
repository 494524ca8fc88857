# %% [markdown]
# # Self-play
#
# Train a player of tic-tac-toe against itself, its past and random play; then measure it against
# players that did not learn. This notebook is generated from `examples/self_play.py` by `make
# notebooks`.

# %%
# In Colab, or wherever pufferlib or OpenSpiel is missing, this installs them. It needs no compiler.
# SOURCE is what pip installs: a folder with the repository, a wheel, or "git+https://" and the
# address of yours.
import importlib.util
import subprocess
import sys

SOURCE = ".."
for module, package in (("pufferlib", SOURCE), ("pyspiel", "open_spiel")):
    if importlib.util.find_spec(module) is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

# %% [markdown]
# ## Train
#
# One policy plays both sides. In half of the games it meets itself. In the others it meets
# snapshots of its past (70% of them) or random play (30%): without them all games follow one line
# of play, and the policy knows no answer to anything else. Entropy, which is annealed, serves the
# same end. The preset, which `puffer train open_spiel/tic_tac_toe` takes, has the same opponents
# and trains ten times as long. This takes about half a minute.

# %%
from rich.console import Console

from pufferlib.runs import Run

TIMESTEPS = 200_000
settings = {
    "train.total_timesteps": TIMESTEPS,
    "train.horizon": 32,
    "train.learning_rate": 3e-3,
    "train.entropy_coefficient": 0.1,
    "train.anneal_entropy": True,
    "train.seed": 1,
    "selfplay.opponents": "uniform:0.7,random:0.3",
    "selfplay.snapshot_interval": 5,
}
run = Run.configure("open_spiel/tic_tac_toe", settings)
folder = run.train(Console(quiet=True)).parent
print("folder:", folder)

# %% [markdown]
# ## Monitor
#
# The return of a policy against itself is always 0, so it shows nothing. These metrics do: the
# share of wins against the pool and against random play, a tie counting as half a win, and the
# rating in Elo above random play.

# %%
import json

lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
lines = [line for line in lines if "selfplay/score_random" in line]
for line in lines[:: max(1, len(lines) // 10)]:
    print(
        f"{line['timesteps']:7} steps: {line['selfplay/score']:.2f} against the pool, "
        f"{line['selfplay/score_random']:.2f} against random play, "
        f"rating {line.get('selfplay/rating', 0):.0f}"
    )

# %% [markdown]
# ## Matches
#
# Each player has either side equally often. `perfect` solves the game, and chooses at random among
# the moves that lose nothing. A player of your own is a function from an observation to an action;
# here it is named by this notebook, elsewhere by a file: `my_players.py:lowest`.

# %%
from pufferlib.matches import play, score


def lowest(observation):
    """Take the first free square."""
    return int(observation["action_mask"].argmax())


for other in ("random", "__main__:lowest", "perfect"):
    games = play([str(folder), other], games=100)
    (agent,) = set(games[0].players) - {other}
    result = score(games, agent, other)
    print(f"against {other:15} won {result.wins}, tied {result.ties}, lost {result.losses}")

# %% [markdown]
# ## Ratings
#
# The snapshots in the pool are checkpoints, which play as well: here the first, which has learned
# nothing, and the trained policy are rated. Ratings are Elo; random play has 0.

# %%
from pufferlib.matches import rank

snapshots = sorted((folder / "pool").glob("*.pt"), key=lambda path: path.stat().st_mtime)
ranking = rank([str(snapshots[0]), str(folder)], games=60, path=folder / "ranking.jsonl")
for each in ranking.ratings.players:
    print(f"{each.name:50} {each.rating:5.0f}  [{each.low:.0f}, {each.high:.0f}]")

# %% [markdown]
# ## A game
#
# The policy plays both sides, each with its most probable moves.

# %%
import pufferlib

policy = pufferlib.load(folder)
game = policy.make_env(render_mode="ansi")
observations, _ = game.reset(seed=0)
while game.agents:
    print(game.render(), end="\n\n")
    observations, rewards, *_ = game.step(policy(observations, deterministic=True))
print(rewards)

# %% [markdown]
# ## Next
#
# After the preset's 2,000,000 steps, some ten minutes, the most probable moves lose no game to
# `perfect`:
#
#     puffer train open_spiel/tic_tac_toe --run runs/ttt
#     puffer match runs/ttt perfect --games 1000 --greedy
#
# `docs/selfplay.md` describes opponents and metrics, `docs/matches.md` matches and ratings.
