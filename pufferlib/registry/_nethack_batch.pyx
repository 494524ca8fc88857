# cython: language_level=3, boundscheck=False, wraparound=False
"""Step many games of NetHack, compiled: the twin of `_nethack_batch_plain.py`, which documents it."""

from libc.stdint cimport int16_t, int32_t, int64_t
from libc.stdlib cimport calloc, free

from pufferlib.registry._nethack_batch_plain import GOALS, LEFT_TO_AGENT, REWARDS, Episode

cimport numpy as cnp

cnp.import_array()

cdef enum:
    HEIGHT = 21
    WIDTH = 79
    # Positions in blstats.
    X = 0
    Y = 1
    SCORE = 9
    DEPTH = 12
    GOLD = 13
    EXPERIENCE_LEVEL = 18
    TURNS = 20
    DUNGEON = 23
    LEVEL = 24
    # In `internal`.
    IN_YN = 1
    IN_GETLIN = 2
    WAITS_FOR_SPACE = 3
    STAIRS_DOWN = 4
    NUTRITION = 7
    # How an episode ended.
    ABORTED = -1
    RUNNING = 0
    DEATH = 1
    SUCCESSFUL = 2
    # Indices in REWARDS and GOALS.
    BY_SCORE = 0
    BY_GOLD = 1
    BY_EATING = 2
    BY_SCOUTING = 3
    BY_GOAL = 4
    NO_GOAL = 0
    STAIRS = 1
    ORACLE = 3

cdef double FROZEN_PENALTY = -0.01
cdef object SPACE = 32, ESCAPE = 27, QUIT = 0x80 | 113, YES = 121


cdef struct Game:
    int64_t* blstats
    int16_t* glyphs
    int32_t* internal
    int64_t score, gold, time, nutrition, frozen, steps
    int64_t depth, experience_level, turns, last_score
    double total
    int status


cdef class Batch:
    """See the plain twin."""

    cdef Game* games
    cdef Py_ssize_t count
    cdef list press, is_over, is_normal, messages, explored, judges
    cdef tuple leaves
    cdef object arrays, rows  # keep alive what the pointers point to
    cdef float* rewards
    cdef char* terminals
    cdef char* truncations
    cdef int reward, goal, blank, first_pet, after_pets, oracle
    cdef int64_t max_steps
    cdef bint aborts

    def __cinit__(self, games, arrays, rules, rewards, terminals, truncations, judges=None):
        cdef Py_ssize_t i
        self.count = len(games)
        self.games = <Game*>calloc(self.count, sizeof(Game))
        if self.games == NULL:
            raise MemoryError
        self.press = [game.step for game in games]
        self.is_over = [game.done for game in games]
        self.is_normal = [game.in_normal_game for game in games]
        self.messages = [each.message for each in arrays]
        self.explored = [{} for _ in games]
        self.judges = [None] * self.count if judges is None else list(judges)
        if len(self.judges) != self.count:
            raise ValueError(f"{self.count} games take as many judges; got {len(self.judges)}")
        self.arrays, self.rows = list(arrays), (rewards, terminals, truncations)
        for i in range(self.count):
            self.games[i].blstats = <int64_t*>_data(arrays[i].blstats, "int64", 27)
            self.games[i].glyphs = <int16_t*>_data(arrays[i].glyphs, "int16", HEIGHT * WIDTH)
            self.games[i].internal = <int32_t*>_data(arrays[i].internal, "int32", 9)
        self.rewards = <float*>_data(rewards, "float32", self.count)
        self.terminals = <char*>_data(terminals, "bool", self.count)
        self.truncations = <char*>_data(truncations, "bool", self.count)
        self.reward, self.goal = REWARDS.index(rules.reward), GOALS.index(rules.goal)
        self.leaves = (b"",) if rules.leaves_all else LEFT_TO_AGENT
        self.max_steps, self.aborts = rules.max_steps, rules.aborts
        self.blank, self.oracle = rules.blank, rules.oracle
        self.first_pet, self.after_pets = rules.pets

    def __dealloc__(self):
        free(self.games)

    def begin(self, Py_ssize_t index):
        """See the plain twin."""
        cdef Game* game = self.at(index)
        game.frozen = game.steps = game.depth = 0
        game.experience_level = game.turns = game.last_score = 0
        game.status, game.total = RUNNING, 0
        self.explored[index] = {}
        _remember(game)
        if self.judges[index] is not None:
            self.judges[index].begin()

    def quit(self, Py_ssize_t index):
        """See the plain twin."""
        self.at(index)
        if not self.answer(index, ()):
            self.press[index](QUIT)
            self.press[index](YES)
            self.answer(index, ())

    def step(self, list keys):
        """See the plain twin."""
        cdef Py_ssize_t i
        cdef Game* game
        cdef double reward
        cdef int status
        cdef list ended = []
        if len(keys) != self.count:
            raise ValueError(f"{self.count} games take as many keys; got {len(keys)}")
        for i in range(self.count):
            game = &self.games[i]
            self.press[i](keys[i])
            status = self.end(i, keys[i], self.answer(i, self.leaves))
            game.status = RUNNING if status == ABORTED and not self.aborts else status
            reward = self.gain(i)
            _remember(game)
            game.total += reward
            self.rewards[i] = <float>reward
            self.terminals[i], self.truncations[i] = status > 0, status == ABORTED
            if status != RUNNING:
                ended.append(i)
        return ended

    def episode(self, Py_ssize_t index):
        """See the plain twin."""
        cdef Game* game = self.at(index)
        return Episode(
            game.status,
            game.depth,
            game.experience_level,
            game.turns,
            game.last_score,
            game.total,
            game.steps,
        )

    cdef Game* at(self, Py_ssize_t index) except NULL:
        if not 0 <= index < self.count:
            raise IndexError(f"there are {self.count} games; got {index}")
        return &self.games[index]

    cdef int answer(self, Py_ssize_t i, tuple leaves) except -1:
        cdef int32_t* internal = self.games[i].internal
        cdef object is_over = self.is_over[i]
        cdef bytes message
        while not is_over():
            if internal[WAITS_FOR_SPACE]:
                self.press[i](SPACE)
            elif internal[IN_GETLIN]:
                self.press[i](ESCAPE)
            elif internal[IN_YN]:
                message = self.messages[i].tobytes()
                if any([text in message for text in leaves]):
                    return False
                self.press[i](ESCAPE)
                return bool(is_over())
            else:
                return False
        return True

    cdef int end(self, Py_ssize_t i, key, bint is_over) except? -2:
        cdef Game* game = &self.games[i]
        cdef bint is_cut
        game.steps += 1
        is_cut = game.steps >= self.max_steps
        if self.judges[i] is not None:
            return self.judges[i].end(key, is_over, is_cut)
        if is_over:
            return DEATH
        if self.goal != NO_GOAL and not (is_cut and self.aborts) and self.is_at_goal(game):
            return SUCCESSFUL
        return ABORTED if is_cut else RUNNING

    cdef bint is_at_goal(self, Game* game) noexcept:
        cdef int64_t x, y, hero_x = game.blstats[X], hero_y = game.blstats[Y]
        cdef int glyph
        if self.goal != ORACLE and not game.internal[STAIRS_DOWN]:
            return False
        if self.goal == STAIRS:
            return True
        if hero_x < 1 or hero_y < 1:  # as NumPy slices from -1: empty
            return False
        for y in range(hero_y - 1, min(hero_y + 2, HEIGHT)):
            for x in range(hero_x - 1, min(hero_x + 2, WIDTH)):
                glyph = game.glyphs[y * WIDTH + x]
                if self.goal == ORACLE:
                    if glyph == self.oracle:
                        return True
                elif self.first_pet <= glyph < self.after_pets:
                    return True
        return False

    cdef double gain(self, Py_ssize_t i) except? -1:
        cdef Game* game = &self.games[i]
        cdef int64_t gained, explored
        cdef Py_ssize_t cell
        cdef dict places
        cdef tuple place
        if self.judges[i] is not None:
            return self.judges[i].reward(game.status)
        if self.reward == BY_GOAL:
            return (game.status == SUCCESSFUL) + _penalty(game)
        if self.reward == BY_SCORE:
            gained = game.blstats[SCORE] - game.score
            if gained and not self.is_normal[i]():
                gained = 0
            return gained + _penalty(game)
        if not self.is_normal[i]():
            return 0.0
        if self.reward == BY_GOLD:
            gained = game.blstats[GOLD] - game.gold
        elif self.reward == BY_EATING:
            gained = max(0, game.internal[NUTRITION] - game.nutrition)
        else:
            explored = 0
            for cell in range(HEIGHT * WIDTH):
                explored += game.glyphs[cell] != self.blank
            place = (game.blstats[DUNGEON], game.blstats[LEVEL])
            places = self.explored[i]
            gained = explored - <int64_t>places.get(place, 0)
            places[place] = explored
        return gained + _penalty(game)


cdef char* _data(cnp.ndarray array, str dtype, Py_ssize_t size) except NULL:
    """Return where an array lies, checked."""
    if array.dtype != dtype or array.size != size or not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError(f"a contiguous array of {size} {dtype} is needed")
    return <char*>cnp.PyArray_DATA(array)


cdef void _remember(Game* game) noexcept:
    cdef int64_t* blstats = game.blstats
    game.score, game.gold, game.time = blstats[SCORE], blstats[GOLD], blstats[TURNS]
    game.nutrition = game.internal[NUTRITION]
    if blstats[DEPTH]:
        game.depth = max(game.depth, blstats[DEPTH])
        game.experience_level = blstats[EXPERIENCE_LEVEL]
        game.turns, game.last_score = blstats[TURNS], blstats[SCORE]


cdef double _penalty(Game* game) noexcept:
    game.frozen = game.frozen + 1 if game.blstats[TURNS] == game.time else 0
    return FROZEN_PENALTY if game.frozen else 0.0
