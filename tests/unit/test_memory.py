"""The ring's memory: zeros, out of core dumps and children, locked if the process may."""

from __future__ import annotations

import ctypes
import mmap
import re
import subprocess
import sys
from pathlib import Path

from agent.adapters.memory import locked_arena

LENGTH = 256 * 1024

WITHOUT_RIGHTS = """
import os, resource
from agent.adapters.memory import locked_arena
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
arena, locked = locked_arena(262144)
arena[0] = 1
print(locked)
"""


def kernel_flags(arena: mmap.mmap) -> set[str]:
    """What the kernel says of the mapping (proc(5), "VmFlags")."""
    first = ctypes.c_char.from_buffer(arena)
    address = ctypes.addressof(first)
    del first
    flags: set[str] = set()
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("VmFlags:"):
            flags = set(line.split()[1:])
    return flags


def test_the_arena_is_zeros_that_no_dump_and_no_child_gets() -> None:
    arena, locked = locked_arena(LENGTH)
    with arena:
        assert len(arena) == LENGTH
        assert not any(arena[:])
        flags = kernel_flags(arena)
        assert {"dd", "dc"} <= flags
        assert ("lo" in flags) is locked


def test_without_the_right_to_lock_it_is_said_and_the_memory_is_usable() -> None:
    found = subprocess.run([sys.executable, "-c", WITHOUT_RIGHTS], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("False\n", "")
