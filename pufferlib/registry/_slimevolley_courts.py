"""The physics of many courts of Slime Volleyball in NumPy, and its author's player for all of them.

The package steps one court in Python. These are its rules for n courts at once, with the same
operations in the same order, so that all numbers are equal to the last bit.
"""

import numpy as np
from numpy.typing import NDArray

from pufferlib.registry._slimevolley_env import package

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

LEFT, RIGHT = 0, 1
OBSERVED = 12  # numbers that a player observes
_SCALE = 10.0  # of RelativeState.getObservation
_SIDES = np.array([[-1.0], [1.0]])  # Agent.dir
_STEP: float = package.TIMESTEP
_FALL: float = package.GRAVITY * package.TIMESTEP
_FASTEST: float = package.MAX_BALL_SPEED
_GROUND: float = package.REF_U
_GROUNDED: float = package.REF_U + package.NUDGE * package.TIMESTEP
_NUDGED: float = package.NUDGE * package.TIMESTEP
_BALL, _SLIME, _STUB = 0.5, 1.5, package.REF_WALL_WIDTH / 2  # radii
_WALL: float = package.REF_W / 2 - _BALL  # where the ball touches it
_CEILING: float = package.REF_H - _BALL
_FENCE: float = package.REF_WALL_WIDTH / 2 + _BALL
_NEAREST: float = package.REF_WALL_WIDTH / 2 + _SLIME  # to the fence, of a player
_FARTHEST: float = package.REF_W / 2 - _SLIME
_REACH = np.array([[_BALL + _SLIME], [_BALL + _SLIME], [_BALL + _STUB]]) ** 2


class Courts:
    """Games of two players, each on a court.

    Args:
        count: of courts.

    Attributes:
        seen: float64 (2, 12, count): what the players left and right see, before it is scaled.
        lives: int64 (2, count): points that each player has left.
        generators: one for each court, which draws the serves.
    """

    def __init__(self, count: int) -> None:
        self.seen = np.zeros((2, OBSERVED, count))
        self.lives = np.zeros((2, count), np.int64)
        self.generators = [np.random.default_rng() for _ in range(count)]
        # x, y, vx, vy of what the ball bounces off: two players and the round top of the fence.
        self._bodies = np.zeros((4, 3, count))
        self._bodies[1, 2] = package.REF_WALL_HEIGHT
        self._x, self._y, self._vx, self._vy = self._bodies[:, :2]
        self._ball = np.zeros((4, count))  # x, y, vx, vy
        self._delay = np.zeros(count, np.int64)  # steps until the ball is let go

    def reset(self, rows: Rows) -> None:
        """Start a game on some of the courts."""
        self._serve(rows)
        self.lives[:, rows] = package.MAXLIVES
        self._x[:, rows] = _SIDES * package.REF_W / 4
        self._y[:, rows] = _GROUND
        self._vx[:, rows] = self._vy[:, rows] = 0.0
        self._observe(rows)

    def step(self, left: NDArray[np.bool_], right: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Take one step on all courts; return (count,): 1 where the right has won a point, or -1.

        Args:
            left: (3, count): whether the players press forward, backward, jump.
            right: the same.
        """
        self._move_players(np.stack([left, right], 1))
        before = self._move_ball()
        self._bounce_off_bodies()
        won = self._bounce_off_edges(before)
        scored = np.flatnonzero(won)
        if not len(scored):
            self._observe()
            return won
        self._serve(scored)
        self.lives[LEFT] -= won == 1
        self.lives[RIGHT] -= won == -1
        self._observe(np.flatnonzero(won == 0))  # the package does not, in the step of a point
        return won

    def _move_players(self, pressed: NDArray[np.bool_]) -> None:
        """Move the players by what they press, (3, 2, count)."""
        x, y, vx, vy = self._x, self._y, self._vx, self._vy
        forward, backward, jump = pressed.astype(np.float64)
        vy += _FALL
        np.copyto(vy, package.PLAYER_SPEED_Y * jump, where=y <= _GROUNDED)
        # Adding 0 makes zeros positive: those of the package are integers, which have no sign.
        vx[:] = package.PLAYER_SPEED_X * (backward - forward) * _SIDES + 0.0
        x += vx * _STEP
        y += vy * _STEP
        has_landed = y <= _GROUND
        y[has_landed] = _GROUND
        vy[has_landed] = 0.0
        forth = x * _SIDES
        vx[(forth <= _NEAREST) | (forth >= _FARTHEST)] = 0.0
        x[:] = np.clip(forth, _NEAREST, _FARTHEST) * _SIDES

    def _move_ball(self) -> Floats:
        """Move the balls that are not waiting; return where they were, (count,)."""
        ball, (x, y, vx, vy) = self._ball, self._ball
        is_free = self._delay == 0
        self._delay -= ~is_free
        vy += _FALL * is_free
        squared = vx * vx + vy * vy
        fast = np.flatnonzero((squared > _FASTEST * _FASTEST) & is_free)
        if len(fast):
            ball[2:, fast] = ball[2:, fast] / np.sqrt(squared[fast]) * _FASTEST
        before = x.copy()
        x += vx * _STEP * is_free
        y += vy * _STEP * is_free
        return before

    def _bounce_off_bodies(self) -> None:
        """Let balls bounce off the left player, then the right, then the top of the fence."""
        bodies = self._bodies
        rows = np.flatnonzero((_squared_distance(self._ball, bodies) < _REACH).any(0))
        for number in range(3 if len(rows) else 0):
            reach, body = _REACH[number, 0], bodies[:, number]
            touching = rows[reach > _squared_distance(self._ball[:, rows], body[:, rows])]
            if len(touching):
                balls = self._ball[:, touching]
                _bounce(balls, body[:, touching], reach)
                self._ball[:, touching] = balls

    def _bounce_off_edges(self, before: Floats) -> NDArray[np.int64]:
        """Let balls bounce off the walls, the ceiling and the fence; return who wins a point."""
        won = np.zeros(len(before), np.int64)
        x, y = self._ball[:2]
        is_crossing = (before > _FENCE) & (x <= _FENCE) | (before < -_FENCE) & (x >= -_FENCE)
        is_at_edge = (np.abs(x) >= _WALL) | (y <= _BALL + _GROUND) | (y >= _CEILING)
        for row in np.flatnonzero(is_at_edge | is_crossing).tolist():
            won[row] = self._bounce_off_edge(row, float(before[row]))
        return won

    def _bounce_off_edge(self, row: int, before: float) -> int:
        """Do so on one court, as the package's Particle.checkEdges."""
        x, y, vx, vy = self._ball[:, row].tolist()
        won = 0
        if x <= -_WALL:
            vx, x = -vx, -_WALL + _NUDGED
        if x >= _WALL:
            vx, x = -vx, _WALL - _NUDGED
        if y <= _BALL + _GROUND:
            won = 1 if x <= 0 else -1
        else:
            if y >= _CEILING:
                vy, y = -vy, _CEILING - _NUDGED
            if x <= _FENCE < before and y <= package.REF_WALL_HEIGHT:
                vx, x = -vx, _FENCE + _NUDGED
            if x >= -_FENCE > before and y <= package.REF_WALL_HEIGHT:
                vx, x = -vx, -_FENCE - _NUDGED
        self._ball[:, row] = x, y, vx, vy
        return won

    def _serve(self, rows: Rows) -> None:
        """Put new balls over the middle of some of the courts."""
        for row in rows.tolist():
            uniform = self.generators[row].uniform
            self._ball[2:, row] = uniform(-20, 20), uniform(10, 25)
        self._ball[0, rows], self._ball[1, rows] = 0.0, package.REF_W / 4
        self._delay[rows] = package.INIT_DELAY_FRAMES

    def _observe(self, rows: Rows | slice = slice(None)) -> None:
        """Note what the players of some of the courts see."""
        x, y, vx, vy = self._bodies[:, :2, rows]
        seen = np.empty((2, OBSERVED, x.shape[1]))
        # Adding 0 makes zeros positive: the package's are integers there, which have no sign.
        seen[:, 0], seen[:, 1], seen[:, 2], seen[:, 3] = x * _SIDES, y, vx * _SIDES + 0.0, vy
        x, y, vx, vy = self._ball[:, rows]
        seen[:, 4], seen[:, 5], seen[:, 6], seen[:, 7] = x * _SIDES + 0.0, y, vx * _SIDES, vy
        seen[:, 8:] = seen[::-1, :4]  # the other player, as that one sees itself
        self.seen[:, :, rows] = seen


def _squared_distance(ball: Floats, body: Floats) -> Floats:
    dy = body[1] - ball[1]
    dx = body[0] - ball[0]
    squared: Floats = dx * dx + dy * dy
    return squared


def _bounce(ball: Floats, body: Floats, reach: float) -> None:
    """Let balls that touch bodies bounce off, as the package's Particle.bounce.

    Args:
        ball: x, y, vx, vy: (4, count), written.
        body: the same of the bodies.
        reach: squared distance at which they touch.
    """
    normal = ball[:2] - body[:2]
    normal /= np.sqrt(normal[0] * normal[0] + normal[1] * normal[1])
    is_touching = np.ones(ball.shape[1], np.bool_)
    while is_touching.any():
        ball[:2, is_touching] += normal[:, is_touching] * package.NUDGE
        is_touching = reach > _squared_distance(ball, body)
    relative = ball[2:] - body[2:]
    along = relative[0] * normal[0] + relative[1] * normal[1]
    ball[2:] = relative - normal * (along * 2.0) + body[2:]


class Baselines:
    """The package's own player, one for each court, as `BaselinePolicy`."""

    def __init__(self, count: int) -> None:
        policy = package.BaselinePolicy()
        self._weight, self._bias = policy.weight, policy.bias
        self._inputs = np.zeros((count, policy.nInput))
        self._memory = self._inputs[:, policy.nGameInput :]  # what it has put out
        self._sees = policy.nGameInput

    def reset(self, rows: Rows) -> None:
        """Forget the games of some of the courts."""
        self._memory[rows] = 0.0

    def act(self, seen: Floats) -> NDArray[np.bool_]:
        """Return what they press, (3, count), for what they see, (12, count)."""
        self._inputs[:, : self._sees] = scaled(seen[: self._sees])
        # One matrix-vector product for each, as the package has it: a product of matrices may sum
        # in another order.
        sums = np.matmul(self._weight, self._inputs[:, :, np.newaxis])[:, :, 0]
        self._memory[:] = np.tanh(sums + self._bias)
        return (self._memory[:, :3] > 0.75).T


def scaled(seen: Floats) -> Floats:
    """Return observations, float64 (count, 12), for what is seen, (12, count)."""
    return seen.T / _SCALE
