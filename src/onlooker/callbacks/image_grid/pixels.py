"""Arrays to pixels: images in the usual layouts become uint8, and many small pictures one.

Owns what is a picture and what is none, and the arithmetic. Knows no file, no run, and no framework: whatever NumPy can
read is an array.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import PictureError, nearest

Pixels = NDArray[np.uint8]

LAYOUTS = ("HW", "HWC", "CHW", "NHW", "NHWC", "NCHW")
"""N pictures, H rows, W columns, C channels: 1 for grey, 3 for red, green, blue."""

CHANNELS = (1, 3)
# How far outside the declared range a float may be, in parts of the range: rounding, and no more.
_TOLERANCE = 1e-4


def to_pixels(images: Any, layout: str | None = None, value_range: tuple[float, float] = (0.0, 1.0)) -> Pixels:
    """Return images as uint8, whatever their layout and range.

    Args:
        images: an array of NumPy, PyTorch or JAX, on any device, or a list of arrays of one shape; uint8 from 0 to 255,
            floats, or bool: black where it is False, white where it is True.
        layout: one of `LAYOUTS`; None to infer it where it is unambiguous.
        value_range: the lowest and the highest value that floats can have; they become 0 and 255.

    Returns:
        uint8 array of shape (pictures, height, width) or (pictures, height, width, 3).

    Raises:
        PictureError: wrong shape, dtype or range, or a value that is not finite.

    Example:
        >>> to_pixels(np.array([[0.0, 0.5], [1.0, 1.0]])).tolist()
        [[[0, 128], [255, 255]]]
        >>> to_pixels(np.zeros((5, 3, 8, 8)), layout="NCHW").shape
        (5, 8, 8, 3)
    """
    array = _as_array(images)
    if array.size == 0:
        raise PictureError(f"the images have shape {array.shape}: there is nothing to draw; return at least one image")
    if layout is None:
        layout = infer_layout(array.shape)
    elif len(layout) != array.ndim:
        raise PictureError(
            f"the images have shape {array.shape}, which is no {layout!r}; "
            f"expected {len(layout)} axes, pass the layout that they have: {', '.join(LAYOUTS)}"
        )
    channels = array.shape[layout.index("C")] if "C" in layout else 1
    if channels not in CHANNELS:
        raise PictureError(
            f"the images have shape {array.shape}, which is {channels} channels in layout {layout!r}; expected 1 or 3; "
            f"choose some of the channels, or pass the layout that they have: {', '.join(LAYOUTS)}"
        )
    if "N" not in layout:
        array, layout = array[None], f"N{layout}"
    if layout == "NCHW":
        array = np.moveaxis(array, 1, -1)
    if "C" in layout and channels == 1:
        array = array[..., 0]
    return array if array.dtype == np.uint8 else _scaled(array, value_range)


def infer_layout(shape: tuple[int, ...]) -> str:
    """Return the one layout that a shape can have.

    An axis of length 1 or 3 at the end, or before height and width, is taken for the channels: pictures of 3 pixels are
    not expected.

    Raises:
        PictureError: there is none, or more than one.

    Example:
        >>> infer_layout((64, 28, 28)), infer_layout((28, 28, 3)), infer_layout((64, 1, 28, 28))
        ('NHW', 'HWC', 'NCHW')
    """
    if len(shape) == 2:
        return "HW"
    if len(shape) not in (3, 4):
        raise PictureError(
            f"the images have shape {shape}; expected 2, 3 or 4 axes: {', '.join(LAYOUTS)}; reshape them first"
        )
    many = "N" if len(shape) == 4 else ""
    possible = [layout for layout in (f"{many}HWC", f"{many}CHW") if shape[layout.index("C")] in CHANNELS]
    # One grey picture is the same in either reading; three of them are not three channels.
    if len(shape) == 3 and shape[0] != 1 and shape[2] not in CHANNELS:
        possible.append("NHW")
    if len(possible) == 1:
        return possible[0]
    if not possible:
        raise PictureError(
            f"the images have shape {shape}, in which no axis can be the channels (1 or 3 of them); "
            f"expected one of {', '.join(LAYOUTS)}; reshape them first"
        )
    raise PictureError(
        f"the images have shape {shape}, which can be {' or '.join(possible)}; say which: layout={possible[-1]!r}"
    )


def check_layout(layout: str | None) -> None:
    """Refuse a layout that does not exist.

    Raises:
        PictureError: with the nearest right name.
    """
    if layout is not None and layout not in LAYOUTS:
        guess = nearest(str(layout).upper(), LAYOUTS)
        hint = f"did you mean {guess!r}?" if guess else "or None to infer it"
        raise PictureError(f"layout={layout!r}; expected one of {', '.join(LAYOUTS)}; {hint}")


def check_value_range(value_range: tuple[float, float]) -> None:
    """Refuse a range that is none.

    Raises:
        PictureError: it is no pair of finite numbers, or empty.
    """
    try:
        lowest, highest = (float(value) for value in value_range)
    except (TypeError, ValueError):
        lowest = highest = math.nan
    if not (math.isfinite(lowest) and math.isfinite(highest) and lowest < highest):
        raise PictureError(
            f"value_range={value_range!r}; expected the lowest and the highest value of floats, "
            f"for example (0, 1) or (-1, 1)"
        )


def arrange(
    pixels: Pixels, columns: int | None = None, *, scale: int | None = None, padding: int = 1, background: int = 32
) -> Pixels:
    """Put many pictures into one, in rows from the upper left.

    Args:
        pixels: uint8 array of shape (pictures, height, width) or (pictures, height, width, 3).
        columns: how many stand beside each other; None for as near to square as it goes.
        scale: each pixel becomes a square of so many; None for the smallest that makes the whole 480 pixels on its
            longer side.
        padding: between the pictures and around them, in pixels before scaling.
        background: grey value of the padding and of cells without a picture, from 0 to 255.

    Returns:
        uint8 array of shape (height, width) or (height, width, 3).

    Example:
        >>> arrange(np.full((3, 2, 2), 255, np.uint8), scale=1, background=0)[:, 1:3].tolist()
        [[0, 0], [255, 255], [255, 255], [0, 0], [255, 255], [255, 255], [0, 0]]
    """
    count, height, width, *channels = pixels.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    cell_height, cell_width = height + padding, width + padding
    shape = (rows * cell_height + padding, columns * cell_width + padding, *channels)
    grid: Pixels = np.full(shape, background, np.uint8)
    for index, picture in enumerate(pixels):
        row, column = divmod(index, columns)
        top, left = padding + row * cell_height, padding + column * cell_width
        grid[top : top + height, left : left + width] = picture
    if scale is None:
        scale = math.ceil(480 / max(shape[:2]))
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def _as_array(images: Any) -> NDArray[Any]:
    """Return a NumPy array of anything that is one, on whatever device, under whatever gradient tape."""
    if isinstance(images, list | tuple):
        parts = [_as_array(image) for image in images]
        shapes = sorted({part.shape for part in parts})
        if len(shapes) > 1:
            raise PictureError(
                f"the images have different shapes: {', '.join(map(str, shapes))}; expected one shape; "
                f"crop or pad them first"
            )
        array = np.stack(parts) if parts else np.zeros(0)
    else:
        array = _fetched(images)
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 and the like, which NumPy does not know
        array = array.astype(np.float32)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        kind = type(images).__qualname__ if array.dtype == object else str(array.dtype)
        raise PictureError(
            f"the images are {kind} (shape {array.shape}); expected uint8 from 0 to 255, floats or bool; "
            f"convert them first, for example {_way_to_bytes(images)}"
        )
    return array


def _way_to_bytes(images: Any) -> str:
    if hasattr(images, "astype"):
        return "images.astype('uint8')"
    return "images.byte()" if hasattr(images, "byte") else "numpy.asarray(images, 'uint8')"


def _fetched(images: Any) -> NDArray[Any]:
    for method in ("detach", "cpu"):
        if callable(getattr(images, method, None)):
            images = getattr(images, method)()
    try:
        return np.asarray(images)
    except TypeError:  # a tensor of a dtype that NumPy lacks
        if not callable(getattr(images, "float", None)):
            raise
        return np.asarray(images.float())


def _scaled(array: NDArray[Any], value_range: tuple[float, float]) -> Pixels:
    """Return floats of shape (pictures, …) as uint8."""
    array = array.astype(np.float32) if array.dtype.itemsize < 4 else array
    is_bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if is_bad.any():
        raise PictureError(
            f"{is_bad.sum()} of {len(array)} images have NaN or infinite values, the first is number "
            f"{is_bad.argmax()}; expected finite ones; probably the training has diverged"
        )
    lowest, highest = value_range
    span = highest - lowest
    low, high = float(array.min()), float(array.max())
    if low < lowest - _TOLERANCE * span or high > highest + _TOLERANCE * span:
        raise PictureError(
            f"the images have values from {low:.4g} to {high:.4g}; expected {lowest:g} to {highest:g}; "
            f"pass value_range={_likely_range(low, high)}, or clip them in the function that draws"
        )
    return np.rint(np.clip((array - lowest) / span, 0, 1) * 255).astype(np.uint8)


def _likely_range(low: float, high: float) -> str:
    """Name the usual range that holds the values, or the values' own."""
    for lowest, highest in ((0, 1), (-1, 1), (0, 255)):
        if lowest - 0.01 <= low and high <= highest + 0.01:
            return f"({lowest}, {highest})"
    return f"({math.floor(low)}, {math.ceil(high)})"
