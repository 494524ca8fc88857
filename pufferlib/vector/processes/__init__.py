"""The `Multiprocessing` backend: worker processes over shared memory.

`backend` checks the arguments, `start_method` chooses between fork, forkserver and spawn, `workers`
starts and watches the processes, `worker_process` is one of them as the caller sees it, and
`worker_main` is what runs in it. `caller_worker` steps the environments of the calling process. All
map one `shared_memory` and wait for each other at a `gate`, whose twins are `_gate.pyx` and
`_gate_plain`.
"""
