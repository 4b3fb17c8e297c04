"""A results folder such as the workflow leaves, made of random numbers: what tables and report read, no videos."""

import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from avpretext import shards
from avpretext.chunks import chunk_span, chunk_starts
from avpretext.config import Config, Variant
from avpretext.config_file import parse
from avpretext.evaluation import au_summary, evaluate, formats, tables, trust
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import landmarks_schema, schema_of, stage_of
from avpretext.flow.columns import ACTION_UNITS, MOTION_REGIONS
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance

EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
FPS = 25


TABLE = {
    "neutral": "neutral",
    "emotions": {
        name: {"name": name, "required": [f"AU{unit:02d}"]}
        for name, unit in (("anger", 4), ("disgust", 9), ("fear", 1), ("happiness", 12), ("sadness", 15))
    },
}
"""The table of emotions that the labels claim to be made with."""


INITIALISATIONS = ("scratch", "energy", "emotion", "energy-activation-emotion")


def configured(folder: Path) -> Config:
    """Return the configuration of the run in a folder.

    One corpus is pre-trained on; one is fine-tuned by acted emotion and by shares of votes; one by a rated number,
    with speakers of the test part in the training part, and from long recordings.
    """
    acted = {"reader": "crema_d", "targets": ["acted", "voice-distribution"], "path": str(folder / "people")}
    rated = {
        "reader": "folder",
        "table": str(folder / "rated.csv"),
        "segment": True,
        "protocol": {"name": "partitions"},
    }
    shared = {"path": "data", "use": ["finetune"], "shards": 2, "synthetic": True}
    return parse(
        {
            "results": str(folder / "results"),
            "corpora": {
                "demo_talk": {"path": "data", "use": ["pretrain"], "shards": 2, "synthetic": True},
                "demo_acted": shared | acted,
                "demo_rated": shared | rated,
            },
            "baseline": {"normalise": ["train", "speaker"]},
            "evaluate": {"bootstrap": 400, "conditions": ["noise10", "noise0", "telephone"]},
            "pretrain": {"task_sets": [name.split("-") for name in INITIALISATIONS[1:]]},
            "ablation": {"initialisations": ["scratch", "emotion"], "aggregators": ["mean", "gated"]},
        }
    )


def build(folder: Path) -> None:
    """Fill a folder with a whole run: results and corpora."""
    folder.mkdir()
    config = configured(folder)
    (folder / "rated.csv").write_text("path,speaker,arousal\na.mp4,1100,3.5\nb.mp4,1101,4\n")
    _write_people(folder / "people")
    layout = Layout(folder / "results")
    rng = np.random.default_rng(3)
    for corpus, speakers in (("demo_talk", 10), ("demo_acted", 8), ("demo_rated", 6)):
        _write_corpus(layout, corpus, _clips(corpus, speakers), rng)
    for tasks in config.task_sets():
        _write_pretrain_history(layout, config.variant.network, tasks, rng)
    for corpus, target, protocol, leaks in SETTINGS:
        _write_setting(layout, config, corpus, target, protocol, leaks)
    _write_benchmarks(layout, config)
    _write_truth(layout)
    units, together, _ = au_summary.action_unit_rows(OpenRun(config))
    for name, rows in (("action_units", units), ("au_combinations", together)):
        formats.write_csv(layout.path("tables", table=f"{name}.csv"), tables.COLUMNS[name], rows)


def _write_people(folder: Path) -> None:
    """Write a corpus folder that knows the sex of its speakers, who are even and odd."""
    folder.mkdir()
    rows = [f"{1100 + number},30,{'Male' if number % 2 else 'Female'}" for number in range(8)]
    (folder / "VideoDemographics.csv").write_text("\n".join(["ActorID,Age,Sex", *rows]))


def _clips(corpus: str, speakers: int) -> list[dict[str, Any]]:
    return [
        {"clip_id": f"{1100 + speaker}_DFA_{emotion[:3].upper()}_{take}", "speaker": str(1100 + speaker),
         "label": emotion if corpus == "demo_acted" else None}
        for speaker in range(speakers)
        for emotion in EMOTIONS
        for take in range(2)
    ]  # fmt: skip


def _write_corpus(layout: Layout, corpus: str, clips: list[dict[str, Any]], rng: np.random.Generator) -> None:
    labels: dict[str, list[dict[str, Any]]] = {"energy": [], "activation": [], "emotion": []}
    for shard in range(2):
        mine = clips[shard::2]
        for clip in mine:
            clip["duration_s"] = float(rng.uniform(1.4, 3.2))
        _write_shard(layout, corpus, shard, mine, labels, rng)
    if corpus == "demo_talk":
        _write_labels(layout, corpus, labels)
    refused = [
        {"clip_id": f"9{number}", "path": f"clips/9{number}.mp4", "stage": stage, "reason": reason, "detail": "<b>&"}
        for number, (stage, reason) in enumerate(
            [("split", "no_audio"), ("split", "no_audio"), ("landmarks", "no_face")]
        )
    ]
    made_by = provenance("rejects", {"max_reject_fraction": 0.2})
    shards.write_table(layout.path("rejects", corpus=corpus), refused, schema_of("rejects"), made_by)


def _write_shard(
    layout: Layout, corpus: str, shard: int, clips: list[dict[str, Any]], labels: dict[str, Any],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("index", "audio", "speech", "preview", "thumbnails")}
    rows |= {name: [] for name in ("landmarks", "motion", "action_units")}
    for clip in clips:
        frames = int(clip["duration_s"] * FPS)
        key = {"clip_id": clip["clip_id"]}
        rows["index"].append({**clip, "path": f"{clip['clip_id']}.mp4", "size_bytes": 1000})
        content = f"{int(clip['clip_id'][:4]):08x}{clip['clip_id'][-5:]}"
        if clip["clip_id"] in ("1100_DFA_ANG_0", "1101_DFA_ANG_0") and corpus == "demo_acted":
            content = "the same audio"
        rows["audio"].append({**clip, "content": content, "samples": 16000, "video_frames": frames, "fps": 25.0})
        energy = _envelope(int(clip["duration_s"] * 100), rng)
        rows["speech"] += [
            {**key, "frame": k, "time_s": k / 100, "energy": float(value), "loudness": float(value * 3)}
            for k, value in enumerate(energy)
        ]
        for k in range(frames):
            frame = {**key, "frame": k, "time_s": k / FPS}
            rows["landmarks"].append({**frame, **_face(k, rng)})
            speeds = 0.4 * energy[4 * k] * 3 + rng.gamma(2, 0.03, 5)
            gap = 20 <= k < 23
            rows["motion"].append(
                {**frame, **{f"speed_{region}": None if gap else float(speed)
                             for region, speed in zip(MOTION_REGIONS, speeds, strict=True)}}
            )  # fmt: skip
            intensity = np.abs(np.sin(k / 9 + np.arange(20))) ** 3 * (np.arange(20) % 3 == 0) + rng.uniform(0, 0.06, 20)
            rows["action_units"].append(
                {**frame, **{name: None if gap else float(min(1, value))
                             for name, value in zip(ACTION_UNITS, intensity, strict=True)}}
            )  # fmt: skip
        if clip is clips[0]:
            chosen = np.linspace(0, frames - 1, 8).round().astype(int)
            rows["preview"] += [
                {**key, "frame": int(k), "time_s": k / FPS, "image": {"bytes": _jpeg(), "path": f"{k}.jpg"}}
                for k in chosen
            ]
        rows["thumbnails"] += [
            {**key, "frame": k, "time_s": k / FPS, "image": {"bytes": _jpeg(112), "path": None}} for k in (2, 10, 21)
        ]
        _label(clip, energy, labels, rng)
    kinds = {
        "index": "segment" if corpus == "demo_rated" else "index", "audio": "split.audio",
        "preview": "landmarks.preview", "thumbnails": "landmarks.thumbnails", "speech": "speech",
        "landmarks": "landmarks", "motion": "motion", "action_units": "action_units",
    }  # fmt: skip
    own = {"speech": schema_of("speech", {"DESCRIPTOR": []}), "landmarks": landmarks_schema(68)}
    for name, artefact in kinds.items():
        stage = stage_of(artefact)
        made_by = provenance(stage, {stage: {"option": 1}}, {"face_landmarker.task": "64184e22"})
        path = layout.path(artefact, corpus=corpus, shard=shard)
        shards.write_table(path, rows[name], own.get(artefact) or schema_of(artefact), made_by)


def _envelope(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return the energy of something like syllables."""
    time = np.arange(frames) / 100
    return (0.02 + 0.2 * np.abs(np.sin(2 * np.pi * 2.2 * time + rng.uniform(0, 3)))) * np.hanning(frames + 2)[
        1:-1
    ] + 0.001


def _face(frame: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return the landmarks of an oval face with eyes, brows, nose and lips."""
    if 20 <= frame < 23:
        return {"detected": False, "faces": 0, "width": 256, "height": 256}
    points = TEMPLATE + np.array([0, 2 * np.sin(frame / 5)])
    flat = np.c_[points, np.zeros(68)].ravel().astype(np.float32)
    return {"detected": True, "faces": 1, "landmarks": flat.tolist(), "blendshapes": [0.1] * 52, "width": 256,
            "height": 256, "pitch_deg": 1.0, "yaw_deg": 2.0, "roll_deg": 0.0}  # fmt: skip


def _arc(count: int, start: float, end: float, centre: tuple[float, float], radius: tuple[float, float]) -> np.ndarray:
    angle = np.linspace(start, end, count) * np.pi / 180
    return np.c_[centre[0] + radius[0] * np.cos(angle), centre[1] + radius[1] * np.sin(angle)]


TEMPLATE = np.concatenate(
    [
        _arc(17, 180, 0, (128, 110), (58, 88)), _arc(5, 200, 320, (104, 92), (18, 8)),
        _arc(5, 220, 340, (152, 92), (18, 8)), np.c_[np.full(4, 128), np.linspace(100, 130, 4)],
        _arc(5, 160, 20, (128, 132), (12, 6)), _arc(6, 180, 480, (106, 104), (10, 5)),
        _arc(6, 180, 480, (150, 104), (10, 5)), _arc(12, 180, 510, (128, 156), (22, 9)),
        _arc(8, 180, 495, (128, 156), (16, 4)),
    ]
)  # fmt: skip


@cache
def _jpeg(pixels: int = 256) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()[:256, 96:352]).resize((pixels, pixels)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _label(clip: dict[str, Any], energy: np.ndarray, labels: dict[str, Any], rng: np.random.Generator) -> None:
    """Add the three labels of a clip."""
    starts, span = chunk_starts(len(energy), 100, 5), chunk_span(len(energy), 100, 5)
    for task, threshold in (("energy", 6.0), ("activation", 0.2)):
        for chunk, start in enumerate(starts):
            value = float(threshold * rng.uniform(0.5, 1.6))
            labels[task].append(
                {"clip_id": clip["clip_id"], "chunk": chunk, "start_s": start / 100, "end_s": (start + span) / 100,
                 "value": value, "label": None if abs(value - threshold) < 0.05 * threshold else int(value > threshold),
                 "confidence": 0.8, "threshold": threshold}
            )  # fmt: skip
    scores = rng.dirichlet(np.ones(len(EMOTIONS)) * 0.4)
    best = float(scores.max())
    outcome = "none" if best < 0.4 else "labelled"
    labels["emotion"].append(
        {"clip_id": clip["clip_id"], "outcome": outcome, "value": best, "confidence": best,
         "label": EMOTIONS[int(scores.argmax())] if outcome == "labelled" else None,
         **{f"score_{name}": float(value) for name, value in zip(EMOTIONS, scores, strict=True)}}
    )  # fmt: skip


def _write_labels(layout: Layout, corpus: str, labels: dict[str, Any]) -> None:
    for task, rows in labels.items():
        schema = (
            schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in list(EMOTIONS)]})
            if task == "emotion"
            else schema_of("labels_energy")
        )
        made_by = provenance(f"labels_{task}", {"quantile": 0.5}, table=TABLE)
        shards.write_table(layout.path(f"labels_{task}", corpus=corpus), rows, schema, made_by)


def _curve(epochs: int, start: float, end: float, rng: np.random.Generator) -> Iterator[tuple[int, float]]:
    for epoch in range(1, epochs + 1):
        yield epoch, float(end + (start - end) * np.exp(-epoch / 6) + rng.normal(0, 0.012))


def _write_pretrain_history(layout: Layout, network: str, tasks: str, rng: np.random.Generator) -> None:
    ends = [("train", "loss", 1.1, 0.5), ("dev", "loss", 1.1, 0.58)]
    ends += [("dev", f"{task}_uar", 0.3, 0.72) for task in tasks.split("-")]
    rows = [
        {"seed": seed, "epoch": epoch, "split": split, "measure": measure, "value": value}
        for seed in range(3)
        for split, measure, begin, end in ends
        for epoch, value in _curve(24, begin, end, rng)
    ]
    shards.write_table(
        layout.path("pretrain.history", network=network, tasks=tasks), rows, schema_of("pretrain.history"),
        provenance("pretrain"),
    )  # fmt: skip


SETTINGS = (
    ("demo_acted", "acted", "speaker_kfold", False),
    ("demo_acted", "voice-distribution", "speaker_kfold", False),
    ("demo_rated", "arousal", "partitions", True),
)
"""Corpus, target, protocol, and whether its speakers are in train and test."""

KINDS = {"acted": "hard", "voice-distribution": "distribution", "arousal": "attribute"}


def _write_setting(layout: Layout, config: Config, corpus: str, target: str, protocol: str, leaks: bool) -> None:
    """Write targets, folds, predictions and scores of one setting."""
    rng = np.random.default_rng([7, *target.encode()])
    setting = f"{target}.{protocol}"
    kind, clips = KINDS[target], _clips(corpus, 6 if corpus == "demo_rated" else 8)
    classes = list(EMOTIONS) if kind != "attribute" else [target]
    truth = {clip["clip_id"]: _truth(kind, clip, rng) for clip in clips}
    told: dict[str, Any] = {"kind": kind, "classes": classes, "target": target}
    rows = [{**clip, "label": _name(kind, truth[clip["clip_id"]]), "values": truth[clip["clip_id"]]} for clip in clips]
    if kind == "distribution":
        rows = [{**row, "votes": [8 * share for share in row["values"]]} for row in rows]
    if kind != "hard":
        rows[0] |= {"label": None, "values": None}
    made_by = provenance("targets", {}, **told)
    shards.write_table(layout.path("targets", corpus=corpus, target=target), rows, schema_of("targets"), made_by)
    _write_folds(layout, corpus, setting, clips, leaks)
    told["setting"] = setting
    own = config.variant
    files = [_write_finetune(layout, corpus, own, start, clips, truth, told, rng) for start in config.initialisations()]
    files.append(layout.path("baseline.predictions", corpus=corpus, setting=setting))
    baselines = [
        row
        for start in ("svm", "svm_speaker")
        for fold in range(4)
        for row in _predictions(start, fold, 0, clips, truth, kind, rng)
    ]
    baselines = _degraded(baselines, config.evaluate.conditions) if kind == "hard" else baselines
    shards.write_table(files[-1], baselines, schema_of("finetune.predictions"), provenance("baseline", {}, **told))
    evaluate.run(
        files,
        config.evaluate,
        config.seed,
        Path(layout.path("evaluate.metrics", corpus=corpus, setting=setting)).parent,
    )
    trust.run(
        files,
        Path(layout.path("targets", corpus=corpus, target=target)),
        config.corpora[corpus],
        config.evaluate,
        config.seed,
        Path(layout.path("trust.calibration", corpus=corpus, setting=setting)).parent,
    )
    for variant in config.ablated(votes=target.startswith("voice")):
        for start in config.ablated_starts() if variant != own else []:
            _write_finetune(layout, corpus, variant, start, clips, truth, told, rng)


def _truth(kind: str, clip: dict[str, Any], rng: np.random.Generator) -> list[float]:
    """Return what a clip's target is: of the acted emotion, or of votes around it, or a number."""
    if kind == "attribute":
        return [float(rng.uniform(1, 7))]
    acted = np.array([float(name[:3].upper() in clip["clip_id"]) for name in EMOTIONS])
    if kind == "hard":
        return acted.tolist()
    votes = rng.multinomial(8, 0.5 * acted + 0.5 / 6)
    return (votes / votes.sum()).tolist()


def _name(kind: str, values: list[float]) -> str | None:
    """Return the class with the largest value, none in a tie or for a number."""
    if kind == "attribute" or sorted(values)[-1] == sorted(values)[-2]:
        return None
    return EMOTIONS[int(np.argmax(values))]


def _write_folds(layout: Layout, corpus: str, setting: str, clips: list[dict[str, Any]], leaks: bool) -> None:
    rows = []
    for fold in range(4):
        for number, clip in enumerate(clips):
            turn = (int(clip["speaker"]) - fold) % 4 if not leaks else (number - fold) % 4
            part = {0: "test", 1: "dev"}.get(turn, "train")
            if clip["clip_id"] == "1101_DFA_ANG_0" and fold == 0:
                part = "dropped"
            name = f"group {fold + 1}"
            rows.append({"fold": fold, "name": name, "corpus": corpus, "part": part, **clip})
    sentence = f"protocol {setting.partition('.')[2]}: 4 folds; 1 copies of test or dev audio left out"
    made_by = provenance("folds", {}, sentence=sentence, speaker_leaks=leaks, duplicates=1)
    shards.write_table(layout.path("folds", corpus=corpus, setting=setting), rows, schema_of("folds"), made_by)


def _write_finetune(
    layout: Layout, corpus: str, variant: Variant, start: str, clips: list[dict[str, Any]],
    truth: dict[str, list[float]], told: dict[str, Any], rng: np.random.Generator,
) -> str:  # fmt: skip
    """Write predictions and history of one initialisation; return the file of predictions."""
    measure = "ccc" if told["kind"] == "attribute" else "macro_f1"
    predictions, history = [], []
    for fold in range(4):
        for seed in range(3):
            history += [
                {"initialisation": start, "fold": fold, "seed": seed, "epoch": epoch, "split": split,
                 "measure": name, "value": value}
                for split, name, begin, end in (("train", "loss", 1.8, 0.4), ("dev", "loss", 1.8, 0.9),
                                                ("dev", measure, 0.1, _skill(start)))
                for epoch, value in _curve(20 + fold, begin, end, rng)
            ]  # fmt: skip
            predictions += _predictions(start, fold, seed, clips, truth, told["kind"], rng)
    made_by = provenance("finetune", {"seeds": 3}, **told)
    of = {"corpus": corpus, "setting": told["setting"], "variant": variant.name, "initialisation": start}
    path, curves = (layout.path(f"finetune.{name}", **of) for name in ("predictions", "history"))
    shards.write_table(path, predictions, schema_of("finetune.predictions"), made_by)
    shards.write_table(curves, history, schema_of("finetune.history"), made_by)
    return path


def _skill(start: str) -> float:
    """Return how good an initialisation is made: scratch .45, up to .61."""
    return 0.45 + 0.05 * ("energy" in start) + 0.02 * ("activation" in start) + 0.09 * ("emotion" in start)


def _predictions(
    start: str, fold: int, seed: int, clips: list[dict[str, Any]], truth: dict[str, list[float]], kind: str,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the test predictions of one run: part truth, part chance."""
    rows, skill = [], _skill(start)
    for clip in clips:
        if int(clip["speaker"]) % 4 != fold:
            continue
        values = np.array(truth[clip["clip_id"]])
        if kind == "attribute":
            found = 4 + skill * (values - 4) + rng.normal(0, 1, 1)
        else:
            found = values + (1 - skill) * rng.gamma(0.5, 1.0, len(EMOTIONS))
            found /= found.sum()
        rows.append(
            {"initialisation": start, "fold": fold, "seed": seed, "split": "test", **clip,
             "pretraining": None if start == "scratch" or start.startswith("svm") else seed,
             "label": _name(kind, values.tolist()), "predicted": _name(kind, found.tolist()),
             "truth": values.tolist(), "probabilities": found.tolist()}
        )  # fmt: skip
    return rows


def _degraded(rows: list[dict[str, Any]], conditions: Sequence[str]) -> list[dict[str, Any]]:
    """Return test predictions of one class with those in conditions: every other speaker is then not understood."""
    lost = [{**row, "predicted": EMOTIONS[0]} if int(row["speaker"]) % 2 else row for row in rows]
    return [*rows, *({**row, "split": f"test@{name}"} for name in conditions for row in lost)]


def _write_benchmarks(layout: Layout, config: Config) -> None:
    parts = [("demo_talk", stage, f"{shard:04d}") for stage in ("split", "speech", "landmarks") for shard in (0, 1)]
    for number, part in enumerate([*parts, ("pretrain", "energy"), ("demo_acted", "finetune", "scratch"), ("tables",)]):
        path = layout.folder.joinpath("benchmarks", *part).with_suffix(".tsv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tmean_load\n{3.5 * number + 2}\t0:00:02\t{150 + 40 * number}.5\t90\n")


def _write_truth(layout: Layout) -> None:
    """Write the tables of known truth, as the stage `tables` does on the demo."""
    folder = Path(layout.path("tables", table="x")).parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth.csv").write_text(
        "stage,measure,value\nlandmarks,face_found,0.9985\nlabels_energy,agreement,0.8410\n"
    )
    units = "".join(f"{name},{0.95 - 0.04 * k:.4f},{0.9 - 0.03 * k:.4f}\n" for k, name in enumerate(ACTION_UNITS))
    (folder / "truth_action_units.csv").write_text(f"action_unit,pearson_r,f1\n{units}")
