# SPDX-License-Identifier: Apache-2.0
"""Gives models to stock LiteRT and the delegate in which one input or output of an op is left out.

A program of its own, so that the test sees a crash as an exit code. Prints a line for each: what was said.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tfprune
from tests.models.builder import model_file
from tests.runtime.chain_files import ChainBuilder, invoke, sparse_file


def chain() -> bytes:
    """Two convolutions with one of each kind of neighbour that a chain takes between them."""
    b = ChainBuilder()
    first = b.sparse(b.x)
    pooled = b.pool(b.depthwise(first), "MAX")
    return sparse_file(b.finish(b.sparse(b.add(pooled, pooled))))


def without_one(content: bytes) -> Iterator[bytes]:
    """The file without each input and each output of each op in turn."""
    for number, op in enumerate(_operators(content)):
        for kind in ("inputs", "outputs"):
            for place in range(len(getattr(op, kind))):
                model = tfl.ModelT.InitFromPackedBuf(bytearray(content), 0)
                changed = model.subgraphs[0].operators[number]
                tensors = np.array(getattr(changed, kind), np.int32)
                tensors[place] = -1
                setattr(changed, kind, tensors)
                yield model_file(model)


def _operators(content: bytes) -> list[tfl.OperatorT]:
    return list(tfl.ModelT.InitFromPackedBuf(bytearray(content), 0).subgraphs[0].operators)


def refusal(content: bytes, **options: str) -> str:
    """What LiteRT or the delegate says against the file; empty: it ran."""
    # XNNPACK has limits of its own.
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=resolver,
            experimental_delegates=[tfprune.delegate(**options)],
        )
        invoke(interpreter, np.ones(interpreter.get_input_details()[0]["shape"], np.float32))
    except (RuntimeError, ValueError) as error:
        return str(error).replace("\n", " ")
    return ""


def main() -> None:
    """Every tensor of every op, with chains, without, and with the plan of a GPU."""
    content = chain()
    for options in ({}, {"chains": "0"}, {"backend": "plan"}):
        assert not refusal(content, **options)
        for changed in without_one(content):
            print(refusal(changed, **options) or "ran")


if __name__ == "__main__":
    main()
