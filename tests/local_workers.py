"""A backend without processes: its workers step in this one, in an order that a test chooses."""

import numpy as np

from pufferlib.environment import Buffers
from pufferlib.exceptions import WorkerError
from pufferlib.vector.arguments import creations
from pufferlib.vector.block import Block
from pufferlib.vector.worker_group import WorkerGroup


class LocalWorkers(WorkerGroup):
    """A worker group whose workers run their commands when the caller waits.

    `_wait` finishes one command: of the first worker in `order` that has one, else of the lowest.
    An environment that raises makes its worker fail, and a new worker takes its place.

    Attributes:
        order: indices of workers that go first.
        commands: of every worker, all it was sent, in order.
    """

    def __init__(self, env_creators, env_args=None, num_workers=2, restart_rule=None, order=()):
        made = creations(env_creators, env_args, None, len(env_creators))
        super().__init__(len(made), num_workers, None, restart_rule)
        self._made = [made[envs.start : envs.stop] for envs in self._envs]
        self.order = list(order)
        self.commands = [[] for _ in range(num_workers)]
        self.is_closed = False
        self._blocks = [None] * num_workers
        self._buffers = None
        for worker in range(num_workers):
            self._start(worker)

    def _start(self, worker):
        self._blocks[worker] = Block(self._envs[worker].start)
        self._starting.add(worker)
        self._send(worker, "__init__")

    def _send(self, worker, command, *arguments):
        self.commands[worker].append((command, *arguments))
        self._tracker.began(worker, command)

    def allocate_rows(self, rows, starts):
        self._starts, space = starts, self._description.single_action_space
        self._buffers = Buffers.allocate(self._description.single_observation_space, rows)
        self._actions = np.zeros((rows, *space.shape), space.dtype)
        for worker in range(len(self._blocks)):
            self._bind(worker)
        return self._buffers, self._actions

    def _bind(self, worker):
        block = self._blocks[worker]
        rows = self._rows(worker)
        block.bind(self._buffers.rows(rows.start, rows.stop))

    def _rows(self, worker):
        start = self._starts[worker]
        return slice(start, start + sum(self._blocks[worker].num_agents))

    def order_step(self, worker):
        if not self._step_replacement(worker):
            self._send(worker, "step")

    def _order(self, command, arguments):
        for worker, own in arguments.items():
            self._send(worker, command, *own)

    def _order_reset(self, worker):
        self._send(worker, "reset", *self._replacement_reset(worker))

    def close(self):
        self.is_closed = True

    def _wait(self, wanted):
        busy = [worker for worker, doing in enumerate(self._tracker.doing) if doing is not None]
        assert busy, "the caller would wait forever"
        worker = next((each for each in self.order if each in busy), busy[0])
        command, *arguments = self.commands[worker][-1]
        block = self._blocks[worker]
        try:
            if command == "__init__":
                answer = block.make(self._made[worker]), block.num_agents
            elif command == "step":
                answer = block.step(self._actions[self._rows(worker)])
            else:
                answer = getattr(block, command)(*arguments)
        except ValueError as error:
            info = self._restart_rule.record(WorkerError(str(error), worker=worker))
            self._tracker.failed(worker, info)
            self._start(worker)
            return
        if command == "__init__":
            self._starting.discard(worker)
            if self._buffers is not None:
                self._check_replacement(worker, *answer)
                self._bind(worker)
                self._tracker.made_replacement(worker)
                self._reset_if_due(worker)
                return
        self._tracker.finished(worker, answer or None)
