"""Frames to the steps of chunks."""

import math

import numpy as np
import pytest
import torch

from avpretext.chunks import chunk_starts
from avpretext.models.chunking import ChunkGrid, gather_chunks


def published_chunks(clip: np.ndarray, m: int, count: int, factor: int = 1) -> np.ndarray:
    """Cut as the formula says: chunk k is x[k s : k s + m], s = floor((T - m) / (n C - 1)), k = 0..n C - 1."""
    step = math.floor((len(clip) - m) / (factor * count - 1))
    return np.array([[clip[k * step + frame] for frame in range(m)] for k in range(factor * count)])


def end_to_end(clips: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(clip) for clip in clips])
    return torch.from_numpy(np.concatenate(clips)), lengths.cumsum(0) - lengths, lengths


def random_clips(lengths: list[int], features: int = 3, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, features)).astype(np.float32) for length in lengths]


@pytest.mark.parametrize(("m", "count", "factor"), [(62, 11, 1), (62, 11, 2), (62, 11, 3), (20, 2, 1), (5, 4, 2)])
def test_published_chunks_are_the_slices_of_the_formula(m: int, count: int, factor: int) -> None:
    lengths = np.random.default_rng(m * factor).integers(m, 12 * m, 40).tolist()
    clips = random_clips([m, m + 8, 187, 300, 1000, *lengths])
    chunks = gather_chunks(*end_to_end(clips), ChunkGrid(m, count, factor, method="published"))
    expected = np.stack([published_chunks(clip, m, count, factor) for clip in clips])
    assert torch.equal(chunks.steps, torch.from_numpy(expected))
    assert chunks.mask.all()


def test_exact_chunks_of_the_published_setting_are_slices_at_its_own_starts() -> None:
    clips = random_clips([62, 63, 71, 72, 300, 681, 682])
    chunks = gather_chunks(*end_to_end(clips), ChunkGrid(62, 11))
    for row, clip in enumerate(clips):
        starts = chunk_starts(len(clip), 62, 11).tolist()
        expected = np.stack([clip[start : start + 62] for start in starts])
        assert torch.equal(chunks.steps[row], torch.from_numpy(expected))


@pytest.mark.parametrize("lengths", [[62, 300, 500], [10, 62, 300, 2000]])
def test_a_buffer_of_the_callers_own_gets_the_same_chunks(lengths: list[int]) -> None:
    clips = random_clips(lengths)
    grid = ChunkGrid(62, 11)
    expected = gather_chunks(*end_to_end(clips), grid)
    buffer = torch.full_like(expected.steps, torch.nan)
    found = gather_chunks(*end_to_end(clips), grid, out=buffer)
    assert found.steps.data_ptr() == buffer.data_ptr()
    assert torch.equal(buffer, expected.steps)
    assert torch.equal(found.mask, expected.mask)


def test_a_batch_is_cut_from_the_store_in_any_order() -> None:
    clips = random_clips([90, 300, 62, 170])
    frames, first, lengths = end_to_end(clips)
    grid = ChunkGrid(62, 3, method="published")
    whole = gather_chunks(frames, first, lengths, grid).steps
    rows = torch.tensor([2, 0, 2])
    assert torch.equal(gather_chunks(frames, first[rows], lengths[rows], grid).steps, whole[rows])


def test_a_step_is_the_mean_of_its_frames() -> None:
    clip = np.arange(10, dtype=np.float32)[:, None]
    chunks = gather_chunks(*end_to_end([clip]), ChunkGrid(4, 3, step_frames=2))
    # Chunks start at 0, 3, 6; steps hold frames (0,1) (2,3), (3,4) (5,6), (6,7) (8,9)
    assert chunks.steps[0, :, :, 0].tolist() == [[0.5, 2.5], [3.5, 5.5], [6.5, 8.5]]


def test_a_short_clip_is_padded_and_masked() -> None:
    clip = np.array([[2.0], [4.0], [6.0]], dtype=np.float32)
    chunks = gather_chunks(*end_to_end([clip]), ChunkGrid(6, 2, step_frames=2))
    assert chunks.steps[0, :, :, 0].tolist() == [[3.0, 6.0, 0.0]] * 2
    assert chunks.mask[0].tolist() == [[True, True, False]] * 2


def test_a_long_clip_is_averaged_down_and_keeps_all_frames() -> None:
    clip = np.arange(12, dtype=np.float32)[:, None]
    chunks = gather_chunks(*end_to_end([clip]), ChunkGrid(3, 2))
    # 2 chunks of 3 would leave 6 frames unread: each chunk holds 6, 2 in a step
    assert chunks.steps[0, :, :, 0].tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]


@pytest.mark.parametrize("frames", [1, 7, 23, 24, 25, 61, 200])
def test_every_frame_has_an_influence(frames: int) -> None:
    clip = torch.randn(frames, 2, requires_grad=True)
    grid = ChunkGrid(8, 3, step_frames=3)
    gather_chunks(clip, torch.tensor([0]), torch.tensor([frames]), grid).steps.sum().backward()  # type: ignore[no-untyped-call]
    assert clip.grad is not None
    assert (clip.grad != 0).all()


def test_a_clip_is_cut_alike_alone_and_in_a_batch() -> None:
    rng = np.random.default_rng(1)
    clips = [rng.normal(size=(length, 2)).astype(np.float32) for length in (5, 40, 90, 500)]
    grid = ChunkGrid(20, 4, step_frames=3)
    batch = gather_chunks(*end_to_end(clips), grid)
    for row, clip in enumerate(clips):
        alone = gather_chunks(*end_to_end([clip]), grid)
        torch.testing.assert_close(alone.steps[0], batch.steps[row])
        assert torch.equal(alone.mask[0], batch.mask[row])
