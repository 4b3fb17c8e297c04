"""The files of a project folder."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from avpretext import checkout
from avpretext.config import Config, CorpusOptions
from avpretext.config_file import load
from avpretext.errors import UserError
from avpretext.face.model_file import FACE_MODEL, FACE_MODEL_SHA256, sha256
from avpretext.init.guess import Found, protocol_for
from avpretext.run.plan import Plan
from avpretext.shards import atomic_path

PROFILES = ("default", "slurm")

IGNORED = "results/\n.snakemake/\n"

SNAKEFILE = """\
# The workflow of avpretext, used in place: its rules and its package stay where they were installed.
include: {snakefile}


rule project: # what `snakemake` makes when nothing is named: all of it
    default_target: True
    input:
        rules.all.input,
    localrule: True
"""

README = """\
# {name}

Made by `avpretext init`. What is asked for is in `config.yaml`; every option, with its meaning:
`{program} config config.yaml`.

```sh
# Is everything there? What would be done?
{program} doctor
{snakemake} --dry-run

# Do it.
{next}

# Look at a clip: landmarks, signals and pseudo-labels in one picture.
{program} inspect CLIP
```

Tables come to `results/tables/`, the report to `results/report.html`. After an edit of `config.yaml` the same command
redoes what the edit touches, and nothing else. On a cluster:
`{snakemake} --workflow-profile profiles/slurm` (edit that file first).
"""


def config_text(name: str, found: Found, use: list[str], shards: int, model: Path | None) -> str:
    """Return the configuration of a project: what matters of its corpus, each key with its meaning.

    Parameters
    ----------
    name
        Of the corpus.
    found
        What is in it.
    use
        What it is used for.
    shards
        Into how many pieces it is cut.
    model
        The folder of the face model, if it is at hand.
    """
    options = found.options
    chosen: dict[str, object] = {"path": options.path, "reader": options.reader, "use": use}
    chosen |= {"table": options.table} if options.table else {}
    chosen |= {"video": options.video, "shards": shards}
    chosen |= {"targets": [found.labels[0]]} if "finetune" in use else {}
    lines = [
        "# Made by `avpretext init`. Paths may be relative to this folder. Other keys have their defaults:",
        "# `avpretext config config.yaml` prints all of them, with meaning and unit.",
        f"results: results # {Config.model_fields['results'].description}",
        "",
        "corpora:",
        f"  {name}:",
        *(f"    {line}" for line in _lines(chosen)),
    ]
    if "finetune" in use:
        lines.append("    protocol: # which clips train, choose the epoch and test; docs/workflow.md has all")
        lines += [f"      {key}: {json.dumps(value)}" for key, value in protocol_for(found).items()]
        if len(found.labels) > 1:
            lines.append(f"    # other targets here: {', '.join(found.labels[1:])}")
    if model is not None:
        lines += ["", "models:", f"  folder: {json.dumps(str(model))} # holds {FACE_MODEL}; null: download it"]
    return "\n".join(lines) + "\n"


def _lines(values: Mapping[str, object]) -> Iterator[str]:
    for key, value in values.items():
        yield f"{key}: {json.dumps(value, ensure_ascii=False)} # {CorpusOptions.model_fields[key].description}"


def model_at_hand(root: Path = checkout.ROOT) -> Path | None:
    """Return the folder of the face model if the checkout has it already, whole."""
    file = root / "results" / "models" / FACE_MODEL
    return file.parent if file.is_file() and sha256(file) == FACE_MODEL_SHA256 else None


def project_files(config: str, readme: str) -> dict[str, str]:
    """Return {path in the project: content} of every file.

    Raises
    ------
    UserError
        The package runs without its checkout.
    """
    snakefile = json.dumps(str(checkout.part("Snakefile")))
    profiles = {
        f"profiles/{name}/config.yaml": checkout.part(f"workflow/profiles/{name}/config.yaml").read_text("utf-8")
        for name in PROFILES
    }
    return {
        "config.yaml": config,
        "Snakefile": SNAKEFILE.format(snakefile=snakefile),
        "README.md": readme,
        ".gitignore": IGNORED,
        **profiles,
    }


def refuse_to_overwrite(folder: Path) -> None:
    """Raise where a file that a project has is there already."""
    taken = [name for name in ("config.yaml", "Snakefile", "README.md", ".gitignore") if (folder / name).exists()]
    taken += [f"profiles/{name}" for name in PROFILES if (folder / "profiles" / name).exists()]
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a new folder")
    if taken:
        raise UserError(f"{folder}: {taken[0]} is there already, and is not overwritten; name a new folder")


def write(folder: Path, files: Mapping[str, str]) -> Config:
    """Write the files of a project and return its configuration, read back and checked.

    Raises
    ------
    UserError
        One of them is there already, or the folder cannot be written to.
    """
    refuse_to_overwrite(folder)
    for name, content in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, "utf-8")
    config = load(folder / "config.yaml")
    Plan(config)
    return config
