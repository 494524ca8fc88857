"""Convert values that vary in size to the fixed-size spaces of `bounded.fixed`, and back."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium

from pufferlib.annotations import AnySpace, Array, Structure
from pufferlib.emulation.bounded import fixed
from pufferlib.emulation.results import fitting
from pufferlib.exceptions import ObservationError, PufferError
from pufferlib.spaces import (
    children,
    difference,
    is_space,
    leaves,
    max_items,
    max_nodes_and_edges,
    stacked_length,
    varies,
)


def packer(
    space: AnySpace, error: type[PufferError] = ObservationError
) -> Callable[[Structure], Structure] | None:
    """Return a function that converts a value of `space` to one of `fixed(space)`.

    The function overwrites and returns the same arrays on every call: copy what must last. Parts
    that do not vary in size are returned unchanged.

    Args:
        space: any space that `fixed` accepts.
        error: the class of the error raised if a value does not belong to `space`.

    Returns:
        The function; None if `fixed(space)` is `space`.
    """
    pack = _packer(space)
    if pack is None:
        return None

    def checked(value: Structure) -> Structure:
        try:
            return pack(value)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
            fault = difference(value, space)
            if fault is None:
                raise
            raise error(f"A value does not belong to its space: {fault}.") from problem

    return checked


def _packer(space: AnySpace) -> Callable[[Structure], Structure] | None:
    if not varies(space):
        return None
    parts = children(space)
    if parts is None:
        return _room_packer(space)
    packers = [(key, _packer(part) or _same) for key, part in parts]
    if is_space(space, "Dict"):
        return lambda value: {key: pack(value[key]) for key, pack in packers}
    return lambda value: tuple(pack(value[key]) for key, pack in packers)


def _same(value: Structure) -> Structure:
    return value


def _room_packer(space: AnySpace) -> Callable[[Structure], Structure]:
    """Return a packer of a Text, Sequence or Graph, which writes into arrays created here."""
    structure = fixed(space)
    fillers = [leaf.filler for leaf in leaves(structure)]
    arrays = [filler.copy() for filler in fillers]
    room = _nested(structure, iter(arrays))
    write = _writer(space, room)

    def pack(value: Structure) -> Structure:
        for array, filler in zip(arrays, fillers, strict=True):
            array[...] = filler
        write(value)
        return room

    return pack


def _nested(space: AnySpace, arrays: Iterator[Array]) -> Structure:
    parts = children(space)
    if parts is None:
        return next(arrays)
    built = {key: _nested(part, arrays) for key, part in parts}
    return built if is_space(space, "Dict") else tuple(built.values())


def _writer(space: AnySpace, room: Structure) -> Callable[[Structure], None]:
    """Return a function that writes a value of `space` over the fillers in `room`."""
    if is_space(space, "Text"):
        return _text_writer(space, room)
    if is_space(space, "Sequence"):
        return _sequence_writer(space, room)
    if is_space(space, "Graph"):
        return _graph_writer(space, room)
    parts = children(space)
    if parts is None:
        return _leaf_writer(room)
    writers = [(key, _writer(part, room[key])) for key, part in parts]

    def write(value: Structure) -> None:
        for key, write_part in writers:
            write_part(value[key])

    return write


def _leaf_writer(room: Array) -> Callable[[Structure], None]:
    def write(value: Structure) -> None:
        room[...] = fitting(value, room.dtype, room.shape)

    return write


def _text_writer(space: AnySpace, room: Array) -> Callable[[str], None]:
    codes = {character: i + 1 for i, character in enumerate(sorted(space.character_set))}

    def write(value: str) -> None:
        _check_count(len(value), len(room))
        room[: len(value)] = [codes[character] for character in value]

    return write


def _sequence_writer(space: AnySpace, room: Structure) -> Callable[[Structure], None]:
    length, feature_space = room["length"], space.feature_space
    most, is_stacked = max_items(space) or 0, getattr(space, "stack", False)
    write_rows = _rows_writer(feature_space, room["items"], most, is_stacked)

    def write(value: Structure) -> None:
        count = stacked_length(value, feature_space) if is_stacked else len(value)
        _check_count(count, most)
        length[...] = count
        write_rows(value)

    return write


def _graph_writer(space: AnySpace, room: Structure) -> Callable[[Structure], None]:
    max_nodes, max_edges = max_nodes_and_edges(space) or (0, 0)
    write_nodes = _rows_writer(space.node_space, room["nodes"], max_nodes, is_stacked=True)
    if max_edges:
        write_edges = _rows_writer(space.edge_space, room["edges"], max_edges, is_stacked=True)

    def write(value: Structure) -> None:
        num_nodes = stacked_length(value.nodes, space.node_space)
        _check_count(num_nodes, max_nodes)
        room["num_nodes"][...] = num_nodes
        write_nodes(value.nodes)
        if value.edges is None:
            return
        num_edges = stacked_length(value.edges, space.edge_space)
        _check_count(num_edges, max_edges)
        if num_edges:
            room["num_edges"][...] = num_edges
            write_edges(value.edges)
            links = room["edge_links"][:num_edges]
            links[...] = fitting(value.edge_links, links.dtype, links.shape)

    return write


def _rows_writer(
    space: AnySpace, room: Structure, most: int, is_stacked: bool
) -> Callable[[Structure], None]:
    """Return a function that writes up to `most` values of `space` into the first rows of `room`.

    Args:
        space: the space of one value.
        room: arrays (most, ...), nested like `space`.
        most: the number of rows in `room`.
        is_stacked: the values are arrays nested like `space`, not a sequence of values.
    """
    if varies(space) and children(space) is None:
        writers = [_writer(space, _row(room, i)) for i in range(most)]

        def write_each(rows: Sequence[Structure]) -> None:
            for write, row in zip(writers, rows, strict=False):
                write(row)

        return write_each
    parts = children(space)
    if parts is None:

        def write_array(rows: Structure) -> None:
            count = len(rows)
            if count:
                room[:count] = fitting(rows, room.dtype, (count, *room.shape[1:]))

        return write_array
    writers_of = [(key, _rows_writer(part, room[key], most, is_stacked)) for key, part in parts]

    def write_parts(rows: Structure) -> None:
        for key, write_part in writers_of:
            write_part(rows[key] if is_stacked else [row[key] for row in rows])

    return write_parts


def _row(room: Structure, index: int) -> Structure:
    """Return one row of nested arrays, as views."""
    if isinstance(room, dict):
        return {key: _row(part, index) for key, part in room.items()}
    if isinstance(room, tuple):
        return tuple(_row(part, index) for part in room)
    return room[index, ...]


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"got {count} items, at most {most} fit")


def unpacker(space: AnySpace) -> Callable[[Structure], Structure] | None:
    """Return a function that converts a value of `fixed(space)` to one of `space`.

    Any value of `fixed(space)` is converted to a valid one: blanks in a text are dropped, a text
    that is too short is padded with its space's first character, and the ends of an edge are taken
    modulo the number of nodes; a graph without nodes has no edges. A graph without edges has None
    for them, as in Gymnasium's `sample`.

    Returns:
        The function, which returns views of its argument's arrays where possible; None if
        `fixed(space)` is `space`.
    """
    return _unpacker(space)


def _unpacker(space: AnySpace) -> Callable[[Structure], Structure] | None:
    if not varies(space):
        return None
    if is_space(space, "Text"):
        return _text_unpacker(space)
    if is_space(space, "Sequence"):
        return _sequence_unpacker(space)
    if is_space(space, "Graph"):
        return _graph_unpacker(space)
    unpackers = [(key, _unpacker(part) or _same) for key, part in children(space) or ()]
    if is_space(space, "Dict"):
        return lambda packed: {key: unpack(packed[key]) for key, unpack in unpackers}
    return lambda packed: tuple(unpack(packed[key]) for key, unpack in unpackers)


def _text_unpacker(space: AnySpace) -> Callable[[Array], str]:
    characters, least = ["", *sorted(space.character_set)], space.min_length

    def unpack(packed: Array) -> str:
        text = "".join([characters[code] for code in packed.tolist()])
        return text if len(text) >= least else text.ljust(least, characters[1])

    return unpack


def _sequence_unpacker(space: AnySpace) -> Callable[[Structure], Structure]:
    if getattr(space, "stack", False):
        stacked = _stack_unpacker(space.feature_space)
        return lambda packed: stacked(packed["items"], int(packed["length"]))
    item = _row_unpacker(space.feature_space)

    def unpack(packed: Structure) -> Structure:
        items = packed["items"]
        return tuple(item(items, i) for i in range(int(packed["length"])))

    return unpack


def _graph_unpacker(space: AnySpace) -> Callable[[Structure], Structure]:
    instance = _graph_instance(space)
    _, max_edges = max_nodes_and_edges(space) or (0, 0)
    nodes = _stack_unpacker(space.node_space)
    edges = _stack_unpacker(space.edge_space) if max_edges else None

    def unpack(packed: Structure) -> Structure:
        num_nodes = int(packed["num_nodes"])
        num_edges = int(packed["num_edges"]) if edges and num_nodes else 0
        if edges is None or num_edges == 0:
            return instance(nodes(packed["nodes"], num_nodes), None, None)
        return instance(
            nodes(packed["nodes"], num_nodes),
            edges(packed["edges"], num_edges),
            packed["edge_links"][:num_edges] % num_nodes,
        )

    return unpack


def _graph_instance(space: AnySpace) -> Any:
    """Return the GraphInstance class of `space`'s package: each package accepts only its own."""
    package = gymnasium if isinstance(space, gymnasium.Space) else sys.modules["gym"]
    return package.spaces.GraphInstance


def _row_unpacker(space: AnySpace) -> Callable[[Structure, int], Structure]:
    """Return a function that takes arrays (n, ...) nested like `space`, and i; returns value i."""
    if is_space(space, "Discrete"):
        return lambda rows, i: rows[i]
    unpack = _unpacker(space)
    parts = children(space)
    if parts is None:
        return lambda rows, i: _row(rows, i) if unpack is None else unpack(_row(rows, i))
    unpackers = [(key, _row_unpacker(part)) for key, part in parts]
    if is_space(space, "Dict"):
        return lambda rows, i: {key: part(rows[key], i) for key, part in unpackers}
    return lambda rows, i: tuple(part(rows[key], i) for key, part in unpackers)


def _stack_unpacker(space: AnySpace) -> Callable[[Structure, int], Structure]:
    """Return a function that takes arrays (n, ...) nested like `space`, and m.

    It returns the first m values stacked as Gymnasium does: in a tuple if they vary in size, else
    in an array.
    """
    parts = children(space)
    if parts is None and varies(space):
        item = _row_unpacker(space)
        return lambda rows, count: tuple(item(rows, i) for i in range(count))
    if parts is None:
        return lambda rows, count: rows[:count]
    unpackers = [(key, _stack_unpacker(part)) for key, part in parts]
    if is_space(space, "Dict"):
        return lambda rows, count: {key: part(rows[key], count) for key, part in unpackers}
    return lambda rows, count: tuple(part(rows[key], count) for key, part in unpackers)
