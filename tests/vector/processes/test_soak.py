"""Environments fail in every way for a given time, and every row received is correct.

PUFFERLIB_SOAK_S says how many seconds, 8 by default; `make soak` takes ten minutes. What fails
and when is drawn from PUFFERLIB_TEST_SEED.
"""

import collections
import gc
import itertools
import logging
import multiprocessing
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from vector_environments import Troubled
from vector_processes import children, open_descriptors

from pufferlib import vector

SOAK_S = float(os.environ.get("PUFFERLIB_SOAK_S", "8"))
SEED = int(os.environ.get("PUFFERLIB_TEST_SEED", "0"))
TIMEOUT_S = 4
MOST_S = 60  # for one batch: a few restarts, on a machine that has much else to do
NUM_ENVS, NUM_WORKERS = 64, 4
ENVS_PER_WORKER = NUM_ENVS // NUM_WORKERS
VECTORIZERS = [
    {},
    {"batch_size": 16},
    {"caller_steps": True},
    {"batch_size": 48, "zero_copy": False},
]
# What goes wrong, how often among a hundred times: hangs are rare, for each takes the timeout.
KILLED, AT_RESET = -1, 10
FATAL = {Troubled.RAISE, Troubled.DIE, Troubled.HANG}
FAULTS = {
    KILLED: 35,
    Troubled.RAISE: 20,
    Troubled.DIE: 10,
    Troubled.HANG: 1,
    Troubled.DAWDLE: 5,
    Troubled.RAISE + AT_RESET: 15,
    Troubled.DIE + AT_RESET: 8,
    Troubled.HANG + AT_RESET: 1,
    Troubled.DAWDLE + AT_RESET: 5,
}


class Unsteady(Troubled):
    """Some of its later lives end as they begin."""

    DAWDLES_S = 0.2  # longer than it takes to replace another worker

    def reset(self, *, seed=None, options=None):
        if seed is not None and seed > 1000 and seed % 50 == 0:
            raise ValueError("not in this life")
        return super().reset(seed=seed)


def length_of(tag):
    return 20 + tag


class Model:
    """A model of an environment: from the actions it was sent follow its row and its infos."""

    def __init__(self, tag):
        self.tag = tag
        self.begin()

    def begin(self):
        self.episode = self.steps = self.order = 0
        self.row, self.final, self.infos = [self.tag, 0, 0, 0], None, []
        self.reward, self.terminal, self.truncation = 0, False, False

    def step(self, action):
        """Return whether it fails in this step."""
        if action >= Troubled.RAISE_IN_RESET:
            self.order = action - AT_RESET
        self.steps += 1
        self.row, self.final, self.infos = [self.tag, self.episode, self.steps, action], None, []
        ended = self.steps == length_of(self.tag)
        self.reward, self.terminal = action, ended and self.episode % 2 == 0
        self.truncation = ended and not self.terminal
        order, self.order = (self.order, 0) if ended else (0, self.order)
        if ended:
            self.final, self.infos = self.row, [{"episode": self.episode}]
            self.episode, self.steps = self.episode + 1, 0
            self.row = [self.tag, self.episode, 0, 0]
        return action in FATAL or order in FATAL

    def lose(self, handed_out):
        self.begin()
        self.row, self.final, self.truncation = [0] * 4, handed_out, True


class Soak:
    """A vectorizer, a model of each environment, and which workers must or may be lost."""

    def __init__(self, options, deck, chance, counts):
        self.deck, self.chance, self.counts = deck, chance, counts
        self.envs = vector.make(
            [Unsteady] * NUM_ENVS,
            [[tag, length_of(tag)] for tag in range(NUM_ENVS)],
            backend=vector.Multiprocessing,
            num_envs=NUM_ENVS,
            num_workers=NUM_WORKERS,
            timeout_s=TIMEOUT_S,
            on_failure="restart",
            max_restarts=None,
            **options,
        )
        self.num_processes = NUM_WORKERS - options.get("caller_steps", False)
        self.models = [Model(tag) for tag in range(NUM_ENVS)]
        self.handed_out = [[0] * 4] * NUM_ENVS
        self.is_lost = [False] * NUM_WORKERS  # in the last batch of each
        self.must_fail = set()
        self.times_killed = [0] * NUM_WORKERS  # each may lose a batch

    def run_until(self, end_s):
        self.reset()
        self.receive()
        while time.monotonic() < end_s:
            if self.chance.random() < 0.003:
                self.reset()
            else:
                self.send()
            self.receive()
        self.counts["restarts"] += self.envs.num_restarts
        self.envs.close()

    def reset(self):
        self.envs.async_reset(seed=self.chance.randrange(500))
        in_flight_failed, self.must_fail = self.must_fail, set()
        for tag, model in enumerate(self.models):
            worker = tag // ENVS_PER_WORKER
            if model.order in FATAL and worker not in in_flight_failed:
                if self.times_killed[worker]:  # perhaps before, then another knows of no order
                    self.times_killed[worker] += 1
                else:
                    self.must_fail.add(worker)
            model.begin()
        self.is_lost = [False] * NUM_WORKERS

    def send(self):
        actions = [self.chance.randrange(900) for _ in self.env_ids]
        faults = self.next_faults() if self.chance.random() < 0.08 else []
        for fault in faults:
            victim = self.chance.randrange(len(actions))
            worker = self.env_ids[victim] // ENVS_PER_WORKER
            if fault == KILLED and self.chance.random() < 0.5:
                self.kill(worker)
            elif fault != KILLED and worker < self.num_processes:
                actions[victim] = fault
                self.counts[fault] += 1
        self.envs.send(actions)
        if KILLED in faults:
            time.sleep(self.chance.choice([0, 0.0005, 0.002]))
            self.kill(self.chance.randrange(self.num_processes))  # in a pool: any, busy or not
        for env_id, action in zip(self.env_ids, actions, strict=True):
            worker, model = env_id // ENVS_PER_WORKER, self.models[env_id]
            if self.is_lost[worker]:  # the new one does not get the action
                model.begin()
            elif model.step(action):
                self.must_fail.add(worker)
        self.counts["steps"] += 1

    def next_faults(self):
        """Return what goes wrong in one step: up to three things."""
        number = self.chance.choice([1, 1, 2, 3])
        dealt = [self.deck.pop() for _ in range(min(number, len(self.deck)))]
        return dealt or self.chance.choices(list(FAULTS), FAULTS.values(), k=number)

    def kill(self, worker):
        for process in multiprocessing.active_children():
            if process.name == f"pufferlib worker {worker}":
                os.kill(process.pid, signal.SIGKILL)
                self.times_killed[worker] += 1
                self.counts[KILLED] += 1

    def receive(self):
        began_s = time.monotonic()
        batch = self.envs.recv()
        assert time.monotonic() - began_s < MOST_S
        self.env_ids = batch.env_ids.tolist()
        infos, restarts = collections.defaultdict(list), collections.defaultdict(list)
        for env_index, info in zip(batch.infos.env_indices, batch.infos, strict=True):
            (restarts if "restarted" in info else infos)[env_index].append(info)
        rows = list(
            zip(
                *(array.tolist() for array in (*batch[:4], batch.masks, self.envs.lost)),
                strict=True,
            )
        )
        finals = self.envs.final_observations.tolist()
        for position in range(0, len(rows), ENVS_PER_WORKER):
            env_id = self.env_ids[position]
            self.note_loss(env_id // ENVS_PER_WORKER, rows[position][-1], restarts.pop(env_id, []))
        assert not restarts
        for env_id, row, final in zip(self.env_ids, rows, finals, strict=True):
            model, is_lost = self.models[env_id], self.is_lost[env_id // ENVS_PER_WORKER]
            due = (
                model.row,
                model.reward,
                model.terminal,
                model.truncation,
                not is_lost,
                is_lost,
            )
            assert row == due, f"environment {env_id}"
            assert infos[env_id] == model.infos, f"environment {env_id}"
            assert model.final in (None, final), f"environment {env_id}"
            self.handed_out[env_id] = row[0]
        self.counts["rows"] += len(rows)

    def note_loss(self, worker, is_lost, restarts):
        """A worker is lost where it was made to fail, and only there."""
        self.is_lost[worker] = is_lost
        assert [info["worker"] for info in restarts] == [worker] * is_lost
        if worker in self.must_fail:
            self.must_fail.discard(worker)
            assert is_lost, f"worker {worker} survived"
        elif is_lost:
            assert self.times_killed[worker], f"worker {worker} was lost for no reason: {restarts}"
            self.times_killed[worker] -= 1
        if is_lost:
            self.counts["lost"] += 1
            for env_id in range(worker * ENVS_PER_WORKER, (worker + 1) * ENVS_PER_WORKER):
                self.models[env_id].lose(self.handed_out[env_id])


def resources():
    """Return the resources of this process that it could leak."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text()
    return {
        "processes": len(children()),
        "descriptors": open_descriptors(),
        "shared mappings": maps.count("memfd:"),
        "mappings of /dev/shm": maps.count("/dev/shm/"),  # others may use that folder, too
    }


def resident_mib():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


@pytest.mark.long
@pytest.mark.soak
@pytest.mark.timeout(1.2 * SOAK_S + 120)
def test_after_any_failure_every_row_is_right_and_nothing_is_left(caplog):
    caplog.set_level(logging.ERROR, logger="pufferlib")  # pytest keeps every restart's traceback
    chance, counts = random.Random(SEED), collections.Counter()
    deck = list(FAULTS)  # each once, then at random
    before, rss_mib = resources(), None
    end_s = time.monotonic() + SOAK_S
    for number, options in enumerate(itertools.cycle(VECTORIZERS)):
        if number >= len(VECTORIZERS) and time.monotonic() >= end_s:
            break
        soak = Soak(options, deck, chance, counts)
        soak.run_until(time.monotonic() + min(15, SOAK_S / len(VECTORIZERS)))
        del soak
        rss_mib = rss_mib or resident_mib()
    after, grown_mib = resources(), resident_mib() - rss_mib
    exceptions, deaths, hangs = (
        counts[fault] + counts[fault + AT_RESET]
        for fault in (Troubled.RAISE, Troubled.DIE, Troubled.HANG)
    )
    print(
        f"\nsoak: {SOAK_S:g} s, {counts['steps']} steps, {counts['rows']} rows checked; "
        f"{counts[KILLED]} kills, {exceptions} exceptions, {deaths} deaths, {hangs} hangs; "
        f"{counts['restarts']} restarts, {counts['lost']} batches lost; "
        f"left over: {'nothing' if after == before else (before, after)}, "
        f"{grown_mib:+.1f} MiB"
    )
    assert after == before
    assert grown_mib < 64
    assert counts["restarts"] >= counts["lost"] > 0
