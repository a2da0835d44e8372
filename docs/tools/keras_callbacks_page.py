"""The page about Keras' callbacks on a foreign model, made from the table and the facade in `onlooker.views`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from onlooker.views.keras_facade import REFUSED, KerasFacade
from onlooker.views.keras_table import ROWS, TESTED, WORKS

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = """\
<!-- Made by `python -m docs.tools.generate` from src/onlooker/views/keras_table.py: change that, not this. -->

# Keras' callbacks on a model that is not Keras'

`Loop` and `Trainer` take the callbacks of `keras.callbacks`, and classes of your own that derive from its `Callback`,
beside Onlooker's:

```python
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported

import keras
import torch

import onlooker as ol

torch.manual_seed(0)
module = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
inputs = torch.randn(96, 4)
targets = inputs.sum(dim=1, keepdim=True) + torch.randn(96, 1)
train_set, test_set = torch.arange(72).split(12), torch.arange(72, 96).split(12)

stopping = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
best = keras.callbacks.ModelCheckpoint("best.weights.h5", save_weights_only=True, save_best_only=True)
with ol.Loop(module, optimizer, callbacks=[stopping, best]) as loop:
    for epoch in loop.epochs(100):
        for batch in loop.train(train_set):
            loss = (module(inputs[batch]) - targets[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loop.log(loss=loss)
        for batch in loop.test(test_set):
            loop.log(loss=(module(inputs[batch]) - targets[batch]).square().mean())

print(loop.run.outcome, "by", loop.run.stopped_by)
```

```text
stopped by EarlyStopping
```

Keras itself needs a backend to be imported, and takes TensorFlow unless `KERAS_BACKEND` says otherwise; without
TensorFlow that is an error of `import keras`, before Onlooker is asked. Which backend it is does not matter for the
training: it compares a few numbers with it.

## The sixteen

{count} of them work without limits. A test holds each row to what it says, with Keras {tested}; where there are numbers
to compare, against the same callback in Keras' own `fit`.

{table}
Where a callback is refused, that happens when it is attached, with the reason and what to use instead.

## How they are called

- As Keras calls them: `set_model`, then `set_params`, then the hooks, with plain dicts of floats as logs, sorted by
  name. What a callback adds to the logs, the later callbacks see, Onlooker's too.
- `self.params` is Keras' dict. `epochs` is 0 where nobody knows how many there will be, and `steps` None until the
  first batch.
- Only the hooks that are overridden are called, so a callback of epochs costs nothing in a batch.
- `on_error` and `when`, as attributes of the callback or its class, mean what they mean in an `onlooker.Callback`; so
  does a trigger above a hook. Messages name the Keras class.
- `mode="auto"`: Keras asks its model's metrics what is better. Here the name has to tell: that of a metric that Keras
  knows, or one that ends in `loss`, `error`, `accuracy`, `acc` or `auc`, with anything in front. Where it does not
  tell, the callback is refused: pass `mode="min"` or `mode="max"`.
- After an exception or Ctrl-C Keras calls no end hooks. Here they come, so that files are closed; but Keras' own
  callbacks do not get those that would have them take a torn epoch for a whole one:
{withheld}
- `Loop(resume=path)` restores what {stateful} remember.
- A callback of Keras 2 (`tf_keras`) is refused, but for classes of your own.

## `self.model`

It is a facade with the names below. Any other name is looked up in your module (or, where there are several models,
among their names), and set there if it is there: `self.model.generator`, `self.model.beta = 0.5`.

| name | |
| --- | --- |
{facade}
What only a Keras model has is refused:

| name | instead |
| --- | --- |
{refused}
## Files of weights

`ModelCheckpoint` and `save_weights` write `.weights.h5`: HDF5, no pickle, one dataset per weight under
`modules/<name>`, with the states of the optimizer and of the random generators beside them. It fits the module that it
was written for, and no Keras model:

```python
from onlooker.views.keras_facade import load_weights

again = torch.nn.Linear(4, 1)
load_weights("best.weights.h5", again)
print(torch.equal(again.weight, module.weight))
```

```text
True
```
"""


def make_page() -> str:
    """Return the whole page."""
    own = {name: value for name, value in vars(KerasFacade).items() if not name.startswith("_")}
    documented = {name: inspect.getdoc(value) for name, value in own.items()}
    documented["__call__"] = inspect.getdoc(KerasFacade.__call__)
    facade = [
        f"| `{name}` | {text.splitlines()[0]} |"
        for name, text in documented.items()
        if text and own.get(name) is not True
    ]
    hooks = dict.fromkeys(hook for row in ROWS.values() for hook in row.withheld)
    withheld = [
        f"  - no `{hook}`: {_listed(row.name for row in ROWS.values() if hook in row.withheld)}" for hook in hooks
    ]
    return PAGE.format(
        tested=TESTED,
        count=sum(row.support == WORKS for row in ROWS.values()),
        table=make_table(),
        withheld="\n".join(withheld),
        stateful=_listed(row.name for row in ROWS.values() if row.state),
        facade="\n".join(facade) + "\n",
        refused="\n".join(f"| `{name}` | {instead} |" for name, instead in REFUSED.items()) + "\n",
    )


def make_table() -> str:
    """Return the table of the sixteen."""
    lines = ["| `keras.callbacks.` | | how | instead |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.support} | {row.how} | {row.instead or '–'} |" for row in ROWS.values()]
    return "\n".join(lines) + "\n"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
