"""Let all copies of NetHack's library share the memory that nothing writes to.

NLE loads a copy of libnethack.so for each game, since its C code keeps a game in global variables.
Code and constants, 2.6 of its 3.3 MB, are the same in each copy, but in different memory, and a
step of each game in turn evicts those of the others from the processor's caches. Here the segments
that cannot be written are mapped from one file instead: the same addresses, the same bytes, the
same memory for all games, and all processes.

Of 64-bit ELF libraries on Linux x86-64 with glibc; anywhere else, and wherever a check fails, the
copies stay as they are. The checks: no segment that the loader may write (nothing in them is
relocated: no DT_TEXTREL; what becomes read-only after relocation is in a writable segment), and
equal bytes in memory and in the file, once for each copy.

NLE unloads and loads its copy at each reset, which undoes this, and `dlclose` unmaps it as it does
the original.
"""

import ctypes
import functools
import os
import platform
import struct
import sys
from typing import Any, NamedTuple

from nle.nethack.nethack import DLPATH

_PAGE = 4096
_LOAD, _DYNAMIC = 1, 2  # types of segments
_EXECUTE, _WRITE = 1, 2  # flags of segments
_TEXTREL, _FLAGS, _FLAG_TEXTREL = 22, 30, 4  # of the dynamic section
_LAZY, _NOLOAD, _LINK_MAP = 1, 4, 2  # of dlopen and dlinfo
_READ, _RUN = 1, 4  # protections of mmap
_PRIVATE, _FIXED = 2, 16  # flags of mmap
_FAILED = ctypes.c_void_p(-1).value


class Segment(NamedTuple):
    """Whole pages of the library: where from its base, how many bytes, of where in the file."""

    address: int
    size: int
    offset: int
    protection: int


class _Shared(NamedTuple):
    """The file, and where its segments are mapped here to compare with."""

    libc: Any
    file: int
    segments: tuple[Segment, ...]
    originals: tuple[int, ...]


def share_segments(path: str, is_checked: bool = False) -> bool:
    """Map the segments that nothing writes to, of a copy that is loaded, from NLE's own file.

    Args:
        path: of the copy, as it was loaded: `Nethack.dlpath`.
        is_checked: an earlier call has compared this copy with the file.

    Returns:
        Whether it did. If not, the copy is as it was, and another call would not do it either.

    Raises:
        MemoryError: there was no memory for it. Part of the copy may be missing, so it must
            neither be called nor unloaded any more.
    """
    shared = _shared()
    base = None if shared is None else _base(shared.libc, path)
    if shared is None or base is None:
        return False
    libc = shared.libc
    for segment, original in zip(shared.segments, shared.originals, strict=True):
        if not is_checked and libc.memcmp(base + segment.address, original, segment.size):
            return False
    for segment in shared.segments:
        address = base + segment.address
        flags = _PRIVATE | _FIXED
        arguments = (segment.size, segment.protection, flags, shared.file, segment.offset)
        if libc.mmap(address, *arguments) != address:
            raise MemoryError("No memory to share NetHack's library. Pass share_library=False.")
    return True


@functools.cache
def _shared() -> _Shared | None:
    """Return the file to map from; None where that is not possible."""
    is_known = sys.platform == "linux" and platform.machine() == "x86_64"
    if not is_known or platform.libc_ver()[0] != "glibc" or os.sysconf("SC_PAGE_SIZE") != _PAGE:
        return None
    with open(DLPATH, "rb") as file:
        segments = read_only_segments(file.read())
    if not segments:
        return None
    libc = _libc()
    descriptor = os.open(DLPATH, os.O_RDONLY | os.O_CLOEXEC)
    originals = tuple(
        libc.mmap(None, each.size, each.protection, _PRIVATE, descriptor, each.offset)
        for each in segments
    )
    if _FAILED in originals:  # on a file system from which no code is run, for example
        os.close(descriptor)
        return None
    return _Shared(libc, descriptor, segments, originals)


def read_only_segments(library: bytes) -> tuple[Segment, ...]:
    """Return the segments of a library that its loader never writes to; none if in doubt."""
    if library[:6] != b"\x7fELF\x02\x01":  # 64 bits, little endian
        return ()
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", library, table + size * i) for i in range(count)]
    segments, written = [], []
    for kind, flags, offset, address, _, file_size, memory_size, _ in headers:
        if kind == _DYNAMIC:
            entries = struct.iter_unpack("<QQ", library[offset : offset + file_size])
            if any(_writes_to_text(tag, value) for tag, value in entries):
                return ()
        if kind != _LOAD:
            continue
        start, stop = address // _PAGE * _PAGE, -(-(address + file_size) // _PAGE) * _PAGE
        if flags & _WRITE:
            written.append((start, -(-(address + memory_size) // _PAGE) * _PAGE))
        elif file_size == memory_size and address % _PAGE == offset % _PAGE:
            protection = _READ | (_RUN if flags & _EXECUTE else 0)
            segments.append(Segment(start, stop - start, offset // _PAGE * _PAGE, protection))
        else:
            return ()
    for segment in segments:
        end = segment.address + segment.size
        if any(segment.address < stop and start < end for start, stop in written):
            return ()
    return tuple(segments)


def _writes_to_text(tag: int, value: int) -> bool:
    return tag == _TEXTREL or (tag == _FLAGS and bool(value & _FLAG_TEXTREL))


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    libc.mmap.restype = pointer
    libc.mmap.argtypes = [pointer, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.memcmp.argtypes = [pointer, pointer, size]
    libc.dlopen.restype = pointer
    libc.dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    libc.dlclose.argtypes = [pointer]
    libc.dlinfo.argtypes = [pointer, ctypes.c_int, pointer]
    return libc


def _base(libc: Any, path: str) -> int | None:
    """Return the address at which a library is loaded; None if it is not."""
    library = libc.dlopen(path.encode(), _LAZY | _NOLOAD)
    if not library:
        return None
    link_map = ctypes.c_void_p()
    is_found = libc.dlinfo(library, _LINK_MAP, ctypes.byref(link_map)) == 0
    libc.dlclose(library)
    if not is_found or not link_map.value:
        return None
    return ctypes.c_uint64.from_address(link_map.value).value or None  # its first field
