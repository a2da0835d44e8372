"""The progress of a training, an evaluation or a prediction, for whoever sits in front of it.

- `progress.py`: `Progress`, the callback: when something is shown, and that logs are read no oftener than shown.
- `pace.py`: how fast it goes and how long it will take.
- `layout.py`: what stands in the lines of the live display, for the width that there is.
- `bars.py`: the live display itself, with rich; loaded on a terminal only.
- `lines.py`: one line for each epoch, for files, pipes and notebooks.
"""

from .progress import Progress as Progress
