# SPDX-License-Identifier: Apache-2.0
"""Walks two ``.tflite`` files and lists how they differ, reading them with the generated schema alone.

Numbers of tensors, buffers and operator codes may differ: what they refer to is compared, and tensors must correspond
one to one within a subgraph.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

# Numbers that are followed instead of compared; where data stand in the file does not matter.
_FOLLOWED = {
    "Tensor": {"buffer"},
    "Operator": {"opcodeIndex", "inputs", "outputs", "intermediates"}
    | {"customOptions", "largeCustomOptionsOffset", "largeCustomOptionsSize"},
    "SubGraph": {"tensors", "inputs", "outputs", "operators"},
    "Model": {"operatorCodes", "subgraphs", "buffers", "metadata", "metadataBuffer", "signatureDefs"},
    "SignatureDef": {"inputs", "outputs"},
}


def differences(old: bytes, new: bytes, added: str | None = None) -> list[str]:
    """Every difference, such as ``"subgraph 0: op 3 CONV_2D: input 1: shape [4] != [8]"``; none for equal models.

    ``added`` names a tensor of the new file that is left out, with the operator that writes it.
    """
    return _Comparison(_File(old), _File(new), added).run()


class _File:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.model = tfl.ModelT.InitFromPackedBuf(data, 0)

    def content(self, buffer: int) -> bytes:
        found = self.model.buffers[buffer]
        if found.offset > 1:
            assert found.offset + found.size <= len(self.data)
            return self.data[found.offset : found.offset + found.size]
        return b"" if found.data is None else bytes(found.data)

    def options(self, op: Any) -> bytes:
        if op.largeCustomOptionsOffset > 1:
            return self.data[op.largeCustomOptionsOffset :][: op.largeCustomOptionsSize]
        return b"" if op.customOptions is None else bytes(op.customOptions)

    def code(self, op: Any) -> tuple[int, bytes, int]:
        code = self.model.operatorCodes[op.opcodeIndex]
        return max(code.builtinCode, code.deprecatedBuiltinCode), code.customCode or b"", code.version


class _Comparison:
    def __init__(self, old: _File, new: _File, added: str | None) -> None:
        self._old, self._new, self._added = old, new, added
        self._found: list[str] = []
        # Tensor of the new file by subgraph and tensor of the old one.
        self._pairs: dict[tuple[int, int], int] = {}

    def run(self) -> list[str]:
        old, new = self._old.model, self._new.model
        self._fields("model", old, new, "Model")
        self._unused_codes()
        for graph in new.subgraphs:
            graph.operators = [op for op in _list(graph.operators) if not self._is_added(graph, op)]
        if self._count("subgraphs", old.subgraphs, new.subgraphs):
            for number, (one, other) in enumerate(zip(old.subgraphs, new.subgraphs, strict=True)):
                self._subgraph(number, one, other)
        self._signatures()
        before, after = _metadata(self._old), _metadata(self._new)
        for name in sorted(before.keys() | after.keys()):
            self._equal(f"metadata {name!r}", before.get(name), after.get(name))
        for number in range(len(old.subgraphs)):
            self._untouched_tensors(number)
        return self._found

    def _is_added(self, graph: Any, op: Any) -> bool:
        return self._added in [_name(graph.tensors[int(index)]) for index in _list(op.outputs) if index >= 0]

    def _subgraph(self, number: int, old: Any, new: Any) -> None:
        where = f"subgraph {number}"
        self._fields(where, old, new, "SubGraph")
        self._tensors(f"{where}: graph input", number, old.inputs, new.inputs)
        if self._count(f"{where}: operators", old.operators, new.operators):
            for index, (one, other) in enumerate(zip(old.operators, new.operators, strict=True)):
                self._operator(f"{where}: op {index}", number, one, other)
        self._tensors(f"{where}: graph output", number, old.outputs, new.outputs)

    def _operator(self, where: str, number: int, old: Any, new: Any) -> None:
        self._equal(f"{where}: code", self._old.code(old), self._new.code(new))
        self._fields(where, old, new, "Operator")
        self._equal(f"{where}: customOptions", self._old.options(old), self._new.options(new))
        for field in ("inputs", "outputs", "intermediates"):
            self._tensors(f"{where}: {field}", number, getattr(old, field), getattr(new, field))

    def _tensors(self, where: str, number: int, old: Any, new: Any) -> None:
        if not self._count(where, old, new):
            return
        for place, (one, other) in enumerate(zip(_list(old), _list(new), strict=True)):
            if one < 0 or other < 0:
                self._equal(f"{where} {place}", int(one), int(other))
            else:
                self._tensor(f"{where} {place}", number, int(one), int(other))

    def _tensor(self, where: str, number: int, old: int, new: int) -> None:
        known = self._pairs.setdefault((number, old), new)
        if known != new:
            self._found.append(f"{where}: tensor {old} became both {known} and {new}")
        one, other = self._old.model.subgraphs[number].tensors[old], self._new.model.subgraphs[number].tensors[new]
        self._fields(where, one, other, "Tensor")
        self._equal(f"{where}: data", self._old.content(one.buffer), self._new.content(other.buffer))

    def _untouched_tensors(self, number: int) -> None:
        """Tensors that no compared place refers to, and tensors of the new file that two of the old one became."""
        new_ones = [new for (subgraph, _), new in self._pairs.items() if subgraph == number]
        if len(set(new_ones)) != len(new_ones):
            self._found.append(f"subgraph {number}: several tensors became one")
        counts = []
        for file, used in ((self._old, {old for n, old in self._pairs if n == number}), (self._new, set(new_ones))):
            tensors = enumerate(_list(file.model.subgraphs[number].tensors))
            loose = ((t, file.content(t.buffer)) for index, t in tensors if index not in used)
            counts.append(Counter((_name(t), repr(_plain(vars(t) | {"buffer": data}))) for t, data in loose))
        self._found += [f"subgraph {number}: tensor {name!r} is gone" for name, _ in counts[0] - counts[1]]
        new = [name for name, _ in counts[1] - counts[0] if name != self._added]
        self._found += [f"subgraph {number}: tensor {name!r} is new" for name in new]

    def _signatures(self) -> None:
        old, new = self._old.model.signatureDefs, self._new.model.signatureDefs
        if not self._count("signatures", old, new):
            return
        for one, other in zip(_list(old), _list(new), strict=True):
            where = f"signature {one.signatureKey!r}"
            self._fields(where, one, other, "SignatureDef")
            for field in ("inputs", "outputs"):
                before, after = _list(getattr(one, field)), _list(getattr(other, field))
                self._equal(f"{where}: {field}", [entry.name for entry in before], [entry.name for entry in after])
                numbers = ([entry.tensorIndex for entry in before], [entry.tensorIndex for entry in after])
                self._tensors(f"{where}: {field}", one.subgraphIndex, *numbers)

    def _unused_codes(self) -> None:
        lists = []
        for file in (self._old, self._new):
            used = {op.opcodeIndex for graph in file.model.subgraphs for op in _list(graph.operators)}
            codes = enumerate(_list(file.model.operatorCodes))
            lists.append([vars(code) for index, code in codes if index not in used])
        self._equal("operator codes without a user", *lists)

    def _fields(self, where: str, old: Any, new: Any, table: str) -> None:
        for name in vars(old):
            if name not in _FOLLOWED.get(table, set()):
                self._equal(f"{where}: {name}", getattr(old, name), getattr(new, name))

    def _count(self, where: str, old: Any, new: Any) -> bool:
        if len(_list(old)) == len(_list(new)):
            return True
        self._found.append(f"{where}: {len(_list(old))} != {len(_list(new))}")
        return False

    def _equal(self, where: str, old: Any, new: Any) -> None:
        if _plain(old) != _plain(new):
            self._found.append(f"{where}: {_short(old)} != {_short(new)}")


def _metadata(file: _File) -> dict[bytes, bytes]:
    entries = {entry.name: file.content(entry.buffer) for entry in _list(file.model.metadata)}
    return entries | {
        b"metadataBuffer %d" % place: file.content(buffer)
        for place, buffer in enumerate(_list(file.model.metadataBuffer))
    }


def _name(tensor: Any) -> str:
    return bytes(tensor.name or b"").decode(errors="replace")


def _list(values: Any) -> Any:
    return [] if values is None else values


def _plain(value: Any) -> Any:
    """Something that ``==`` compares: arrays become lists, tables dicts, NaN equal to itself."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "Pack"):
        return (type(value).__name__, _plain(vars(value)))
    # An empty list and none are the same to every reader.
    return [] if value is None else value


def _short(value: Any) -> str:
    text = repr(_plain(value))
    return text if len(text) < 80 else f"{text[:77]}..."
