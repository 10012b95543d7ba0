"""`make vm`: real parts of the kernel, in a machine that this computer only calculates; docs/hardware.md.

On this side: debian.py makes the root, modules.py the drivers that Debian does not build, image.py the disk, machine.py
runs it, verdict.py judges. Inside the machine: guest/. Between them: report.py.
"""
