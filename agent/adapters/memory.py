"""Memory for the ring: footage in it must not reach a swap device, a core dump or a child process.

Guarantees: pages of zeros, given back to the kernel when the mapping is closed or the process ends; left out of core
dumps and of children. Locked only as far as the limit of the process allows (in its unit: LimitMEMLOCK);
the caller is told, and alerts.
"""

from __future__ import annotations

import ctypes
import mmap


def locked_arena(length: int) -> tuple[mmap.mmap, bool]:
    """`length` bytes (over 0), and whether they are locked into memory."""
    arena = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    arena.madvise(mmap.MADV_DONTDUMP)
    arena.madvise(mmap.MADV_DONTFORK)
    return arena, _lock(arena, length)


def _lock(arena: mmap.mmap, length: int) -> bool:
    libc = ctypes.CDLL(None)
    first = ctypes.c_char.from_buffer(arena)
    try:
        result: int = libc.mlock(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(length))
    finally:
        del first  # an export of the mapping: it could not be closed
    return result == 0
