"""The columns of every Parquet artefact: name, type, unit, meaning."""

import pyarrow as pa

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Audio or image in the layout that the Hugging Face `datasets` library decodes by itself."""

SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_FRAME = 160
"""Hop of the speech features: a frame of the grid, `chunks.FRAME_S`, in samples."""

ACTION_UNITS = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU11", "AU12",
    "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28", "AU43",
)  # fmt: skip
"""The 20 action units that py-feat names."""

MOTION_REGIONS = ("face", "brows", "eyes", "mouth", "jaw")

REASONS = {
    "unknown_name": "the file name is not one that the corpus uses",
    "duplicate_clip_id": "another file of the corpus has the same clip_id",
    "lfs_pointer": "the file is a Git LFS pointer: run `git lfs pull` in the corpus",
    "known_broken": "the corpus lists this clip as broken",
    "empty_file": "the file has no bytes",
    "not_media": "ffmpeg finds no audio or video in the file",
    "no_audio": "the file has no audio stream",
    "no_video": "the file has no video stream",
    "truncated": "the file ends before the duration or the size that it declares, or within a packet",
    "lost_sound": "more than a tenth of the clip has pictures and no sound, or lies in gaps of the sound",
    "decode_error": "ffmpeg cannot decode the file",
    "too_short": "the clip is shorter than split.min_duration_s",
    "too_long": "the clip is longer than split.max_duration_s",
    "timeout": "decoding took longer than its time limit",
    "no_face": "no face is found in enough of the frames",
    "unreadable": "the file cannot be opened",
    "missing_file": "a row of the corpus's table names a file that is not there",
    "unlisted": "the corpus's table has no row for the file",
    "bad_segment": "the clip's start and end are no stretch of its file, or overlap those of another clip",
    "no_segments": "nothing in the recording makes a clip; see `segment`",
    "no_text": "phones: it is not known what is said; give a transcript, or set phones.backend: recognise",
    "unknown_word": "phones: a word is in no dictionary; add it to a file named phones.dictionary",
    "silent": "there is no sound in the clip",
    "no_alignment": "phones: the sound does not fit what is said to be said",
    "no_phones": "phones: no file or truth has the phones of the clip, or none that can be read",
}
"""Why a clip can be refused: the fixed list."""


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


_S, _F, _D, _I = pa.string(), pa.float32(), pa.float64(), pa.int32()
_FRAME = {"clip_id": _S, "frame": _I, "time_s": _D}

INDEX = _schema(
    clip_id=_S, path=_S, speaker=_S, label=_S, sentence=_S, level=_S, recording=_S, start_s=_D, end_s=_D,
    size_bytes=pa.int64(),
)  # fmt: skip
LISTING = _schema(
    shard=_I, path=_S, clip_id=_S, speaker=_S, label=_S, sentence=_S, level=_S, start_s=_D, end_s=_D,
    size_bytes=pa.int64(), mtime_ns=pa.int64(), reason=_S, detail=_S,
)  # fmt: skip
REJECTS = _schema(clip_id=_S, path=_S, stage=_S, reason=_S, detail=_S)
AUDIO = _schema(
    clip_id=_S, speaker=_S, label=_S, duration_s=_D, samples=pa.int64(), content=_S, audio=MEDIA, video_frames=_I,
    fps=_D, mix=_S, clipped=_F, fingerprint=pa.list_(pa.uint32()),
)  # fmt: skip
FRAMES = _schema(**_FRAME, image=MEDIA)
THUMBNAILS = _schema(**_FRAME, image=MEDIA)
MOTION = _schema(**_FRAME, **{f"speed_{region}": _F for region in MOTION_REGIONS})
NEUTRAL = _schema(group=_S, measure=_S, location=_D, spread=_D, frames=pa.int64())
RESTING_SHAPE = _schema(group=_S, frames=pa.int64(), points=pa.list_(_D), blendshapes=pa.list_(_D))
LOWER_FACE = _schema(**_FRAME, movement=pa.list_(_F, 122), blendshapes=pa.list_(_F, 28))
ACTION_UNIT_FRAMES = _schema(**_FRAME, **dict.fromkeys(ACTION_UNITS, _F))
PHONES = _schema(clip_id=_S, start_s=_D, end_s=_D, phone=_S, viseme=_S, confidence=_F)
CHUNK_LABELS = _schema(
    clip_id=_S, chunk=_I, start_s=_D, end_s=_D, value=_D, label=pa.int8(), confidence=_F, threshold=_D
)
TARGETS = _schema(clip_id=_S, speaker=_S, label=_S, values=pa.list_(_F), votes=pa.list_(_F))
FOLDS = _schema(fold=_I, name=_S, part=_S, corpus=_S, clip_id=_S, speaker=_S, copy_of=_S)
CO_OCCURRENCE = _schema(fold=_I, target=_S, predicted=_S, count=_D, frequency=_D, penalty=_D)
FUNCTIONALS = _schema(clip_id=_S, values=pa.list_(_F))
PREDICTIONS = _schema(
    initialisation=_S, fold=_I, seed=_I, pretraining=_I, split=_S, clip_id=_S, speaker=_S, label=_S, predicted=_S,
    truth=pa.list_(_F), probabilities=pa.list_(_F),
)  # fmt: skip
OROFACIAL_FRAMES = _schema(
    fold=_I, seed=_I, corpus=_S, clip_id=_S, speaker=_S, frame=_I, movement=pa.list_(_F, 122),
    truth=pa.list_(_F, 122), viseme=_S, true_viseme=_S,
)  # fmt: skip
OROFACIAL_CLIPS = _schema(
    fold=_I, seed=_I, corpus=_S, clip_id=_S, speaker=_S, emotion=_S, predicted=_S, probabilities=pa.list_(_F)
)
OROFACIAL_HISTORY = _schema(fold=_I, seed=_I, epoch=_I, split=_S, measure=_S, value=_D)
FINETUNE_HISTORY = _schema(initialisation=_S, fold=_I, seed=_I, epoch=_I, split=_S, measure=_S, value=_D)
PRETRAIN_HISTORY = _schema(seed=_I, epoch=_I, split=_S, measure=_S, value=_D)
METRICS = _schema(
    initialisation=_S, measure=_S, **{"class": _S}, value=_D, ci_low=_D, ci_high=_D, mean=_D, std=_D, seed_std=_D,
    runs=_I, seeds=_I, pretrainings=_I, speakers=_I, clips=_I,
)  # fmt: skip
SEEDS = _schema(initialisation=_S, seed=_I, pretraining=_I, measure=_S, value=_D, difference=_D)
RUNS = _schema(initialisation=_S, fold=_I, seed=_I, pretraining=_I, measure=_S, **{"class": _S}, value=_D)
COMPARISONS = _schema(
    initialisation=_S, baseline=_S, measure=_S, difference=_D, ci_low=_D, ci_high=_D, p_value=_D, p_holm=_D,
    std_error=_D, df=_D, speakers=_I, seeds=_I, pretrainings=_I, family=_S,
)  # fmt: skip
CONFUSION = _schema(initialisation=_S, label=_S, predicted=_S, count=_D, share=_D)
TRUTH_CLIPS = _schema(
    corpus=_S, clip_id=_S, speaker=_S, emotion=_S, sentence=_S, text=_S, vocal_energy=_D, facial_activation=_D
)
TRUTH_ACTION_UNITS = _schema(corpus=_S, **_FRAME, **dict.fromkeys(ACTION_UNITS, _F))
TRUTH_PHONEMES = _schema(corpus=_S, clip_id=_S, start_s=_D, end_s=_D, phoneme=_S)


def speech(descriptors: list[str]) -> pa.Schema:
    """Return the schema of `speech` for these openSMILE low-level descriptors."""
    return _schema(**_FRAME, energy=_F, loudness=_F, **dict.fromkeys(descriptors, _F))


def log_mel(bands: int) -> pa.Schema:
    """Return the schema of `log_mel` for so many mel bands, the lowest first."""
    return _schema(**_FRAME, **{f"mel[{band}]": _F for band in range(bands)})


def landmarks(points: int, blendshapes: int = 52) -> pa.Schema:
    """Return the schema of `landmarks` for `points` landmarks: x, y, z in pixels of the stored frame."""
    return _schema(
        **_FRAME, detected=pa.bool_(), faces=pa.int16(), landmarks=pa.list_(_F, 3 * points),
        blendshapes=pa.list_(_F, blendshapes), pitch_deg=_F, yaw_deg=_F, roll_deg=_F, width=_I, height=_I,
    )  # fmt: skip


def labels_emotion(emotions: list[str]) -> pa.Schema:
    """Return the schema of `labels_emotion` with a score column for each emotion of the table."""
    return _schema(
        clip_id=_S, outcome=_S, label=_S, value=_D, confidence=_F, **{f"score_{name}": _F for name in emotions}
    )  # fmt: skip
