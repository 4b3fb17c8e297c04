"""The tables `corpora`, `rejects` and `provenance`: what a run was done on, and what made its artefacts."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.corpora.settings import settings_of
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.flow.artefacts import STAGES
from avpretext.names import alike, quoted
from avpretext.refusal import REASONS

CLIPPED_SHARE = 0.001
"""A clip counts as clipped when so many of its samples are at or beyond full scale: a loud syllable alone is not."""

ODD_SOUND = {
    "clipped": "clipped",
    "silent_channel": "silent on one channel, which is left out",
    "inverted": "inverted on one channel, which would cancel the other, and is turned over",
    "no_speech_channel": "without speech on one channel, which is left out",
}
"""Column of `corpora.csv` to what its clips are."""

SOUND = ("mix", "clipped")
"""Columns of `split.audio` that tell it."""


def odd_sounds(heard: pl.DataFrame | None) -> dict[str, int]:
    """Count the clips whose sound is odd, by kind, from the columns `SOUND`; None before `split`."""
    if heard is None:
        return dict.fromkeys(ODD_SOUND, 0)
    clipped = int((heard["clipped"] >= CLIPPED_SHARE).sum())
    return {"clipped": clipped, **{way: int((heard["mix"] == way).sum()) for way in list(ODD_SOUND)[1:]}}


def sound_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each corpus with odd clips, from rows of `corpora.csv`.

    >>> sound_sentences([{"corpus": "mine", "clipped": 12, "silent_channel": 0, "inverted": 1, "no_speech_channel": 0}])
    ['mine: 12 clips are clipped; 1 clip is inverted on one channel, which would cancel the other, and is turned over.']
    """
    found = []
    for row in rows:
        odd = [
            f"{row[kind]:,} {'clip is' if row[kind] == 1 else 'clips are'} {ODD_SOUND[kind]}"
            for kind in ODD_SOUND
            if row[kind]
        ]
        if odd:
            found.append(f"{row['corpus']}: {'; '.join(odd)}.")
    return found


def rejects_rows(run: OpenRun) -> Rows:
    """Count refused clips per corpus, stage and reason, with the reason in words."""
    counts = run.refused.group_by("corpus", "stage", "reason", maintain_order=True).len("clips")
    return [row | {"meaning": REASONS.get(row["reason"], "")} for row in counts.to_dicts()]


def corpora_rows(run: OpenRun) -> Rows:
    """Describe each corpus: clips kept and refused, speakers, labelled clips, hours kept, duplicates.

    Hours are of speech, with `audio: false` of video.

    `unknown_speakers` are clips, `alike_speakers` names that are nearly equal.

    Clips are duplicates where another clip of the corpus has the same audio; all of them are counted. Files are
    `altered` that do not have the published SHA-256; null where none is published.
    """
    return [_corpus_row(run, name) for name in run.config.with_clips()]


def _corpus_row(run: OpenRun, name: str) -> dict[str, Any]:
    corpus = run.config.corpora[name]
    settings = settings_of(corpus)
    kept = run.kept(name)
    if kept is None:
        kept = pl.DataFrame(schema={"clip_id": pl.String, "speaker": pl.String})
    audio = run.read(name, "split.audio", ["clip_id", "duration_s", "content", *SOUND])
    heard = None if audio is None else audio.join(kept, on="clip_id", how="semi")
    targets = run.targets(name, settings[0]) if settings else None
    lost = run.refused.filter(pl.col("corpus") == name).select("clip_id", "path").unique().height
    total = kept.height + lost
    return {
        "corpus": name,
        "reader": corpus.reader,
        "use": "+".join(corpus.use),
        "video": corpus.video,
        "audio": corpus.audio,
        "synthetic": corpus.synthetic,
        "target": ", ".join(setting.target_name for setting in settings) or None,
        "clips": kept.height,
        "labelled": 0 if targets is None else targets[0].join(kept, on="clip_id", how="semi").height,
        "speakers": kept["speaker"].drop_nulls().n_unique(),
        "unknown_speakers": kept["speaker"].null_count(),
        "alike_speakers": quoted(alike(kept["speaker"].unique()), most=20) or None,
        "hours": 0.0 if heard is None else float(heard["duration_s"].sum()) / 3600,
        "duplicates": 0 if heard is None else int(heard["content"].drop_nulls().is_duplicated().sum()),
        "altered": altered(run.files(name, "index")),
        **odd_sounds(heard),
        "refused": lost,
        "refused_share": lost / total if total else None,
    }


def altered(index: Sequence[str]) -> int | None:
    """Return how many files of a corpus are not those published, by the shards of `index`; None: none is published."""
    made_by = (shards.read_provenance(path) for path in index)
    compared = [found["checksums"]["altered"] for found in made_by if "checksums" in found]
    return sum(compared) if compared else None


def provenance_rows(run: OpenRun) -> Rows:
    """Say what made the artefacts of the plan: a row for each different provenance of a stage, in its order."""
    files: dict[str, int] = Counter()
    for entry in run.manifest:
        for way in entry["made"]:
            files[json.dumps(_provenance_row(entry, way))] += way["files"]
    rows = [json.loads(text) | {"files": count} for text, count in files.items()]
    return sorted(rows, key=lambda row: list(STAGES).index(row["stage"]))


def _provenance_row(entry: Mapping[str, Any], way: Mapping[str, Any]) -> dict[str, Any]:
    by = {"models": {}, "options": {}, "machine": way["machine"], **way["by"]}
    details = {key: json.dumps(by[key], sort_keys=True, allow_nan=False) for key in ("models", "options", "machine")}
    versions = {key: by.get(key) for key in ("stage_version", "package_version")}
    return {"of": entry["of"], "stage": entry["stage"], "files": 0, **versions, **details}


def machines(provenance: Rows) -> list[dict[str, Any]]:
    """Return the machines of `provenance_rows`, with versions of software, and how many files each made."""
    files: dict[str, int] = Counter()
    capability: dict[str, str] = {}
    for row in provenance:
        facts = json.loads(row["machine"])
        if not facts:  # a file that is no Parquet
            continue
        # Only stages that load torch tell it, which holds for what else the machine made.
        known, text = facts.pop("cpu_capability", ""), json.dumps(facts)
        capability[text] = known or capability.get(text, "")
        files[text] += row["files"]
    return [{**json.loads(text), "cpu_capability": capability[text], "files": count} for text, count in files.items()]
