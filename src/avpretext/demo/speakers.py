"""Who speaks in the demo: a face, a voice and their habits, each drawn from the seed."""

from dataclasses import dataclass

import numpy as np

from avpretext.demo.portrait import Look
from avpretext.demo.voice import Delivery

# Variants with `breath` (f2, victor, ...) are left out: they differ a little each time espeak-ng is run.
_MALE_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "adam", "edward", "max", "rob", "robert")
_FEMALE_VARIANTS = (
    "f1", "aunty", "steph", "linda", "f4", "shelby", "Annie",
    "belinda", "steph2", "grandma", "Andrea", "steph3", "anika",
)  # fmt: skip
ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland")


@dataclass(frozen=True)
class Speaker:
    """One speaker.

    Attributes
    ----------
    name
        Unique over both parts of the corpus.
    sex, age
        `Male` or `Female`: of the voice; in years, in name only.
    expressiveness
        Factor on everything that the face does for an emotion.
    room_s, noise_db
        The room: its reverberation time in seconds, its noise in dB under full scale.
    """

    name: str
    sex: str
    age: int
    look: Look
    delivery: Delivery
    expressiveness: float
    room_s: float
    noise_db: float


def draw_speaker(number: int, name: str, seed: int) -> Speaker:
    """Draw speaker `number` of the corpus; no two numbers under 26 share a voice."""
    rng = np.random.default_rng([seed, 1, number])
    female = number % 2 == 1
    variants = _FEMALE_VARIANTS if female else _MALE_VARIANTS
    variant = variants[(number // 2) % len(variants)]
    return Speaker(
        name=name,
        sex="Female" if female else "Male",
        age=int(rng.integers(20, 75)),
        look=_draw_look(number, rng),
        delivery=Delivery(
            voice=f"{ACCENTS[int(rng.integers(len(ACCENTS)))]}+{variant}",
            pitch=float(rng.uniform(40, 50)),
            pitch_range=float(rng.uniform(38, 56)),
            words_per_minute=float(rng.uniform(160, 190)),
        ),
        expressiveness=float(rng.uniform(0.85, 1.1)),
        room_s=float(rng.uniform(0.1, 0.25)),
        noise_db=float(rng.uniform(-60, -48)),
    )


def _draw_look(number: int, rng: np.random.Generator) -> Look:
    """Draw a face; hats and glasses go round, so that both parts of the corpus have them."""
    hat, glasses = number % 3 == 1, number % 5 == 2
    jaw, nose, length, mouth, lips, brows = rng.uniform(-1, 1, 6)
    return Look(
        shape_mix=float(rng.uniform(0.1, 0.9)),
        skin_mix=float(rng.uniform(0, 1)),
        glasses=glasses,
        hat=hat,
        mirror=(bool(rng.integers(2)), bool(rng.integers(2))),
        zoom=float(rng.uniform(0.92, 1.08)),
        lightness=float(rng.uniform(-38, 12)),
        warmth=float(rng.uniform(-4, 12)),
        backdrop=float(rng.uniform(-1, 1)) * (70 if hat else 10),
        jaw=jaw, nose=nose, length=length, mouth=mouth, lips=lips, brows=brows,
    )  # fmt: skip
