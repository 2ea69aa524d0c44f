"""Augmentation: each change against a plain one-picture formula or Pillow, and what it must leave alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainers.augment import RATIO, Augmentation, coloured, cropped, draw_boxes, draw_factors, resized, shifted
from trainers.recipe import Recipe


def seeded(random_seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(random_seed)


def pictures(count: int = 5, side: int = 9, channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, side, side), generator=seeded(7)).float()


def test_shift_moves_whole_pictures_and_repeats_edges() -> None:
    picture = torch.arange(20.0).reshape(1, 1, 4, 5)
    moved = shifted(picture.expand(200, 1, 4, 5), 1, seeded())
    padded = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")[0, 0]
    allowed = {tuple(padded[y : y + 4, x : x + 5].flatten().tolist()) for y in range(3) for x in range(3)}
    assert {tuple(one.flatten().tolist()) for one in moved} == allowed


def test_flip_mirrors_half_of_the_pictures_and_twice_is_nothing() -> None:
    before = pictures(400)
    after = Augmentation(flip=True)(before, 9, 255, seeded())
    mirrored = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(after, before, strict=True)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(after, before, strict=True)])
    assert torch.equal(mirrored, ~same)
    assert 150 < mirrored.sum() < 250
    again = Augmentation(flip=True)(after, 9, 255, seeded())  # the same draws mirror the same pictures
    assert torch.equal(again, before)


def pillow_crop(picture: torch.Tensor, box: torch.Tensor, resolution: int) -> torch.Tensor:
    """Each channel on its own, in floats, by Pillow's resize with a box."""
    height, width = picture.shape[1:]
    left, top, wide, high = box.tolist()
    edges = (left * width, top * height, min((left + wide) * width, width), min((top + high) * height, height))
    channels = [
        Image.fromarray(channel.numpy()).resize((resolution, resolution), Image.Resampling.BILINEAR, box=edges)
        for channel in picture
    ]
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in channels]))


@pytest.mark.parametrize("resolution", [4, 9, 20])
def test_a_crop_is_pillows(resolution: int) -> None:
    before = pictures(20, 13)
    boxes = draw_boxes(20, 0.08, seeded())
    after = cropped(before, boxes, resolution)
    for one, box, found in zip(before, boxes, after, strict=True):
        torch.testing.assert_close(found, pillow_crop(one, box, resolution), rtol=0, atol=0.02)


def test_a_crop_of_everything_is_the_picture() -> None:
    before = pictures()
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(5, 4)
    torch.testing.assert_close(cropped(before, whole, 9), before)
    torch.testing.assert_close(cropped(before, whole, 15), resized(before, 15))  # enlarging is plain bilinear


@given(st.floats(0.01, 1), st.integers(0, 1000))
def test_boxes_lie_inside_and_are_no_smaller_or_more_stretched_than_allowed(least: float, random_seed: int) -> None:
    left, top, width, height = draw_boxes(50, least, seeded(random_seed)).T
    assert (torch.stack([left, top]) >= 0).all()
    assert (torch.stack([left + width, top + height]) <= 1 + 1e-12).all()
    assert (width * height >= least - 1e-9).all()
    assert (width / height >= RATIO[0] - 1e-9).all()
    assert (width / height <= RATIO[1] + 1e-9).all()


def test_boxes_take_many_places_and_areas() -> None:
    left, top, width, height = draw_boxes(4000, 0.08, seeded()).T
    area = width * height
    assert area.min() < 0.1
    assert area.max() > 0.9
    assert 0.4 < area.mean() < 0.55
    for start, length in ((left, width), (top, height)):
        room = length < 0.9
        place = start[room] / (1 - length[room])
        assert abs(place.mean() - 0.5) < 0.03
        assert place.std() == pytest.approx(1 / math.sqrt(12), abs=0.02)


def plain_colour(picture: np.ndarray, factors: list[float], white: float) -> np.ndarray:
    """Brightness, contrast and saturation of one picture (3, H, W), pixel by pixel."""
    brightness, contrast, saturation = factors
    picture = np.clip(picture * brightness, 0, white)
    grey = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    picture = np.clip(contrast * picture + (1 - contrast) * grey.mean(), 0, white)
    grey = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    return np.clip(saturation * picture + (1 - saturation) * grey, 0, white)


def test_colour_is_the_plain_formula() -> None:
    before = pictures(30)
    factors = draw_factors(30, 0.8, seeded())
    after = coloured(before, factors, 255)
    for one, drawn, found in zip(before.double().numpy(), factors.tolist(), after, strict=True):
        np.testing.assert_allclose(found.numpy(), plain_colour(one, drawn, 255), rtol=0, atol=1e-3)


def test_factors_of_one_change_nothing_and_grey_has_no_saturation() -> None:
    before = pictures()
    torch.testing.assert_close(coloured(before, torch.ones(5, 3), 255), before)
    grey = pictures(channels=1)
    wild = torch.tensor([[1.0, 1.0, 9.0]]).expand(5, 3)
    torch.testing.assert_close(coloured(grey, wild, 255), grey)
    pale = coloured(before, torch.tensor([[1.0, 1.0, 0.0]]).expand(5, 3), 255)
    torch.testing.assert_close(pale[:, 0], pale[:, 2])


def test_factors_differ_from_picture_to_picture_and_stay_in_range() -> None:
    factors = draw_factors(1000, 0.4, seeded())
    assert factors.min() >= 0.6
    assert factors.max() <= 1.4
    assert factors.std(0).min() > 0.2
    assert abs(np.corrcoef(factors.T.numpy()) - np.eye(3)).max() < 0.1


@pytest.mark.parametrize("white", [16.0, 255.0])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [6, 12, 20])
def test_everything_at_once_stays_in_range_and_has_the_resolution(white: float, channels: int, side: int) -> None:
    before = (pictures(50, side, channels) / 255 * white).round()
    everything = Augmentation.of(Recipe(shift=2, flip=True, resized_crop=0.08, colour=0.9))
    after = everything(before, 12, white, seeded())
    assert after.shape == (50, channels, 12, 12)
    assert after.min() >= 0
    assert after.max() <= white * (1 + 1e-6)
    assert torch.equal(after, everything(before, 12, white, seeded()))
    assert not torch.equal(after, everything(before, 12, white, seeded(1)))


def test_nothing_asked_for_is_nothing_done_and_nothing_drawn() -> None:
    generator = seeded()
    before = generator.get_state()
    assert torch.equal(Augmentation.of(Recipe())(pictures(), 9, 255, generator), pictures())
    assert torch.equal(generator.get_state(), before)


def test_each_picture_is_changed_in_its_own_way() -> None:
    same = pictures(1).expand(40, 3, 9, 9)
    for asked in (
        Augmentation(shift=3),
        Augmentation(resized_crop=0.3),
        Augmentation(colour=0.3),
    ):
        assert len({one.numpy().tobytes() for one in asked(same, 9, 255, seeded())}) > 20
