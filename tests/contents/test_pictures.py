"""Pictures and sample arrays: decoded with bounds, and bad ones refused with a clear message."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gandoctor.contents.pictures import (
    MAX_PIXELS,
    Batch,
    Unreadable,
    is_batch,
    read_batch,
    read_picture,
    size_of,
)
from gandoctor.run import ImageGrid

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (12, 20, 3), np.uint8)


def grid(path: Path, offset: int = 0, length: int | None = None) -> ImageGrid:
    return ImageGrid("fakes", 3, path, offset, length)


def saved(folder: Path, name: str, image: Image.Image, **options: object) -> ImageGrid:
    image.save(folder / name, **options)  # type: ignore[arg-type]
    return grid(folder / name)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def refusal(image: ImageGrid) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read_picture(image)
    assert caught.value.message
    assert "Traceback" not in caught.value.message
    return caught.value


# --- what is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["png", "bmp", "webp"])
def test_a_lossless_picture_is_what_was_saved(tmp_path: Path, form: str) -> None:
    options = {"lossless": True} if form == "webp" else {}
    image = saved(tmp_path, f"a.{form}", Image.fromarray(COLOURS), **options)
    found = read_picture(image)
    assert np.array_equal(found.pixels, COLOURS)
    assert found.notes == ()
    assert size_of(image) == (12, 20)


def test_a_grey_picture_has_one_channel(tmp_path: Path) -> None:
    found = read_picture(saved(tmp_path, "a.png", Image.fromarray(COLOURS[..., 0])))
    assert np.array_equal(found.pixels[..., 0], COLOURS[..., 0])
    assert found.pixels.shape == (12, 20, 1)
    bits = read_picture(saved(tmp_path, "b.png", Image.fromarray(COLOURS[..., 0] > 99)))
    assert np.array_equal(bits.pixels[..., 0], np.where(COLOURS[..., 0] > 99, 255, 0))


def test_a_part_of_a_file(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(COLOURS))
    path = tmp_path / "events"
    path.write_bytes(b"before" + data + b"after")
    assert np.array_equal(read_picture(grid(path, 6, len(data))).pixels, COLOURS)
    cut = refusal(grid(path, 6, len(data) + 100))
    assert cut.place == "byte 6"
    assert "that should have" in cut.message


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = (np.arange(240).reshape(12, 20) * 257).astype(np.uint16)
    found = read_picture(saved(tmp_path, "deep.png", Image.fromarray(deep)))
    assert np.array_equal(found.pixels[..., 0], np.arange(240).reshape(12, 20))
    assert "16 bits" in found.notes[0]


def test_palettes_and_cmyk_become_rgb(tmp_path: Path) -> None:
    few = Image.fromarray(COLOURS // 128 * 255)
    palette = read_picture(saved(tmp_path, "p.png", few.convert("P", palette=Image.Palette.ADAPTIVE)))
    assert np.array_equal(palette.pixels, COLOURS // 128 * 255)
    cmyk = read_picture(saved(tmp_path, "c.jpg", Image.new("CMYK", (20, 12), (0, 255, 255, 0))))
    assert cmyk.pixels.shape == (12, 20, 3)
    assert cmyk.pixels[0, 0, 0] > 200 > 50 > cmyk.pixels[0, 0, 1]


def test_transparent_parts_are_white_and_said(tmp_path: Path) -> None:
    half = np.dstack([COLOURS, np.full((12, 20), 255, np.uint8)])
    opaque = read_picture(saved(tmp_path, "o.png", Image.fromarray(half)))
    assert np.array_equal(opaque.pixels, COLOURS)
    assert opaque.notes == ()
    half[:6, :, 3] = 0
    clear = read_picture(saved(tmp_path, "h.png", Image.fromarray(half)))
    assert (clear.pixels[:6] == 255).all()
    assert np.array_equal(clear.pixels[6:], COLOURS[6:])
    assert "white" in clear.notes[0]


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame(tmp_path: Path, form: str) -> None:
    frames = [Image.new("RGB", (20, 12), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if form == "webp" else {}
    image = saved(tmp_path, f"a.{form}", frames[0], save_all=True, append_images=frames[1:], **options)
    found = read_picture(image)
    assert tuple(found.pixels[0, 0]) == (255, 0, 0)
    assert "first frame" in found.notes[0]


def test_one_pixel(tmp_path: Path) -> None:
    assert read_picture(saved(tmp_path, "one.png", Image.new("RGB", (1, 1)))).pixels.shape == (1, 1, 3)


# --- what is refused --------------------------------------------------------------------------------------


def test_no_picture_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    assert "empty" in refusal(grid(path)).message
    path.write_bytes(b"not a picture at all" * 10)
    assert "no PNG, JPEG" in refusal(grid(path)).message
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # would start another program
    assert "no PNG, JPEG" in refusal(grid(path)).message
    assert "No such file" in refusal(grid(tmp_path / "missing.png")).message


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "webp", "bmp"])
def test_cut_off_anywhere(tmp_path: Path, form: str) -> None:
    whole = encoded(Image.fromarray(np.repeat(np.repeat(COLOURS, 8, 0), 8, 1)), form.upper())
    path = tmp_path / f"cut.{form}"
    for length in range(1, len(whole) * 9 // 10, max(1, len(whole) // 25)):
        path.write_bytes(whole[:length])
        refusal(grid(path))


def test_damaged_bytes_are_no_traceback(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    path = tmp_path / "damaged"
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP"):
        whole = encoded(Image.fromarray(COLOURS), form)
        for _ in range(60):
            data = np.frombuffer(whole, np.uint8).copy()
            at = random.integers(0, len(data), 3)
            data[at] = random.integers(0, 256, 3)
            path.write_bytes(data.tobytes())
            with contextlib.suppress(Unreadable):
                assert read_picture(grid(path)).pixels.ndim == 3


@pytest.mark.parametrize("side", [30_000, 11_000])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    assert f"{MAX_PIXELS:,}" in refusal(grid(path)).message


# --- arrays -----------------------------------------------------------------------------------------------


def test_points_and_images(tmp_path: Path) -> None:
    shapes = {
        (64, 2): (64, 2), (64, 3): (64, 3), (64, 16): (64, 16), (64, 784): (64, 28, 28, 1),
        (8, 9, 10): (8, 9, 10, 1), (8, 3, 9, 10): (8, 9, 10, 3), (8, 9, 10, 3): (8, 9, 10, 3),
        (8, 9, 10, 1): (8, 9, 10, 1), (8, 4, 9, 10): (8, 9, 10, 3),
    }  # fmt: skip
    path = tmp_path / "random_000300.npy"
    for shape, seen in shapes.items():
        np.save(path, RANDOM.normal(size=shape))
        batch = read_batch(grid(path))
        assert batch.values.shape == seen
        assert batch.values.dtype == np.float32
        assert batch.is_images == (len(seen) == 4)
    assert is_batch(grid(path))
    assert not is_batch(grid(tmp_path / "a.png"))


def test_channels_first_are_the_same_pixels(tmp_path: Path) -> None:
    values = RANDOM.normal(size=(4, 3, 8, 10)).astype(np.float32)
    np.savez_compressed(tmp_path / "a.npz", values)
    assert np.array_equal(read_batch(grid(tmp_path / "a.npz")).values, values.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (0, 255)])
def test_images_of_any_range_become_bytes(low: float, high: float) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 16, 16, 1)
    found = Batch(low + (high - low) * ramp).pixels()
    assert np.abs(found.ravel().astype(int) - np.arange(256)).max() <= 1


def test_nan_is_kept_in_the_values(tmp_path: Path) -> None:
    values = np.zeros((4, 8, 8), np.float32)
    values[1] = np.nan
    np.save(tmp_path / "a.npy", values)
    batch = read_batch(grid(tmp_path / "a.npy"))
    assert np.isnan(batch.values[1]).all()
    assert batch.pixels().shape == (4, 8, 8, 1)


def test_bad_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"

    def reason() -> str:
        with pytest.raises(Unreadable) as caught:
            read_batch(grid(path))
        return caught.value.message

    np.save(path, np.zeros((100, 2)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert "cut off" in reason()
    path.write_bytes(whole[:40])
    assert "no array" in reason()
    path.write_bytes(whole.replace(b"(100, 2)", b"(10**9,)"))
    assert reason()
    path.write_bytes(
        whole.replace(b"(100, 2), }", b"(90000000000, 2), }").replace(
            b"\x20\x20\x20\x20\x20\x20\x20\x20\n", b"\n"
        )
    )
    assert reason()
    np.save(path, np.array([{}, []], object), allow_pickle=True)
    assert "no samples" in reason()
    np.save(path, np.zeros(5))
    assert "no batch" in reason()
    path.write_bytes(b"PK\x03\x04 no archive")
    assert reason()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    assert "without an array" in reason()
    path.unlink()
    assert "No such file" in reason()
