"""`docs/stages.md`: every stage with its options, its files, and their columns with types and units.

`python -m avpretext.report.stage_docs docs/stages.md` writes it anew from `schemas`, `columns` and `stages`.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from avpretext.config import Config
from avpretext.flow.artefacts import STAGES
from avpretext.flow.columns import ARTEFACTS, Artefact
from avpretext.flow.schemas import REASONS
from avpretext.report import config_docs

HEADER = """\
# Every stage, its files and their columns

One word is a stage's rule, command, module, folder and configuration key; [the workflow](workflow.md) explains each.
All files here are Parquet, below `results/`. `CORPUS` is a name of the configuration, `SHARD` is `0000`, `0001`, ...;
`SETTING` is a label target and a protocol, such as `voice.chou`. Each file says in its schema metadata, under the key
`avpretext`, which stage made it, in which version, with which options and model files
([how to read it](other-tools.md#where-a-file-comes-from)). A null is a value that is not known. An edit of the options
named here redoes the stage and what follows.

This page is generated (`python -m avpretext.report.stage_docs docs/stages.md`).
"""

OTHERS = {
    "models": "`models/face_landmarker.task`, MediaPipe's face model.",
    "watch": "the files of [split](#split), without frames, and of [landmarks](#landmarks).",
    "pretrain": "`pretrain/AGGREGATOR/TASKS/SEED/checkpoint.safetensors`, the weights: what fine-tuning starts from.",
    "export": "`CORPUS/export/SETTING/INITIALISATION/`, a model to take away ([predict.md](predict.md)): `model.json`,"
    " `model.safetensors`.",
    "card": "into the folder of `export`: `README.md` and `card.json`, what is to be known before it is used.",
    "orofacial_tables": "`orofacial.html`, and into `tables/` `orofacial.csv`, `orofacial.md`.",
    "tables": "the tables below, into `tables/`: what the report prints.",
    "report": "`report.html`.",
    "ablate": "`ablation.html`, and into `tables/` `ablation.csv`, `ablation.md`, `ablation.tex`,"
    " `ablation_effects.csv`, `ablation_co_occurrence.csv`.",
    "baseline": "`CORPUS/baseline/SETTING/predictions.parquet`, with the columns of [finetune](#finetune).",
    "ensemble": "`CORPUS/ensemble/SETTING/predictions.parquet`, with the columns of [finetune](#finetune).",
    "deepemocluster": "`CORPUS/deepemocluster/SETTING/predictions.parquet` and `history.parquet`, with the columns of"
    " [finetune](#finetune).",
    "statistics": "`CORPUS/statistics/SHARD.parquet`, with the columns of [functionals](#functionals).",
}
"""Files of a stage that are no Parquet, or like those of another stage."""


PRINTED = {
    "main.csv": "a row per system: of each measure its value, interval (`_low`, `_high`), `_mean` and `_std` over runs,"
    " `_seed_std` over trainings, `_difference` to scratch with interval, its p-value (`_p`) and that after Holm's"
    " correction (`_p_holm`)",
    "main.md": "the same, for people",
    "main.tex": "the same, for a paper",
    "per_class.csv": "a row per system and class: precision, recall, F1 with intervals",
    "seeds.csv": "a row per system, seed and measure: its value on all test clips, and its difference to scratch",
    "significance.csv": "a row per system and measure: difference, interval, p-values",
    "folds.csv": "a row per fold and part: clips, and who speaks in them",
    "label_balance.csv": "how often each label of each task and target is given",
    "label_speakers.csv": "how often each label is given to each speaker",
    "label_agreement.csv": "how far the three tasks agree: counts of pairs of labels, and a measure of it",
    "action_units.csv": "a row per action unit and label: how often it is active, how strong",
    "au_combinations.csv": "which action units are active together, and which labels these clips have",
    "copies.csv": "a row per fold and clip that is left out: the clip of test or dev whose recording it holds too",
    "corpora.csv": "a row per corpus: clips, speakers, hours, copies, clips whose sound is odd, refused",
    "rejects.csv": "a row per corpus, stage and reason: how many clips were refused",
    "rejects_clips.csv": "a row per refused clip: its file, stage, reason, what was seen",
    "provenance.csv": "a row per kind of artefact: stage, versions, options, model files, machine",
    "provenance.json": "the same, nested",
    "truth.csv": "demo: how well each stage measures what is known",
    "truth_action_units.csv": "demo: each action unit against the true one",
}
"""What is in the files of `tables`."""


def document(summaries: Mapping[str, str]) -> str:
    """Return the whole page as Markdown.

    Parameters
    ----------
    summaries
        Stage to what it does, in a sentence: the help of its command.
    """
    parts = [HEADER]
    for stage, described in STAGES.items():
        parts.append(f"\n## {stage}\n{summaries[stage]}\n\n")
        parts.append(f"Options: {', '.join(map(option_link, described.options)) or 'none'}.\n")
        if stage in OTHERS:
            parts.append(f"\nWrites {OTHERS[stage]}\n")
        if stage == "tables":
            parts.append("\n| file | what is in it |\n|---|---|\n")
            parts += [f"| `{file}` | {what} |\n" for file, what in PRINTED.items()]
        parts += [_section(artefact) for artefact in ARTEFACTS if artefact.stage == stage]
    parts.append("\n## Truth of the demo\nWhat the synthetic corpus knows of itself, below `data/demo/`.\n")
    parts += [_section(artefact) for artefact in ARTEFACTS if artefact.stage == "demo"]
    parts.append("\n## Reasons\nWhy a clip can be refused: the column `reason` of `rejects`.\n\n")
    parts.append("| reason | meaning |\n|---|---|\n")
    parts += [f"| `{reason}` | {meaning} |\n" for reason, meaning in REASONS.items()]
    return "".join(parts)


def option_link(key: str) -> str:
    """Return a link from a dotted key of the options to its group in configuration.md.

    >>> option_link("labels.energy"), option_link("corpora.{corpus}.path")
    ('[`labels.energy`](configuration.md#labelsenergy)', '[`path`](configuration.md#corporaname)')
    """
    if key.startswith("corpora."):
        name = key.rpartition(".")[2]
        return f"[`{name}`](configuration.md#{'corporanameprotocol' if name == 'protocol' else 'corporaname'})"
    groups = dict(config_docs.groups(Config, ""))
    group = key if key in groups else key.rpartition(".")[0]
    return f"[`{key}`](configuration.md#{group.replace('.', '') or 'top-level'})"


def _section(artefact: Artefact) -> str:
    head = f"\n`{'`; `'.join(artefact.place.split('; '))}`: a row per {artefact.row}.\n\n"
    return head + "| column | type | unit | meaning |\n|---|---|---|---|\n" + "".join(_rows(artefact))


def _rows(artefact: Artefact) -> Iterator[str]:
    for names, kind, (meaning, unit) in artefact.described():
        told = f"`{names[0]}` ... `{names[-1]}`" if len(names) > 3 else ", ".join(f"`{name}`" for name in names)
        yield f"| {told} | {type_text(kind)} | {unit} | {meaning.replace('|', chr(92) + '|')} |\n"


def type_text(kind: pa.DataType) -> str:
    """Return a type as readers of tables know it.

    >>> type_text(pa.list_(pa.float32(), 3)), type_text(pa.string()), type_text(pa.struct([("bytes", pa.binary())]))
    ('list of 3 float32', 'text', 'struct of bytes')
    """
    if pa.types.is_fixed_size_list(kind):
        return f"list of {kind.list_size} {type_text(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_text(kind.value_type)}"
    if pa.types.is_struct(kind):
        return f"struct of {', '.join(field.name for field in kind)}"
    names = {"string": "text", "double": "float64", "float": "float32", "bool": "true, false"}
    return names.get(str(kind), str(kind))


if __name__ == "__main__":
    from avpretext.cli.base import summaries

    Path(sys.argv[1]).write_text(document(summaries()), "utf-8")
