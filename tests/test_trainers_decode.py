"""One picture as a square: every kind of file comes out with the right colours, upright, or is told apart."""

import io
from typing import Any

import numpy as np
import pytest
from pictures import noise
from PIL import Image

from trainers.decode import OtherSize, answer, reason, size, square
from trainers.decoders import Decoded, Other, decoded

PIXELS = noise((90, 120, 200), (20, 20), 0)


def written(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    return written(Image.fromarray(pixels))


def test_a_square_of_the_right_size_is_not_touched() -> None:
    assert np.array_equal(square(png(PIXELS), 20), PIXELS)
    assert np.array_equal(square(png(PIXELS), 20, exact=True), PIXELS)
    assert size(png(PIXELS[:7])) == (20, 7)


def test_the_centre_of_the_shorter_side_is_kept() -> None:
    wide = np.concatenate([np.zeros((20, 9, 3), np.uint8), PIXELS, np.full((20, 8, 3), 255, np.uint8)], axis=1)
    assert np.array_equal(square(png(wide[:, 1:]), 20), PIXELS)
    high = wide.transpose(1, 0, 2)
    assert np.array_equal(square(png(high[1:]), 20), PIXELS.transpose(1, 0, 2))
    small = square(png(wide[:, 1:]), 5).astype(int)
    means = PIXELS.reshape(5, 4, 5, 4, 3).mean((1, 3))
    assert np.abs(small[1:-1, 1:-1] - means[1:-1, 1:-1]).mean() < 8  # the triangle is twice as wide as the mean's box


def test_making_smaller_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = square(png(stripes), 16)[:, 2:-2].astype(int)
    assert np.abs(small - 127).max() <= 4


def test_exact_tells_another_size() -> None:
    with pytest.raises(OtherSize):
        square(png(PIXELS[:, :19]), 20, exact=True)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "YCbCr", "1", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    rgb = Image.fromarray(np.full((8, 8, 3), (200, 200, 200), np.uint8))
    form = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    converted = rgb.quantize(2) if mode == "P" else rgb.convert(mode)
    found = square(written(converted, form), 8)
    assert found.shape == (8, 8, 3)
    if mode != "1":
        assert np.abs(found.astype(int) - 200).max() <= 4


def test_cmyk_jpegs_keep_their_colours() -> None:
    red = Image.new("RGB", (16, 16), (220, 30, 40)).convert("CMYK")
    assert np.abs(square(written(red, "JPEG", quality=95), 16).astype(int) - (220, 30, 40)).max() <= 12


def test_sixteen_bits_are_scaled() -> None:
    deep = (np.arange(16, dtype=np.uint32).reshape(4, 4) * 4369).astype(np.uint16)  # 0 to 65535
    found = square(png(deep), 4)
    assert np.array_equal(found[..., 0].reshape(-1), np.arange(16) * 17)
    assert np.array_equal(found[..., 0], found[..., 2])
    with pytest.raises(ValueError, match="floating-point"):
        square(written(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), 4)
    with pytest.raises(ValueError, match="more than 16 bits"):
        square(written(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"), 4)


def test_what_is_transparent_lies_on_white() -> None:
    layer = np.zeros((4, 4, 4), np.uint8)
    layer[:2] = (10, 20, 30, 255)
    found = square(png(layer), 4)
    assert (found[:2] == (10, 20, 30)).all()
    assert (found[2:] == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert (square(written(palette, transparency=0), 4) == 255).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_stand_upright(turn: int) -> None:
    """A camera stores the picture turned and says how; undoing that is the inverse of what Pillow's own table does."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    content = written(Image.fromarray(PIXELS), exif=exif)
    with Image.open(io.BytesIO(content)) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal(square(content, 20), upright)


def test_a_large_jpeg_is_nearly_what_its_full_size_gives() -> None:
    y, x = np.mgrid[0:600, 0:800] / 100
    smooth = np.stack([127 + 120 * np.sin(x + k) * np.cos(y - k) for k in range(3)], axis=2).astype(np.uint8)
    content = written(Image.fromarray(smooth), "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as whole:
        expected = np.asarray(whole.crop((100, 0, 700, 600)).resize((40, 40), Image.Resampling.BILINEAR))
    assert np.abs(square(content, 40).astype(int) - expected).max() <= 4


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a picture"),
        (b"hello", "not a picture"),
        (png(PIXELS)[:200], "."),
        (b"\xff\xd8\xff\xe0", "not a picture"),
    ],
)
def test_what_is_damaged_has_a_reason(content: bytes, why: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Pillow raises many kinds
        square(content, 20)
    found = reason(caught.value)
    assert found if why == "." else found == why
    assert "\n" not in found
    assert "BytesIO" not in found


def runs(contents: list[bytes], side: int, *, exact: bool = False) -> list[Decoded]:
    return list(decoded(contents.__getitem__, len(contents), side, exact=exact, processes=2))


def test_processes_give_the_same_in_order() -> None:
    pictures = [noise((90, 120, 200), (20, 20), number) for number in range(300)]
    contents = [png(pixels) for pixels in pictures]
    contents[7], contents[150] = b"damaged", b""
    found = runs(contents, 20)
    assert [run.start for run in found] == sorted(run.start for run in found)
    assert sum(run.count for run in found) == 300
    bad = {run.start + index: why for run in found for index, why in run.reasons.items()}
    assert bad == {7: "not a picture", 150: "not a picture"}
    expected = [pixels for number, pixels in enumerate(pictures) if number not in bad]
    assert np.array_equal(np.concatenate([run.squares for run in found]), np.stack(expected))


def test_a_file_that_cannot_be_opened_is_damaged() -> None:
    def read(index: int) -> bytes:
        if index == 1:
            raise PermissionError(13, "Permission denied")
        return png(PIXELS)

    (run,) = decoded(read, 3, 20, processes=1)
    assert run.reasons == {1: "Permission denied"}
    assert run.squares.shape == (2, 20, 20, 3)


def test_another_size_ends_an_exact_run() -> None:
    contents = [png(PIXELS)] * 200 + [png(PIXELS[:, :10])]
    with pytest.raises(Other):
        runs(contents, 20, exact=True)


def test_a_crash_costs_one_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A decoder that a file kills, as a fault in a C library would."""
    from trainers import decoders

    fragile = tmp_path / "fragile.py"
    source = decoders.PROGRAM.read_text(encoding="utf-8")
    fragile.write_text(
        source.replace(
            "    with Image.open", "    if content == b'bomb': import os; os._exit(139)\n    with Image.open", 2
        )
    )
    monkeypatch.setattr(decoders, "PROGRAM", fragile)
    contents = [png(PIXELS)] * 5 + [b"bomb"] + [png(PIXELS)] * 4 + [b"damaged"]
    (run,) = decoded(contents.__getitem__, len(contents), 20, processes=1)
    assert run.reasons == {5: "the decoder crashed", 10: "not a picture"}
    assert run.squares.shape == (9, 20, 20, 3)


def test_the_program_answers_until_its_input_ends() -> None:
    answers = io.BytesIO()
    one = png(PIXELS)
    answer(io.BytesIO(b'{"lengths": [%d, 3]}\n' % len(one) + one + b"bad"), answers, 20, exact=False)
    line, _, pixels = answers.getvalue().partition(b"\n")
    assert line == b'{"reasons": {"1": "not a picture"}, "other": false}'
    assert pixels == PIXELS.tobytes()
