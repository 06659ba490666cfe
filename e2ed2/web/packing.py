"""Weights of an ONNX graph in as few bits as the pictures allow.

A matrix is rounded to whole multiples of a step. A multiple is written as a signed byte of its high bits and a byte of
its low ones, in two arrays: gzip leaves the low bytes as they are and makes little of the high ones, so that a weight
takes about `2 + precision` bits (the entropy of a normal number in such steps). The graph itself puts them together,
once, when onnxruntime loads it; only rows of a table are put together when they are looked up.
"""

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from e2ed2.web.compensating import Moments, compensated, key_of

SMALLEST = 1 << 15  # elements; smaller and one-dimensional arrays stay as they are
HALF = 1 << 15  # multiples have 16 bits


def pack(
    model: ModelProto,
    precision: float,
    known: Sequence[int] = (),
    unused: Sequence[int] = (),
    seen: Moments | None = None,
) -> None:
    """Round the large matrices of the graph, in place.

    Args:
        precision: the step is a matrix's root mean square times `2 ** -precision`, for each of its input channels.
        known: rows of a table that are looked up for what the model has learned; the others lose `ROUGHER` bits more.
            All rows are known where this is empty.
        unused: rows of a table that are never looked up.
        seen: moments of the matrices' inputs; rounding then minimises the error for such inputs (`compensating`).
    """
    graph = model.graph
    users = {name: node for node in graph.node for name in node.input}
    front: list[NodeProto] = []
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.ndim < 2 or weights.size <= SMALLEST:
            continue
        user = users[tensor.name]
        if user.op_type == "Gather":
            nodes, arrays = _table(user, weights, precision, known, unused)
            place = list(graph.node).index(user)
            graph.node.remove(user)
            for offset, node in enumerate(nodes):
                graph.node.insert(place + offset, node)
        else:
            axis = _input_axis(user)
            multiples, step = _rounded(weights, axis, precision)
            moment = (seen or {}).get(key_of(_turned(weights, axis))) if weights.ndim == 2 else None
            if moment is not None:
                multiples = _turned(compensated(_turned(weights, axis), step.ravel(), moment, HALF), axis)
            nodes, arrays = _matrix(tensor.name, multiples, step)
            front += nodes
        graph.initializer.remove(tensor)
        graph.initializer.extend(arrays)
    for place, node in enumerate(front):
        graph.node.insert(place, node)


ROUGHER = 4  # bits


def _turned(matrix: np.ndarray, axis: int) -> np.ndarray:
    """The matrix with the summed dimension first; applying it twice restores the original."""
    return np.ascontiguousarray(matrix.T) if axis else matrix


def _input_axis(user: NodeProto) -> int:
    """The dimension of the matrix over which this node sums."""
    turned = user.op_type == "Gemm" and any(one.name == "transB" and one.i for one in user.attribute)
    return 1 if turned or user.op_type == "Conv" else 0


def _rounded(weights: np.ndarray, axis: int, precision: float) -> tuple[np.ndarray, np.ndarray]:
    """Integer multiples, int32, and the steps, one per channel of the axis, which broadcast to them."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    size = np.sqrt(np.square(weights.astype(np.float64)).mean(axis=others, keepdims=True))
    least = np.abs(weights).max(axis=others, keepdims=True) / (HALF - 1)  # so that no multiple needs more than 16 bits
    step = np.maximum(np.maximum(size * 2.0**-precision, least), np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(weights / step).clip(-HALF, HALF - 1).astype(np.int32), step


def _bytes(name: str, multiples: np.ndarray) -> list[TensorProto]:
    return [
        numpy_helper.from_array((multiples >> 8).astype(np.int8), f"{name}.high"),
        numpy_helper.from_array((multiples & 255).astype(np.uint8), f"{name}.low"),
    ]


def _together(name: str, high: str, low: str, out: str) -> tuple[list[NodeProto], list[TensorProto]]:
    """`(256 high + low) step`."""
    values = [f"{name}.{part}" for part in ("high.float", "low.float", "high.large", "multiples")]
    nodes = [
        helper.make_node("Cast", [high], [values[0]], to=TensorProto.FLOAT),
        helper.make_node("Cast", [low], [values[1]], to=TensorProto.FLOAT),
        helper.make_node("Mul", [values[0], f"{name}.256"], [values[2]]),
        helper.make_node("Add", [values[2], values[1]], [values[3]]),
        helper.make_node("Mul", [values[3], f"{name}.step"], [out]),
    ]
    return nodes, [numpy_helper.from_array(np.array(256, np.float32), f"{name}.256")]


def _matrix(name: str, multiples: np.ndarray, step: np.ndarray) -> tuple[list[NodeProto], list[TensorProto]]:
    nodes, arrays = _together(name, f"{name}.high", f"{name}.low", name)
    return nodes, [*arrays, *_bytes(name, multiples), numpy_helper.from_array(step, f"{name}.step")]


def _table(
    user: NodeProto, weights: np.ndarray, precision: float, known: Sequence[int], unused: Sequence[int]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Rows stay bytes in memory. Known and rough rows are stored separately: mixed, they would compress badly."""
    name, wanted = user.input
    multiples, step = _rounded(weights, 1, precision)
    rough = np.setdiff1d(np.arange(len(weights)), known) if len(known) else np.array([], int)
    multiples[rough] = (multiples[rough] + (1 << (ROUGHER - 1))) >> ROUGHER << ROUGHER
    multiples[list(unused)] = 0
    order = np.concatenate([np.setdiff1d(np.arange(len(weights)), rough), rough])
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    nodes = [helper.make_node("Gather", [f"{name}.place", wanted], [f"{name}.row"], axis=0)]
    for part in ("high", "low"):
        nodes.append(helper.make_node("Gather", [f"{name}.{part}", f"{name}.row"], [f"{name}.{part}.row"], axis=0))
    more, arrays = _together(name, f"{name}.high.row", f"{name}.low.row", user.output[0])
    arrays += [numpy_helper.from_array(place, f"{name}.place"), numpy_helper.from_array(step, f"{name}.step")]
    return nodes + more, arrays + _bytes(name, multiples[order])
