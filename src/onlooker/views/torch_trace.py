"""Watches one training step of PyTorch operation by operation, to find where numbers stopped being finite.

Every operation goes through a dispatch mode, in the forward pass, in the backward pass and in the optimizer. What first
puts out NaN or infinities, with none put in, is an origin; what is made of it inherits it. So infinities that are
masked away blame nobody: only what reaches the loss, a gradient or a weight is asked where it came from.

Owns the watching. What inherits what is `torch_lineage`'s business, what there was before any operation
`torch_beginning`'s, and what the modules are doing `torch_whereabouts`'. It is slow, and meant for a single step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from onlooker.core.origin import Origin
from onlooker.core.summary import Summary

from .torch_beginning import LARGE, from_data, largest, perhaps_of_data, tag_data, tag_state
from .torch_blame import operation_name, why_of_step
from .torch_buffers import lost_buffers
from .torch_finite import floats, is_finite
from .torch_lineage import Lineage, constant, has_nan, is_mask, maker, memory, name_constant, owner
from .torch_lines import present_line
from .torch_masks import is_blamed, masked_rows
from .torch_operands import MADE_OF_NOTHING, OVERWRITING, READS, WRAPS, Operation, numbered, of_first, operands, written
from .torch_place import Place
from .torch_reasons import reason
from .torch_whereabouts import Whereabouts, summaries

_READ = 4
"""How late a symptom is asked for its origin that is just a number which was read."""


class TorchTrace(TorchDispatchMode):
    """Watches a step, as a context around it.

    Args:
        named: the modules by their full names.
        parameters: the parameters by name.
        optimizers: that may step.
        data: the batch.
        lost: the names of buffers that stop being finite in this step, where it is they that matter.

    Attributes:
        origin: where it began, once the context is left; None where all stayed finite.
        error: what went wrong in the watching itself, which then ended; None otherwise.
    """

    def __init__(
        self,
        named: list[tuple[str, torch.nn.Module]],
        parameters: dict[str, torch.nn.Parameter],
        optimizers: Iterable[torch.optim.Optimizer],
        data: Any,
        lost: Collection[str] = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.origin: Origin | None = None
        self.error: Exception | None = None
        self._named, self._parameters, self._buffers = named, parameters, lost
        self._optimizers = list(optimizers)
        self._whereabouts = Whereabouts(named, partial(self._safely, self._leaves_module))
        self._place = Place(self._whereabouts, parameters)
        self._lineage = Lineage()
        self._symptoms: list[tuple[int, Origin]] = []
        self._read: dict[bool, Origin] = {}  # of NaN, and of infinities, that were read and may come back as numbers
        self._unnamed: Origin | None = None
        self._in_optimizer = self._has_closure = False
        self._before: dict[str, dict[str, Summary]] = {}
        self._undo: list[Callable[[], None]] = []
        self._data_origins = tag_data(data, self._lineage)
        tag_state(named, parameters, self._optimizers, self._lineage)
        self._largest = largest(parameters)

    # The context.

    def __enter__(self) -> TorchTrace:
        self._had_anomaly = (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
        self._stance = torch.compiler.set_stance("force_eager")
        self._undo.append(self._whereabouts.watch())
        for optimizer in self._optimizers:
            self._undo.append(optimizer.register_step_pre_hook(partial(self._safely, self._is_stepping)).remove)
            self._undo.append(optimizer.register_step_post_hook(partial(self._safely, self._has_stepped)).remove)
        torch.autograd.set_detect_anomaly(True, check_nan=False)  # nodes then know the line that made them
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.autograd.set_detect_anomaly(*self._had_anomaly)
        self._stance.__exit__(None, None, None)
        while self._undo:
            self._undo.pop()()
        self._safely(self._look_at_weights)
        if self._symptoms:
            self.origin = min(self._symptoms, key=lambda symptom: symptom[0])[1]
            if self._largest > LARGE and self.origin.phase not in ("data", "weights"):
                self.origin.numbers["largest_weight"] = self._largest
        self._lineage.clear()
        self._symptoms, self._read, self._unnamed = [], {}, None

    # Operations.

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        named = named or {}
        operation = self._safely(self._before_operation, function, given, named)
        result = function(*given, **named)
        if operation is not None:
            self._safely(self._after_operation, operation, result)
        return result

    def _safely(self, look: Callable[..., Any], *given: Any) -> Any:
        """Look, unless that has failed before, of tensors that nobody thought of: the step has to go on anyway."""
        if self.error is not None:
            return None
        try:
            return look(*given)
        except Exception as error:
            self.error = error
            return None

    def _before_operation(self, function: Any, given: Any, named: Any) -> Operation | None:
        """Look at what goes in; return what to look at afterwards, None for nothing."""
        name = operation_name(function)
        targets = written(function, name, given, named)
        inputs = operands(name, (given, named))
        if name in OVERWRITING:  # what was in there before is read by nobody
            inputs = [one for one in inputs if not any(one is other for other in targets)]
        sick = [one for one in inputs if not is_finite(one)]
        if sick and (name in READS or (name == "ones_like" and sick[0].numel() == 1)):
            self._symptom(_READ if name in READS else 0, sick)  # a loss is where a backward pass begins
        if name in MADE_OF_NOTHING or name in READS:
            return None
        before = [one.detach().clone() for one in inputs] if targets else inputs
        return Operation(function, name, (given, named), targets, before, sick)

    def _after_operation(self, done: Operation, result: Any) -> None:
        """Look at what has come out."""
        name, sick = done.name, done.sick
        places = {(memory(one)[0], one.shape) for one in done.targets}
        outputs = done.targets + [one for one in floats(result) if (memory(one)[0], one.shape) not in places]
        bad = [one for one in outputs if not is_finite(one)]
        if not bad:
            return
        origin = self._lineage.heir(sick, bad, lambda one: self._origin_of(one, name)) if sick else None
        is_nan_new = any(map(has_nan, bad)) and not any(map(has_nan, sick))
        is_spoilt = is_nan_new or bool(masked_rows(name, done.given[0]))  # logsumexp makes -inf of such a row
        is_new = origin is None or (is_spoilt and self._lineage.is_wanted(origin) and is_blamed(name, origin.phase))
        if origin is None or is_new:
            inputs, outputs = of_first(done.function, done.inputs, outputs, bad)
            origin = self._new(name, inputs, outputs, done.given, origin)
            sick = []  # what is new holds for what was written in place, too
        elif is_nan_new and not origin.became and not (self._place.derivative_of and (0, origin) in self._symptoms):
            why = reason(name, self._place.derivative_of, done.inputs, bad, done.given)
            origin.became = f"{self._place.said(name)}{f': {why}' if why else ''}"
        if done.targets and origin.phase == "forward" and (is_new or name == "copy") and origin.operation in (name, ""):
            origin.parameter = origin.parameter or owner(done.targets[0], self._parameters)
        if origin is self._unnamed and name not in WRAPS:
            self._unnamed = None
            name_constant(origin, name)
        for one in bad:
            if not any(one is other for other in sick):
                self._lineage.tag(one, origin)

    def _new(
        self, name: str, inputs: list[torch.Tensor], bad: list[torch.Tensor], given: Any, wanted: Origin | None
    ) -> Origin:
        """Return an origin in an operation at hand; `wanted` made the infinities that it has made NaN of, if so."""
        number = constant(given) if wanted is None else ""
        if number and (read := self._read.get("nan" in number)):
            return read
        if number and (data := from_data(torch.tensor(complex(number)), self._data_origins)):
            return data
        origin = self._here(name)
        origin.inputs, origin.outputs = summaries(numbered(inputs)), summaries(numbered(bad, "output"))
        if number:
            origin.why = f"{number} goes in there as a constant: a number of Python's, written or computed in your code"
            origin.why += perhaps_of_data("nan" in number, self._data_origins)
            self._lineage.want(origin)
            if name == "scalar_tensor":  # what makes a tensor of a number is part of what asked for it, such as where()
                self._unnamed = origin
            return origin
        origin.why = reason(name, self._place.derivative_of, inputs, bad, given)
        if wanted is not None:
            origin.why = "; ".join(filter(None, (origin.why, maker(wanted))))
        return origin

    def _here(self, name: str) -> Origin:
        is_optimizers = self._in_optimizer and not (self._has_closure and torch.is_grad_enabled())
        return self._place.origin(name, "optimizer" if is_optimizers else "forward")

    # What no operation was seen to make.

    def _origin_of(self, tensor: torch.Tensor, name: str = "") -> Origin:
        """Return where a tensor's NaN come from; what came in from outside any operation gets an origin now."""
        known = self._lineage.known(tensor)
        if known is not None:
            return known
        origin = from_data(tensor, self._data_origins)
        if origin is None:
            origin = self._here("tensor" if name == "lift_fresh" else name)
            origin.inputs = summaries({"a tensor": tensor})
            if tensor.numel() == 1:
                origin.why = f"{tensor.item():g} goes in there as a constant, written or computed in your code"
                origin.why += perhaps_of_data(has_nan(tensor), self._data_origins)
                self._unnamed = origin
            elif name == "lift_fresh":
                origin.why = "it is put into a tensor there: constants that are written there, or data from elsewhere"
            else:
                origin.operation = origin.operation if origin.phase == "backward" else ""
                origin.why = "it came from outside PyTorch's operations: from data, constants, NumPy, or an extension"
            if tensor.numel() == 1 or is_mask(tensor):
                self._lineage.want(origin)
        self._lineage.tag(tensor, origin)
        return origin

    def _leaves_module(self, outputs: list[torch.Tensor], describe: Callable[[Origin], None]) -> None:
        """Take note of outputs of a module that no operation was seen to make."""
        for one in outputs:
            if self._lineage.known(one) is None and not is_finite(one):
                origin = Origin("forward", line=present_line())
                describe(origin)
                origin.outputs = summaries({"output": one})
                self._lineage.tag(one, origin)

    # What it comes to.

    def _symptom(self, order: int, sick: list[torch.Tensor]) -> None:
        origin = self._origin_of(sick[0])
        if order == _READ:
            is_nan = has_nan(sick[0])
            self._read[is_nan] = origin
            if self._lineage.is_wanted(origin) and not is_nan:
                return  # infinity is what a search for the smallest begins with
        self._symptoms.append((order, origin))

    def _look_at_result(self, result: Any, order: int, parameter: str = "", what: str = "", group: Any = None) -> None:
        for tensor in floats(result):
            if is_finite(tensor):
                continue
            origin = self._origin_of(tensor)
            if group is not None and self._lineage.is_wanted(origin) and not math.isfinite(group["lr"]):
                origin.phase = "optimizer"
            if parameter and origin.phase == "optimizer" and not origin.parameter:
                origin.parameter, origin.numbers["learning_rate"] = parameter, float(group["lr"])
                before = self._before.get(parameter, {})
                origin.why = why_of_step(group, origin.operation, before.get("gradient")) or origin.why
                origin.parameters = {**before, **summaries({f"{what} after": tensor})}
                if origin.operation.startswith("fused_"):  # what went into it is of all weights
                    origin.inputs, origin.outputs = {}, {}
            self._symptom(order, [tensor])

    def _look_at_weights(self) -> None:
        for one in self._parameters.values():  # of batches without a step
            self._look_at_result(one.grad, 2)
            self._look_at_result(one.detach(), 3)
        for optimizer in self._optimizers:
            self._look_at_slots(optimizer)
        self._look_at_buffers()

    def _look_at_buffers(self) -> None:
        for name, buffer in lost_buffers(self._named, self._buffers).items():
            origin = self._origin_of(buffer)
            is_own = origin.phase == "forward" and origin.module == name.rpartition(".")[0] and not origin.parameter
            if is_own and not any(one is origin for _, one in self._symptoms):  # and it has reached nothing else
                origin.parameter = name
            self._symptom(-1, [buffer])

    def _is_stepping(self, optimizer: Any, given: Any, named: Any) -> None:
        self._has_closure = any(callable(one) for one in (*given[1:], *named.values()))
        self._before = {}
        for name, one, _ in self._of(optimizer):
            self._look_at_result(one.grad, 1)
            tensors: dict[str, Any] = {"weight before": one.detach()}
            if not self._has_closure:  # else it is that of the step before
                tensors["gradient"] = one.grad
            tensors.update({f"{slot} before": value for slot, value in optimizer.state.get(one, {}).items()})
            self._before[name] = summaries({what: part for what, whole in tensors.items() for part in floats(whole)})
        self._in_optimizer = True

    def _has_stepped(self, optimizer: Any, *_: Any) -> None:
        self._in_optimizer = False
        for name, one, group in self._of(optimizer):
            self._look_at_result(one.detach(), 1, name, "weight", group)
        self._look_at_slots(optimizer)

    def _look_at_slots(self, optimizer: Any) -> None:
        for name, one, group in self._of(optimizer):
            for slot, value in optimizer.state.get(one, {}).items():
                self._look_at_result(value, 3, name, slot, group)

    def _of(self, optimizer: Any) -> list[tuple[str, torch.nn.Parameter, dict[str, Any]]]:
        groups = {id(one): group for group in optimizer.param_groups for one in group["params"]}
        return [(name, one, groups[id(one)]) for name, one in self._parameters.items() if id(one) in groups]
