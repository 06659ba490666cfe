"""Bytes of tensors: existing ones, the peak of what a call allocates, and what it stores for its gradient."""

from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Total bytes of the tensors, counting each storage once."""
    storages = {storage._cdata: storage.nbytes() for storage in (value.untyped_storage() for value in tensors)}
    return sum(storages.values())


def most_alive(call: Callable[[], Any]) -> int:
    """Peak bytes allocated by the call, not counting gradients that already exist."""
    with Alive() as alive:
        call()
    return alive.most


class Alive(TorchDispatchMode):
    """Tracks the storages that operations allocate until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}  # by address
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {storage._cdata for storage in storages((args, kwargs))}
        output = func(*args, **(kwargs or {}))
        for storage in storages(output):
            if storage._cdata not in given and storage._cdata not in self.sizes:
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                finalize(storage, self.free, storage._cdata)
        self.most = max(self.most, self.now)
        return output

    def free(self, address: int) -> None:
        self.now -= self.sizes.pop(address)


def storages(values: Any) -> list[Any]:
    return [value.untyped_storage() for value in tree_leaves(values) if isinstance(value, Tensor)]


def kept_bytes(call: Callable[[], Tensor], network: nn.Module) -> int:
    """Bytes that a call keeps for its gradient: each storage once, without the weights, with flash attention.

    It works on meta tensors, too.
    """
    weights = {one.untyped_storage()._cdata for one in network.parameters()}
    alive: dict[int, Any] = {}  # storages by address; no other can have the same address while they are held here

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage._cdata not in weights:
            alive[storage._cdata] = storage
        return value

    with (
        mock.patch("torch.nn.functional.scaled_dot_product_attention", flash_attention),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value),
    ):
        output = call()
    del output
    return sum(storage.nbytes() for storage in alive.values())


def flash_attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    return _FlashAttention.apply(query, key, value)


class _FlashAttention(torch.autograd.Function):
    """Stores what flash attention would: its inputs and output, but no matrix of attention weights."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # ty: ignore[incompatible-method-override]
        return tuple(torch.empty_like(one) for one in ctx.saved_tensors[:3])
