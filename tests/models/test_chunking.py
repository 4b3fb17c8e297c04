"""Frames to the steps of chunks."""

import numpy as np
import pytest
import torch

from avpretext.models.chunking import ChunkGrid, gather_chunks


def published_chunks(clip: np.ndarray, m: int, count: int) -> np.ndarray:
    """Slice as Lin & Busso's code does, one chunk at a time."""
    step = (len(clip) - m) // (count - 1)
    return np.stack([clip[k * step : k * step + m] for k in range(count)])


def padded(clips: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(clip) for clip in clips])
    frames = torch.full((len(clips), int(lengths.max()), clips[0].shape[1]), torch.nan)
    for row, clip in enumerate(clips):
        frames[row, : len(clip)] = torch.from_numpy(clip)
    return frames, lengths


def test_published_chunks_are_the_slices_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(length, 3)).astype(np.float32) for length in (62, 70, 187, 300, 1000)]
    chunks = gather_chunks(*padded(clips), ChunkGrid(62, 11, method="published"))
    expected = np.stack([published_chunks(clip, 62, 11) for clip in clips])
    assert torch.equal(chunks.steps, torch.from_numpy(expected))
    assert chunks.mask.all()


def test_a_step_is_the_mean_of_its_frames() -> None:
    clip = np.arange(10, dtype=np.float32)[:, None]
    chunks = gather_chunks(*padded([clip]), ChunkGrid(4, 3, step_frames=2))
    # Chunks start at 0, 3, 6; steps hold frames (0,1) (2,3), (3,4) (5,6), (6,7) (8,9)
    assert chunks.steps[0, :, :, 0].tolist() == [[0.5, 2.5], [3.5, 5.5], [6.5, 8.5]]


def test_a_short_clip_is_padded_and_masked() -> None:
    clip = np.array([[2.0], [4.0], [6.0]], dtype=np.float32)
    chunks = gather_chunks(*padded([clip]), ChunkGrid(6, 2, step_frames=2))
    assert chunks.steps[0, :, :, 0].tolist() == [[3.0, 6.0, 0.0]] * 2
    assert chunks.mask[0].tolist() == [[True, True, False]] * 2


def test_a_long_clip_is_averaged_down_and_keeps_all_frames() -> None:
    clip = np.arange(12, dtype=np.float32)[:, None]
    chunks = gather_chunks(*padded([clip]), ChunkGrid(3, 2))
    # 2 chunks of 3 would leave 6 frames unread: each chunk holds 6, 2 in a step
    assert chunks.steps[0, :, :, 0].tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]


@pytest.mark.parametrize("frames", [1, 7, 23, 24, 25, 61, 200])
def test_every_frame_has_an_influence(frames: int) -> None:
    clip = torch.randn(1, frames, 2, requires_grad=True)
    gather_chunks(clip, torch.tensor([frames]), ChunkGrid(8, 3, step_frames=3)).steps.sum().backward()  # type: ignore[no-untyped-call]
    assert clip.grad is not None
    assert (clip.grad != 0).all()


def test_a_clip_is_cut_alike_alone_and_in_a_batch() -> None:
    rng = np.random.default_rng(1)
    clips = [rng.normal(size=(length, 2)).astype(np.float32) for length in (5, 40, 90, 500)]
    grid = ChunkGrid(20, 4, step_frames=3)
    batch = gather_chunks(*padded(clips), grid)
    for row, clip in enumerate(clips):
        alone = gather_chunks(*padded([clip]), grid)
        torch.testing.assert_close(alone.steps[0], batch.steps[row])
        assert torch.equal(alone.mask[0], batch.mask[row])
