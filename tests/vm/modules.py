"""Drivers that Debian's kernel has no module of, built in the root from Debian's own source of that kernel.

gpio-sim: a GPIO chip whose lines are pulled and read in /sys. test_power: a battery and chargers that say what their
module parameters were set to. Source: Documentation/admin-guide/gpio/gpio-sim.rst; drivers/power/supply/test_power.c.
"""

from __future__ import annotations

from pathlib import Path

from tests.vm.debian import KERNEL_SOURCE, Root, Say

FOLDER = Path("usr/src/temoin")
SOURCES = ("kernel/irq/irq_sim.c", "drivers/gpio/gpio-sim.c", "drivers/power/supply/test_power.c")
CHANGES = (
    # irq_to_desc is not exported to modules; this calls the same handler.
    ("handle_simple_irq(irq_to_desc(irqnum));", "generic_handle_irq(irqnum);"),
    # A line that is pulled while another one's interrupt is handled must be found, and not looked for for ever.
    ("work_ctx->irq_count, offset);", "work_ctx->irq_count, 0);"),
)
AS_MODULE = '\n#include <linux/module.h>\nMODULE_DESCRIPTION("interrupts of gpio-sim");\nMODULE_LICENSE("GPL");\n'


def build(root: Root, say: Say) -> None:
    """Into the root's /lib/modules, so that modprobe finds them. Raises VmError."""
    say("building gpio-sim and test_power")
    folder = root.folder / FOLDER
    folder.mkdir(parents=True)
    archive = f"/usr/src/{KERNEL_SOURCE}.tar.xz"
    names = [f"{KERNEL_SOURCE}/{source}" for source in SOURCES]
    root.run("tar", "-xJf", archive, "-C", f"/{FOLDER}", "--transform", "s,.*/,,", *names)
    interrupts = folder / "irq_sim.c"
    text = interrupts.read_text(encoding="utf-8")
    for before, after in CHANGES:
        assert text.count(before) == 1, f"another kernel: {before}"
        text = text.replace(before, after)
    interrupts.write_text(text + AS_MODULE, encoding="utf-8")
    modules = [Path(source).stem for source in SOURCES]
    (folder / "Kbuild").write_text(f"obj-m := {' '.join(f'{name}.o' for name in modules)}\n", encoding="ascii")
    root.run("make", "-s", "-C", f"/usr/src/linux-headers-{root.kernel}", f"M=/{FOLDER}", "modules")
    extra = root.folder / "lib" / "modules" / root.kernel / "extra"
    extra.mkdir()
    for name in modules:
        (folder / f"{name}.ko").rename(extra / f"{name}.ko")
    root.run("depmod", root.kernel)
