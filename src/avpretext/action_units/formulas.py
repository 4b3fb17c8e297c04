"""Twenty action units out of blendshapes and landmark distances: the backend `blendshapes`.

Each action unit (AU) is a weighted sum of evidence. The evidence of a measure is how far it has moved from the person's
resting face, in the direction that the AU moves it, as a share of how far it moves at full intensity; between -1 and 1,
so that a measure that moves the wrong way counts against the AU. The sum is cut to 0..1.

What each AU does to the face is Ekman, Friesen & Hager, "Facial Action Coding System: The Manual" (2002). Which
blendshape stands for which AU follows from the descriptions in Apple's ARKit (`ARFaceAnchor.BlendShapeLocation`), whose
52 names MediaPipe uses. Distances follow Tian, Kanade & Cohn (2001), see `measures`. Full-scale movements and weights
are this project's own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avpretext.action_units.measures import MEASURES, RestingFace
from avpretext.flow.columns import ACTION_UNITS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Formula:
    """How one action unit is measured.

    Attributes
    ----------
    evidence
        Measure to (weight, movement at full intensity). A negative movement shrinks the measure; a negative weight
        makes the movement speak against the AU.
    sees
        What the measures see of it.
    source
        Where in the literature it comes from: FACS says what the AU does to the face, the others how it is measured.
    """

    name: str
    evidence: dict[str, tuple[float, float]]
    sees: str
    weakness: str
    source: str


FORMULAS: dict[str, Formula] = {
    "AU01": Formula(
        "inner brow raiser",
        {"browInnerUp": (0.3, 0.6), "inner_brow": (0.3, 0.06), "brow_slant": (0.4, 0.05)},
        "inner ends of the brows go up, also above the outer ends",
        "with AU04 only the slant remains",
        "FACS; Tian et al. 2001, upper face: motion of the inner brow",
    ),
    "AU02": Formula(
        "outer brow raiser",
        {"browOuterUp": (0.4, 0.4), "outer_brow": (0.6, 0.06)},
        "outer ends of the brows go up",
        "a head tilted back raises the brows; the alignment removes most of it",
        "FACS; Tian et al. 2001, upper face: motion of the outer brow",
    ),
    "AU04": Formula(
        "brow lowerer",
        {"browDown": (0.3, 0.5), "inner_brow": (0.35, -0.05), "outer_brow": (0.35, -0.04)},
        "brows go down",
        "with AU01 the inner brows stay up; landmarks hardly show that they draw together",
        "FACS; Tian et al. 2001, upper face: motion of the brows",
    ),
    "AU05": Formula(
        "upper lid raiser",
        {"eyeWide": (0.4, 0.15), "upper_lid": (0.6, 0.02)},
        "upper lids go up",
        "small; looking up raises the lids too",
        "FACS; Tian et al. 2001, upper face: motion of the top lid",
    ),
    "AU06": Formula(
        "cheek raiser",
        {"lower_lid": (0.25, 0.015), "mouthSmile": (0.75, 0.8)},
        "lower lids pushed up by the cheeks of a smile",
        "cheekSquint stays near 0, and landmarks hardly show cheeks: it depends on AU12",
        "FACS; Tian et al. 2001, upper face: motion of the bottom lid; that it goes with AU12: Ekman et al. 1990",
    ),
    "AU07": Formula(
        "lid tightener",
        {"eyeSquint": (0.5, 0.35), "lower_lid": (0.5, 0.015)},
        "lids tighten, the lower one more",
        "blinks fire it; glasses and strong light raise eyeSquint (calibration removes a constant rise)",
        "FACS; Tian et al. 2001, upper face: motion of the bottom lid",
    ),
    "AU09": Formula(
        "nose wrinkler",
        {
            "nose_wings": (0.55, -0.04),
            "upper_lip": (0.35, -0.05),
            "inner_brow": (0.1, -0.06),
            "mouthSmile": (-0.4, 0.8),
        },
        "wings of the nose drawn up, with upper lip and inner brows",
        "noseSneer stays near 0; confused with AU10 and broad smiles",
        "FACS; of the lower face in Tian et al. 2001, who see it by its wrinkles",
    ),
    "AU10": Formula(
        "upper lip raiser",
        {"mouthUpperUp": (0.7, 0.6), "upper_lip": (0.3, -0.05), "mouthSmile": (-0.4, 0.8)},
        "upper lip goes up towards the nose, without a smile",
        "vowels raise it too; with a smile only a strong one is seen",
        "FACS; Tian et al. 2001, lower face: motion of the top lip",
    ),
    "AU11": Formula(
        "nasolabial deepener",
        {"lip_sides": (0.6, -0.03), "mouthUpperUp": (0.4, 0.6)},
        "sides of the upper lip go up more than its middle",
        "landmarks do not show the fold of the skin: a guess",
        "FACS alone",
    ),
    "AU12": Formula(
        "lip corner puller",
        {"mouthSmile": (0.5, 0.8), "corner_drop": (0.25, -0.08), "mouth_width": (0.25, 0.12)},
        "corners of the lips go up and out",
        "mouthSmile reacts to AU10 and AU20 too",
        "FACS; Tian et al. 2001, lower face: motion of the lip corners",
    ),
    "AU14": Formula(
        "dimpler",
        {"mouthDimple": (1.0, 0.4)},
        "corners of the lips tighten inwards",
        "a single blendshape, which reacts to AU12 too",
        "FACS; ARKit",
    ),
    "AU15": Formula(
        "lip corner depressor",
        {
            "mouthFrown": (0.4, 0.5),
            "corner_height": (0.2, -0.08),
            "corner_drop": (0.2, 0.10),
            "mouthShrugLower": (0.2, 0.15),
            "mouthSmile": (-0.3, 0.8),
        },
        "corners of the lips go down",
        "mouthFrown is often weak; an opening jaw lowers the corners too",
        "FACS; Tian et al. 2001, lower face: motion of the lip corners",
    ),
    "AU17": Formula(
        "chin raiser",
        {
            "mouthShrugLower": (0.35, 0.15),
            "mouthShrugUpper": (0.35, 0.15),
            "corner_height": (0.3, -0.08),
            "chin_drop": (-0.2, 0.1),
        },
        "chin and lower lip pushed up, so that the line of the mouth arches",
        "confused with closing lips in speech",
        "FACS; of the lower face in Tian et al. 2001; ARKit's shrugs",
    ),
    "AU20": Formula(
        "lip stretcher",
        {"mouthStretch": (0.6, 0.5), "mouth_width": (0.4, 0.12), "mouthSmile": (-0.3, 0.8)},
        "corners of the lips drawn out sideways, not up",
        "mouthStretch is often weak; smiles widen the mouth too",
        "FACS; Tian et al. 2001, lower face: width of the lips",
    ),
    "AU23": Formula(
        "lip tightener",
        {"mouthPress": (0.3, 0.5), "mouth_width": (0.4, -0.08), "lip_height": (0.3, -0.06)},
        "lips narrow and tighten",
        "confused with AU24 and rounded lips in speech",
        "FACS; Tian et al. 2001, lower face: width and height of the lips, one class with AU24",
    ),
    "AU24": Formula(
        "lip pressor",
        {"mouthPress": (0.6, 0.3), "lip_height": (0.4, -0.06), "lip_gap": (-0.6, 0.10)},
        "lips pressed together and thinned; parted lips rule it out",
        "b, m and p fire it",
        "FACS; Tian et al. 2001, lower face: height of the lips, one class with AU23",
    ),
    "AU25": Formula(
        "lips part",
        {"lip_gap": (1.0, 0.20)},
        "a gap between the lips",
        "speech fires it",
        "FACS; Tian et al. 2001, lower face: lips apart",
    ),
    "AU26": Formula(
        "jaw drop",
        {"jawOpen": (0.4, 0.5), "chin_drop": (0.6, 0.22)},
        "chin goes down",
        "speech fires it",
        "FACS; Tian et al. 2001, lower face: the mouth's opening",
    ),
    "AU28": Formula(
        "lip suck",
        {"mouthRollLower": (0.5, 0.5), "mouthRollUpper": (0.5, 0.5)},
        "both lips rolled in over the teeth",
        "rare; confused with m and b",
        "FACS; ARKit",
    ),
    "AU43": Formula(
        "eyes closed",
        {"eyeBlink": (0.5, 0.5), "eye_opening": (0.5, -0.06)},
        "upper lids come down",
        "looking down lowers the lids too; includes blinks",
        "FACS; the opening of the eye: Soukupova & Cech 2016",
    ),
}
"""Action unit to formula, in the order of `ACTION_UNITS`."""

CODED = {
    "AU01": 0.97, "AU02": 0.98, "AU04": 0.87, "AU05": 0.98, "AU06": 0.97, "AU07": 0.82, "AU09": 0.87, "AU12": 0.98,
    "AU15": 0.69, "AU17": 0.75, "AU20": 0.95, "AU23": 0.68, "AU24": 0.91, "AU25": 1.0, "AU26": 0.99,
}  # fmt: skip
"""How well each tells faces in which FACS coders saw it from the others: area under the curve, .5 is chance. 228 peaks
of emotions of 91 people (CK+, 48x48 pixels); of the other action units fewer than nine have it. AU06, AU09 and
AU15 were changed on these faces."""


def _matrix() -> tuple[Floats, Floats]:
    """Return the formulas as weights (AUs, M) and full-scale movements (AUs, M)."""
    weights, scales = np.zeros((2, len(ACTION_UNITS), len(MEASURES)))
    for row, unit in enumerate(ACTION_UNITS):
        for name, (weight, scale) in FORMULAS[unit].evidence.items():
            weights[row, MEASURES.index(name)], scales[row, MEASURES.index(name)] = weight, scale
    return weights, scales


_WEIGHTS, _SCALES = _matrix()


_USED = np.where(_WEIGHTS != 0, np.abs(_SCALES), 0.0)
FULL_MOVEMENT = np.where(_USED.any(axis=0), _USED.sum(axis=0) / np.maximum((_USED > 0).sum(axis=0), 1), np.nan)
"""Shape (M,): how far an expression at full intensity moves each measure, the mean over the AUs that weigh it; NaN for
measures that no AU is made of."""


def intensities(values: NDArray[np.floating], rest: RestingFace) -> Floats:
    """Turn the measures of frames, (F, M), into action units, (F, 20), 0..1, by a resting face that counts as zero.

    Measures are in the order of `MEASURES`, action units in that of `ACTION_UNITS`; NaN where no face is found.
    """
    return np.asarray(signed(values, rest).clip(0, 1))


def signed(values: NDArray[np.floating], rest: RestingFace) -> Floats:
    """Return the weighted sums of evidence, shape (F, 20), -1..1, before they are cut: below 0 the AU is denied."""
    moved = np.asarray(values, dtype=np.float64) - rest.location
    used = _WEIGHTS != 0
    evidence = moved[:, None, :] / np.where(used, _SCALES, 1.0)
    return np.asarray((_WEIGHTS * evidence.clip(-1, 1)).sum(axis=-1))
