"""What the columns of the Parquet artefacts mean: beside `schemas`, so that words here change no byte of a shard.

A new schema needs an entry in `ARTEFACTS`; a column whose name says the same everywhere stands once, in `COMMON`.
`docs/stages.md` is made from here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby

import pyarrow as pa

from avpretext.flow import schemas

Column = tuple[str, str]
"""Meaning and unit of a column; the unit is empty where there is none."""


@dataclass(frozen=True)
class Artefact:
    """One kind of Parquet file.

    Attributes
    ----------
    stage
        The stage that writes it; `demo` for the truth that the demo corpus brings.
    place
        Where below the results folder (of truth: below `data/demo`), with CAPITALS for what varies.
    row
        What a row is.
    schema
        Its columns.
    own
        Column, or a pattern such as `score_*`, to what it means here and its unit; other columns are in `COMMON`.
    """

    stage: str
    place: str
    row: str
    schema: pa.Schema
    own: Mapping[str, Column] = field(default_factory=dict)

    def meaning(self, column: str) -> Column | None:
        """Return meaning and unit of a column, None if nobody has said."""
        key = self.key(column)
        return None if key is None else {**COMMON, **self.own}[key]

    def key(self, column: str) -> str | None:
        """Return under what a column is described: its name or a pattern, its own before the common ones."""
        for known in (self.own, COMMON):
            for key in known:
                if key == column or ("*" in key and fnmatchcase(column, key.replace("[", "[[]"))):
                    return key
        return None

    def described(self) -> Iterator[tuple[list[str], pa.DataType, Column]]:
        """Yield columns, type, and meaning with unit; columns that follow each other and mean alike come together."""
        fields = [(self.key(column.name), column) for column in self.schema]
        for _, group in groupby(fields, key=lambda entry: entry[0]):
            columns = [column for _, column in group]
            names = [column.name for column in columns]
            yield names, columns[0].type, self.meaning(names[0]) or ("", "")


COMMON: dict[str, Column] = {
    "clip_id": ("the clip; unique in its corpus", ""),
    "path": ("the file, relative to the folder of the corpus", ""),
    "speaker": ("who speaks; null: not known", ""),
    "label": ("the class", ""),
    "sentence": ("what is said, as the corpus names it", ""),
    "level": ("how strongly, as the corpus names it", ""),
    "start_s": ("start, from the start of the clip", "s"),
    "end_s": ("end, from the start of the clip", "s"),
    "frame": ("number of the frame, from 0", ""),
    "time_s": ("middle of the frame, from the start of the clip", "s"),
    "image": ("the picture: bytes of a JPEG, and a name", ""),
    "AU*": ("intensity of the action unit; null: no face, or not measured", "0..1"),
    "corpus": ("name of the corpus in the configuration", ""),
    "initialisation": (
        "what the system started from: `scratch`, a set of tasks, or the name of what stands beside",
        "",
    ),
    "fold": ("number of the fold, from 0", ""),
    "seed": ("number of the run within the fold, from 0", ""),
    "seeds": ("trainings behind it: the seeds, of which those that share a pre-training count as one", "count"),
    "pretraining": ("number of the pre-training that the run started from, from 0; null: none", ""),
    "pretrainings": ("pre-trainings behind it; 1: their luck is not in the interval; null: none", "count"),
    "epoch": ("passes over the training clips so far", ""),
    "split": ("`train`, `dev` or `test`", ""),
    "measure": ("what is measured, such as `macro_f1`, `uar`, `ccc`, `loss`", ""),
    "class": ("the class that is scored; null: all of them together", ""),
    "value": ("its value", ""),
    "ci_low": ("lower end of the interval, over speakers and trainings", "as `value`"),
    "ci_high": ("upper end of the interval", "as `value`"),
    "speakers": ("speakers behind it", "count"),
    "clips": ("clips behind it", "count"),
    "runs": ("runs behind it: folds times seeds", "count"),
    "count": ("how many", "count"),
    "predicted": ("the class that is predicted", ""),
}
"""Columns that mean the same wherever they stand."""

_PATH = {"path": ("the file, relative to the folder of the corpus; null: not known", "")}
_CHUNKS: dict[str, Column] = {
    "chunk": ("number of the chunk, from 0", ""),
    "label": ("1 high, 0 low; null: in the dead zone, or not measured", ""),
    "confidence": ("0 at the threshold to 1 at the end of the values", "0..1"),
    "threshold": ("above it is high", "as `value`"),
}
_CLIPS: dict[str, Column] = {
    "label": ("the acted emotion, where the file's name tells it", ""),
    "recording": ("the long recording that it was cut from; null: a file of its own", ""),
    "start_s": ("where it starts in its file; null: at the start", "s"),
    "end_s": ("where it ends in its file; null: at the end", "s"),
    "size_bytes": ("size of the file", "bytes"),
}
_REJECTS: dict[str, Column] = {
    "stage": ("who refused it", ""),
    "reason": ("why, from a fixed list", ""),
    "detail": ("what exactly was seen", ""),
}
_AUDIO: dict[str, Column] = {
    "label": ("as in `index`", ""),
    "duration_s": ("length of the audio", "s"),
    "samples": ("length of the audio, at 16 kHz", "samples"),
    "content": ("hash of the samples: equal for equal audio", ""),
    "audio": ("mono FLAC at 16 kHz: its bytes, and a name", ""),
    "video_frames": ("frames on the video grid; 0: no video was wanted", "count"),
    "fps": ("frames per second of the video grid", "Hz"),
    "mix": (
        "how channels became one: `mean`; `silent_channel`, `no_speech_channel`: without that one; `inverted`: one"
        " turned over",
        "",
    ),
    "clipped": ("samples at or beyond full scale", "share, 0..1"),
    "fingerprint": ("acoustic fingerprint, 24 bits for each 16 ms; 0: too quiet; null: not made", ""),
}
_FRAMES: dict[str, Column] = {"time_s": ("time of the frame, from the start of the clip", "s")}
_TRUTH: dict[str, Column] = {
    "emotion": ("the emotion that the face shows and the voice has", ""),
    "text": ("what is said, in words", ""),
    "vocal_energy": ("arousal that the voice was made with, the emotion's and the clip's", ""),
    "facial_activation": ("mean speed of the action units: |change| summed over units", "per second"),
    "AU*": ("intensity that the face was made with; 0 for units it cannot show", "0..1"),
    "phoneme": ("espeak-ng's name of it", ""),
    "corpus": ("part of the demo: `labelled`, `unlabelled`", ""),
    **_FRAMES,
}
_VECTOR = "vector of the clip; the names of its numbers are in the provenance"

ARTEFACTS: tuple[Artefact, ...] = (
    Artefact(
        "index", "CORPUS/index/listing", "file that the run found when it began", schemas.LISTING,
        {**_CLIPS, "shard": ("the shard that it belongs to", ""), "mtime_ns": ("when the file was changed", "ns"),
         **_REJECTS, "reason": ("why it is refused; null: it is a clip", "")},
    ),
    Artefact("index", "CORPUS/index/SHARD.parquet", "clip", schemas.INDEX, _CLIPS),
    Artefact("segment", "CORPUS/segment/SHARD.parquet", "clip, whole files or cut from them", schemas.INDEX, _CLIPS),
    Artefact("split", "CORPUS/split/audio/SHARD.parquet", "clip", schemas.AUDIO, _AUDIO),
    Artefact(
        "split", "CORPUS/split/frames/SHARD.parquet", "video frame; removed once landmarks are found", schemas.FRAMES,
        _FRAMES,
    ),
    Artefact(
        "speed", "CORPUS@SPEED/split/audio/SHARD.parquet", "clip, played at another speed", schemas.AUDIO, _AUDIO
    ),
    Artefact(
        "speech", "CORPUS/speech/SHARD.parquet", "10 ms of a clip", schemas.speech(["DESCRIPTOR"]),
        {"energy": ("root mean square of the 25 ms around the middle", "1 is full scale"),
         "loudness": ("openSMILE's sum of the auditory spectrum", ""),
         "DESCRIPTOR": ("each low-level descriptor of `speech.feature_set`, under openSMILE's name", "openSMILE's")},
    ),
    Artefact(
        "log_mel", "CORPUS/log_mel/SHARD.parquet", "10 ms of a clip", schemas.log_mel(2),
        {"mel[*]": ("natural logarithm of the power in a mel band, the lowest first; `log_mel.bands` columns", "")},
    ),
    Artefact(
        "phones", "CORPUS/phones/SHARD.parquet", "phone of a clip; they follow each other without gaps", schemas.PHONES,
        {"phone": ("in ARPABET, without stress; `SIL` where nobody speaks", ""),
         "viseme": ("class of phones that look alike; see phones.md", ""),
         "confidence": ("how sure the backend is; null: it does not tell", "0..1")},
    ),
    Artefact(
        "landmarks", "CORPUS/landmarks/SHARD.parquet", "video frame", schemas.landmarks(478),
        {**_FRAMES, "detected": ("true where a face was found; what is measured of it is null elsewhere", ""),
         "faces": ("how many faces were seen", "count"),
         "landmarks": ("x, y, z of each point in turn: 478 of MediaPipe, or dlib's 68", "pixels"),
         "blendshapes": ("52 of ARKit, in MediaPipe's order", "0..1"),
         "pitch_deg": ("of the head; above 0: the face looks down", "degrees"),
         "yaw_deg": ("above 0: the nose turns to the right of the picture", "degrees"),
         "roll_deg": ("above 0: the head tilts counter-clockwise in the picture", "degrees"),
         "width": ("of the stored frame", "pixels"), "height": ("of the stored frame", "pixels")},
    ),
    Artefact(
        "landmarks", "CORPUS/landmarks/preview/SHARD.parquet", "frame of the one clip that the report shows",
        schemas.FRAMES, _FRAMES,
    ),
    Artefact(
        "landmarks", "CORPUS/landmarks/thumbnails/SHARD.parquet", "small face, up to five per clip", schemas.THUMBNAILS,
        _FRAMES,
    ),
    Artefact(
        "motion", "CORPUS/motion/SHARD.parquet", "video frame", schemas.MOTION,
        {**_FRAMES, "speed_*": ("mean speed of the landmarks of the region, head motion removed; null: no face",
                                "distances between the outer eye corners per second")},
    ),
    Artefact(
        "neutral", "CORPUS/neutral/all.parquet", "person and measure", schemas.NEUTRAL,
        {"group": ("the speaker; of clips without one, the clip", ""),
         "measure": ("a blendshape or a distance of landmarks; see action-units.md", ""),
         "location": ("its value in the resting face", "the measure's"),
         "spread": ("how it scatters around that", "the measure's"), "frames": ("frames that it is from", "count")},
    ),
    Artefact(
        "resting_shape", "CORPUS/resting_shape/all.parquet", "person", schemas.RESTING_SHAPE,
        {"group": ("the speaker; of clips without one, the clip", ""), "frames": ("frames that it is from", "count"),
         "points": ("x and y of each point of lips, jaw and lower cheeks at rest", "eye distances"),
         "blendshapes": ("those of mouth and jaw at rest", "0..1")},
    ),
    Artefact(
        "lower_face", "CORPUS/lower_face/SHARD.parquet", "video frame", schemas.LOWER_FACE,
        {**_FRAMES, "movement": ("x and y of each point from the resting shape, head pose removed; null: no face",
                                 "eye distances"),
         "blendshapes": ("those of mouth and jaw, less those at rest; null: no face", "-1..1")},
    ),
    Artefact("action_units", "CORPUS/action_units/SHARD.parquet", "video frame", schemas.ACTION_UNIT_FRAMES, _FRAMES),
    Artefact(
        "rejects", "CORPUS/rejects/all.parquet; CORPUS/STAGE/rejects/SHARD.parquet", "refused clip or file",
        schemas.REJECTS, {**_PATH, **_REJECTS},
    ),
    Artefact(
        "labels_energy", "CORPUS/labels_energy/all.parquet", "chunk", schemas.CHUNK_LABELS,
        {**_CHUNKS, "value": ("deviation (or mean) of the frame energy over the chunk", "dB")},
    ),
    Artefact(
        "labels_activation", "CORPUS/labels_activation/all.parquet", "chunk", schemas.CHUNK_LABELS,
        {**_CHUNKS, "value": ("mean speed of the region over the chunk; null: the face was not seen for long enough",
                              "eye distances per second")},
    ),
    Artefact(
        "labels_emotion", "CORPUS/labels_emotion/all.parquet", "clip", schemas.labels_emotion(["EMOTION"]),
        {"outcome": ("`labelled`, `none` (no emotion scored enough), `ambiguous` (two scored alike), `unmeasured`", ""),
         "label": ("the emotion; null unless `labelled`", ""), "value": ("score of the best emotion", "0..1"),
         "confidence": ("how far the best is ahead of the second, and of the least score that counts", "0..1"),
         "score_*": ("score of each emotion of the table", "0..1")},
    ),
    Artefact(
        "targets", "CORPUS/targets/TARGET.parquet", "clip", schemas.TARGETS,
        {"label": ("the class in words, joined by + if several; null: none, or a number is learnt", ""),
         "values": ("one-hot, several ones, shares, or the number; null: no label; the provenance has the classes", ""),
         "votes": ("raters who chose each class; null: no raters", "count")},
    ),
    Artefact(
        "folds", "CORPUS/folds/TARGET.PROTOCOL.parquet", "clip in a fold", schemas.FOLDS,
        {"name": ("name of the fold", ""),
         "speaker": ("who speaks; where that is not known, the path of the file", ""),
         "part": ("`train`, `dev`, `test`; `dropped`: a copy of audio of another part", ""),
         "copy_of": ("of a clip dropped: corpus and clip that it is a copy of", "")},
    ),
    Artefact(
        "pretrain", "pretrain/AGGREGATOR/TASKS/history.parquet", "measure of an epoch", schemas.PRETRAIN_HISTORY,
        {"seed": ("number of the pre-training, from 0", ""),
         "split": ("`train`, or `dev`: the held-out speakers", ""), "measure": ("`loss`, `energy_uar`, ...", "")},
    ),
    Artefact(
        "co_occurrence", "CORPUS/co_occurrence/SETTING.parquet", "pair of classes in a fold", schemas.CO_OCCURRENCE,
        {"target": ("the class that is true", ""),
         "count": ("training clips in which raters named both; on the diagonal, the class", "clips"),
         "frequency": ("`count` over that of the predicted class with itself", "0..1"),
         "penalty": ("1 - frequency", "0..1")},
    ),
    Artefact(
        "finetune", "CORPUS/finetune/SETTING/LOSS.AGGREGATOR/INITIALISATION/predictions.parquet",
        "clip of a run", schemas.PREDICTIONS,
        {"split": ("`dev` or `test`", ""), "label": ("the true class in words", ""),
         "truth": ("`values` of the target", ""),
         "probabilities": ("of each class; of an attribute its predicted value; the classes are in the provenance",
                           "0..1")},
    ),
    Artefact(
        "finetune", "CORPUS/finetune/SETTING/LOSS.AGGREGATOR/INITIALISATION/history.parquet",
        "measure of an epoch of a run", schemas.FINETUNE_HISTORY,
    ),
    Artefact(
        "orofacial_system", "orofacial/SYSTEM/predictions.parquet", "video frame of a test clip of a run",
        schemas.OROFACIAL_FRAMES,
        {"movement": ("predicted x and y of each point of `lower_face`, from the resting shape", "eye distances"),
         "truth": ("the same, measured; null: no face was seen", "eye distances"),
         "viseme": ("the predicted class of phones; see phones.md", ""),
         "true_viseme": ("the class of the phone that is spoken; null: not known", "")},
    ),
    Artefact(
        "orofacial_system", "orofacial/SYSTEM/clips.parquet", "test clip of a run", schemas.OROFACIAL_CLIPS,
        {"emotion": ("the true emotion; null: not known", ""), "predicted": ("the predicted emotion", ""),
         "probabilities": ("of each emotion, in the order of the provenance", "0..1")},
    ),
    Artefact(
        "orofacial_system", "orofacial/SYSTEM/history.parquet", "measure of an epoch of a run",
        schemas.OROFACIAL_HISTORY, {"split": ("`train` or `dev`", "")},
    ),
    Artefact(
        "functionals", "CORPUS/functionals/SHARD.parquet", "clip", schemas.FUNCTIONALS,
        {"values": (_VECTOR, "")},
    ),
    Artefact(
        "evaluate", "CORPUS/evaluate/SETTING/metrics.parquet", "measure of a system", schemas.METRICS,
        {"value": ("over all test clips, folds pooled, averaged over seeds", "0..1; CCC and r: -1..1"),
         "mean": ("mean over runs", "as `value`"), "std": ("deviation over runs", "as `value`"),
         "seed_std": ("deviation over the trainings that `seeds` counts; null: a single one", "as `value`")},
    ),
    Artefact(
        "evaluate", "CORPUS/evaluate/SETTING/seeds.parquet", "measure of a seed", schemas.SEEDS,
        {"seed": ("number of the run within each fold, from 0", ""),
         "value": ("over all test clips, folds pooled", "0..1; CCC and r: -1..1"),
         "difference": ("`value` minus that of scratch with the same seed; null: it has no such seed", "as `value`")},
    ),
    Artefact("evaluate", "CORPUS/evaluate/SETTING/runs.parquet", "measure of a run", schemas.RUNS),
    Artefact(
        "evaluate", "CORPUS/evaluate/SETTING/comparisons.parquet", "measure of a system beside another",
        schemas.COMPARISONS,
        {"baseline": ("what it is compared with", ""),
         "difference": ("its value minus that of the other", "as `value`"),
         "p_value": ("of no difference, over speakers and trainings", "0..1"),
         "p_holm": ("the same, corrected over the family (Holm)", "0..1"),
         "std_error": ("of the difference, over speakers and trainings", "as `value`"),
         "df": ("degrees of freedom of the standard error", ""),
         "family": ("`pretext`: sets of tasks; `baseline`: what stands beside", "")},
    ),
    Artefact(
        "evaluate", "CORPUS/evaluate/SETTING/confusion.parquet", "true and predicted class", schemas.CONFUSION,
        {"label": ("the true class", ""), "count": ("clips, seeds averaged", "clips"),
         "share": ("of the clips of the true class", "0..1")},
    ),
    Artefact("demo", "truth/clips.parquet", "clip", schemas.TRUTH_CLIPS, _TRUTH),
    Artefact("demo", "truth/action_units.parquet", "video frame", schemas.TRUTH_ACTION_UNITS, _TRUTH),
    Artefact("demo", "truth/phonemes.parquet", "phoneme", schemas.TRUTH_PHONEMES, _TRUTH),
)  # fmt: skip
"""Every kind of Parquet file, in the order of the flow."""
