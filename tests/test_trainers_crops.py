"""Crops for evaluation: their number, their places, and that every one is what it says."""

import pytest
import torch

from trainers.crops import CROPS, enumerate_crops, views


@pytest.mark.parametrize("resolution", [32, 75, 224, 299])
@pytest.mark.parametrize("crops", CROPS)
def test_there_are_as_many_distinct_crops_as_the_name_says(crops, resolution):
    found = enumerate_crops(resolution, crops)
    assert len(found) == len(set(found)) == crops


def test_the_144_are_four_scales_of_three_squares_of_six_places_and_mirrors():
    found = enumerate_crops(224, 144)
    assert [sorted({getattr(crop, name) for crop in found}, key=str) for name in ("scale", "square", "mirrored")] == [
        [256, 288, 320, 352],
        [0.0, 0.5, 1.0],
        [False, True],
    ]
    places = {crop.place for crop in found}
    assert places == {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), None}
    assert {crop.scale for crop in enumerate_crops(299, 144)} == {342, 384, 427, 470}  # 299 / 224 of those


def test_the_single_crop_is_the_centre_as_inception_v3_was_released():
    (crop,) = enumerate_crops(299, 1)
    assert crop == (342, 0.5, (0.5, 0.5), False)


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40)])
@pytest.mark.parametrize("crops", CROPS)
def test_views_have_the_resolution_and_are_as_many_as_the_crops(crops, height, width):
    pictures = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    found = list(views(pictures, 28, crops))
    assert len(found) == crops
    assert {tuple(view.shape) for view in found} == {(2, 3, 28, 28)}
    assert len({view.numpy().tobytes() for view in found}) == crops


def test_the_three_squares_of_a_square_picture_come_once():
    picture = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    found = list(views(picture, 28, 144))
    assert len({view.numpy().tobytes() for view in found}) == len(found) == 48


def test_views_lie_where_the_crops_say():
    # A picture whose values are its own rows and columns, already at the first scale, so that nothing is resized.
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    picture = torch.stack([rows, columns])[None]
    listed = zip(enumerate_crops(28, 144), views(picture, 28, 144), strict=True)
    corners = {(crop.square, crop.place): view for crop, view in listed if crop.scale == 32 and not crop.mirrored}
    for along, left in ((0.0, 0), (0.5, 8), (1.0, 16)):
        view = corners[along, (0.0, 0.0)]
        assert view[0, :, 0, 0].tolist() == [0, left]
        view = corners[along, (1.0, 1.0)]
        assert view[0, :, -1, -1].tolist() == [31, left + 31]
        view = corners[along, (0.5, 0.5)]
        assert view[0, :, 0, 0].tolist() == [2, left + 2]


def test_mirrored_views_are_the_others_flipped():
    picture = torch.rand(1, 3, 36, 50, generator=torch.Generator().manual_seed(1))
    listed = list(zip(enumerate_crops(30, 144), views(picture, 30, 144), strict=True))
    plain = {crop[:3]: view for crop, view in listed if not crop.mirrored}
    for crop, view in listed:
        if crop.mirrored:
            assert torch.equal(view.flip(3), plain[crop[:3]])


def test_a_tall_picture_is_cut_along_its_height():
    tall = torch.rand(1, 1, 50, 36, generator=torch.Generator().manual_seed(2))
    across = [view.transpose(2, 3) for view in views(tall.transpose(2, 3), 30, 12)]
    down = list(views(tall, 30, 12))
    assert torch.allclose(down[8], across[8], atol=1e-6)  # the centre
    assert torch.allclose(down[10], across[10], atol=1e-6)  # the whole square
