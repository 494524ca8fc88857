# cython: language_level=3, boundscheck=False, wraparound=False
"""Write observations into rows, compiled: the twin of `_plain.py`, which documents both.

A leaf that is a C-contiguous array of the row's dtype and shape is copied with one memcpy; Python
and NumPy numbers of its dtype are stored directly; arrays of its shape whose cast is safe are
assigned by NumPy; everything else is checked by `results.fitting`, as in the plain twin.
"""

from cpython.dict cimport PyDict_CheckExact, PyDict_GetItemWithError
from cpython.float cimport PyFloat_AsDouble, PyFloat_Check
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset

import numpy as np

from pufferlib.emulation import _plain
from pufferlib.emulation.results import (
    MISFITS,
    NUMBER_TYPES,
    copied_info,
    fitting,
    number,
    of_agent,
    refuse,
)
from pufferlib.exceptions import ContractError, PufferError
from pufferlib.old_interfaces import five_results

cimport numpy as cnp

cnp.import_array()

cdef frozenset _NUMBER_TYPES = NUMBER_TYPES
cdef object _FLOAT32 = np.float32  # the most frequent one
cdef dict _TYPE_NUMBERS = {  # of NumPy's scalars, by class
    kind: np.dtype(kind).num for kind in NUMBER_TYPES if issubclass(kind, np.generic)
}


cdef class Node:
    """One dict or tuple of an observation: its keys, and what each leads to."""

    cdef tuple keys
    cdef list parts  # for each key a Node, or the number of a leaf

    def __init__(self, tree):
        self.keys = tuple(key for key, _ in tree)
        self.parts = [part if isinstance(part, int) else Node(part) for _, part in tree]


cdef class Plan:
    """See the plain twin."""

    cdef Node root  # None: the observation is a single leaf
    cdef object explain, pack

    def __init__(self, tree, explain, pack=None):
        self.root = None if isinstance(tree, int) else Node(tree)
        self.explain, self.pack = explain, pack

    def writer(self, views):
        """See the plain twin."""
        return Writer(self, views).write


cdef class Writer:
    """Writes observations into the leaves of one row."""

    cdef Plan plan
    cdef tuple views

    def __init__(self, Plan plan, views):
        self.plan = plan
        self.views = tuple(views)
        for view in views:
            if not (cnp.PyArray_IS_C_CONTIGUOUS(view) and view.flags.writeable):
                raise ValueError("the leaves of a row must be C-contiguous and writeable")

    def write(self, value):
        self.store(value)

    cdef int store(self, object value) except -1:
        try:
            return self.fill(value)
        except MISFITS as problem:
            refuse(value, self.plan.explain, problem)

    cdef int fill(self, object value) except -1:
        if self.plan.pack is not None:
            value = self.plan.pack(value)
        if self.plan.root is None:
            return _assign(<cnp.ndarray>self.views[0], value)
        return self.descend(self.plan.root, value)

    cdef int descend(self, Node node, object value) except -1:
        cdef Py_ssize_t i
        cdef object part, item
        for i in range(len(node.keys)):
            part = node.parts[i]
            item = _item(value, node.keys[i])
            if isinstance(part, Node):
                self.descend(<Node>part, item)
            else:
                _assign(<cnp.ndarray>self.views[<Py_ssize_t>part], item)
        return 0


cdef class StepRow:
    """See the plain twin."""

    cdef Writer writer, final_writer
    cdef object take, restart
    cdef object buffers  # keeps alive the memory that the pointers point to
    cdef float* reward
    cdef char* terminal
    cdef char* truncation
    cdef char* mask

    def __init__(self, take, restart, Plan plan, views, final_views, buffers):
        self.take, self.restart = take, restart
        self.writer, self.final_writer = Writer(plan, views), Writer(plan, final_views)
        self.buffers = buffers
        self.reward = <float*>_numbers(buffers.rewards, cnp.NPY_FLOAT32, 1)
        self.terminal = _numbers(buffers.terminals, cnp.NPY_BOOL, 1)
        self.truncation = _numbers(buffers.truncations, cnp.NPY_BOOL, 1)
        self.mask = _numbers(buffers.masks, cnp.NPY_BOOL, 1)

    def begin(self, observation):
        """See the plain twin."""
        self.writer.store(observation)
        self.reward[0], self.mask[0] = 0, True
        self.terminal[0] = self.truncation[0] = False

    def step(self, action):
        """See the plain twin."""
        return self.advance(action)

    cdef list advance(self, object action):
        result = self.take(action)
        if not isinstance(result, tuple) or len(<tuple>result) != 5:
            result = tuple(five_results(getattr(self.take, "__self__", None), result))
        observation, reward, terminated, truncated, info = <tuple>result
        cdef bint ends = terminated, cut = truncated
        cdef list infos = [info] if info else None
        # Before the restart: the environment may use the same arrays and dict again in `reset`.
        self.reward[0] = <float>_number(reward)
        self.terminal[0], self.truncation[0] = ends, cut
        if ends or cut:
            self.final_writer.store(observation)
            observation, infos = self.end(observation, infos)
        self.writer.store(observation)
        return infos

    cdef tuple end(self, object observation, list infos):
        """Start the next episode; return (its first observation, infos)."""
        if infos is not None:
            infos = [copied_info(infos[0])]
        observation, first = self.restart()
        if first:
            infos = [first] if infos is None else [infos[0], first]
        return observation, infos


cdef class NextStepRow(StepRow):
    """See the plain twin."""

    cdef bint is_over

    def begin(self, observation):
        """See the plain twin."""
        StepRow.begin(self, observation)
        self.is_over = False

    cdef list advance(self, object action):
        if not self.is_over:
            return StepRow.advance(self, action)
        observation, info = self.restart()
        self.begin(observation)
        return [info] if info else None

    cdef tuple end(self, object observation, list infos):
        self.is_over, self.mask[0] = True, False
        return observation, infos


cdef class StepRows:
    """See the plain twin."""

    cdef list rows
    cdef readonly Py_ssize_t current

    def __init__(self, rows):
        self.rows = list(rows)
        self.current = 0

    def step(self, list actions):
        """See the plain twin."""
        cdef Py_ssize_t number
        cdef list infos, infos_by_row = []
        if len(actions) != len(self.rows):
            raise ValueError("every row needs an action")
        for number in range(len(self.rows)):
            self.current = number
            infos = (<StepRow>self.rows[number]).advance(actions[number])
            if infos is not None:
                infos_by_row.append((number, infos))
        return infos_by_row


cdef class AgentRows:
    """See the plain twin."""

    cdef tuple agents
    cdef object buffers  # keeps alive the memory that the pointers point to
    cdef list writers, final_writers
    cdef readonly list living
    cdef cnp.ndarray rows  # of the living agents
    cdef cnp.ndarray lives, lived  # bool (agents,): alive now, and before the step
    cdef char* observations
    cdef char* final_observations
    cdef Py_ssize_t row_bytes
    cdef float* rewards
    cdef char* terminals
    cdef char* truncations
    cdef char* masks

    def __init__(self, agents, Plan plan, views, final_views, buffers):
        cdef Py_ssize_t count = len(agents)
        self.agents, self.buffers = tuple(agents), buffers
        self.living, self.rows = [], np.zeros(count, np.intp)
        self.lives, self.lived = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        self.writers = [Writer(plan, row) for row in views]
        self.final_writers = [Writer(plan, row) for row in final_views]
        if len(self.writers) != count or len(self.final_writers) != count:
            raise ValueError("every agent needs a row")
        self.observations = _rows(buffers.observations, count)
        self.final_observations = _rows(buffers.final_observations, count)
        self.row_bytes = buffers.observations.nbytes // count
        self.rewards = <float*>_numbers(buffers.rewards, cnp.NPY_FLOAT32, count)
        self.terminals = _numbers(buffers.terminals, cnp.NPY_BOOL, count)
        self.truncations = _numbers(buffers.truncations, cnp.NPY_BOOL, count)
        self.masks = _numbers(buffers.masks, cnp.NPY_BOOL, count)

    def reset(self, dict observations, living):
        """See the plain twin."""
        cdef Py_ssize_t row
        self.count(list(living))
        for row in range(len(self.agents)):
            agent = self.agents[row]
            self.masks[row] = agent in observations
            if self.masks[row]:
                _store_of(agent, <Writer>self.writers[row], observations[agent])
            else:
                memset(self.observations + row * self.row_bytes, 0, self.row_bytes)

    @property
    def living_rows(self):
        """See the plain twin."""
        return self.rows[: len(self.living)]

    def step(self, living, dict observations, dict rewards, dict terminations, dict truncations):
        """See the plain twin."""
        cdef Py_ssize_t row
        cdef bint ends, cut
        cdef PyObject* found
        cdef Writer writer
        cdef char* out
        self.count(list(living))
        cdef char* lives = <char*>cnp.PyArray_DATA(self.lives)
        cdef char* lived = <char*>cnp.PyArray_DATA(self.lived)
        for row in range(len(self.agents)):
            agent = self.agents[row]
            if not (lives[row] or lived[row]):
                self.rewards[row] = 0
                self.terminals[row] = self.truncations[row] = self.masks[row] = False
                continue
            ends, cut = _flag(terminations, agent), _flag(truncations, agent)
            if not (lives[row] or ends):
                cut = True
            found = PyDict_GetItemWithError(rewards, agent)
            self.rewards[row] = 0 if found is NULL else <float>_number_of(agent, <object>found)
            self.terminals[row], self.truncations[row] = ends, cut
            self.masks[row] = not (ends or cut)
            out, writer = self.observations, <Writer>self.writers[row]
            if ends or cut:
                memset(out + row * self.row_bytes, 0, self.row_bytes)
                out, writer = self.final_observations, <Writer>self.final_writers[row]
            found = PyDict_GetItemWithError(observations, agent)
            if found is NULL:
                memset(out + row * self.row_bytes, 0, self.row_bytes)
            else:
                _store_of(agent, writer, <object>found)

    cdef int count(self, list living) except -1:
        """Make `living` the agents that are alive; keep the previous ones in `lived`."""
        cdef Py_ssize_t row, found = 0, due = len(living)
        cdef char* lives
        cdef cnp.npy_intp* rows = <cnp.npy_intp*>cnp.PyArray_DATA(self.rows)
        cdef set unordered
        self.lives, self.lived = self.lived, self.lives
        lives = <char*>cnp.PyArray_DATA(self.lives)
        for row in range(len(self.agents)):  # fast path: `living` is in the order of the rows
            lives[row] = found < due and living[found] is self.agents[row]
            if lives[row]:
                rows[found] = row
                found += 1
        if found < due:
            unordered, found = set(living), 0
            living = [agent for agent in self.agents if agent in unordered]
            if len(living) < len(unordered):
                raise ContractError(_plain.unknown_agents(self.agents, unordered))
            for row in range(len(self.agents)):
                lives[row] = self.agents[row] in unordered
                if lives[row]:
                    rows[found] = row
                    found += 1
        self.living = living
        return 0


def present(dict infos):
    """See the plain twin."""
    return [info for info in infos.values() if info]


cdef int _store_of(object agent, Writer writer, object observation) except -1:
    """Write an agent's observation; an error names the agent."""
    try:
        return writer.store(observation)
    except PufferError as error:
        raise of_agent(error, agent) from error.__cause__


cdef double _number_of(object agent, object reward) except? -1:
    """Return an agent's reward; an error names the agent."""
    try:
        return _number(reward)
    except PufferError as error:
        raise of_agent(error, agent) from error.__cause__


cdef inline double _number(object reward) except? -1:
    """Return a reward as a double; see `results.number`."""
    if PyFloat_Check(reward) or type(reward) is _FLOAT32:
        return PyFloat_AsDouble(reward)
    if type(reward) in _NUMBER_TYPES:
        try:
            return PyFloat_AsDouble(reward)
        except OverflowError:  # number explains it
            pass
    return number(reward)


cdef inline object _item(object container, object key):
    cdef PyObject* found
    if not PyDict_CheckExact(container):
        return container[key]
    found = PyDict_GetItemWithError(container, key)
    if found is NULL:
        raise KeyError(key)
    return <object>found


cdef inline bint _flag(dict flags, object agent) except -1:
    cdef PyObject* found = PyDict_GetItemWithError(flags, agent)
    return False if found is NULL else bool(<object>found)


cdef inline int _assign(cnp.ndarray view, object value) except -1:
    """Store `value` in `view`, which is contiguous and in native byte order, if it fits."""
    cdef cnp.ndarray array
    cdef int axes = cnp.PyArray_NDIM(view)
    cdef int kind = cnp.PyArray_TYPE(view)
    if cnp.PyArray_CheckExact(value):
        array = <cnp.ndarray>value
        if cnp.PyArray_NDIM(array) == axes and not memcmp(
            cnp.PyArray_DIMS(array), cnp.PyArray_DIMS(view), axes * sizeof(cnp.npy_intp)
        ):
            if (
                cnp.PyArray_TYPE(array) == kind
                and cnp.PyArray_ISNOTSWAPPED(array)
                and cnp.PyArray_IS_C_CONTIGUOUS(array)
            ):
                memcpy(cnp.PyArray_DATA(view), cnp.PyArray_DATA(array), cnp.PyArray_NBYTES(view))
                return 0
            if _casts(cnp.PyArray_TYPE(array), kind):
                return cnp.PyArray_CopyInto(view, array)
    elif axes == 0:
        if PyLong_CheckExact(value) and kind == cnp.NPY_INT64:
            (<int64_t*>cnp.PyArray_DATA(view))[0] = value
            return 0
        if PyFloat_Check(value) and kind == cnp.NPY_FLOAT64:
            (<double*>cnp.PyArray_DATA(view))[0] = PyFloat_AsDouble(value)
            return 0
        if PyFloat_Check(value) and kind == cnp.NPY_FLOAT32:
            (<float*>cnp.PyArray_DATA(view))[0] = <float>PyFloat_AsDouble(value)
            return 0
        if _TYPE_NUMBERS.get(type(value)) == kind:
            cnp.PyArray_ScalarAsCtype(value, cnp.PyArray_DATA(view))
            return 0
    view[...] = fitting(value, view.dtype, (<object>view).shape)
    return 0


cdef inline bint _casts(int given, int leaf):
    """Return whether every array of the type number `given` can be cast; see `results.fitting`."""
    return (
        given == leaf
        or cnp.PyArray_CanCastSafely(given, leaf)
        or (cnp.PyTypeNum_ISFLOAT(given) and cnp.PyTypeNum_ISFLOAT(leaf))
    )


cdef char* _rows(object array, Py_ssize_t count) except NULL:
    """Return the address of `count` rows, after checking their number and memory layout."""
    if not (
        cnp.PyArray_CheckExact(array)
        and cnp.PyArray_NDIM(array) > 0
        and len(array) == count
        and cnp.PyArray_IS_C_CONTIGUOUS(array)
        and array.flags.writeable
    ):
        raise ValueError(f"expected {count} contiguous, writeable rows, got {array!r}")
    return <char*>cnp.PyArray_DATA(array)


cdef char* _numbers(object array, int kind, Py_ssize_t count) except NULL:
    """Return the address of a vector's numbers, after checking its dtype and size."""
    cdef char* data = _rows(array, count)
    if cnp.PyArray_TYPE(array) != kind or cnp.PyArray_NDIM(array) != 1:
        raise ValueError(f"expected a vector of another dtype, got {array!r}")
    return data
