"""The host of Keras' `fit`, `evaluate` and `predict`, in which a callback is used as it is: `callbacks=[Watch()]`.

Keras calls `set_model` on each callback of a list. From there the list itself is found, and one `KerasHost` takes over
all of our callbacks in it.

- `entrance.py`: `enter`, what `set_model` ends in: finds the list, refuses or silences a callback.
- `keras_host.py`: `KerasHost`, one list at work: moves the run through the grammar and closes it when it is cut off.
- `door.py`: `Door`, which stands in the list for all of its callbacks; Keras calls the hooks on it.
- `guest.py`: Keras' own callbacks, called between ours in the order of the list.
- `keras_run.py`: `KerasRun`, what callbacks see as `self.run`.
- `running_logs.py`: `RunningLogs`, a batch's logs, fetched when read, and the batch's own values.
- `step_count.py`: `StepCount`, how often the optimizer has stepped.
- `guards.py`: `Guards`, what is put around the model's functions while a run is under way.
- `resume.py`: `resume`, for a training that goes on from a file of `run.save`.
"""

from .entrance import enter as enter
from .resume import resume as resume
