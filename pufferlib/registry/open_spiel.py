"""OpenSpiel: 97 board, card, matrix and grid games for one player or more.

Source: https://github.com/google-deepmind/open_spiel   License: Apache-2.0
Cite: Lanctot et al. 2019, OpenSpiel: A Framework for Reinforcement Learning in Games,
arXiv:1908.09453.
Install: make install ENV=open_spiel
Observations: Dict('observation': Box(-inf, inf, shape, float32), 'action_mask': Box(0, 1, (n,),
int8), 'turn': Discrete(2)), see `pufferlib.wrappers.Turns`. Actions: Discrete(n). Shape and n are
the game's: Box(-inf, inf, (7,), float32), Box(0, 1, (2,), int8) and Discrete(2) kuhn_poker;
Box(-inf, inf, (200,), float32), Box(0, 1, (1352,), int8) and Discrete(1352) backgammon; Box(-inf,
inf, (236,), float32), Box(0, 1, (13,), int8) and Discrete(13) goofspiel; Box(-inf, inf, (658,),
float32), Box(0, 1, (20,), int8) and Discrete(20) hanabi; Box(-inf, inf, (10, 5), float32), Box(0,
1, (3,), int8) and Discrete(3) catch; Box(-inf, inf, (5088,), float32), Box(0, 1, (52,), int8) and
Discrete(52) hearts. 1 to 5 agents.
Deterministic under a seed. Left out: games that sample chance by themselves (negotiation,
bridge_uncontested_bidding, stones_and_gems), mean field games, games without tensors, and games
that need another game to be loaded.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="open_spiel",
    package="pyspiel",
    default="open_spiel/kuhn_poker",
    tasks=(
        "open_spiel/2048",
        "open_spiel/amazons",
        "open_spiel/antichess",
        "open_spiel/backgammon",
        "open_spiel/banqi",
        "open_spiel/bargaining",
        "open_spiel/battleship",
        "open_spiel/blackjack",
        "open_spiel/blotto",
        "open_spiel/breakthrough",
        "open_spiel/bridge",
        "open_spiel/capture_the_flag",
        "open_spiel/catch",
        "open_spiel/checkers",
        "open_spiel/chess",
        "open_spiel/chinese_checkers",
        "open_spiel/cliff_walking",
        "open_spiel/clobber",
        "open_spiel/colored_trails",
        "open_spiel/connect_four",
        "open_spiel/coop_box_pushing",
        "open_spiel/crazy_eights",
        "open_spiel/crazyhouse",
        "open_spiel/cursor_go",
        "open_spiel/dark_chess",
        "open_spiel/dark_hex",
        "open_spiel/dark_hex_ir",
        "open_spiel/deep_sea",
        "open_spiel/dots_and_boxes",
        "open_spiel/dou_dizhu",
        "open_spiel/einstein_wurfelt_nicht",
        "open_spiel/euchre",
        "open_spiel/first_sealed_auction",
        "open_spiel/gin_rummy",
        "open_spiel/go",
        "open_spiel/go_fish",
        "open_spiel/gomoku",
        "open_spiel/goofspiel",
        "open_spiel/hanabi",
        "open_spiel/havannah",
        "open_spiel/hearts",
        "open_spiel/hex",
        "open_spiel/hive",
        "open_spiel/kriegspiel",
        "open_spiel/kuhn_poker",
        "open_spiel/laser_tag",
        "open_spiel/latent_ttt",
        "open_spiel/leduc_poker",
        "open_spiel/lewis_signaling",
        "open_spiel/liars_dice",
        "open_spiel/lines_of_action",
        "open_spiel/maedn",
        "open_spiel/mancala",
        "open_spiel/markov_soccer",
        "open_spiel/matching_pennies_3p",
        "open_spiel/matrix_bos",
        "open_spiel/matrix_brps",
        "open_spiel/matrix_cd",
        "open_spiel/matrix_coordination",
        "open_spiel/matrix_mp",
        "open_spiel/matrix_pd",
        "open_spiel/matrix_rps",
        "open_spiel/matrix_rpsw",
        "open_spiel/matrix_sh",
        "open_spiel/matrix_shapleys_game",
        "open_spiel/mnk",
        "open_spiel/nim",
        "open_spiel/nine_mens_morris",
        "open_spiel/oh_hell",
        "open_spiel/oshi_zumo",
        "open_spiel/othello",
        "open_spiel/oware",
        "open_spiel/pathfinding",
        "open_spiel/pentago",
        "open_spiel/phantom_go",
        "open_spiel/phantom_ttt",
        "open_spiel/pig",
        "open_spiel/quoridor",
        "open_spiel/rbc",
        "open_spiel/repeated_leduc_poker",
        "open_spiel/sheriff",
        "open_spiel/shogi",
        "open_spiel/skat",
        "open_spiel/snake",
        "open_spiel/solitaire",
        "open_spiel/spades",
        "open_spiel/tic_tac_toe",
        "open_spiel/tiny_bridge_2p",
        "open_spiel/tiny_bridge_4p",
        "open_spiel/tiny_hanabi",
        "open_spiel/trade_comm",
        "open_spiel/twixt",
        "open_spiel/ultimate_tic_tac_toe",
        "open_spiel/universal_poker",
        "open_spiel/xiangqi",
        "open_spiel/y",
        "open_spiel/yacht",
    ),
    samples=(
        "open_spiel/kuhn_poker",
        "open_spiel/backgammon",
        "open_spiel/goofspiel",
        "open_spiel/hanabi",
        "open_spiel/catch",
        "open_spiel/hearts",
    ),
    render_modes=("ansi",),
)
__getattr__ = lazily(Policy="pufferlib.policies.masked:MaskedDefault")


def make_env(
    name: str = FAMILY.default,
    is_information_state: bool = False,
    render_mode: str | None = None,
    **parameters: Any,
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    Every agent has a row on every step; where it is not its turn the mask leaves action 0 alone.
    An illegal action is replaced by a legal one at random; at an episode's end an agent's info has,
    besides its return and length, `illegal_actions`: how often. A curriculum may set the attribute
    `random_moves`: episodes then begin after 0 to `random_moves` random moves.

    Args:
        name: one of `FAMILY.tasks`.
        is_information_state: observe all that the player has seen since the game began, where the
            game has such a tensor, in place of what it sees now.
        render_mode: "ansi", the state of the game as text, or None.
        **parameters: of the game (`players`, `board_size` ...). They are tried in a separate
            process first, since some would crash this one.

    Raises:
        ArgumentError: the game cannot be loaded, or cannot begin, with these parameters.
    """
    FAMILY.check(name, render_mode)
    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._open_spiel_env import SpielGame

    short_name = name.partition("/")[2]
    return emulate_agents(SpielGame(short_name, is_information_state, parameters, render_mode))


env_creator = creator_of(FAMILY, make_env)


def random_openings(
    progress: float, metrics: Mapping[str, float], attributes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Begin games after 0 to 16 random moves, and after 0 to 4 at the end of the training.

    A curriculum for `env.curriculum`: without random openings self-play of a deterministic game
    sees few positions. `puffer match` and `puffer eval` begin without; evaluations and ratings
    during training do not.
    """
    return {"random_moves": max(4, round(16 * (1 - progress)))}
