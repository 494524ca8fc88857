"""When the next episode starts, in each autoreset mode; every row is computed by hand."""

import contextlib

import numpy as np
import pytest
from contract_cases import Good
from environments import Countdown
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from vector_environments import Asked, Echo, Flock, Troubled

from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError, CallOrderError, WorkerError
from pufferlib.vector import Multiprocessing, Serial, check_autoreset, to_gymnasium

# Environments 10 and 20 have episodes of two and three steps. Rows: (tag, episode, step, action).
# actions, observations, terminals, truncations, last observations by row, infos, their environments
COUNTED = [
    ([1, 2], [[10, 0, 1, 1], [20, 0, 1, 2]], [0, 0], [0, 0], {}, [], []),
    (
        *([3, 4], [[10, 1, 0, 0], [20, 0, 2, 4]], [1, 0], [0, 0]),
        *({0: [10, 0, 2, 3]}, [{"episode": 0}], [0]),
    ),
    (
        *([5, 6], [[10, 1, 1, 5], [20, 1, 0, 0]], [0, 1], [0, 0]),
        *({1: [20, 0, 3, 6]}, [{"episode": 0}], [1]),
    ),
    (
        *([7, 8], [[10, 2, 0, 0], [20, 1, 1, 8]], [0, 0], [1, 0]),
        *({0: [10, 1, 2, 7]}, [{"episode": 1}], [0]),
    ),
    ([9, 10], [[10, 2, 1, 9], [20, 1, 2, 10]], [0, 0], [0, 0], {}, [], []),
    (
        *([11, 12], [[10, 3, 0, 0], [20, 2, 0, 0]], [1, 0], [0, 1]),
        *({0: [10, 2, 2, 11], 1: [20, 1, 3, 12]}, [{"episode": 2}, {"episode": 1}], [0, 1]),
    ),
]


def test_a_new_episode_starts_in_the_step_that_ends_the_old_one(make):
    envs = make([Echo, Echo], [[10, 2], [20, 3]], num_envs=2)
    observations, infos = envs.reset(seed=0)
    assert observations.tolist() == [[10, 0, 0, 0], [20, 0, 0, 0]]
    assert infos == []
    for actions, expected, terminals, truncations, finals, infos, env_indices in COUNTED:
        envs.send(actions)
        batch = envs.recv()
        assert batch.observations.tolist() == expected
        assert batch.rewards.tolist() == actions
        assert batch.terminals.tolist() == terminals
        assert batch.truncations.tolist() == truncations
        assert batch.masks.all()
        assert batch.env_ids.tolist() == [0, 1]
        for row, final in finals.items():
            assert envs.final_observations[row].tolist() == final
        assert batch.infos == infos
        assert batch.infos.env_indices == env_indices


def test_a_reset_forgets_how_the_last_episode_ended(make):
    envs = make(Echo, [5, 1], num_envs=2)
    envs.reset(seed=0)
    envs.step([1, 2])
    envs.async_reset(seed=0)
    batch = envs.recv()
    assert batch.observations.tolist() == [[5, 0, 0, 0]] * 2
    assert not batch.rewards.any()
    assert not (batch.terminals | batch.truncations).any()


# A flock: `a` dies at step 2, when `c` joins; at step 4 b terminates and c is truncated.
# observations, rewards, terminals, truncations, masks, last observations by row, infos
FLOCK = [
    ([[1, 1], [2, 1], [0, 0]], [1, 2, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0], {}, []),
    (
        *([[0, 0], [2, 2], [3, 2]], [1, 2, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]),
        *({0: [1, 2]}, [{"ends": "a"}]),
    ),
    ([[0, 0], [2, 3], [3, 3]], [0, 2, 3], [0, 0, 0], [0, 0, 0], [0, 1, 1], {}, []),
    (
        *([[1, 0], [2, 0], [0, 0]], [0, 2, 3], [0, 1, 0], [0, 0, 1], [1, 1, 0]),
        *({1: [2, 4], 2: [3, 4]}, [{"ends": "b"}, {"ends": "c"}]),
    ),
]


def test_agents_that_die_or_join_keep_their_rows_and_are_masked(make):
    envs = make([Flock, Flock], [[0], [1]], num_envs=2)
    of_flock_1 = np.array([10, 0])  # its agents are 11, 12 and 13
    envs.async_reset(seed=0)
    batch = envs.recv()
    assert batch.observations.tolist() == [[1, 0], [2, 0], [0, 0], [11, 0], [12, 0], [0, 0]]
    assert batch.masks.tolist() == [True, True, False] * 2
    for expected, rewards, terminals, truncations, masks, finals, infos in FLOCK * 2:
        envs.send([1, 2, 3, 101, 102, 103])
        batch = envs.recv()
        second = [row if row == [0, 0] else list(row + of_flock_1) for row in expected]
        assert batch.observations.tolist() == expected + second
        assert batch.rewards.tolist() == rewards + [r and r + 100 for r in rewards]
        assert batch.terminals.tolist() == terminals * 2
        assert batch.truncations.tolist() == truncations * 2
        assert batch.masks.tolist() == masks * 2
        assert batch.env_ids.tolist() == [0, 1, 2, 3, 4, 5]
        for row, final in finals.items():
            assert envs.final_observations[row].tolist() == final
            assert envs.final_observations[row + 3].tolist() == list(final + of_flock_1)
        assert batch.infos == infos * 2
        assert batch.infos.env_indices == [0] * len(infos) + [1] * len(infos)


def first_of(rows):
    """Return the rows of a flock's first observations, for the environment with this number."""
    return [[0, 0] if row == [0, 0] else [row[0] + 10, row[1]] for row in rows]


# As FLOCK, but without the next episode: observations of rows that end are the last ones.
LATER = [
    FLOCK[0][:5],
    ([[1, 2], [2, 2], [3, 2]], [1, 2, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]),
    ([[0, 0], [2, 3], [3, 3]], [0, 2, 3], [0, 0, 0], [0, 0, 0], [0, 1, 1]),
    ([[0, 0], [2, 4], [3, 4]], [0, 2, 3], [0, 1, 0], [0, 0, 1], [0, 0, 0]),
]
BEGIN = ([[1, 0], [2, 0], [0, 0]], [0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0])


def assert_rows(batch, expected):
    """Compare the rows of two flocks in the same state; those of the second have number 1."""
    observations, *numbers = expected
    assert batch.observations.tolist() == observations + first_of(observations)
    names = ("rewards", "terminals", "truncations", "masks")
    for name, values in zip(names, numbers, strict=True):
        both = values + [v and v + 100 for v in values] if name == "rewards" else values * 2
        assert getattr(batch, name).tolist() == both, name


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_an_episode_of_agents_is_over_when_none_is_alive(autoreset, make):
    envs = make([Flock, Flock], [[0], [1]], num_envs=2, autoreset=autoreset)
    envs.async_reset(seed=0)
    assert_rows(envs.recv(), BEGIN)
    actions = [1, 2, 3, 101, 102, 103]
    for _ in range(2):
        for expected in LATER:
            envs.send(actions)
            batch = envs.recv()
            assert_rows(batch, expected)
            ended = batch.terminals | batch.truncations
            assert (batch.final_observations[ended] == batch.observations[ended]).all()
        assert batch.infos == [{"ends": "b"}, {"ends": "c"}] * 2
        if autoreset == "next_step":
            envs.send([999] * 6)  # ignored
        else:
            with pytest.raises(CallOrderError, match=r"episodes are over: 0, 1\. With autoreset="):
                envs.send(actions)
            envs.async_reset(options={"reset_mask": np.array([True, True])})
        batch = envs.recv()
        assert_rows(batch, BEGIN)
        assert batch.infos == []


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_the_step_that_ends_an_episode_shows_its_last_observation(autoreset, make):
    envs = make([Echo, Echo], [[10, 2], [20, 9]], num_envs=2, autoreset=autoreset)
    envs.reset(seed=0)
    envs.step([1, 2])
    envs.send([3, 4])
    batch = envs.recv()
    assert batch.observations.tolist() == [[10, 0, 2, 3], [20, 0, 2, 4]]
    assert batch.final_observations[0].tolist() == [10, 0, 2, 3]
    assert batch.rewards.tolist() == [3, 4]
    assert batch.terminals.tolist() == [True, False]
    assert batch.masks.tolist() == [False, True]
    if autoreset == "disabled":
        with pytest.raises(CallOrderError, match="episodes are over: 0"):
            envs.send([5, 6])
        envs.async_reset(options={"reset_mask": ~batch.masks})
        expected, rewards = [[10, 1, 0, 0], [20, 0, 2, 4]], [0, 4]  # the second was not stepped
    else:
        envs.send([5, 6])
        expected, rewards = [[10, 1, 0, 0], [20, 0, 3, 6]], [0, 6]
    batch = envs.recv()
    assert batch.observations.tolist() == expected
    assert batch.rewards.tolist() == rewards
    assert not batch.terminals.any()
    assert batch.masks.all()


def test_a_masked_reset_leaves_other_environments_as_they_are(make):
    envs = make([Flock, Flock], [[0], [1]], num_envs=2, autoreset="disabled")
    envs.reset(seed=0)
    for _ in range(3):
        envs.step([1, 2, 3, 101, 102, 103])
    envs.async_reset(options={"reset_mask": np.array([False, True])})
    batch = envs.recv()
    assert batch.observations[:3].tolist() == LATER[2][0]
    assert batch.observations[3:].tolist() == first_of(BEGIN[0])
    assert batch.masks.tolist() == [False, True, True, True, True, False]
    observations, *_ = envs.step([1, 2, 3, 101, 102, 103])
    assert observations[:3].tolist() == LATER[3][0]
    assert observations[3:].tolist() == first_of(LATER[0][0])


class Relay(PufferEnv):
    """A game of three agents that counts in its rows; the third dies in step 2, all end in step 3.

    The first observation is 100 x seed, and 10 more in each later game.
    """

    is_one_game = True

    def __init__(self, num_agents=3):
        self.single_observation_space = Box(0, 999, (1,), np.float32)
        self.single_action_space = Discrete(10)
        self.num_agents, self.games = num_agents, 0
        super().__init__()

    def reset(self, seed=None):
        self.games = self.games + 10 if seed is None else 100 * seed
        return self._begin(), [{"game": self.games}]

    def _begin(self):
        self.now = 0
        self.observations[:], self.masks[:] = self.games, True
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        return self.observations

    def step(self, actions):
        self.now += 1
        self.rewards[:] = actions * self.masks
        self.terminals[:] = self.truncations[:] = False
        self.observations[self.masks] += 1
        infos = []
        if self.now == 2:
            self.terminals[2:] = True
            self.final_observations[2:] = self.observations[2:]
            self.observations[2:], self.masks[2:] = 0, False
        elif self.now == 3:
            self.truncations[:2] = True
            self.final_observations[:2] = self.observations[:2]
            self.games += 10
            self.now = 0
            self.observations[:], self.masks[:] = self.games, True
            infos = [{"length": 3}]
        return self.observations, self.rewards, self.terminals, self.truncations, infos


# observations, rewards, terminals, truncations, masks of the steps of a game
RELAY = [
    ([1, 1, 1], [1, 2, 3], [0, 0, 0], [0, 0, 0], [1, 1, 1]),
    ([2, 2, 2], [1, 2, 3], [0, 0, 1], [0, 0, 0], [1, 1, 0]),
    ([3, 3, 0], [1, 2, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]),
]


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
@pytest.mark.parametrize("num_agents", [3, 1])
def test_the_next_game_of_a_native_environment_is_held_back(num_agents, autoreset, make):
    def rows(values):
        return (values[:num_agents] + values[:num_agents]) if num_agents < 3 else values * 2

    envs = make(Relay, [num_agents], num_envs=2, autoreset=autoreset)
    envs.reset(seed=0)
    first = np.repeat([0, 100], num_agents)  # seeds 0 and 1
    for game in range(3):
        for step, (observations, *numbers) in enumerate(RELAY):
            envs.send(rows([1, 2, 3]))
            batch = envs.recv()
            shown = np.array(rows(observations))
            assert batch.observations[:, 0].tolist() == np.where(shown, shown + first, 0).tolist()
            names = ("rewards", "terminals", "truncations", "masks")
            for name, values in zip(names, numbers, strict=True):
                assert getattr(batch, name).tolist() == rows(values), (game, step, name)
            ended = batch.terminals | batch.truncations
            assert (batch.final_observations[ended] == batch.observations[ended]).all()
        assert batch.infos == [{"length": 3}] * 2
        first = first + 10
        if autoreset == "disabled":
            with pytest.raises(CallOrderError, match="episodes are over: 0, 1"):
                envs.send(rows([1, 2, 3]))
            seed = 5 if game == 1 else None
            envs.async_reset(seed, options={"reset_mask": np.ones(2, np.bool_)})
            first = np.repeat([500, 600], num_agents) if game == 1 else first
        else:
            envs.send(rows([9, 9, 9]))
        batch = envs.recv()
        assert batch.observations[:, 0].tolist() == first.tolist()
        assert batch.masks.all()
        assert not np.any([batch.rewards, batch.terminals, batch.truncations])


def test_native_environments_of_many_games_are_refused(make):
    said = r"'next_step' needs environments whose rows end .* Good plays 2 .* with num_envs=2"
    with pytest.raises(ArgumentError, match=said):
        make(Good, num_envs=2, autoreset="next_step")
    with pytest.raises(ArgumentError, match="autoreset='disabled' needs"):
        make(Good, num_envs=2, autoreset="disabled")
    make(Good, num_envs=2, autoreset="same_step")


class Pretender(Good):
    """Its first row starts again while the second goes on."""

    is_one_game = True


def test_one_game_whose_agents_start_again_alone_is_found(make):
    envs = make(Pretender, num_envs=2, autoreset="next_step")
    envs.reset(seed=0)
    envs.step([0] * 4)
    envs.step([0] * 4)
    with pytest.raises(WorkerError, match=r"Pretender start new episodes .* \(rows \[0\]\)"):
        envs.step([0] * 4)


MASKS = {
    "a list": ([True, False], "NumPy array of bool.* got list"),
    "numbers": (np.array([1, 0]), r"got an array of int64, \(2,\)"),
    "too long": (np.ones(3, np.bool_), r"of bool, \(2,\), .* got an array of bool, \(3,\)"),
    "no True": (np.zeros(2, np.bool_), "got no True"),
}


@pytest.mark.parametrize(("mask", "match"), MASKS.values(), ids=MASKS)
def test_other_masks_are_refused_and_reset_nothing(mask, match, make):
    envs = make(Echo, [5, 2], num_envs=2, autoreset="disabled")
    envs.reset(seed=0)
    envs.step([1, 2])
    with pytest.raises(ArgumentError, match=match):
        envs.reset(options={"reset_mask": mask})
    assert envs.step([3, 4])[0].tolist() == [[5, 0, 2, 3], [5, 0, 2, 4]]


def test_the_first_reset_is_of_all_and_a_pending_batch_comes_first(make):
    envs = make(Echo, num_envs=2, autoreset="disabled")
    one = {"reset_mask": np.array([True, False])}
    with pytest.raises(CallOrderError, match="The first reset must be of all"):
        envs.reset(options=one)
    envs.reset(seed=0, options={"reset_mask": np.array([True, True])})
    envs.send([1, 2])
    with pytest.raises(CallOrderError, match="while a batch is pending"):
        envs.reset(options=one)
    with pytest.raises(CallOrderError, match="while a batch is pending"):
        envs.reset(options={"reset_mask": np.array([True, True])})
    assert envs.recv().observations.tolist() == [[0, 0, 1, 1], [0, 0, 1, 2]]


def test_a_masked_reset_continues_random_streams_unless_it_gets_a_seed(make):
    envs = make(Echo, [7], num_envs=2, autoreset="disabled")  # counts episodes since its last seed
    envs.reset(seed=0)
    one = {"reset_mask": np.array([False, True])}
    assert envs.reset(options=one)[0].tolist() == [[7, 0, 0, 0], [7, 1, 0, 0]]
    assert envs.reset(options=one)[0].tolist() == [[7, 0, 0, 0], [7, 2, 0, 0]]
    assert envs.reset(seed=4, options=one)[0].tolist() == [[7, 0, 0, 0]] * 2
    assert envs.reset(options={})[0].tolist() == [[7, 0, 0, 0]] * 2  # the default is a seed


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_a_worker_that_is_replaced_ends_the_episodes_of_its_rows(autoreset):
    envs = Multiprocessing(
        Troubled, [5], num_envs=2, num_workers=2, on_failure="restart", autoreset=autoreset
    )
    with contextlib.closing(envs):
        envs.reset(seed=0)
        envs.step([1, 2])
        envs.send([3, Troubled.RAISE])
        batch = envs.recv()
        assert batch.lost.tolist() == [False, True]
        assert batch.observations.tolist() == [[5, 0, 2, 3], [5, 0, 1, 2]]
        assert batch.final_observations[1].tolist() == [5, 0, 1, 2]
        assert batch.truncations.tolist() == [False, True]
        assert batch.masks.tolist() == [True, False]
        if autoreset == "disabled":
            envs.async_reset(options={"reset_mask": ~batch.masks})
        else:
            envs.send([4, 999])
        batch = envs.recv()
        assert not batch.lost.any()
        assert (batch.rewards[1], batch.truncations[1]) == (0, False)
        assert batch.observations[1].tolist() == [5, 0, 0, 0]
        assert envs.step([6, 7])[0][1].tolist() == [5, 0, 1, 7]


def asked_of(envs):
    """Return what the last reset of each environment was asked for: (seed, options)."""
    return [asked[-1] for asked in envs.get_attr("asked")]


def test_a_masked_reset_of_a_replaced_worker_has_the_seeds_and_options_of_the_caller():
    envs = Multiprocessing(
        Asked, num_envs=4, num_workers=2, on_failure="restart", autoreset="disabled"
    )
    with contextlib.closing(envs):
        envs.reset(seed=7, options={"first": 1})
        envs.step([2, 0, 0, 0])
        mask = np.array([True, False, False, True])
        envs.reset(seed=[50, 51, 52, 53], options={"reset_mask": mask, "second": 2})
        first, second, *others = asked_of(envs)
        assert first == (50, {"second": 2})
        assert second[0] not in (None, 8, 51)
        assert second[1] == {"first": 1}
        assert others == [(9, {"first": 1}), (53, {"second": 2})]
        envs.step([2, 0, 0, 0])
        envs.step([0] * 4)  # the seeds of the masked reset are used once
        seeds = [seed for seed, _ in asked_of(envs)[:2]]
        assert asked_of(envs)[0][1] == {"first": 1}
        assert not {None, 50, 51, second[0]} & set(seeds)


def test_a_masked_reset_of_all_keeps_what_the_seeds_of_replacements_derive_from():
    def seeds_after_a_crash():
        envs = Multiprocessing(
            Asked, num_envs=2, num_workers=2, on_failure="restart", autoreset="disabled"
        )
        with contextlib.closing(envs):
            envs.reset(seed=7, options={"first": 1})
            envs.reset(options={"reset_mask": np.array([True, True])})
            envs.step([2, 0])
            envs.step([0, 0])
            return asked_of(envs)

    seen = seeds_after_a_crash()
    assert seen[0][0] is not None
    assert seen[0][1] == {"first": 1}
    assert seen[1] == (None, {})
    assert seeds_after_a_crash() == seen


def results_of(envs, autoreset, count):
    """Return by environment the first `count` results in its row, whichever worker is faster.

    The action of an environment is the number of its results so far.
    """
    seen = {env: [] for env in range(envs.num_envs)}
    envs.async_reset(seed=0)
    changed = np.ones(envs.num_envs, np.bool_)
    while min(map(len, seen.values())) < count:
        batch = envs.recv()
        for row, env in enumerate(batch.env_ids.tolist()):
            if changed[env]:
                flags = (batch.terminals[row], batch.truncations[row], batch.masks[row])
                seen[env].append((*batch.observations[row], batch.rewards[row], *flags))
        changed[batch.env_ids] = False
        mask = np.zeros(envs.num_envs, np.bool_)
        mask[batch.env_ids] = ~batch.masks
        if autoreset == "disabled" and mask.any():
            changed |= mask
            envs.async_reset(options={"reset_mask": mask})
        else:
            envs.send([len(seen[env]) for env in batch.env_ids.tolist()])
            changed[batch.env_ids] = True
    return {env: results[:count] for env, results in seen.items()}


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
@pytest.mark.parametrize("backend", [Serial, Multiprocessing])
@pytest.mark.parametrize(
    "options", [{"num_workers": 4, "zero_copy": False}, {"num_workers": 2, "zero_copy": True}]
)
def test_environments_of_a_pool_do_what_they_do_in_serial(options, backend, autoreset):
    env_args = [[tag, 2 + tag] for tag in range(4)]
    with contextlib.closing(Serial([Echo] * 4, env_args, num_envs=4, autoreset=autoreset)) as envs:
        expected = results_of(envs, autoreset, count=20)
    pool = backend([Echo] * 4, env_args, num_envs=4, batch_size=2, autoreset=autoreset, **options)
    with contextlib.closing(pool) as envs:
        assert results_of(envs, autoreset, count=20) == expected


@pytest.mark.parametrize("backend", [Serial, Multiprocessing])
def test_a_pool_resets_only_environments_of_the_last_batch(backend):
    pool = backend(Echo, num_envs=2, num_workers=2, batch_size=1, autoreset="disabled")
    with contextlib.closing(pool) as envs:
        envs.async_reset(seed=0)
        (env,) = envs.recv().env_ids
        other = np.arange(2) != env
        with pytest.raises(ArgumentError, match=rf"environments \[{1 - env}\], which are step"):
            envs.async_reset(options={"reset_mask": other})
        with pytest.raises(ArgumentError, match=rf"environments \[{1 - env}\], which are step"):
            envs.async_reset(options={"reset_mask": np.ones(2, np.bool_)})
        envs.async_reset(options={"reset_mask": ~other})
        assert envs.recv().observations[0, 1] in (0, 1)


def test_the_mode_of_a_vectorizer_is_known_and_checked(make):
    envs = make(Echo, num_envs=2, autoreset="next_step")
    assert envs.autoreset == "next_step"
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    check_autoreset(envs, "next_step", "RLlib")
    said = r"Training needs a vectorizer with autoreset='same_step'; got one with .*'next_step'"
    with pytest.raises(ArgumentError, match=said):
        check_autoreset(envs, "same_step", "Training")
    check_autoreset(object(), "same_step", "Training")  # a backend of a user's own
    with pytest.raises(ArgumentError, match=r"autoreset must be .* got 'NextStep'"):
        check_autoreset(envs, "NextStep", "Training")


@pytest.mark.parametrize("wrap", [lambda envs: envs, RecordEpisodeStatistics])
def test_the_mode_of_gymnasiums_vector_environments_is_checked(wrap, make):
    ours = to_gymnasium(make(Countdown, num_envs=2, autoreset="next_step"))
    for envs in (ours, SyncVectorEnv([Countdown] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)):
        check_autoreset(wrap(envs), "next_step", "RLlib")
        with pytest.raises(ArgumentError, match="got one with autoreset='next_step'"):
            check_autoreset(wrap(envs), "same_step", "Training")


def test_another_mode_is_refused(make):
    with pytest.raises(ArgumentError, match=r"autoreset must be 'same_step', .* got 'NextStep'"):
        make(Echo, num_envs=2, autoreset="NextStep")
