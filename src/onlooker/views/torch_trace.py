"""Watches one training step of PyTorch operation by operation, to find where numbers stopped being finite.

Every operation goes through a dispatch mode, in the forward pass, in the backward pass and in the optimizer. What first
puts out NaN or infinities, with none put in, is an origin; what is made of it inherits it. So infinities that are
masked away blame nobody: only what reaches the loss, a gradient or a weight is asked where it came from.

Owns the watching and the inheritance. What the modules are doing is `torch_whereabouts`' business. It is slow, and
meant for a single step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onlooker.core.origin import Origin
from onlooker.core.summary import Summary

from .torch_blame import node_name, operation_name, why
from .torch_finite import floats, is_finite, is_float
from .torch_lines import forward_line, present_line
from .torch_whereabouts import Whereabouts, summaries

_MADE_OF_NOTHING = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "empty_permuted")
_READS = ("local_scalar_dense",)
_OVERWRITING = ("copy", "fill", "zero", "normal", "uniform", "bernoulli", "exponential", "random", "set")


class TorchTrace(TorchDispatchMode):
    """Watches a step, as a context around it.

    Args:
        named: the modules by their full names.
        parameters: the parameters by name.
        optimizers: that may step.
        data: the batch.

    Attributes:
        origin: where it began, once the context is left; None where all stayed finite.
    """

    def __init__(
        self,
        named: list[tuple[str, torch.nn.Module]],
        parameters: dict[str, torch.nn.Parameter],
        optimizers: Iterable[torch.optim.Optimizer],
        data: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.origin: Origin | None = None
        self._parameters = parameters
        self._optimizers = list(optimizers)
        self._whereabouts = Whereabouts(named, self._leaves_module)
        self._origins: dict[int, tuple[Origin, Any]] = {}  # by storage, which is held on to so that it stays the same
        self._deliberate: set[int] = set()  # the identities of origins that somebody wants: infinities of a mask
        self._symptoms: list[tuple[int, Origin]] = []
        self._data_origin: Origin | None = None
        self._in_optimizer = self._has_closure = False
        self._before: dict[str, dict[str, Summary]] = {}
        self._undo: list[Callable[[], None]] = []
        self._look_at_data(data)
        for name, one in parameters.items():
            if is_float(one) and not is_finite(one.detach()):
                origin = Origin("weights", parameter=name)
                origin.parameters = summaries({name: one.detach()})
                self._tag(one, origin)

    # The context.

    def __enter__(self) -> TorchTrace:
        self._had_anomaly = (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
        self._stance = torch.compiler.set_stance("force_eager")
        self._undo.append(self._whereabouts.watch())
        for optimizer in self._optimizers:
            self._undo.append(optimizer.register_step_pre_hook(self._is_stepping).remove)
            self._undo.append(optimizer.register_step_post_hook(self._has_stepped).remove)
        torch.autograd.set_detect_anomaly(True, check_nan=False)  # nodes then know the line that made them
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.autograd.set_detect_anomaly(*self._had_anomaly)
        self._stance.__exit__(None, None, None)
        while self._undo:
            self._undo.pop()()
        for one in self._parameters.values():  # of batches without a step
            self._look_at_result(one.grad, 2)
            self._look_at_result(one.detach(), 3)
        if self._symptoms:
            self.origin = min(self._symptoms, key=lambda symptom: symptom[0])[1]
        self._origins, self._symptoms = {}, []

    # Operations.

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        named = named or {}
        name = operation_name(function)
        written = _written(function, given, named)
        inputs = floats((given, named))
        if name in _OVERWRITING:  # what was in there before is read by nobody
            inputs = [one for one in inputs if not any(one is other for other in written)]
        sick = [one for one in inputs if not is_finite(one)]
        if sick and (name in _READS or (name == "ones_like" and sick[0].numel() == 1)):
            self._symptom(4 if name in _READS else 0, sick)  # a loss is where a backward pass begins
        before = [one.detach().clone() for one in inputs] if written else inputs
        result = function(*given, **named)
        if name in _MADE_OF_NOTHING or name in _READS:
            return result
        places = {(_key(one)[0], one.shape) for one in written}
        outputs = written + [one for one in floats(result) if (_key(one)[0], one.shape) not in places]
        bad = [one for one in outputs if not is_finite(one)]
        if bad:
            origin = self._inherited(sick, bad, name, before) if sick else None
            if origin is None:
                origin = self._new(name, *_of_first(function, before, outputs, bad), (given, named))
            for one in bad:
                if not any(one is other for other in sick):
                    self._tag(one, origin)
        return result

    def _inherited(self, sick: list[torch.Tensor], bad: list[torch.Tensor], name: str, before: Any) -> Origin | None:
        """Return the origin of what was put in, or None where it is made anew: of infinities that somebody wants."""
        found = [self._origin_of(one) for one in sick]
        origin = next((one for one in found if id(one) not in self._deliberate), found[0])
        has_nan = any(bool(torch.isnan(one).any()) for one in bad)
        if has_nan and not any(bool(torch.isnan(one).any()) for one in sick):
            if id(origin) in self._deliberate:
                return None
            if not origin.became:
                node = torch._C._current_autograd_node()
                of = "" if node is None else node_name(node)
                reason = why(name, of, summaries(_numbered(before)), summaries(_numbered(bad)), bad[0].dtype)
                origin.became = f"{self._said(name, node, of)}{f': {reason}' if reason else ''}"
        return origin

    def _new(self, name: str, inputs: list[torch.Tensor], bad: list[torch.Tensor], given: Any) -> Origin:
        node = torch._C._current_autograd_node()
        is_optimizers = self._in_optimizer and not (self._has_closure and torch.is_grad_enabled())
        phase = "backward" if node is not None else "optimizer" if is_optimizers else "forward"
        of = "" if node is None else node_name(node)
        origin = Origin(phase, operation=f"{name}, in the derivative of {of}" if of else name)
        origin.inputs, origin.outputs = summaries(_numbered(inputs)), summaries(_numbered(bad, "output"))
        origin.why = why(name, of, origin.inputs, origin.outputs, bad[0].dtype)
        origin.line = present_line()
        if node is not None:
            origin.module = self._whereabouts.module_of(node)
            origin.line = forward_line(node) or origin.line
        elif not is_optimizers:
            self._whereabouts.describe(origin)
        scalars = [one for one in tree_leaves(given) if isinstance(one, float)]
        if any(not math.isfinite(one) for one in scalars) or (not inputs and name == "lift_fresh"):
            self._deliberate.add(id(origin))
        return origin

    def _said(self, name: str, node: Any, of: str) -> str:
        if node is None:
            module, line = self._whereabouts.present, present_line()
        else:
            module, line = self._whereabouts.module_of(node), forward_line(node) or present_line()
        derivative = f", in the derivative of {of}" if of else ""
        return f"{name}{derivative}{f', in module {module!r}' if module else ''}{f' ({line})' if line else ''}"

    # What inherits what.

    def _tag(self, tensor: torch.Tensor, origin: Origin) -> None:
        key, holder = _key(tensor)
        self._origins[key] = (origin, holder)

    def _origin_of(self, tensor: torch.Tensor) -> Origin:
        """Return where a tensor's NaN come from; what came in from outside any operation gets an origin now."""
        known = self._origins.get(_key(tensor)[0])
        if known is not None:
            return known[0]
        origin = self._data_origin
        if origin is None:
            origin = Origin("forward", line=present_line())
            self._whereabouts.describe(origin)
            origin.inputs = summaries({"a tensor": tensor})
            origin.why = "it came from outside PyTorch's operations: from data, NumPy, or an extension"
        self._tag(tensor, origin)
        return origin

    def _look_at_data(self, data: Any) -> None:
        leaves = tree_leaves(data)
        for number, one in enumerate(leaves):
            tensor = one
            if not isinstance(one, torch.Tensor) and hasattr(one, "__array_interface__"):
                tensor = torch.as_tensor(one)
            if is_float(tensor) and not is_finite(tensor):
                place = f"part {number} of the batch" if len(leaves) > 1 else "the batch"
                origin = Origin("data")
                origin.inputs = summaries({place: tensor})
                rows = (~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1) if tensor.ndim else None
                if rows is not None:
                    origin.numbers["samples"] = float(rows.sum())
                    origin.numbers["first_sample"] = float(rows.nonzero()[0])
                self._data_origin = self._data_origin or origin
                self._tag(tensor, origin)

    def _leaves_module(self, outputs: list[torch.Tensor], describe: Callable[[Origin], None]) -> None:
        """Take note of outputs of a module that no operation was seen to make."""
        for one in outputs:
            if _key(one)[0] not in self._origins and not is_finite(one):
                origin = Origin("forward", line=present_line())
                describe(origin)
                origin.outputs = summaries({"output": one})
                self._tag(one, origin)

    # What it comes to.

    def _symptom(self, order: int, sick: list[torch.Tensor]) -> None:
        origin = self._origin_of(sick[0])
        if id(origin) not in self._deliberate:
            self._symptoms.append((order, origin))

    def _look_at_result(self, result: Any, order: int, parameter: str = "", what: str = "", rate: float = 0.0) -> None:
        for tensor in floats(result):
            if is_finite(tensor):
                continue
            origin = self._origin_of(tensor)
            if parameter and origin.phase == "optimizer" and not origin.parameter:
                origin.parameter, origin.numbers["learning_rate"] = parameter, rate
                origin.parameters = {**self._before.get(parameter, {}), **summaries({f"{what} after": tensor})}
            self._symptom(order, [tensor])

    def _is_stepping(self, optimizer: Any, given: Any, named: Any) -> None:
        self._has_closure = any(callable(one) for one in (*given[1:], *named.values()))
        self._before = {}
        for name, one in self._of(optimizer):
            self._look_at_result(one.grad, 1)
            tensors = {"weight before": one.detach(), "gradient": one.grad}
            for slot, value in optimizer.state.get(one, {}).items():
                tensors[f"{slot} before"] = value
            self._before[name] = summaries({what: part for what, whole in tensors.items() for part in floats(whole)})
        self._in_optimizer = True

    def _has_stepped(self, optimizer: Any, *_: Any) -> None:
        self._in_optimizer = False
        rates = {id(one): float(group["lr"]) for group in optimizer.param_groups for one in group["params"]}
        for name, one in self._of(optimizer):
            self._look_at_result(one.detach(), 1, name, "weight", rates[id(one)])
            for slot, value in optimizer.state.get(one, {}).items():
                self._look_at_result(value, 3, name, slot, rates[id(one)])

    def _of(self, optimizer: Any) -> list[tuple[str, torch.nn.Parameter]]:
        own = {id(one) for group in optimizer.param_groups for one in group["params"]}
        return [(name, one) for name, one in self._parameters.items() if id(one) in own]


def _numbered(tensors: list[torch.Tensor], word: str = "input", most: int = 8) -> dict[str, torch.Tensor]:
    """Name tensors by their place; of many, as in an optimizer's step over all weights, the first few."""
    if len(tensors) == 1:
        return {word: tensors[0]}
    return {f"{word} {number}": one for number, one in enumerate(tensors[:most])}


def _written(function: Any, given: Any, named: Any) -> list[torch.Tensor]:
    """Return the tensors of floats that an operation writes to."""
    if not function._schema.is_mutable:
        return []
    found = []
    for position, argument in enumerate(function._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found.append(given[position] if position < len(given) else named.get(argument.name))
    return floats(found)


def _of_first(function: Any, inputs: Any, outputs: Any, bad: list[torch.Tensor]) -> tuple[Any, Any]:
    """Return what went in and came out, of an operation over many tensors that of the first that is not finite."""
    count = len(outputs)
    if not str(function).startswith("aten._foreach_") or count < 2:
        return inputs, bad
    place = next(number for number, one in enumerate(outputs) if one is bad[0])
    return (inputs[place::count] if len(inputs) % count == 0 else inputs), bad[:1]


def _key(tensor: torch.Tensor) -> tuple[int, Any]:
    """Return what a tensor shares with its views, and what keeps that from being used for another."""
    storage = tensor.untyped_storage()
    return storage._cdata, storage
