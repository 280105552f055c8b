# SPDX-License-Identifier: Apache-2.0
"""A model as a graph: look-ups and edits that keep every index of the file valid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.schema import (
    OP_ALIGNMENT,
    AlignedBuffer,
    BuiltinOperator,
    TensorType,
    builtin_code,
    builtin_name,
    read_model,
    text,
    tfl,
    write_model,
)
from tfprune.errors import ModelError

_ABSENT = -1


class Graph:
    """An unpacked ``.tflite`` model whose indices were all checked.

    Tensors and buffers keep their numbers under every edit, because signatures and metadata refer to them: a
    replaced weight's slot is used again, new ones are appended, unused ones are emptied or cut off at the end.
    """

    def __init__(self, data: bytes, subject: str = "model") -> None:
        """Reads ``data``, the whole file; ``subject`` names it in messages. The bytes are never changed.

        Raises:
            ModelError: not a TFLite file, cut off or corrupt.
        """
        self.model = read_model(data, subject)
        self._subject = subject
        self._check()
        self._tensor_users = [self._count_tensor_users(graph) for graph in self.model.subgraphs]
        self._buffer_users = self._count_buffer_users()
        self._zeros: dict[int, int] = {}
        self._writers: dict[int, dict[int, Any]] = {}
        self._replacements: dict[tuple[int, int], list[Any]] = {}

    # Reading.

    def operators(self) -> Iterator[tuple[int, int, Any]]:
        """Yields (subgraph, index, operator) in file order."""
        for number, graph in enumerate(self.model.subgraphs):
            for index, op in enumerate(graph.operators):
                yield number, index, op

    def op_name(self, op: Any) -> str:
        """``"CONV_2D"`` and the like, or the custom code of a custom op."""
        code = self.model.operatorCodes[op.opcodeIndex]
        number = builtin_code(code)
        return text(code.customCode) if number == BuiltinOperator.CUSTOM else builtin_name(number)

    def version(self, op: Any) -> int:
        """Version of an operator."""
        return int(self.model.operatorCodes[op.opcodeIndex].version)

    def is_custom(self, op: Any) -> bool:
        """Whether an operator is a custom op."""
        return bool(builtin_code(self.model.operatorCodes[op.opcodeIndex]) == BuiltinOperator.CUSTOM)

    def tensor(self, subgraph: int, index: int) -> Any:
        """The ``TensorT`` at ``index``."""
        return self.model.subgraphs[subgraph].tensors[index]

    def input_tensor(self, subgraph: int, op: Any, position: int) -> Any | None:
        """The ``TensorT`` of an operator's input, or None where it is left out."""
        if position >= len(op.inputs) or op.inputs[position] == _ABSENT:
            return None
        return self.tensor(subgraph, int(op.inputs[position]))

    def writer(self, subgraph: int, index: int) -> Any | None:
        """The operator of the file as it was read that writes a tensor, or None for constants and inputs."""
        if subgraph not in self._writers:
            operators = self.model.subgraphs[subgraph].operators
            self._writers[subgraph] = {int(output): op for op in operators for output in op.outputs}
        return self._writers[subgraph].get(index)

    def shape(self, tensor: Any) -> tuple[int, ...]:
        """Shape of a tensor as the file gives it; unknown sizes are 1 there."""
        return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)

    def buffer_uses(self, buffer: int) -> int:
        """How often operators, graph inputs and outputs, signatures and metadata use a buffer.

        A ``DEQUANTIZE`` counts as often as its result is used.
        """
        uses = sum(int(entry.buffer) == buffer for entry in self.model.metadata or [])
        for graph, users in zip(self.model.subgraphs, self._tensor_users, strict=True):
            holders = {index for index, tensor in enumerate(graph.tensors) if tensor.buffer == buffer}
            uses += sum(users[index] for index in holders)
            for op in graph.operators:
                if holders.intersection(map(int, op.inputs)) and self.op_name(op) == "DEQUANTIZE":
                    # The operator is a user of its input and of its output.
                    uses += users[int(op.outputs[0])] - 2
        return uses

    def raw(self, tensor: Any) -> npt.NDArray[np.uint8] | None:
        """Bytes of a constant, or None for a tensor without any."""
        data = self.model.buffers[tensor.buffer].data
        return None if data is None or not len(data) else data

    def constant(self, tensor: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any] | None:
        """Values of a constant in its shape, or None where the tensor has none or not as many as its shape says."""
        raw = self.raw(tensor)
        shape = self.shape(tensor)
        wanted = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if raw is None or min(shape, default=1) < 0 or len(raw) != wanted:
            return None
        return np.frombuffer(raw.tobytes(), dtype).reshape(shape)

    # Writing.

    def replace_constant(
        self, subgraph: int, index: int, name: str, kind: int, shape: Iterable[int], data: npt.NDArray[np.uint8]
    ) -> int:
        """Puts a constant in the place of the one at ``index`` that an operator is about to let go of.

        The slot is used again if this was its last user, else a tensor is appended; the same for the buffer.

        Returns:
            The tensor index to use instead.
        """
        buffer = self._place_buffer(subgraph, index, data)
        return self._place_tensor(subgraph, index, name, kind, shape, buffer)

    def reuse_constant(self, subgraph: int, index: int, name: str, kind: int, shape: Iterable[int], buffer: int) -> int:
        """As :meth:`replace_constant`, with a buffer that was written before."""
        self._buffer_users[buffer] += 1
        return self._place_tensor(subgraph, index, name, kind, shape, buffer)

    def add_constant(
        self, subgraph: int, name: str, kind: int, shape: Iterable[int], data: npt.NDArray[np.uint8]
    ) -> int:
        """Appends a constant and returns its tensor index."""
        return self.share_constant(subgraph, name, kind, shape, self._add_buffer(data, OP_ALIGNMENT))

    def share_constant(self, subgraph: int, name: str, kind: int, shape: Iterable[int], buffer: int) -> int:
        """As :meth:`add_constant`, with a buffer that was written before."""
        self._buffer_users[buffer] += 1
        return self._add_tensor(subgraph, name, kind, shape, buffer)

    def add_activation(self, subgraph: int, name: str, like: Any, shape: Iterable[int]) -> int:
        """Appends a tensor that operators write, of the type and quantization of ``like``; returns its index."""
        index = self._add_tensor(subgraph, name, like.type, shape, buffer=0)
        self._buffer_users[0] += 1
        self.tensor(subgraph, index).quantization = like.quantization
        return index

    def add_zeros(self, subgraph: int, name: str, shape: tuple[int, ...]) -> int:
        """Appends an int8 constant of zeros; tensors of one size share a buffer. Returns its tensor index."""
        size = int(np.prod(shape))
        if size not in self._zeros:
            self._zeros[size] = self._add_buffer(np.zeros(size, np.uint8), OP_ALIGNMENT)
        self._buffer_users[self._zeros[size]] += 1
        return self._add_tensor(subgraph, name, TensorType.INT8, shape, self._zeros[size])

    def align(self, tensor: Any) -> None:
        """Makes a constant start at a multiple of 64."""
        self.model.buffers[tensor.buffer].alignment = OP_ALIGNMENT

    def new_builtin(
        self, number: int, version: int, options_type: int, options: Any, inputs: Iterable[int], outputs: Iterable[int]
    ) -> Any:
        """A builtin operator that :meth:`replace_operator` can put into a subgraph."""
        op = tfl.OperatorT()
        op.inputs = np.array(list(inputs), np.int32)
        op.outputs = np.array(list(outputs), np.int32)
        self.set_builtin(op, number, version, options_type, options)
        return op

    def replace_operator(self, subgraph: int, index: int, operators: list[Any]) -> None:
        """Puts ``operators`` in the place of the one at ``index`` when the file is written.

        Until then every operator keeps its number. The list may hold the operator itself.
        """
        self._replacements[subgraph, index] = operators

    def set_custom(self, op: Any, code: str, options: npt.NDArray[np.uint8]) -> None:
        """Turns an operator into the custom op ``code``."""
        op.opcodeIndex = self._opcode(BuiltinOperator.CUSTOM, code, 1)
        op.builtinOptionsType = 0
        op.builtinOptions = None
        op.customOptions = options
        op.customOptionsFormat = tfl.CustomOptionsFormat.FLEXBUFFERS

    def set_builtin(self, op: Any, number: int, version: int, options_type: int, options: Any) -> None:
        """Turns an operator into a builtin one."""
        op.opcodeIndex = self._opcode(number, None, version)
        op.builtinOptionsType = options_type
        op.builtinOptions = options
        op.customOptions = None
        op.customOptionsFormat = 0

    def set_inputs(self, subgraph: int, op: Any, inputs: Iterable[int]) -> None:
        """Gives an operator new inputs and keeps the users' counts right for those that stay."""
        users = self._tensor_users[subgraph]
        users.subtract(int(index) for index in op.inputs)
        op.inputs = np.array(list(inputs), np.int32)
        users.update(int(index) for index in op.inputs)

    def metadata(self, name: str) -> bytes | None:
        """Content of a metadata entry, or None."""
        for entry in self.model.metadata or []:
            if text(entry.name) == name:
                data = self.model.buffers[entry.buffer].data
                return b"" if data is None else bytes(data)
        return None

    def set_metadata(self, name: str, content: bytes | None) -> None:
        """Writes a metadata entry, or removes it (None)."""
        kept = []
        for entry in self.model.metadata or []:
            if text(entry.name) == name:
                self._release_buffer(entry.buffer)
            else:
                kept.append(entry)
        if content is not None:
            entry = tfl.MetadataT()
            entry.name = name
            entry.buffer = self._add_buffer(np.frombuffer(content, np.uint8), alignment=16)
            self._buffer_users[entry.buffer] += 1
            kept.append(entry)
        self.model.metadata = kept or None

    def to_bytes(self) -> bytes:
        """The file with unused tensors, buffers and operator codes dropped.

        Raises:
            ConversionError: the file would reach 2 GiB.
        """
        self._apply_replacements()
        self._drop_idle_conversions()
        self._drop_unused_tensors()
        self._drop_unused_buffers()
        self._drop_unused_opcodes()
        return write_model(self.model)

    # Inside.

    def _place_buffer(self, subgraph: int, index: int, data: npt.NDArray[np.uint8]) -> int:
        tensor = self.tensor(subgraph, index)
        last = self._tensor_users[subgraph][index] == 1 and self._buffer_users[tensor.buffer] == 1
        if last and tensor.buffer:
            self.model.buffers[tensor.buffer] = AlignedBuffer(data, OP_ALIGNMENT)
            # _place_tensor releases the slot's old buffer, which is this one.
            self._buffer_users[tensor.buffer] += 1
            return int(tensor.buffer)
        buffer = self._add_buffer(data, OP_ALIGNMENT)
        self._buffer_users[buffer] += 1
        return buffer

    def _place_tensor(self, subgraph: int, index: int, name: str, kind: int, shape: Iterable[int], buffer: int) -> int:
        if self._tensor_users[subgraph][index] > 1:
            return self._add_tensor(subgraph, name, kind, shape, buffer)
        self._release_buffer(self.tensor(subgraph, index).buffer)
        self.model.subgraphs[subgraph].tensors[index] = _tensor(name, kind, shape, buffer)
        return index

    def _add_tensor(self, subgraph: int, name: str, kind: int, shape: Iterable[int], buffer: int) -> int:
        tensors = self.model.subgraphs[subgraph].tensors
        tensors.append(_tensor(name, kind, shape, buffer))
        return len(tensors) - 1

    def _add_buffer(self, data: npt.NDArray[np.uint8], alignment: int) -> int:
        self.model.buffers.append(AlignedBuffer(data, alignment))
        return len(self.model.buffers) - 1

    def _release_buffer(self, buffer: int) -> None:
        self._buffer_users[buffer] -= 1

    def _opcode(self, number: int, custom: str | None, version: int) -> int:
        for index, code in enumerate(self.model.operatorCodes):
            same = builtin_code(code) == number and code.version == version
            if same and (custom is None or text(code.customCode) == custom):
                return index
        code = tfl.OperatorCodeT()
        code.builtinCode = number
        # The old field is a signed byte; numbers above it are marked with a placeholder.
        code.deprecatedBuiltinCode = min(number, BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
        code.customCode = custom
        code.version = version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def _count_tensor_users(self, graph: Any) -> Counter[int]:
        users: Counter[int] = Counter()
        users.update(int(index) for index in graph.inputs)
        users.update(int(index) for index in graph.outputs)
        for op in graph.operators:
            for indices in (op.inputs, op.outputs, op.intermediates):
                users.update(int(index) for index in ([] if indices is None else indices))
        number = next(n for n, other in enumerate(self.model.subgraphs) if other is graph)
        for signature in self.model.signatureDefs or []:
            if signature.subgraphIndex == number:
                users.update(entry.tensorIndex for entry in [*(signature.inputs or []), *(signature.outputs or [])])
        return users

    def _count_buffer_users(self) -> Counter[int]:
        users: Counter[int] = Counter()
        for graph in self.model.subgraphs:
            users.update(int(tensor.buffer) for tensor in graph.tensors)
        users.update(int(entry.buffer) for entry in self.model.metadata or [])
        users.update(int(index) for index in ([] if self.model.metadataBuffer is None else self.model.metadataBuffer))
        return users

    def _apply_replacements(self) -> None:
        for number, graph in enumerate(self.model.subgraphs):
            kept = [self._replacements.pop((number, index), [op]) for index, op in enumerate(graph.operators)]
            graph.operators = [op for operators in kept for op in operators]

    def _drop_idle_conversions(self) -> None:
        """Drops every ``DEQUANTIZE`` of a constant whose result nothing uses any more."""
        for graph in self.model.subgraphs:
            users = self._count_tensor_users(graph)

            def idle(op: Any, graph: Any = graph, users: Counter[int] = users) -> bool:
                # The operator itself is a user of its output.
                constant = len(op.inputs) == 1 and self.raw(graph.tensors[int(op.inputs[0])]) is not None
                return self.op_name(op) == "DEQUANTIZE" and constant and users[int(op.outputs[0])] == 1

            graph.operators = [op for op in graph.operators if not idle(op)]

    def _drop_unused_tensors(self) -> None:
        for number, graph in enumerate(self.model.subgraphs):
            users = self._count_tensor_users(graph)
            while graph.tensors and not users[len(graph.tensors) - 1]:
                self._release_buffer(graph.tensors.pop().buffer)
            # Those in between keep their places, because signatures and metadata refer to numbers, but hold nothing.
            for index, tensor in enumerate(graph.tensors):
                if not users[index]:
                    tensor.buffer = 0
            self._tensor_users[number] = users

    def _drop_unused_buffers(self) -> None:
        users = self._count_buffer_users()
        buffers = self.model.buffers
        # Buffer 0 is the empty one by convention and stays.
        for index in range(1, len(buffers)):
            if not users[index]:
                buffers[index] = AlignedBuffer()
        while len(buffers) > 1 and not users[len(buffers) - 1]:
            buffers.pop()

    def _drop_unused_opcodes(self) -> None:
        used = sorted({int(op.opcodeIndex) for _, _, op in self.operators()})
        number = {old: new for new, old in enumerate(used)}
        self.model.operatorCodes = [self.model.operatorCodes[old] for old in used]
        for _, _, op in self.operators():
            op.opcodeIndex = number[int(op.opcodeIndex)]

    def _check(self) -> None:
        """Every index of the file against what it points into."""
        model = self.model
        model.operatorCodes = model.operatorCodes or []
        if not model.subgraphs:
            raise ModelError(f"{self._subject}: a .tflite file has at least one subgraph, got none")
        for number, graph in enumerate(model.subgraphs):
            graph.tensors = graph.tensors or []
            graph.operators = graph.operators or []
            graph.inputs = _indices(graph.inputs)
            graph.outputs = _indices(graph.outputs)
            count = len(graph.tensors)
            self._check_indices(f"subgraph {number}", (graph.inputs, graph.outputs), count, absent=False)
            for tensor in graph.tensors:
                self._check_indices(f"a tensor of subgraph {number}", ([tensor.buffer],), len(model.buffers))
            for index, op in enumerate(graph.operators):
                where = f"operator {index} of subgraph {number}"
                op.inputs, op.outputs = _indices(op.inputs), _indices(op.outputs)
                self._check_indices(where, ([op.opcodeIndex],), len(model.operatorCodes))
                inside = [] if op.intermediates is None else op.intermediates
                self._check_indices(where, (op.inputs, op.outputs, inside), count, absent=True)
        for entry in model.metadata or []:
            self._check_indices("metadata", ([entry.buffer],), len(model.buffers))
        old_metadata = [] if model.metadataBuffer is None else model.metadataBuffer
        self._check_indices("metadata", (old_metadata,), len(model.buffers))
        for signature in model.signatureDefs or []:
            self._check_indices("a signature", ([signature.subgraphIndex],), len(model.subgraphs))
            entries = [*(signature.inputs or []), *(signature.outputs or [])]
            tensors = model.subgraphs[signature.subgraphIndex].tensors
            self._check_indices("a signature", ([entry.tensorIndex for entry in entries],), len(tensors))

    def _check_indices(self, where: str, lists: Iterable[Any], count: int, absent: bool = False) -> None:
        lowest = _ABSENT if absent else 0
        for indices in lists:
            for index in indices:
                if not lowest <= index < count:
                    raise ModelError(f"{self._subject}: {where} refers to item {index} of {count}; the file is corrupt")


def _indices(values: Any) -> Any:
    return np.zeros(0, np.int32) if values is None else values


def _tensor(name: str, kind: int, shape: Iterable[int], buffer: int) -> Any:
    tensor = tfl.TensorT()
    tensor.name = name
    tensor.type = kind
    tensor.shape = np.array(list(shape), np.int32)
    tensor.buffer = buffer
    tensor.hasRank = True
    return tensor
