# SPDX-License-Identifier: Apache-2.0
"""Inner loops of the NEON kernels on models of Arm cores: the share of the multiply-add peak that each reaches.

    make test-aarch64 && python benchmarks/mca.py --output benchmarks/results/mca.json
    python benchmarks/mca.py --function Sliding --cpu cortex-a76 --show

The loops are found in the disassembly of the cross-compiled library: a backward branch with no other one in its range,
and at least two vector multiply-adds. `llvm-mca` says how many cycles an iteration takes when every load hits the first
cache; the peak is what it says of independent multiply-adds of the same kind. So the share is what registers, ports and
the other instructions of the loop leave of the peak, whatever a real memory does to it. The models come from LLVM:
before 22 (`apt install llvm-22`) there is none of the Cortex-X2's own, before 17 none of the Neoverse N1, the server
twin of the Cortex-A76; LLVM then takes others in their place.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from results_file import write_rows
from tfprune.mapping.profiling.instructions import AARCH64

#: Cores, and the names of their models.
CPUS = {"cortex-a55": "cortex-a55", "cortex-a76": "neoverse-n1", "cortex-x2": "cortex-x2"}
#: Least cycles of a multiply-add of 128 bits where the model knows less: the Cortex-A55's two pipes have 64 bits each.
LEAST_CYCLES = {"cortex-a55": 1.0}
MCA = next((tool for tool in ("llvm-mca-22", "llvm-mca") if shutil.which(tool)), "llvm-mca")
MULTIPLY_ADDS = ("fmla", "fmlal", "fmlal2", "mla", "smlal", "smlal2", "sdot", "udot", "usdot", "smmla", "usmmla")
ITERATIONS = 200
FEWEST = 2
_NOISE = re.compile(r"tfprune::|\(anonymous namespace\)::|^void |\([^()]*&\)$")
_FEATURES = "+dotprod,+i8mm,+fullfp16,+fp16fml"
_FUNCTION = re.compile(r"^[0-9a-f]+ <(?P<name>.*)>:$")
_INSTRUCTION = re.compile(r"^\s*(?P<address>[0-9a-f]+):\t(?P<text>[^/]*)")
_BRANCH = re.compile(r"^(b\.?\w*|cbn?z|tbn?z)\t(?:.*,\s*)?(?P<target>[0-9a-f]+) <")


class Instruction(NamedTuple):
    """A line of a disassembly."""

    address: int
    text: str

    @property
    def target(self) -> int | None:
        """Where a branch goes."""
        found = _BRANCH.match(self.text)
        return None if found is None else int(found["target"], 16)

    @property
    def name(self) -> str:
        """The mnemonic."""
        return self.text.split("\t")[0]


class Loop(NamedTuple):
    """An inner loop.

    Attributes:
        function: demangled name of the function it is in.
        body: its instructions, the backward branch last.
    """

    function: str
    body: tuple[Instruction, ...]

    @property
    def multiply_adds(self) -> Counter[str]:
        """Vector multiply-adds by instruction and operands' arrangement, such as ``fmla v.4s, v.4s, v.s[]``."""
        texts = (item.text for item in self.body if item.name in MULTIPLY_ADDS)
        return Counter(text for text in texts if "v" in text.split("\t")[1][:1])

    @property
    def shape(self) -> tuple[str, ...]:
        """What the copies of a loop that a compiler unrolls have in common: its function and its instructions."""
        return (self.function, *(item.name for item in self.body))

    def assembly(self) -> str:
        """The body as llvm-mca takes it; branches lead to a label."""
        lines = [re.sub(r"[0-9a-f]+ <.*", "loop", item.text) if item.target else item.text for item in self.body]
        return "loop:\n" + "\n".join(line.strip() for line in lines) + "\n"


def disassembly(library: Path) -> Iterator[tuple[str, list[Instruction]]]:
    """Functions of the library, by demangled name."""
    command = ["aarch64-linux-gnu-objdump", "-d", "-C", "--no-show-raw-insn", str(library)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    name, body = "", list[Instruction]()
    for line in listing.splitlines():
        if found := _FUNCTION.match(line):
            yield name, body
            name, body = _NOISE.sub("", found["name"]), []
        elif found := _INSTRUCTION.match(line):
            body.append(Instruction(int(found["address"], 16), found["text"].strip()))
    yield name, body


def inner_loops(function: str, code: list[Instruction]) -> list[Loop]:
    """The loops of a function that hold no other loop and multiply."""
    places = {item.address: place for place, item in enumerate(code)}
    spans = {}
    for place, item in enumerate(code):
        if item.target is not None and item.target in places and places[item.target] <= place:
            spans[places[item.target], place] = Loop(function, tuple(code[places[item.target] : place + 1]))
    inner = [
        loop
        for (first, last), loop in spans.items()
        if not any((first, last) != other and first <= other[0] and other[1] <= last for other in spans)
    ]
    return [loop for loop in inner if loop.multiply_adds.total() >= FEWEST]


def cycles(assembly: str, cpu: str, mca: str) -> float:
    """Cycles an iteration on the model of a core."""
    command = [mca, "-mtriple=aarch64", f"-mcpu={CPUS[cpu]}", f"-mattr={_FEATURES}", f"-iterations={ITERATIONS}"]
    done = subprocess.run(command, input=assembly, capture_output=True, text=True, check=False)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if done.returncode or found is None:
        raise SystemExit(f"{mca} failed on {cpu}:\n{done.stderr[-2000:]}\n{assembly}")
    return int(found[1]) / ITERATIONS


@functools.cache
def peak_cycles(text: str, cpu: str, mca: str) -> float:
    """Cycles of one multiply-add where nothing else runs and none waits for another."""
    # Each copy adds to a register of its own; sources are never written. By-element forms of 16 bits end at v15.
    sources = re.sub(r"(?<=, )v\d+", "v15", text)
    targets = [register for register in range(32) if register != 15]
    copies = [re.sub(r"\tv\d+", f"\tv{register}", sources, count=1) for register in targets]
    return max(cycles("\n".join(copies), cpu, mca) / len(copies), LEAST_CYCLES.get(cpu, 0))


def study(loop: Loop, cpus: tuple[str, ...], mca: str) -> dict[str, Any]:
    """Counts and shares of a loop."""
    kinds = Counter(item.name for item in loop.body)
    row: dict[str, Any] = {
        "function": loop.function,
        "address": f"{loop.body[0].address:x}",
        "instructions": len(loop.body),
        "multiply-adds": loop.multiply_adds.total(),
        "loads": sum(count for name, count in kinds.items() if name.startswith("ld")),
        "kinds": dict(kinds.most_common()),
    }
    for cpu in cpus:
        least = sum(peak_cycles(text, cpu, mca) * count for text, count in loop.multiply_adds.items())
        taken = cycles(loop.assembly(), cpu, mca)
        row[cpu] = {"cycles": taken, "share": least / taken}
    return row


@click.command()
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for aarch64.")
@click.option("--function", "part", default="", help="Only functions whose name holds this.")
@click.option("--cpu", "cpus", multiple=True, default=list(CPUS), show_default=True)
@click.option("--mca", default=MCA, show_default=True, help="The llvm-mca to ask.")
@click.option("--show", is_flag=True, help="Print the loops as well.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON.")
def main(library: Path, part: str, cpus: tuple[str, ...], mca: str, show: bool, output: Path | None) -> None:
    """Lists the loops."""
    loops = [loop for name, code in disassembly(library) if part in name for loop in inner_loops(name, code)]
    found = re.search(r"LLVM version (\S+)", subprocess.run([mca, "--version"], capture_output=True, text=True).stdout)
    version = found[1] if found else "?"
    if not loops:
        raise SystemExit(f"{library}: no inner loop with multiply-adds in a function named *{part}*")
    different = {loop.shape: loop for loop in loops}
    copies = Counter(loop.shape for loop in loops)
    rows = {f"{loop.function} {loop.body[0].address:x}": study(loop, cpus, mca) for loop in different.values()}
    title = f"Share of multiply-add peak, LLVM {version}"
    table = Table("function", "at", "copies", "instructions", "multiply-adds", "loads", *cpus, title=title)
    for (shape, loop), row in zip(different.items(), rows.values(), strict=True):
        row["copies"] = copies[shape]
        shares = (f"{row[cpu]['share']:.0%}" for cpu in cpus)
        numbers = (str(row[name]) for name in ("address", "copies", "instructions", "multiply-adds", "loads"))
        table.add_row(row["function"], *numbers, *shares)
        if show:
            click.echo(f"{loop.function}\n{loop.assembly()}")
    Console(width=160).print(table)
    if output:
        write_rows(output, rows, {"LLVM": version}, library)


if __name__ == "__main__":
    main()
