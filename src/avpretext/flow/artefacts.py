"""The registry of the flow: every stage, a row each, and the files that it writes.

One word names the rule, the command, the module's subject, the folder of results and the configuration key. Paths, the
plan, provenance, the commands, the generated pages of the docs and the order of the flow are derived from here.

Adding a stage: a module with a function `run`, a row in `STAGES`, a rule. Raise `version` whenever the output would
change for the same input. The registry imports no stage: the workflow reads it at each start, and the stages import
torch, MediaPipe and openSMILE.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from avpretext.flow.columns import BOOL, FLOATS, MEDIA, Column, D, F, I, L, S
from avpretext.flow.registry import Artefact, Stage
from avpretext.flow.tasks import LABELLED, Task

if TYPE_CHECKING:
    import pyarrow as pa


def _of_corpus(*keys: str) -> tuple[str, ...]:
    """Return keys of the options of the corpus in question."""
    return tuple(f"corpora.{{corpus}}.{key}" for key in keys)


def _rejects(stage: str) -> Artefact:
    return Artefact(f"{{corpus}}/{stage}/rejects/{{shard}}.parquet", "refused clip or file", _REFUSED, _REFUSED_OWN)


_REFUSED = "clip_id path stage reason detail"
_REFUSED_OWN = {"path": Column(S, "the file, relative to the folder of the corpus; null: not known")}
_CLIPS = "clip_id path speaker label sentence level recording start_s end_s size_bytes"
_CLIPS_OWN = {
    "label": Column(S, "the acted emotion, where the file's name tells it"),
    "recording": Column(S, "the long recording that it was cut from; null: a file of its own"),
    "start_s": Column(D, "where it starts in its file; null: at the start", "s"),
    "end_s": Column(D, "where it ends in its file; null: at the end", "s"),
}
_AUDIO = "clip_id speaker label duration_s samples content audio video_frames fps mix clipped fingerprint"
_AUDIO_OWN = {
    "label": Column(S, "as in `index`"),
    "duration_s": Column(D, "length of the audio; with `audio: false` of the video", "s"),
    "samples": Column(L, "the same in samples at 16 kHz", "samples"),
    "content": Column(S, "hash of the samples: equal for equal audio; null: `audio: false`"),
    "audio": Column(MEDIA, "mono FLAC at 16 kHz: its bytes, and a name; null: `audio: false`"),
    "video_frames": Column(I, "frames on the video grid; 0: no video was wanted", "count"),
    "fps": Column(D, "frames per second of the video grid", "Hz"),
    "mix": Column(
        S,
        "how channels became one: `mean`; `silent_channel`, `no_speech_channel`: without that one; `inverted`: one"
        " turned over; null: `audio: false`",
    ),
    "clipped": Column(F, "samples at or beyond full scale; null: `audio: false`", "share, 0..1"),
    "fingerprint": Column("uint32[]", "acoustic fingerprint, 24 bits for each 16 ms; 0: too quiet; null: not made"),
}
_OF_10_MS = {"time_s": Column(D, "middle of the frame, from the start of the clip", "s")}
_PICTURES = "clip_id frame time_s image"
_VECTOR = {"values": Column(FLOATS, "vector of the clip; the names of its numbers are in the provenance")}
_PREDICTIONS = "initialisation fold seed pretraining split clip_id speaker label predicted truth probabilities"
_PREDICTIONS_OWN = {
    "split": Column(S, "`dev`, `test`, or such as `test@noise10`: the test clips in a condition"),
    "label": Column(S, "the true class in words"),
    "truth": Column(FLOATS, "`values` of the target"),
}
_HISTORY = "initialisation fold seed epoch split measure value"
_SEED_STD = Column(D, "deviation over the trainings that `seeds` counts; null: a single one", "as `value`")
_EXPRESSIONS = {"strength": "avpretext.action_units.expressions:strength"}
_LEARNT = ("seed", "chunks", "model", "finetune")


def _predictions(stage: str, parts: str = "{setting}") -> Artefact:
    place = f"{{corpus}}/{stage}/{parts}/predictions.parquet"
    return Artefact(place, "clip of a run", _PREDICTIONS, _PREDICTIONS_OWN)


def _scored(stage: str, tables: Mapping[str, tuple[str, str, Mapping[str, Column]]]) -> dict[str, Artefact]:
    """Return the tables of what is found of the systems of a setting: row, columns and own columns of each."""
    return {
        name: Artefact(f"{{corpus}}/{stage}/{{setting}}/{name}.parquet", row, columns, own)
        for name, (row, columns, own) in tables.items()
    }


def _history(stage: str, parts: str = "{setting}") -> Artefact:
    return Artefact(f"{{corpus}}/{stage}/{parts}/history.parquet", "measure of an epoch of a run", _HISTORY)


def _labels_of(task: Task) -> Stage:
    """Return the stage that writes the labels of a task."""
    value = {"value": Column(D, *task.value)}
    if task.unit == "chunk":
        columns = "clip_id chunk start_s end_s value label confidence threshold"
        own = {"label": Column("int8", "1 high, 0 low; null: in the dead zone, or not measured"), **value}
    else:
        columns = " ".join(["clip_id outcome label value confidence", *task.columns, "score_*"])
        own = {
            "outcome": Column(
                S, "`labelled`, `none` (no class is probable), `ambiguous` (two are alike), `unmeasured`"
            ),
            "label": Column(S, f"the {task.name}; null unless `labelled`"),
            "confidence": Column(F, "probability of the label", "0..1"),
            "score_*": Column(F, f"probability of each {task.name} of the table; null: not to be told", "0..1"),
            **task.columns,
            **value,
        }  # fmt: skip
    options = (f"labels.{task.name}", *(("chunks",) if task.unit == "chunk" else ()))
    artefact = Artefact(f"{{corpus}}/{task.stage}/all.parquet", task.unit, columns, own)
    return Stage(task.stage, task.module, task.version, task.summary, {"": artefact}, options)


_ROWS = (
    Stage(
        "models", "avpretext.face.model_file", 1, "Fetch the face model, or the weights of py-feat, and check them.",
        {"": Artefact("models/face_landmarker.task", "MediaPipe's face model")},
        ("models",), fixed=True,
    ),
    Stage(
        "index", "avpretext.corpora.index", 3, "List the clips of one shard of a corpus.",
        {"": Artefact("{corpus}/index/{shard}.parquet", "clip", _CLIPS, _CLIPS_OWN),
         "rejects": _rejects("index"),
         "listing": Artefact(
             "{corpus}/index/listing", "file that the run found when it began",
             "shard path clip_id speaker label sentence level start_s end_s size_bytes mtime_ns reason detail",
             {**_CLIPS_OWN, "shard": Column(I, "the shard that it belongs to"),
              "mtime_ns": Column(L, "when the file was changed", "ns"),
              "reason": Column(S, "why it is refused; null: it is a clip")})},
        _of_corpus("path", "reader", "parts", "table", "outside", "video", "shards", "speakers", "speaker_folder"),
        _of_corpus("audio"), refuses=True,
    ),
    Stage(
        "segment", "avpretext.segment.cut", 6,
        "Cut long recordings into clips: fixed windows, or where someone speaks and one face is seen.",
        {"": Artefact("{corpus}/segment/{shard}.parquet", "clip, whole files or cut from them", _CLIPS, _CLIPS_OWN),
         "rejects": _rejects("segment")},
        ("segment", *_of_corpus("video")), _of_corpus("audio"), refuses=True,
    ),
    Stage(
        "split", "avpretext.media.split", 6, "Decode each video once, into audio and frames on one clock.",
        {"audio": Artefact("{corpus}/split/audio/{shard}.parquet", "clip", _AUDIO, _AUDIO_OWN),
         "frames": Artefact("{corpus}/split/frames/{shard}.parquet",
                            "video frame; removed once landmarks are found", _PICTURES),
         "rejects": _rejects("split")},
        ("split",), _of_corpus("audio"), ("keep_frames",), refuses=True,
    ),
    Stage(
        "watch", "avpretext.face.watch", 1,
        "Decode each video once and follow the face meanwhile: `split` and `landmarks` without storing frames.",
        {}, ("split", "landmarks"), _of_corpus("audio"), ("keep_frames", "jpeg_quality"), runs=("split", "landmarks"),
        given=_EXPRESSIONS,
    ),
    Stage(
        "speed", "avpretext.sound.speed", 1,
        "Play clips faster or slower, so that training hears more speakers than there are.",
        {"": Artefact("{corpus}@{speed}/split/audio/{shard}.parquet", "clip, played at another speed",
                      _AUDIO, _AUDIO_OWN)},
    ),
    Stage(
        "degrade", "avpretext.sound.degrade", 1,
        "Put clips into noise, a telephone, a codec or a room, to test models that heard them clean.",
        {"": Artefact("{corpus}@{condition}/split/audio/{shard}.parquet", "clip, in a condition", _AUDIO, _AUDIO_OWN)},
        ("seed",),
    ),
    Stage(
        "speech", "avpretext.sound.speech", 2, "Compute openSMILE low-level descriptors, energy and loudness.",
        {"": Artefact(
            "{corpus}/speech/{shard}.parquet", "10 ms of a clip", "clip_id frame time_s energy loudness DESCRIPTOR",
            {**_OF_10_MS,
             "energy": Column(F, "root mean square of the 25 ms around the middle", "1 is full scale"),
             "loudness": Column(F, "openSMILE's sum of the auditory spectrum"),
             "DESCRIPTOR": Column(
                 F, "each low-level descriptor of `speech.feature_set`, under openSMILE's name", "openSMILE's")}),
         "rejects": _rejects("speech")},
        ("speech",), refuses=True,
    ),
    Stage(
        "log_mel", "avpretext.sound.log_mel", 1, "Compute log-mel spectrograms.",
        {"": Artefact(
            "{corpus}/log_mel/{shard}.parquet", "10 ms of a clip", "clip_id frame time_s mel[*]",
            {**_OF_10_MS, "mel[*]": Column(
                F, "natural logarithm of the power in a mel band, the lowest first; `log_mel.bands` columns")})},
        ("log_mel",),
    ),
    Stage(
        "encoder", "avpretext.sound.encoder", 1,
        "Compute hidden states of a pre-trained speech encoder: means per chunk or clip and layer, or rows.",
        {"": Artefact(
            "{corpus}/encoder/{encoder}/{shard}.parquet", "chunk of a clip, a clip, or 20 ms, by `encoders.*.pool`",
            "clip_id frame time_s values",
            {"frame": Column(I, "number of the chunk, or of the row, from 0"),
             "time_s": Column(D, "its middle, from the start of the clip", "s"),
             "values": Column("halffloat[]", "hidden states of each layer in turn, in the type `encoders.*.dtype`; the"
                              " provenance has the numbers of the layers and the length of one")})},
        ("encoders.{encoder}", "chunks"),
    ),
    Stage(
        "phones", "avpretext.orofacial.phones", 1, "Find when each phone is spoken, and which viseme it is.",
        {"": Artefact(
            "{corpus}/phones/{shard}.parquet", "phone of a clip; they follow each other without gaps",
            "clip_id start_s end_s phone viseme confidence",
            {"phone": Column(S, "in ARPABET, without stress; `SIL` where nobody speaks"),
             "viseme": Column(S, "class of phones that look alike; see phones.md"),
             "confidence": Column(F, "how sure the backend is; null: it does not tell", "0..1")}),
         "rejects": _rejects("phones")},
        ("phones", *_of_corpus("path", "reader", "table", "outside", "transcripts", "truth")),
    ),
    Stage(
        "phone_scores", "avpretext.orofacial.phone_scores", 1, "Score the phones of corpora whose truth is known.",
        {"": Artefact("tables/phone_scores.csv", "measure of the phones of a corpus")}, ("*",),
    ),
    Stage(
        "landmarks", "avpretext.face.landmarks", 3, "Track the face with MediaPipe: landmarks, blendshapes, head pose.",
        {"": Artefact(
            "{corpus}/landmarks/{shard}.parquet", "video frame",
            "clip_id frame time_s detected faces landmarks blendshapes pitch_deg yaw_deg roll_deg width height",
            {"detected": Column(BOOL, "true where a face was found; what is measured of it is null elsewhere"),
             "faces": Column("int16", "how many faces were seen, in the frame or in the tile of the face", "count"),
             "landmarks": Column(
                 "float[1434]", "x, y, z of each point in turn: 478 of MediaPipe, or dlib's 68", "pixels"),
             "blendshapes": Column("float[52]", "52 of ARKit, in MediaPipe's order", "0..1"),
             "pitch_deg": Column(F, "of the head; above 0: the face looks down", "degrees"),
             "yaw_deg": Column(F, "above 0: the nose turns to the right of the picture", "degrees"),
             "roll_deg": Column(F, "above 0: the head tilts counter-clockwise in the picture", "degrees"),
             "width": Column(I, "of the stored frame", "pixels"),
             "height": Column(I, "of the stored frame", "pixels")}),
         "rejects": _rejects("landmarks"),
         "preview": Artefact("{corpus}/landmarks/preview/{shard}.parquet",
                             "frame of the one clip that the report shows", _PICTURES),
         "thumbnails": Artefact("{corpus}/landmarks/thumbnails/{shard}.parquet", "small face, up to five per clip",
                                _PICTURES)},
        ("landmarks",), refuses=True, given=_EXPRESSIONS,
    ),
    Stage(
        "motion", "avpretext.face.motion", 2, "Measure landmark speed per face region, head motion removed.",
        {"": Artefact(
            "{corpus}/motion/{shard}.parquet", "video frame", "clip_id frame time_s speed_*",
            {"speed_*": Column(F, "mean speed of the landmarks of the region, head motion removed; null: no face",
                               "distances between the outer eye corners per second")})},
        ("motion",),
    ),
    Stage(
        "neutral", "avpretext.action_units.neutral", 3, "Estimate each speaker's resting face.",
        {"": Artefact(
            "{corpus}/neutral/all.parquet", "person and measure",
            "group measure location clips source seconds trust",
            {"measure": Column(S, "a blendshape or a distance of landmarks; see action-units.md"),
             "location": Column(D, "its value in the resting face", "the measure's"),
             "clips": Column(I, "in how many clips it was found", "count"),
             "source": Column(S, "what the face rests on: speaker, neutral clips; of the group without a name, which"
                              " stands for unknown people: corpus, people"),
             "seconds": Column(D, "how long that face was seen", "seconds"),
             "trust": Column(D, "mean weight of the person's own face beside that of people", "0..1")})},
        ("action_units.calibration", "action_units.neutral_labels", "action_units.neutral_clips"),
    ),
    Stage(
        "action_units", "avpretext.action_units.backends", 5,
        "Measure action unit intensities, by the backend that the configuration names.",
        {"": Artefact("{corpus}/action_units/{shard}.parquet", "video frame", "clip_id frame time_s AU*")},
        ("action_units",),
    ),
    Stage(
        "resting_shape", "avpretext.orofacial.resting_shape", 1, "Find the shape of each speaker's lower face at rest.",
        {"": Artefact(
            "{corpus}/resting_shape/all.parquet", "person", "group frames points blendshapes",
            {"points": Column("double[]", "x and y of each point of lips, jaw and lower cheeks at rest",
                              "eye distances"),
             "blendshapes": Column("double[]", "those of mouth and jaw at rest", "0..1")})},
    ),
    Stage(
        "lower_face", "avpretext.orofacial.lower_face", 1,
        "Measure how lips, jaw and lower cheeks move from rest, head pose removed.",
        {"": Artefact(
            "{corpus}/lower_face/{shard}.parquet", "video frame", "clip_id frame time_s movement blendshapes",
            {"movement": Column("float[122]", "x and y of each point from the resting shape, head pose removed;"
                                " null: no face", "eye distances"),
             "blendshapes": Column("float[28]", "those of mouth and jaw, less those at rest; null: no face",
                                   "-1..1")})},
    ),
    Stage(
        "rejects", "avpretext.corpora.rejects", 2, "Gather refused clips; stop when too much of the corpus is refused.",
        {"": Artefact("{corpus}/rejects/all.parquet", "refused clip or file", _REFUSED, _REFUSED_OWN)},
        ("rejects",),
    ),
    *(_labels_of(task) for task in LABELLED.values()),
    Stage(
        "pretrain", "avpretext.training.pretrain", 4,
        "Pre-train the speech encoder on a set of pretext tasks, once for each seed.",
        {"checkpoint": Artefact("pretrain/{network}/{tasks}/{seed}/checkpoint.safetensors",
                                "the weights: what fine-tuning starts from"),
         "encoder": Artefact("pretrain/{network}/{tasks}/{seed}/encoder/model.safetensors",
                             "weights of a pre-trained encoder that learnt too, in a folder that `transformers` opens;"
                             " with `pretrain.encoder.tune`"),
         "history": Artefact(
             "pretrain/{network}/{tasks}/history.parquet", "measure of an epoch", "seed epoch split measure value",
             {"seed": Column(I, "number of the pre-training, from 0"),
              "split": Column(S, "`train`, or `dev`: the held-out speakers"),
              "measure": Column(S, "`loss`, `energy_uar`, ...")})},
        ("seed", "chunks", "model", "pretrain"), but=("task_sets", "threads"),
    ),
    Stage(
        "targets", "avpretext.corpora.targets", 3,
        "Say what is to be learnt of each clip: a class, several, shares of them, or a number.",
        {"": Artefact(
            "{corpus}/targets/{target}.parquet", "clip", "clip_id speaker label values votes",
            {"label": Column(S, "the class in words, joined by + if several; null: none, or a number is learnt"),
             "values": Column(FLOATS, "one-hot, several ones, shares, or the number; null: no label; the provenance has"
                              " the classes"),
             "votes": Column(FLOATS, "raters who chose each class; null: no raters", "count")})},
        _of_corpus("path", "reader", "parts", "table", "outside", "segment", "ties", "label_map"),
    ),
    Stage(
        "folds", "avpretext.corpora.folds", 5,
        "Divide the clips into train, dev and test by a protocol, and check that nothing leaks.",
        {"": Artefact(
            "{corpus}/folds/{setting}.parquet", "clip in a fold", "fold name part corpus clip_id speaker copy_of",
            {"name": Column(S, "name of the fold"),
             "speaker": Column(S, "who speaks; where that is not known, the path of the file"),
             "part": Column(S, "`train`, `dev`, `test`; `dropped`: a copy of audio of another part"),
             "copy_of": Column(S, "of a clip dropped: corpus and clip that it is a copy of")})},
        ("seed", *_of_corpus("path", "reader", "parts", "table", "outside", "segment", "protocol", "speaker_folder")),
    ),
    Stage(
        "co_occurrence", "avpretext.training.co_occurrence", 1,
        "Count the emotions that raters name together in the training clips, for the penalty loss.",
        {"": Artefact(
            "{corpus}/co_occurrence/{setting}.parquet", "pair of classes in a fold",
            "fold target predicted count frequency penalty",
            {"target": Column(S, "the class that is true"),
             "count": Column(D, "training clips in which raters named both; on the diagonal, the class", "clips"),
             "frequency": Column(D, "`count` over that of the predicted class with itself", "0..1"),
             "penalty": Column(D, "1 - frequency", "0..1")})},
    ),
    Stage(
        "finetune", "avpretext.training.finetune", 5,
        "Fine-tune for emotion recognition: every fold and seed of one initialisation.",
        {"predictions": _predictions("finetune", "{setting}/{variant}/{initialisation}"),
         "history": _history("finetune", "{setting}/{variant}/{initialisation}")},
        _LEARNT, but=("checkpoints", "threads"),
    ),
    Stage(
        "export", "avpretext.training.export", 2,
        "Train on all labelled clips; write the model as a folder for `avpretext predict`.",
        {"model": Artefact("{corpus}/export/{setting}/{exported}/model.json", "what the model is"),
         "weights": Artefact("{corpus}/export/{setting}/{exported}/model.safetensors", "its weights")},
        (*_LEARNT, "export.networks", "split.trim_db", "split.fps", "split.min_duration_s", "split.max_duration_s"),
        but=("checkpoints", "threads", "seeds"),
    ),
    Stage(
        "deepemocluster", "avpretext.training.deepemocluster", 2,
        "Train DeepEmoCluster, half of whose labels are k-means clusters: every fold and seed.",
        {"predictions": _predictions("deepemocluster"), "history": _history("deepemocluster")},
        ("seed", "chunks", "deepemocluster", "finetune.class_balance", "finetune.label_smoothing"),
    ),
    Stage(
        "functionals", "avpretext.sound.functionals", 2,
        "Compute openSMILE functionals, one vector per clip, for the baseline.",
        {"": Artefact("{corpus}/functionals/{shard}.parquet", "clip", "clip_id values", _VECTOR)}, ("functionals",),
    ),
    Stage(
        "statistics", "avpretext.sound.statistics", 1,
        "Compute statistics over time of per-frame features, one vector per clip, for the baseline.",
        {"": Artefact("{corpus}/statistics/{shard}.parquet", "clip", "clip_id values", _VECTOR)}, ("statistics",),
    ),
    Stage(
        "baseline", "avpretext.training.baseline", 4,
        "Train support vector machines and linear discriminants on one vector per clip, to compare networks with.",
        {"predictions": _predictions("baseline")}, ("baseline",),
    ),
    Stage(
        "ensemble", "avpretext.training.ensemble", 2,
        "Let trained systems predict together, by the mean of their probabilities.",
        {"predictions": _predictions("ensemble")}, ("ensemble",),
    ),
    Stage(
        "orofacial_system", "avpretext.orofacial.orofacial_system", 2,
        "Train a model that moves a face by speech: every fold and seed of one system.",
        {"predictions": Artefact(
            "orofacial/{system}/predictions.parquet", "video frame of a test clip of a run",
            "fold seed corpus clip_id speaker frame movement truth viseme true_viseme",
            {"movement": Column("float[122]", "predicted x and y of each point of `lower_face`, from the resting"
                                " shape", "eye distances"),
             "truth": Column("float[122]", "the same, measured; null: no face was seen", "eye distances"),
             "viseme": Column(S, "the predicted class of phones; see phones.md"),
             "true_viseme": Column(S, "the class of the phone that is spoken; null: not known")}),
         "clips": Artefact(
            "orofacial/{system}/clips.parquet", "test clip of a run",
            "fold seed corpus clip_id speaker emotion predicted probabilities",
            {"emotion": Column(S, "the true emotion; null: not known"),
             "predicted": Column(S, "the predicted emotion"),
             "probabilities": Column(FLOATS, "of each emotion, in the order of the provenance", "0..1")}),
         "history": Artefact(
            "orofacial/{system}/history.parquet", "measure of an epoch of a run", "fold seed epoch split measure value",
            {"split": Column(S, "`train` or `dev`")}),
         "model": Artefact("orofacial/{system}/model/model.json", "what the model is"),
         "weights": Artefact("orofacial/{system}/model/weights.safetensors", "its weights")},
        ("seed", "split.fps", "speech", "log_mel", "phones.visemes", "orofacial"),
        but=("corpora", "systems", "threads", "checkpoint", "films", "film_system"),
    ),
    Stage(
        "orofacial_tables", "avpretext.orofacial.orofacial_page", 4,
        "Score the orofacial systems on unseen speakers: tables and a page.",
        {"tables": Artefact("tables/{table}", "`orofacial.csv`, `orofacial.md`, ..."),
         "page": Artefact("orofacial.html", "a page of them")},
        ("*",),
    ),
    Stage(
        "film", "avpretext.orofacial.film", 2,
        "Film test clips: the video, the movement tracked in it, the movement predicted from speech; with sound.",
        {"": Artefact("orofacial/films", "a folder of films")}, ("*",),
    ),
    Stage(
        "evaluate", "avpretext.evaluation.evaluate", 3,
        "Score predictions: metrics, intervals, paired tests against scratch.",
        _scored("evaluate", {"metrics": ("measure of a system",
            "initialisation measure class value ci_low ci_high mean std seed_std runs seeds pretrainings speakers"
            " clips",
            {"value": Column(D, "over all test clips, folds pooled, averaged over seeds", "0..1; CCC and r: -1..1"),
             "mean": Column(D, "mean over runs", "as `value`"), "std": Column(D, "deviation over runs", "as `value`"),
             "seed_std": _SEED_STD}),
         "runs": ("measure of a run", "initialisation fold seed pretraining measure class value", {}),
         "seeds": ("measure of a seed",
            "initialisation seed pretraining measure value difference",
            {"seed": Column(I, "number of the run within each fold, from 0"),
             "value": Column(D, "over all test clips, folds pooled", "0..1; CCC and r: -1..1"),
             "difference": Column(D, "`value` minus that of scratch with the same seed; null: it has no such seed",
                                  "as `value`")}),
         "comparisons": ("measure of a system beside another",
            "initialisation baseline measure difference ci_low ci_high p_value p_holm std_error df speakers seeds"
            " pretrainings family",
            {"baseline": Column(S, "what it is compared with"),
             "p_value": Column(D, "of no difference, over speakers and trainings", "0..1"),
             "p_holm": Column(D, "the same, corrected over the family (Holm)", "0..1"),
             "std_error": Column(D, "of the difference, over speakers and trainings", "as `value`"),
             "df": Column(D, "degrees of freedom of the standard error"),
             "family": Column(S, "`pretext`: sets of tasks; `baseline`: what stands beside")}),
         "confusion": ("true and predicted class",
            "initialisation label predicted count share",
            {"label": Column(S, "the true class"), "count": Column(D, "clips, seeds averaged", "clips"),
             "share": Column(D, "of the clips of the true class", "0..1")})}),
        ("seed", "evaluate"),
    ),
    Stage(
        "overall", "avpretext.evaluation.overall", 1,
        "Score systems over several corpora together.",
        {"": Artefact(
            "overall.parquet", "measure of a system over corpora",
            "kind tested corpus initialisation measure value ci_low ci_high difference difference_low difference_high"
            " p_value p_holm better p_corpora family corpora settings speakers seeds pretrainings left_out",
            {"kind": Column(S, "of labels: `hard`, `multi_label`, `distribution`, `attribute`, `attributes`"),
             "tested": Column(S, "`within`: trained on the corpus that is tested; `across`: on others"),
             "corpus": Column(S, "the corpus tested; null: the mean over all"),
             "value": Column(D, "mean over the corpora, each the mean over its settings", "0..1; CCC and r: -1..1"),
             "difference": Column(D, "`value` minus that of scratch, seed by seed", "as `value`"),
             "difference_low": Column(D, "lower end of its interval", "as `value`"),
             "difference_high": Column(D, "upper end of its interval", "as `value`"),
             "p_value": Column(D, "of no difference, for other speakers of these corpora and other trainings", "0..1"),
             "p_holm": Column(D, "the same, corrected over the family (Holm)", "0..1"),
             "better": Column(I, "corpora on which the system is better than scratch", "count"),
             "p_corpora": Column(D, "of no difference, for other corpora; null: fewer than three", "0..1"),
             "family": Column(S, "`pretext`: sets of tasks; `baseline`: what stands beside"),
             "corpora": Column(I, "tested corpora", "count"),
             "settings": Column(I, "label targets and protocols of these", "count"),
             "left_out": Column("string[]", "corpora with too few test speakers")})},
        ("*",),
    ),
    Stage(
        "trust", "avpretext.evaluation.trust", 1,
        "Derive from predictions what a reviewer asks: calibration, speakers, sexes, raters, noise.",
        _scored("trust", {"calibration": ("measure of a system",
            "initialisation measure value ci_low ci_high seed_std seeds speakers clips",
            {"measure": Column(S, "`ece`: expected calibration error; `brier`; `overconfidence`: mean probability less"
                                  " the share that is right; `ece_by_chance`: the `ece` of a calibrated system"),
             "seed_std": _SEED_STD}),
         "reliability": ("bin of the forecasts of a system",
            "initialisation bin probability outcome count",
            {"bin": Column(I, "number of the bin, from 0, the least sure"),
             "probability": Column(D, "mean of the forecasts", "0..1"),
             "outcome": Column(D, "share of them that came true", "0..1"),
             "count": Column(D, "forecasts, seeds averaged", "count")}),
         "speakers": ("measure of a test speaker",
            "initialisation speaker sex measure value clips",
            {"sex": Column(S, "`female`, `male`; null: not known"),
             "value": Column(D, "on the clips of the speaker, averaged over seeds", "0..1; CCC: -1..1")}),
         "spread": ("measure of a system",
            "initialisation measure speakers mean std worst_speaker worst best_speaker best std_by_luck worst_by_luck"
            " p_value",
            {"mean": Column(D, "of the speakers' scores", "0..1; CCC: -1..1"),
             "std": Column(D, "deviation over speakers", "as `mean`"),
             "worst_speaker": Column(S, "who has the lowest score"), "worst": Column(D, "that score", "as `mean`"),
             "best_speaker": Column(S, "who has the highest score"), "best": Column(D, "that score", "as `mean`"),
             "std_by_luck": Column(D, "deviation if clips of a class were dealt to speakers at random; null: no"
                                      " classes", "as `mean`"),
             "worst_by_luck": Column(D, "lowest score in such deals, their mean", "as `mean`"),
             "p_value": Column(D, "share of the deals whose deviation is as large", "0..1")}),
         "sexes": ("measure of a sex",
            "initialisation sex measure value ci_low ci_high speakers clips p_value p_holm test",
            {"sex": Column(S, "`female`, `male`, `female - male`; null: not known"),
             "value": Column(D, "on the clips of these speakers, averaged over seeds; or the difference",
                             "0..1; CCC: -1..1"),
             "p_value": Column(D, "of no difference, by permuting the sexes of the speakers", "0..1"),
             "p_holm": Column(D, "the same, corrected for the number of systems (Holm)", "0..1"),
             "test": Column(S, "`exact`: all permutations; `sampled`: some")}),
         "raters": ("measure of single raters, or of a system beside them",
            "initialisation against measure value ci_low ci_high difference difference_low difference_high p_value"
            " p_holm seeds speakers clips",
            {"initialisation": Column(S, "`raters`: single raters; else the system"),
             "against": Column(S, "`other raters`: their majority, without the rater in question; `label`: the label"
                                  " learnt"),
             "value": Column(D, "over the rated test clips, averaged over seeds", "0..1"),
             "difference": Column(D, "`value` minus that of the raters", "as `value`"),
             "difference_low": Column(D, "lower end of its interval", "as `value`"),
             "difference_high": Column(D, "upper end of its interval", "as `value`"),
             "p_value": Column(D, "of no difference, over speakers and trainings", "0..1"),
             "p_holm": Column(D, "the same, corrected for the number of systems (Holm)", "0..1")}),
         "rater_confusion": ("class of the reference and answer",
            "initialisation against label predicted count share",
            {"initialisation": Column(S, "`raters`: single raters; else the system"),
             "against": Column(S, "as in `raters`"), "label": Column(S, "the class of the reference"),
             "predicted": Column(S, "the class that a rater names, or a system predicts"),
             "count": Column(D, "clips, seeds averaged; the raters of a clip count as one", "clips"),
             "share": Column(D, "of the clips of the class", "0..1")}),
         "conditions": ("measure of a system in a condition",
            "initialisation condition measure value ci_low ci_high difference difference_low difference_high seeds"
            " speakers clips",
            {"condition": Column(S, "`clean`: the test clips as they are; else one of `evaluate.conditions`"),
             "value": Column(D, "on the test clips in the condition, averaged over seeds", "0..1; CCC: -1..1"),
             "difference": Column(D, "`value` minus that of the same clips clean; null: `clean`", "as `value`"),
             "difference_low": Column(D, "lower end of its interval, speakers paired", "as `value`"),
             "difference_high": Column(D, "upper end of its interval", "as `value`")})}),
        ("seed", "evaluate", *_of_corpus("path", "reader", "parts", "table", "outside", "segment", "label_map")),
    ),
    Stage(
        "card", "avpretext.evaluation.card", 3,
        "Write what is to be known of an exported model: scores, intended use, limits, licences.",
        {"readme": Artefact("{corpus}/export/{setting}/{exported}/README.md", "what is to be known before it is used"),
         "card": Artefact("{corpus}/export/{setting}/{exported}/card.json", "the same, for programs")},
        _of_corpus("reader", "synthetic"),
    ),
    Stage(
        "manifest", "avpretext.run.manifest", 1,
        "List what the run made: every artefact, from what, with which options and on which machine.",
        {"": Artefact("manifest.json", "what was made; `avpretext.open` reads it")}, ("*",),
    ),
    Stage(
        "ablate", "avpretext.report.ablation_page", 4,
        "Compare initialisations, losses and aggregators: tables and a page.",
        {"tables": Artefact("tables/{table}", "`ablation.csv`, `ablation.md`, `ablation.tex`, ..."),
         "page": Artefact("ablation.html", "a page of them")},
        ("*",),
    ),
    Stage(
        "upstreams", "avpretext.report.upstreams_page", 3,
        "Compare what models hear, and what pretext tasks add to each: tables and a page.",
        {"tables": Artefact("tables/{table}", "`upstreams.csv`, `upstreams.md`, `upstreams.tex`, ..."),
         "page": Artefact("upstreams.html", "a page of them")},
        ("*",),
    ),
    Stage(
        "tables", "avpretext.evaluation.tables", 8, "Write the result tables: CSV, Markdown, LaTeX.",
        {"": Artefact("tables/{table}", "a result table")}, ("*",),
    ),
    Stage(
        "report", "avpretext.report.page", 9, "Write the report: one self-contained HTML page.",
        {"": Artefact("report.html", "what was done, to what, and what came of it")}, ("*",),
    ),
    Stage(
        "figures", "avpretext.report.paper_figures", 1,
        "Write each chart of the report for a paper: SVG and PDF.",
        {"": Artefact("figures", "a folder: `NAME.svg` and `NAME.pdf` of each chart; `figures.csv`: what they show")},
        ("*",),
    ),
)  # fmt: skip

STAGES = {stage.name: stage for stage in _ROWS}
"""Every stage by its name, in the order of the flow."""

_TRUTH = {
    "corpus": Column(S, "part of the demo: `labelled`, `unlabelled`"),
    "emotion": Column(S, "the emotion that the face shows and the voice has"),
    "text": Column(S, "what is said, in words"),
    "vocal_energy": Column(D, "arousal that the voice was made with, the emotion's and the clip's"),
    "facial_activation": Column(D, "mean speed of the action units: |change| summed over units", "per second"),
    "AU*": Column(F, "intensity that the face was made with; 0 for units it cannot show", "0..1"),
    "phoneme": Column(S, "espeak-ng's name of it"),
}
TRUTH = {
    "truth.clips": Artefact(
        "truth/clips.parquet", "clip", "corpus clip_id speaker emotion sentence text vocal_energy facial_activation",
        _TRUTH,
    ),
    "truth.action_units": Artefact(
        "truth/action_units.parquet", "video frame", "corpus clip_id frame time_s AU*", _TRUTH
    ),
    "truth.phonemes": Artefact("truth/phonemes.parquet", "phoneme", "corpus clip_id start_s end_s phoneme", _TRUTH),
}  # fmt: skip
"""What the demo corpus knows of itself, below its folder."""

ARTEFACTS = {
    f"{stage.name}.{part}" if part else stage.name: artefact
    for stage in STAGES.values()
    for part, artefact in stage.writes.items()
}
"""Every kind of file by its name: the stage, then a dot and the part unless it is the stage's main file."""


def stage_of(artefact: str) -> str:
    """Return the stage that writes an artefact.

    >>> stage_of("landmarks.thumbnails")
    'landmarks'
    """
    return artefact.partition(".")[0]


def schema_of(
    artefact: str, names: Mapping[str, Sequence[str]] | None = None, types: Mapping[str, str] | None = None
) -> "pa.Schema":
    """Return the schema of a kind of file, see `Artefact.schema`.

    >>> schema_of("log_mel", {"mel[*]": ["mel[0]", "mel[1]"]}).names
    ['clip_id', 'frame', 'time_s', 'mel[0]', 'mel[1]']
    """
    if names is None and types is None:
        return _fixed_schema(artefact)
    return ARTEFACTS[artefact].schema(names, types)


def landmarks_schema(points: int, blendshapes: int = 52) -> "pa.Schema":
    """Return the schema of `landmarks` for so many points and blendshapes."""
    kinds = {"landmarks": f"float[{3 * points}]", "blendshapes": f"float[{blendshapes}]"}
    return schema_of("landmarks", types=kinds)


@functools.cache
def _fixed_schema(artefact: str) -> "pa.Schema":
    return {**ARTEFACTS, **TRUTH}[artefact].schema()
