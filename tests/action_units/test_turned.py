"""Faces of real people, turned as textured meshes: what the pose adds to an action unit is taken out."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avpretext.action_units import formulas, measures, neutral

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def fit_faces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fit_faces

    yield fit_faces
    fit_faces.close_detectors()
    sys.modules.pop("fit_faces")


def test_a_turned_face_shows_nearly_the_same(fit_faces: Any, shared_data: Path, face_model: Path) -> None:
    """None of these people was used to measure what turning does; of one picture MediaPipe itself is off by .06."""
    people = [folder for folder in sorted((shared_data / "faces-posed").iterdir()) if folder.is_dir()]
    landmarker, changes = fit_faces.detector(face_model), []
    for person in people:
        start = fit_faces.frontal(landmarker, min(person.iterdir()))
        if start is not None:
            changes.append(changed_by_turning(fit_faces, landmarker, *start))
    before, after = (np.array([change[number] for change in changes]) for number in (0, 1))
    assert len(changes) >= 6
    # Over the people, the action unit that moves most, by 20 degrees of pitch up and down.
    worst = [np.abs(np.median(change, axis=0)).max() for change in (before, after)]
    assert worst[0] > 0.35
    assert worst[1] < 0.65 * worst[0]
    assert np.abs(after).mean() < 0.85 * np.abs(before).mean()


def changed_by_turning(fit_faces: Any, landmarker: Any, picture: Any, points: Any) -> tuple[Any, Any]:
    """Return how action units change when a face is turned up and down by 20 degrees, before and after correction."""
    straight, basis = fit_faces.seen(landmarker, picture)
    turned = [fit_faces.seen(landmarker, fit_faces.turned(picture, points, pitch, 0)) for pitch in (-20, 20)]
    seen = np.array([values for values, _ in turned])
    corrected = np.array([values - of @ measures.TURNED for values, of in turned])
    return tuple(
        formulas.signed(values, neutral.RestingFace(rest, 0))
        for values, rest in ((seen, straight), (corrected, straight - basis @ measures.TURNED))
    )  # type: ignore[return-value]
