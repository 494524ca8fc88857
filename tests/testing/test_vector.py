"""`check_vector` accepts vectorizers that keep the contract, and names each breach of it."""

import contextlib

import numpy as np
import pytest
from contract_cases import Meddler, Tale, broken, count_in_one_info, view_in_info
from environments import Countdown, Population

from pufferlib.exceptions import CallOrderError, ContractError
from pufferlib.testing import check_vector
from pufferlib.vector import Infos, Multiprocessing, Serial


@pytest.mark.parametrize("is_copied", [False, True])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_views_and_copies_and_pools_keep_the_contract(is_copied, batch_size):
    vecenv = Multiprocessing(
        Population, num_envs=4, num_workers=2, batch_size=batch_size, zero_copy=not is_copied
    )
    with contextlib.closing(vecenv):
        check_vector(vecenv, steps=20, is_copied=is_copied)


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("env", [Population, Countdown])
def test_every_autoreset_mode_keeps_the_contract(env, batch_size, autoreset):
    vecenv = Multiprocessing(
        env, num_envs=4, num_workers=2, batch_size=batch_size, autoreset=autoreset
    )
    with contextlib.closing(vecenv):
        check_vector(vecenv, steps=20)


class Hasty(Serial):
    """Claims not to start the next episode in the step that ends one."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.autoreset = "next_step"


def test_an_episode_that_starts_in_the_step_of_the_last_end_is_found():
    with (
        contextlib.closing(Hasty(Countdown, num_envs=2)) as vecenv,
        pytest.raises(ContractError, match="Batch 3 has ended episodes with other observations"),
    ):
        check_vector(vecenv, steps=5)


class Heedless(Serial):
    """Steps environments that are over."""

    def send(self, actions):
        self._buffers.masks[:] = True
        super().send(actions)


def test_a_step_of_what_is_over_is_found():
    with (
        contextlib.closing(Heedless(Countdown, num_envs=2, autoreset="disabled")) as vecenv,
        pytest.raises(ContractError, match="whose episode is over was accepted"),
    ):
        check_vector(vecenv, steps=5)


def test_views_where_copies_are_promised_are_found():
    said = "Observations of batch 0 changed before batch 1 was received.* copies"
    vecenv = Serial(Population, num_envs=2)
    with contextlib.closing(vecenv), pytest.raises(ContractError, match=said):
        check_vector(vecenv, steps=5, is_copied=True)


def test_a_vectorizer_that_keeps_its_contract_passes_and_stays_open():
    vecenv = Serial(Population, num_envs=2)
    check_vector(vecenv, steps=20)
    vecenv.reset(seed=0)
    vecenv.close()


class Fragile(Serial):
    """Is closed by the read of a missing attribute."""

    def get_attr(self, name):
        try:
            return super().get_attr(name)
        except AttributeError:
            self.close()
            raise


class Obliging(Serial):
    """Returns None for a missing attribute."""

    def get_attr(self, name):
        return super().get_attr(name) if self.has_attr(name) else [None] * self.num_envs


@pytest.mark.parametrize(
    ("vectorizer", "said"),
    [
        (Fragile, "Get_attr of a missing attribute closed the vectorizer"),
        (Obliging, r"Get_attr of a missing attribute returned \[None, None\]"),
    ],
)
def test_a_vectorizer_that_does_not_refuse_a_missing_attribute_or_closes_is_found(vectorizer, said):
    with pytest.raises(ContractError, match=said):
        check_vector(vectorizer(Population, num_envs=2), steps=5)


class Eager(Serial):
    """Takes steps before the first reset."""

    def send(self, actions):
        with contextlib.suppress(CallOrderError):
            super().send(actions)


def broken_batch(**changes):
    """Return a Serial whose batches have fields replaced by functions of the batch."""

    class Broken(Serial):
        def recv(self):
            batch = super().recv()
            return batch._replace(**{name: new(batch) for name, new in changes.items()})

    return Broken


class Restless(Serial):
    """Writes into a batch after `recv`, when actions for it are sampled."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.batch, sample = None, self.action_space.sample

        def sample_and_write():
            if self.batch is not None:
                self.batch.rewards[:] += 1
            return sample()

        self.action_space.sample = sample_and_write

    def recv(self):
        self.batch = super().recv()
        return self.batch


def infos_of(*env_indices, extra=()):
    infos = Infos()
    for env_index in env_indices:
        infos.extend_from(env_index, [{"from": env_index}])
    infos.extend(extra)
    return lambda batch: infos


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (Restless, "Rewards of batch 0 changed before its actions were sent"),
        (broken_batch(infos=lambda batch: [{"a": 1}]), "Infos of batch 0.* env_indices None"),
        (broken_batch(infos=infos_of(0, 2)), r"env_indices \[0, 2\].* of the batch, \[0, 1\]"),
        (broken_batch(infos=infos_of(-1)), r"env_indices \[-1\]"),
        (broken_batch(infos=infos_of(1, 0)), r"env_indices \[1, 0\].* in ascending order"),
        (broken_batch(infos=infos_of(1, extra=[{"a": 1}])), r", 2 of them, have env_indices \[1\]"),
        (Eager, "send before reset was accepted"),
        (broken_batch(env_ids=lambda batch: batch.env_ids * 0), "(?i)env_ids of batch 0 are"),
        (broken_batch(env_ids=lambda batch: batch.env_ids + 1), "different rows out of 6"),
        (broken_batch(rewards=lambda batch: batch.rewards[:-1]), r"Rewards of batch 0 are \(5,\)"),
        (broken_batch(rewards=lambda batch: batch.rewards.astype(float)), "float64. Expected"),
        (broken_batch(terminals=lambda batch: batch.terminals.astype(int)), "Terminals of batch"),
        (broken_batch(masks=lambda batch: ~batch.masks), "masks False that are not zero"),
        (broken_batch(observations=lambda batch: batch.observations[:, :-1]), "Observations of b"),
        (broken_batch(infos=lambda batch: [{}]), "Infos of batch 0 are"),
    ],
)
def test_a_vectorizer_that_breaks_its_contract_is_found(backend, said):
    vecenv = backend(Population, num_envs=2)
    with pytest.raises(ContractError, match=said):
        check_vector(vecenv, steps=5)
    vecenv.close()


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        (Meddler, "The step after batch 0 changes the actions"),
        (broken("step", count_in_one_info), "An info of batch 1 has changed after batch 2"),
        (broken("step", view_in_info("rewards")), "An info of batch 1 holds a view of the rows"),
    ],
)
def test_breaches_by_environments_inside_a_vectorizer_are_found(creator, said):
    vecenv = Serial(creator, num_envs=2)
    with contextlib.closing(vecenv), pytest.raises(ContractError, match=said):
        check_vector(vecenv, steps=5)


def test_a_vectorizers_observations_are_checked_part_by_part():
    vecenv = Serial(Tale, [3], {"image": np.array([10, 9], np.uint8)}, num_envs=2)
    said = r"Batch 3 has .* as 10 in space\['image'\]"
    with contextlib.closing(vecenv), pytest.raises(ContractError, match=said):
        check_vector(vecenv, steps=5)
