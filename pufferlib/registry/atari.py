"""Atari 2600 games, through the Arcade Learning Environment (ALE).

Source: https://github.com/Farama-Foundation/Arcade-Learning-Environment   License: GPL-2.0 (ALE)
Cite: Bellemare et al. 2013, The Arcade Learning Environment, arXiv:1207.4708; Machado et al. 2018,
arXiv:1709.06009, for sticky actions and evaluation.
Install: make install ENV=atari
Observations: Box(0, 255, (4, 84, 84), uint8), the last four frames in gray, oldest first. Actions:
Discrete(4) Breakout, Discrete(18) MontezumaRevenge, 3 to 18 by game; all 18 with
`full_action_space`. One agent.
Deterministic under a seed; sticky actions are drawn from it too.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.environment import PufferEnv

FAMILY = Family(
    name="atari",
    package="ale_py",
    needs=("cv2",),
    default="ALE/Breakout-v5",
    tasks=(
        "ALE/Adventure-v5",
        "ALE/AirRaid-v5",
        "ALE/Alien-v5",
        "ALE/Amidar-v5",
        "ALE/Assault-v5",
        "ALE/Asterix-v5",
        "ALE/Asteroids-v5",
        "ALE/Atlantis-v5",
        "ALE/Atlantis2-v5",
        "ALE/Backgammon-v5",
        "ALE/BankHeist-v5",
        "ALE/BasicMath-v5",
        "ALE/BattleZone-v5",
        "ALE/BeamRider-v5",
        "ALE/Berzerk-v5",
        "ALE/Blackjack-v5",
        "ALE/Bowling-v5",
        "ALE/Boxing-v5",
        "ALE/Breakout-v5",
        "ALE/Carnival-v5",
        "ALE/Casino-v5",
        "ALE/Centipede-v5",
        "ALE/ChopperCommand-v5",
        "ALE/CrazyClimber-v5",
        "ALE/Crossbow-v5",
        "ALE/Darkchambers-v5",
        "ALE/Defender-v5",
        "ALE/DemonAttack-v5",
        "ALE/DonkeyKong-v5",
        "ALE/DoubleDunk-v5",
        "ALE/Earthworld-v5",
        "ALE/ElevatorAction-v5",
        "ALE/Enduro-v5",
        "ALE/Entombed-v5",
        "ALE/Et-v5",
        "ALE/FishingDerby-v5",
        "ALE/FlagCapture-v5",
        "ALE/Freeway-v5",
        "ALE/Frogger-v5",
        "ALE/Frostbite-v5",
        "ALE/Galaxian-v5",
        "ALE/Gopher-v5",
        "ALE/Gravitar-v5",
        "ALE/Hangman-v5",
        "ALE/HauntedHouse-v5",
        "ALE/Hero-v5",
        "ALE/HumanCannonball-v5",
        "ALE/IceHockey-v5",
        "ALE/Jamesbond-v5",
        "ALE/JourneyEscape-v5",
        "ALE/Kaboom-v5",
        "ALE/Kangaroo-v5",
        "ALE/KeystoneKapers-v5",
        "ALE/KingKong-v5",
        "ALE/Klax-v5",
        "ALE/Koolaid-v5",
        "ALE/Krull-v5",
        "ALE/KungFuMaster-v5",
        "ALE/LaserGates-v5",
        "ALE/LostLuggage-v5",
        "ALE/MarioBros-v5",
        "ALE/MiniatureGolf-v5",
        "ALE/MontezumaRevenge-v5",
        "ALE/MrDo-v5",
        "ALE/MsPacman-v5",
        "ALE/NameThisGame-v5",
        "ALE/Othello-v5",
        "ALE/Pacman-v5",
        "ALE/Phoenix-v5",
        "ALE/Pitfall-v5",
        "ALE/Pitfall2-v5",
        "ALE/Pong-v5",
        "ALE/Pooyan-v5",
        "ALE/PrivateEye-v5",
        "ALE/Qbert-v5",
        "ALE/Riverraid-v5",
        "ALE/RoadRunner-v5",
        "ALE/Robotank-v5",
        "ALE/Seaquest-v5",
        "ALE/SirLancelot-v5",
        "ALE/Skiing-v5",
        "ALE/Solaris-v5",
        "ALE/SpaceInvaders-v5",
        "ALE/SpaceWar-v5",
        "ALE/StarGunner-v5",
        "ALE/Superman-v5",
        "ALE/Surround-v5",
        "ALE/Tennis-v5",
        "ALE/Tetris-v5",
        "ALE/TicTacToe3D-v5",
        "ALE/TimePilot-v5",
        "ALE/Trondead-v5",
        "ALE/Turmoil-v5",
        "ALE/Tutankham-v5",
        "ALE/UpNDown-v5",
        "ALE/Venture-v5",
        "ALE/VideoCheckers-v5",
        "ALE/VideoChess-v5",
        "ALE/VideoCube-v5",
        "ALE/VideoPinball-v5",
        "ALE/WizardOfWor-v5",
        "ALE/WordZapper-v5",
        "ALE/YarsRevenge-v5",
        "ALE/Zaxxon-v5",
    ),
    samples=("ALE/Breakout-v5", "ALE/MontezumaRevenge-v5"),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.pixels:NatureCNN")


def make_env(
    name: str = FAMILY.default,
    num_envs: int | None = None,
    *,
    frame_skip: int = 4,
    frame_stack: int = 4,
    screen_size: int = 84,
    noop_max: int = 30,
    fire_on_reset: bool = False,
    episodic_life: bool = False,
    clip_rewards: bool = False,
    repeat_action_probability: float = 0.25,
    full_action_space: bool = False,
    max_frames: int = 108_000,
    render_mode: str | None = None,
    num_threads: int | None = None,
    **kwargs: Any,
) -> "GymnasiumPufferEnv | PufferEnv":
    """Return the task `name`, preprocessed as in Mnih et al. 2015; or many games of it as one.

    Frames are as of `gymnasium.wrappers.AtariPreprocessing` and `FrameStackObservation`: the larger
    of the last two of every `frame_skip` frames, in gray, scaled down. The first frame of a game
    fills the stack.

    When a game is over `info` has `episode_return`, the sum of its unclipped rewards, and
    `episode_length`, in steps of `frame_skip` frames. The loss of a life is not reported.

    With `num_envs` it is a native environment: that many games over ALE's own `AtariVectorEnv`,
    each a row, stepped by threads in C++. Its frames are the same; there a game begins with 0 to
    `noop_max` no-ops instead of 1 to `noop_max`, the games draw their seeds from the one given to
    `reset`, and there is no picture to render. It takes as
    much CPU time as the games one by one, but fewer processes (docs/benchmarks.md).

    Args:
        name: one of `FAMILY.tasks`.
        num_envs: games of one native environment; one ordinary environment if None.
        frame_skip: frames that an action lasts.
        frame_stack: frames of an observation; 1 suits a policy with memory.
        screen_size: height and width of a frame, pixels.
        noop_max: most no-ops at the start of a game; 0 for none.
        fire_on_reset: press FIRE, where it is an action (with `full_action_space` always): for a
            frame at the start of a game, and in place of the first action of each further life, be
            it an episode or not.
        episodic_life: the loss of a life terminates an episode; the next goes on from there, on the
            same frames, until the game is over (Mnih et al. 2015). A seed begins a new game.
        clip_rewards: rewards are their signs.
        repeat_action_probability: that a frame repeats the last action instead: 0.25 as registered
            for v5, 0 as in older work.
        full_action_space: all 18 actions, whether or not the game uses them.
        max_frames: truncates a game; half an hour by default.
        render_mode: "rgb_array", "human" or None.
        num_threads: of a native environment; if None, one for each usable core, in a worker of a
            vectorizer one (or OMP_NUM_THREADS, where it is set), and at most `num_envs`.
        **kwargs: passed to ALE (`mode`, `difficulty`); not for native environments.

    Raises:
        ArgumentError: an option out of its range, or that a native environment does not have.
    """
    FAMILY.check(name, render_mode)
    sizes = {"frame_skip": frame_skip, "frame_stack": frame_stack, "screen_size": screen_size}
    sizes = {each: whole_number(each, value) for each, value in sizes.items()}
    noop_max = whole_number("noop_max", noop_max, least=0)
    max_frames = whole_number("max_frames", max_frames)
    if not 0 <= repeat_action_probability <= 1:
        raise ArgumentError(
            f"repeat_action_probability must be in [0, 1]; got {repeat_action_probability!r}."
        )
    if num_threads is not None:
        num_threads = whole_number("num_threads", num_threads)
    play: dict[str, Any] = {
        **sizes,
        "noop_max": noop_max,
        "fire_on_reset": fire_on_reset,
        "episodic_life": episodic_life,
        "clip_rewards": clip_rewards,
    }
    game: dict[str, Any] = {
        "repeat_action_probability": repeat_action_probability,
        "full_action_space": full_action_space,
        "max_num_frames_per_episode": max_frames,
    }
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # else each game prints a banner
    if num_envs is not None:
        if render_mode == "human":
            kwargs = kwargs | {"render_mode": render_mode}
        if kwargs:
            options = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
            raise ArgumentError(f"Native Atari games have no {options}. Leave out num_envs.")
        from pufferlib.registry._atari_native import AtariGames

        return AtariGames(name, whole_number("num_envs", num_envs), num_threads, game, **play)
    if num_threads is not None:
        raise ArgumentError(
            f"num_threads applies to native games; got num_threads={num_threads!r} without "
            f"num_envs."
        )
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._atari_env import AtariGame

    try:
        env = gymnasium.make(
            name, frameskip=1, render_mode=render_mode, disable_env_checker=True, **game, **kwargs
        )
    except RuntimeError as error:
        if not kwargs:
            raise
        options = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        raise ArgumentError(f"ALE does not make {name} with {options}: {error}") from error
    return GymnasiumPufferEnv(AtariGame(env, **play))


env_creator = creator_of(FAMILY, make_env)
