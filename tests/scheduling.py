"""How pytest-xdist divides the tests among its workers: whole files, in the order of collection.

The heavy files (those of environments' packages and of other libraries) have a separate worker,
and no other imports them: what they import takes more than a GB, and every fork of a process that
has it takes longer.

`--dist loadfile` of pytest-xdist 3.8 runs a test that ended its worker again and again, and may
wait for ever for files that the lost worker had finished (its issues 1371, 1378 and 1327).
"""

from collections.abc import Iterator, Sequence

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class FileScheduling(LoadFileScheduling):
    """Whole files, in the order of collection, each to a worker that has collected it."""

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Note what a worker has collected; others may have collected other files."""
        assert node in self.assigned_work
        self.registered_collections[node] = list(collection)

    def schedule(self) -> None:
        """Assign the first files, or those that a new worker can run."""
        if self.collection is None:
            self._list_files()
        for node in self.nodes:
            self._reschedule(node)

    def _list_files(self) -> None:
        collections = self.registered_collections.values()
        self.collection = list(dict.fromkeys(nodeid for ids in collections for nodeid in ids))
        self.config.pluginmanager.getplugin("session").testscollected = len(self.collection)
        for nodeid in self.collection:
            self.workqueue.setdefault(self._split_scope(nodeid), {})[nodeid] = False
        for file, tests in self.workqueue.items():
            if not any(tests.keys() <= set(ids) for ids in collections):
                raise RuntimeError(f"The workers have collected different tests in {file}.")

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
        if node.shutting_down or node not in self.registered_collections:
            return
        while self._pending_of(self.assigned_work[node]) <= 2:
            collected = set(self.registered_collections[node])
            files = (file for file, tests in self.workqueue.items() if tests.keys() <= collected)
            file = next(files, None)
            if file is None:
                node.shutdown()
                return
            self.workqueue.move_to_end(file, last=False)
            self._assign_work_unit(node)
