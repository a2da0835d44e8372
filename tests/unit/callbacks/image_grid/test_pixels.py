"""What is a picture and what is none: layouts, ranges, and the words of the refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onlooker.callbacks.image_grid.pixels import arrange, check_layout, check_value_range, infer_layout, to_pixels
from onlooker.core.errors import PictureError

HEIGHT, WIDTH = 4, 5
grey = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 10
colour = np.stack([grey, grey + 1, grey + 2], axis=-1)


@pytest.mark.parametrize(
    ("layout", "images", "expected"),
    [
        ("HW", grey, grey[None]),
        ("HWC", colour, colour[None]),
        ("HWC", grey[..., None], grey[None]),
        ("CHW", colour.transpose(2, 0, 1), colour[None]),
        ("CHW", grey[None], grey[None]),
        ("NHW", np.stack([grey, 255 - grey]), np.stack([grey, 255 - grey])),
        ("NHWC", np.stack([colour, 255 - colour]), np.stack([colour, 255 - colour])),
        ("NHWC", np.stack([grey, 255 - grey])[..., None], np.stack([grey, 255 - grey])),
        ("NCHW", np.stack([colour, 255 - colour]).transpose(0, 3, 1, 2), np.stack([colour, 255 - colour])),
        ("NCHW", np.stack([grey, 255 - grey])[:, None], np.stack([grey, 255 - grey])),
    ],
)
@pytest.mark.parametrize("is_declared", [True, False])
def test_every_layout_becomes_the_same_pixels(layout, images, expected, is_declared):
    if not is_declared and images.shape == (3, HEIGHT, WIDTH):
        pytest.skip("three grey pictures, or one in colour: refused below")
    pixels = to_pixels(images, layout if is_declared else None)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((28, 28), "HW"),
        ((64, 8, 8), "NHW"),
        ((2, 8, 8), "NHW"),
        ((1, 8, 8), "CHW"),
        ((8, 8, 1), "HWC"),
        ((8, 8, 3), "HWC"),
        ((64, 3, 8, 8), "NCHW"),
        ((3, 8, 8, 3), "NHWC"),
        ((1, 1, 8, 8), "NCHW"),
    ],
)
def test_layouts_are_inferred(shape, layout):
    assert infer_layout(shape) == layout


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 28, 28), r"\(3, 28, 28\), which can be CHW or NHW; say which: layout='NHW'"),
        ((3, 28, 3), r"can be HWC or CHW"),
        ((5, 3, 8, 3), r"can be NHWC or NCHW"),
        ((5, 8, 8, 4), r"no axis can be the channels"),
        ((8,), r"\(8,\); expected 2, 3 or 4 axes"),
        ((2, 2, 2, 8, 8), r"expected 2, 3 or 4 axes"),
    ],
)
def test_what_cannot_be_inferred_is_refused(shape, message):
    with pytest.raises(PictureError, match=message):
        to_pixels(np.zeros(shape))


def test_three_grey_pictures_can_be_declared():
    assert to_pixels(np.zeros((3, 28, 28)), "NHW").shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("value_range", "values", "expected"),
    [
        ((0, 1), [0.0, 0.25, 0.5, 1.0], [0, 64, 128, 255]),
        ((-1, 1), [-1.0, -0.5, 0.0, 1.0], [0, 64, 128, 255]),
        ((0, 255), [0.0, 64.0, 127.6, 255.0], [0, 64, 128, 255]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_scaled_from_their_range(value_range, values, expected, dtype):
    assert to_pixels(np.array([values], dtype), value_range=value_range).tolist() == [[expected]]


def test_rounding_beyond_the_range_is_forgiven():
    assert to_pixels(np.array([[-1e-6, 1 + 1e-6]])).tolist() == [[[0, 255]]]


def test_uint8_stays_as_it_is_whatever_the_range():
    assert to_pixels(grey, value_range=(-1, 1)).tolist() == [grey.tolist()]


def test_values_out_of_range_are_refused_with_the_likely_range():
    with pytest.raises(PictureError, match=r"from -0\.5 to 0\.75; expected 0 to 1; pass value_range=\(-1, 1\)"):
        to_pixels(np.array([[-0.5, 0.75]]))
    with pytest.raises(PictureError, match=r"from 0 to 200; expected -1 to 1; pass value_range=\(0, 255\)"):
        to_pixels(np.array([[0.0, 200.0]]), value_range=(-1, 1))
    with pytest.raises(PictureError, match=r"pass value_range=\(-4, 3\)"):
        to_pixels(np.array([[-3.5, 2.5]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    images = np.zeros((4, 6, 6), np.float32)
    images[2, 0, 0] = images[3, 5, 5] = bad
    with pytest.raises(PictureError, match=r"2 of 4 images have NaN or infinite values, the first is number 2"):
        to_pixels(images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((5, 5), int), r"int64 \(shape \(5, 5\)\); expected uint8 .* example images\.astype\('uint8'\)$"),
        (torch.zeros((5, 5), dtype=torch.int32), r"the images are int32 .*, for example images\.byte\(\)$"),
        ([[1, 2], [3, 4]], r"the images are int64 .*, for example numpy\.asarray\(images, 'uint8'\)$"),
        (np.zeros((5, 5), complex), r"complex128"),
        (None, r"the images are NoneType"),
        ("digits", r"the images are <U6"),
        ({"a": 1}, r"the images are dict"),
        ([], r"nothing to draw"),
        (np.zeros((0, 8, 8)), r"\(0, 8, 8\): there is nothing to draw"),
        ([np.zeros((5, 5)), np.zeros((6, 6))], r"different shapes: \(5, 5\), \(6, 6\)"),
    ],
)
def test_what_is_no_picture_is_refused(images, message):
    with pytest.raises(PictureError, match=message):
        to_pixels(images)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, lambda array: array.tolist(), list])
def test_false_is_black_and_true_is_white_whatever_the_range(kind):
    images = kind(np.asarray([[True, False], [False, True]]))
    assert to_pixels(images, value_range=(-1, 1)).tolist() == [[[255, 0], [0, 255]]]


def test_a_shape_that_is_not_the_declared_layout_is_refused():
    with pytest.raises(PictureError, match=r"\(64, 8, 8\), which is no 'NCHW'; expected 4 axes"):
        to_pixels(np.zeros((64, 8, 8)), "NCHW")
    with pytest.raises(PictureError, match=r"which is 8 channels in layout 'NCHW'; expected 1 or 3"):
        to_pixels(np.zeros((64, 8, 8, 3)), "NCHW")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_tensor_that_still_has_its_graph_is_read(dtype):
    weight = torch.ones(HEIGHT, WIDTH, dtype=dtype, requires_grad=True)
    assert to_pixels(weight * 0.5).tolist() == np.full((1, HEIGHT, WIDTH), 128).tolist()


def test_jax_arrays_are_read():
    jax_numpy = pytest.importorskip("jax.numpy")
    for dtype in (jax_numpy.float32, jax_numpy.bfloat16):
        assert to_pixels(jax_numpy.full((1, 2), 0.5, dtype)).tolist() == [[[128, 128]]]


def test_a_list_of_tensors_is_read():
    pixels = to_pixels([torch.zeros(6, 6), torch.ones(6, 6, requires_grad=True)])
    assert pixels.shape == (2, 6, 6)
    assert pixels[1].min() == 255


def test_what_was_given_is_not_changed():
    images = np.full((2, 6, 6), 0.5)
    to_pixels(images)
    assert (images == 0.5).all()


@pytest.mark.parametrize("layout", ["HCW", "nhwc", "", 3])
def test_an_unknown_layout_is_refused(layout):
    with pytest.raises(PictureError, match="expected one of HW, HWC"):
        check_layout(layout)


def test_the_nearest_layout_is_named():
    with pytest.raises(PictureError, match="did you mean 'NHWC'"):
        check_layout("nhwc")


@pytest.mark.parametrize(
    "value_range", [(1, 0), (0, 0), (0,), 1, None, (0, float("nan")), ("a", "b"), (0, float("inf"))]
)
def test_a_range_that_is_none_is_refused(value_range):
    with pytest.raises(PictureError, match=r"for example \(0, 1\) or \(-1, 1\)"):
        check_value_range(value_range)


def test_arrange_in_rows_with_padding():
    pictures = np.array([[[1]], [[2]], [[3]]], np.uint8)
    assert arrange(pictures, scale=1, padding=1, background=9).tolist() == [
        [9, 9, 9, 9, 9],
        [9, 1, 9, 2, 9],
        [9, 9, 9, 9, 9],
        [9, 3, 9, 9, 9],
        [9, 9, 9, 9, 9],
    ]
    assert arrange(pictures, 3, scale=1, padding=0).tolist() == [[1, 2, 3]]
    assert arrange(pictures, 8, scale=1, padding=0).tolist() == [[1, 2, 3]]
    assert arrange(pictures, 1, scale=2, padding=0).tolist() == [[1, 1], [1, 1], [2, 2], [2, 2], [3, 3], [3, 3]]


def test_tiny_pictures_are_enlarged_until_they_can_be_seen():
    assert arrange(np.zeros((64, 8, 8), np.uint8)).shape == (73 * 7, 73 * 7)
    assert arrange(np.zeros((1, 600, 200, 3), np.uint8)).shape == (602, 202, 3)


@given(
    count=st.integers(1, 40), height=st.integers(1, 5), width=st.integers(1, 5), columns=st.none() | st.integers(1, 9)
)
def test_each_picture_is_in_the_grid_once(count, height, width, columns):
    pictures = np.repeat(np.arange(1, count + 1, dtype=np.uint8), height * width).reshape(count, height, width)
    found, counts = np.unique(arrange(pictures, columns, scale=1, background=0), return_counts=True)
    shown = dict(zip(found.tolist(), counts.tolist(), strict=True))
    assert shown.pop(0) > 0
    assert shown == dict.fromkeys(range(1, count + 1), height * width)


@given(count=st.integers(1, 200))
def test_the_grid_is_near_square(count):
    height, width = arrange(np.zeros((count, 1, 1), np.uint8), scale=1, padding=0).shape
    assert height * width >= count
    assert width - 1 <= height <= width
