"""`ImageGrid`: pictures of what a model draws, and the film of how they emerged.

- `image_grid.py`: `ImageGrid`, the callback: when it draws, and what it keeps.
- `pixels.py`: arrays in the usual layouts to uint8 pixels, and many small pictures to one.
- `film.py`: PNG files to a strip and to an animated GIF.
- `directory.py`: finds out early whether a directory can be written.
"""

from .directory import DirectoryError as DirectoryError
from .image_grid import ImageGrid as ImageGrid
