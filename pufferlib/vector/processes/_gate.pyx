# cython: language_level=3, boundscheck=False, wraparound=False
"""How the caller and its workers wait for each other, compiled: the twin of `_gate_plain.py`.

Waits without the GIL, and enters the kernel to wake a process only if that process sleeps. The
caller's bell counts all answers, and the caller is woken only when it has as many as it wants.
"""

from libc.stdint cimport int32_t, int64_t

import numpy as np

cdef extern from * nogil:
    """
    #include <linux/futex.h>
    #include <sched.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    static int32_t load(int32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
    static void store(int32_t *word, int32_t value) {
        __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    }
    static int32_t add(int32_t *word, int32_t value) {
        return __atomic_add_fetch(word, value, __ATOMIC_SEQ_CST);
    }
    static int64_t now_ns(void) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
    }
    static void futex_wait(int32_t *word, int32_t seen, int64_t timeout_ns) {
        struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        syscall(SYS_futex, word, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    }
    static void futex_wake(int32_t *word) {
        syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    }
    """
    int32_t load(int32_t* word)
    void store(int32_t* word, int32_t value)
    int32_t add(int32_t* word, int32_t value)
    int64_t now_ns()
    void futex_wait(int32_t* word, int32_t seen, int64_t timeout_ns)
    void futex_wake(int32_t* word)
    int sched_yield()

LINE = 16

cdef enum:
    SLOW_NS = 2000000
    FEWEST_SKIPS = 128
    MOST_SKIPS = 1024

cdef enum:
    WORDS = 16
    ORDER = 0
    ORDERED = 1
    ANSWER = 2
    ANSWERED = 3
    SLEEPS = 4  # of a worker's line
    BELL = 0
    NEEDED = 1  # the count that the caller sleeps for
    CALLER_SLEEPS = 2  # of the caller's line


cdef class Gate:
    """See the plain twin."""

    cdef object words  # keeps the memory
    cdef int32_t* first
    cdef int32_t* caller
    cdef int64_t spin_ns
    cdef int workers, skips, last_skips
    cdef list seen, obeyed
    cdef set pending

    def __init__(self, words, int spin_us=50):
        if words.dtype != np.int32 or words.ndim != 2 or words.shape[1] != WORDS:
            raise ValueError(f"int32 (workers + 1, {WORDS}) is needed, got {words!r}")
        if not (words.flags.c_contiguous and words.flags.writeable):
            raise ValueError("the words must be C-contiguous and writeable")
        cdef int32_t[:, ::1] table = words
        self.words = words
        self.first = &table[0, 0]
        self.workers = <int>(len(words) - 1)
        self.caller = self.first + self.workers * WORDS
        self.spin_ns = spin_us * 1000
        self.seen, self.obeyed = [0] * self.workers, [0] * self.workers
        self.pending = set()

    cdef int32_t* line(self, int worker) except NULL:
        if not 0 <= worker < self.workers:
            raise IndexError(f"there are {self.workers} workers, no worker {worker}")
        return self.first + worker * WORDS

    cdef int64_t spin_until(self, int64_t now) noexcept nogil:
        """Return until when to poll; `now` in waits that do not."""
        if self.skips:
            self.skips -= 1
            return now
        self.last_skips //= 2
        return now + self.spin_ns

    cdef int64_t yield_core(self, int64_t before) noexcept nogil:
        """Let other processes run; return the time. If that took long, skip the next polls."""
        sched_yield()
        cdef int64_t now = now_ns()
        if now - before >= SLOW_NS:
            self.last_skips = min(max(4 * self.last_skips, FEWEST_SKIPS), MOST_SKIPS)
            self.skips = self.last_skips
        return now

    def order(self, int worker, int order):
        """See the plain twin."""
        cdef int32_t* line = self.line(worker)
        self.pending.add(worker)
        line[ORDER] = order
        add(line + ORDERED, 1)
        if load(line + SLEEPS):
            futex_wake(line + ORDERED)

    def forget(self, int worker):
        """See the plain twin."""
        cdef int32_t* line = self.line(worker)
        self.pending.discard(worker)
        for word in range(WORDS):
            store(line + <int>word, 0)
        self.seen[worker] = 0

    def next_order(self, int worker):
        """See the plain twin."""
        cdef int32_t* line = self.line(worker)
        cdef int32_t obeyed = self.obeyed[worker]
        cdef int64_t now, until
        with nogil:
            now = now_ns()
            until = self.spin_until(now)
            while load(line + ORDERED) == obeyed and now < until:
                now = self.yield_core(now)
            if load(line + ORDERED) == obeyed:
                store(line + SLEEPS, 1)
                while load(line + ORDERED) == obeyed:
                    futex_wait(line + ORDERED, obeyed, -1)
                store(line + SLEEPS, 0)
        self.obeyed[worker] = <int32_t>(obeyed + 1)
        return line[ORDER]

    def answer(self, int worker, int answer):
        """See the plain twin."""
        cdef int32_t* line = self.line(worker)
        line[ANSWER] = answer
        add(line + ANSWERED, 1)
        cdef int32_t bell = add(self.caller + BELL, 1)
        if load(self.caller + CALLER_SLEEPS) and bell - load(self.caller + NEEDED) >= 0:
            futex_wake(self.caller + BELL)

    def answers(self, int wanted, double timeout_s):
        """See the plain twin."""
        cdef int64_t end = now_ns() + <int64_t>(timeout_s * 1e9)
        cdef int32_t bell
        cdef list new
        while True:
            bell = load(self.caller + BELL)
            new = self.look()
            if len(new) >= wanted or now_ns() >= end:
                break
            self.listen(bell, bell + wanted - <int>len(new), end)
        self.pending.difference_update(new)
        cdef list answered = []
        for worker in new:
            self.seen[worker] = load(self.line(worker) + ANSWERED)
            answered.append((worker, self.line(worker)[ANSWER]))
        return answered

    cdef list look(self):
        """Return the workers that have answered."""
        cdef list new = []
        for worker in self.pending:
            if load(self.line(worker) + ANSWERED) != <int32_t>self.seen[worker]:
                new.append(worker)
        new.sort()
        return new

    cdef int listen(self, int32_t bell, int32_t needed, int64_t end) except -1:
        """Wait until the bell has counted `needed` answers, or until `end`."""
        cdef int64_t now, until
        cdef int32_t heard
        with nogil:
            now = now_ns()
            until = min(self.spin_until(now), end)
            while load(self.caller + BELL) - needed < 0 and now < until:
                now = self.yield_core(now)
            store(self.caller + NEEDED, needed)
            store(self.caller + CALLER_SLEEPS, 1)
            while True:
                heard, now = load(self.caller + BELL), now_ns()
                if heard - needed >= 0 or now >= end:
                    break
                futex_wait(self.caller + BELL, heard, end - now)
            store(self.caller + CALLER_SLEEPS, 0)
        return 0
