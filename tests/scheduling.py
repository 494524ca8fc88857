"""How pytest-xdist divides the tests among its workers: whole files, in the order of collection.

`--dist loadfile` of pytest-xdist 3.8 runs a test that ended its worker again and again, and may
wait for ever for files that the lost worker had finished (its issues 1371, 1378 and 1327).
"""

from collections.abc import Iterator

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class FileScheduling(LoadFileScheduling):
    """Whole files, each worker's in the order in which they were collected."""

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False  # by the number of their tests
        super().schedule()

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test that ended a worker, which is not run again; others run what it left."""
        work = self.assigned_work[node]
        running = next(self._left(work), None)
        if running is not None:
            file, nodeid = running
            work[file][nodeid] = True
        pending = {file for file, _ in self._left(work)}
        for file in set(work) - pending:
            del work[file]
        super().remove_node(node)
        return running and running[1]

    @staticmethod
    def _left(work: dict[str, dict[str, bool]]) -> Iterator[tuple[str, str]]:
        """Yield (file, test) for each test that has not ended, in the order in which they run."""
        for file, tests in work.items():
            for nodeid, has_ended in tests.items():
                if not has_ended:
                    yield file, nodeid

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker files until three tests wait: it begins one when it knows the next."""
        if node.shutting_down:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) <= 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()
