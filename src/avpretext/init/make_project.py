"""`avpretext init`: look at a corpus, ask what cannot be known, write a project folder, say what comes next."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, TypeVar

import typer

from avpretext import checkout
from avpretext.config import Config, CorpusOptions
from avpretext.config_file import load, parse
from avpretext.corpora import READERS, reader_of, sheets
from avpretext.corpora.enough import FEWEST_VOICES
from avpretext.corpora.scan import check_one_folder, media_files
from avpretext.doctor.hardware import cores
from avpretext.errors import UserError
from avpretext.face.model_file import FACE_MODEL, FACE_MODEL_SHA256, sha256
from avpretext.init import guess
from avpretext.init.guess import FoundCorpus, protocol_for
from avpretext.programs import command
from avpretext.run.plan import Plan
from avpretext.shards import atomic_path

Answer = TypeVar("Answer")

PROFILES = ("default", "slurm")

IGNORED = "results/\nmodels/\n.snakemake/\n"

MOST_LISTED = 200
"""So many speakers at most are listed in a configuration."""

_DEFAULTS = CorpusOptions(path=".", use=["pretrain"])
_TOLD = ("table", "outside", "speaker_folder", "parts")


@dataclass(frozen=True)
class Clips:
    """How clips are told: the options of a corpus of the same names; `table` as seen from here or from the corpus."""

    table: str | None = None
    outside: bool = False
    speaker_folder: int | None = None
    parts: Sequence[str] = ()

    def options(self, corpus: Path) -> dict[str, Any]:
        """Return those that are not the default, the table as an absolute path."""
        table = None if self.table is None else str(_table(self.table, corpus))
        wished: dict[str, Any] = {"table": table, "outside": self.outside, "speaker_folder": self.speaker_folder}
        wished |= {"parts": list(self.parts)}
        return {key: value for key, value in wished.items() if value != getattr(_DEFAULTS, key)}


@dataclass(frozen=True)
class Wishes:
    """The options of the command line; None leads to a question, or, with `yes`, to what is found."""

    corpus: Path | None = None
    reader: str | None = None
    name: str | None = None
    use: list[str] | None = None
    video: bool | None = None
    clips: Clips = field(default_factory=Clips)
    shards: int | None = None
    yes: bool = False
    silent: bool | None = None

    def choose(self, given: Answer | None, question: str, default: Answer, check: Callable[[str], Answer]) -> Answer:
        """Return what is given, else the answer to a question; asked again until the answer passes the check."""
        if given is not None or self.yes:
            return default if given is None else given
        while True:
            try:
                answer = typer.prompt(question, default=_said(default))
            except typer.Abort:
                raise UserError(
                    f"{question}: no answer; nothing is written. Without questions: --corpus PATH --yes"
                ) from None
            try:
                return check(str(answer))
            except UserError as error:
                typer.echo(f"  {error}")


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def run(folder: Path, wishes: Wishes) -> None:
    """Make a project folder; where it is there already, none of the project's files may be.

    It is an error if a file would be overwritten, if the corpus is missing or empty, or if a wish cannot be granted.
    """
    _refuse_to_overwrite(folder)
    if wishes.corpus is None and wishes.yes:
        raise UserError("--corpus is missing: with --yes, name the folder of your recordings")
    given = wishes.corpus or wishes.choose(None, "Folder of your recordings", Path("."), _checked_folder)
    corpus = _checked_folder(str(given))
    found = _found(corpus, wishes)
    typer.echo(described(found))
    possible = guess.uses(found)
    if "finetune" not in possible:
        typer.echo(f"  {_why_not_tuned(found)}")
    if found.options.audio and found.voices < FEWEST_VOICES:
        typer.echo("  pre-training needs two speakers, one held out: what can be made is pseudo-labels")
    name = wishes.choose(wishes.name, "Name of the corpus in tables and folders", _name_of(corpus), _checked_name)
    use = wishes.choose(wishes.use, "Use it for (pretrain, finetune)", list(possible), lambda text: _uses(text, found))
    shards = wishes.choose(
        wishes.shards, "Pieces worked on in parallel (shards)", guess.shards_for(found.clips), _checked_shards
    )
    use = _uses(", ".join(use), found)
    model = _model_at_hand() if found.options.video else None
    show = command("avpretext config", folder)
    text = _config_text(_checked_name(name), found, use, shards, model, show)
    doctor, go_on = command("avpretext doctor", folder), next_command(found, folder)
    readme = _template("project.md").format(
        name=folder.resolve().name,
        program=command("avpretext", folder),
        snakemake=command("snakemake", folder),
        next=go_on,
    )
    _write(folder, text, readme, model)
    copied = f", models/{FACE_MODEL}" if model is not None else ""
    typer.echo(f"\nWrote {folder}: config.yaml, Snakefile, profiles/, README.md, .gitignore{copied}")
    typer.echo(f"Next:\n  cd {shlex.quote(str(folder))}\n  {doctor}\n  {go_on}")


def _template(name: str) -> str:
    return package_files("avpretext.init").joinpath(name).read_text("utf-8")


def _checked_folder(text: str) -> Path:
    folder = Path(text).expanduser().absolute()
    check_one_folder(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the one that your recordings are in")
    return Path(os.path.normpath(folder))


def _found(corpus: Path, wishes: Wishes) -> FoundCorpus:
    told = wishes.clips.options(corpus)
    files = sorted(media_files(CorpusOptions(path=str(corpus), use=["pretrain"], **told)))
    if not files:
        raise UserError(f"{corpus}: no audio or video files there; name the folder that your recordings are in")
    reader, video = guess.guess_reader(files, corpus)
    question = f"How its names are read ({', '.join(READERS)})"
    default = reader_of_table(told["table"]) if "table" in told else reader
    reader = wishes.choose(wishes.reader, question, default, _checked_reader)
    has_video = wishes.choose(wishes.video, "Are there faces to look at (video)?", video, _yes) if video else False
    if wishes.video and not video:
        raise UserError(f"--video: {corpus} holds audio alone, such as {files[0]!r}")
    if wishes.silent and not has_video:
        raise UserError("--silent: without video and without sound there is nothing to read")
    heard = not wishes.silent if wishes.silent is not None else not has_video or guess.has_sound(corpus, files)
    return guess.look(
        CorpusOptions(
            path=str(corpus),
            reader=_checked_reader(reader),
            use=["pretrain"],
            video=has_video,
            audio=heard,
            **told,
        )
    )


def _table(name: str, corpus: Path) -> Path:
    """Return the absolute path of a table that is named as seen from here, or from the corpus."""
    here, within = Path(name).expanduser().absolute(), corpus / name
    for place in (here, within):
        if place.exists():
            return place
    raise UserError(f"--table {name}: no such file, neither {here} nor {within}")


def reader_of_table(table: str) -> str:
    """Return the reader of a table: EmoBox's lists are a folder, or a file of JSON lines.

    >>> reader_of_table("/data/clips.csv"), reader_of_table("EmoBox/data/savee/savee.jsonl")
    ('folder', 'emobox')
    """
    return "emobox" if Path(table).is_dir() or table.endswith(".jsonl") else "folder"


def _checked_reader(text: str) -> str:
    reader_of(CorpusOptions(path=".", reader=text, use=["pretrain"]))
    return text


def _yes(text: str) -> bool:
    if text.strip().lower() not in ("y", "yes", "n", "no"):
        raise UserError(f"{text!r}: expected yes or no")
    return text.strip().lower().startswith("y")


def _name_of(corpus: Path) -> str:
    """Return a name for a corpus after its folder.

    >>> _name_of(Path("/data/CREMA-D")), _name_of(Path("/data/my talks (2024)"))
    ('crema-d', 'my_talks_2024')
    """
    return re.sub(r"[^a-z0-9_-]+", "_", corpus.name.lower()).strip("_-") or "corpus"


def _checked_name(text: str) -> str:
    parse({"corpora": {text: {"path": ".", "use": ["pretrain"]}}}, "--name")
    return text


def _checked_shards(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise UserError(f"{text!r}: expected a number from 1 to 10000")
    return int(text)


def _uses(text: str, found: FoundCorpus) -> list[str]:
    wanted = [word for word in re.split(r"[,+\s]+", text.strip()) if word]
    for word in wanted:
        if word not in ("pretrain", "finetune"):
            raise UserError(f"{word!r}: expected pretrain, finetune, or both")
    if not wanted:
        raise UserError("expected pretrain, finetune, or both")
    if "finetune" in wanted and "finetune" not in guess.uses(found):
        raise UserError(f"finetune is not possible: {_why_not_tuned(found)}")
    return list(dict.fromkeys(wanted))


def _why_not_tuned(found: FoundCorpus) -> str:
    if not found.options.audio:
        return "it has no sound, or none that is read, and models learn from speech: labels of its faces can be made"
    if not found.labels:
        table = sheets.unread(found.options) or "labels come with a table (docs/corpora.md)"
        return f"no labels are known of it: it can be pre-trained on; {table}"
    return (
        f"its labels need {guess.FEWEST_FOLDS} speakers at least, to train, choose and test on;"
        f" known here: {len(found.speakers)}. It can be pre-trained on"
    )


def described(found: FoundCorpus) -> str:
    """Return what was found, in a line.

    >>> options = CorpusOptions(path="/d", reader="grid", use=["pretrain"])
    >>> print(described(FoundCorpus(options, 6, 1, ["s1"], 2, [])))
    /d: 6 clips with video, read as grid; 1 speaker, 2 clips of unknown speakers; 1 file refused
    """
    options = found.options
    kind = ("clips with video" if options.audio else "clips, video alone") if options.video else "clips, audio alone"
    speakers = f"{len(found.speakers)} speaker{'' if len(found.speakers) == 1 else 's'}"
    unknown = f", {found.anonymous} clips of unknown speakers" if found.anonymous else ""
    labels = f"; labels: {', '.join(_with_origin(found))}" if found.labels else ""
    refused = f"; {found.refused} file{'' if found.refused == 1 else 's'} refused" if found.refused else ""
    read = f"{found.options.path}: {found.clips} {kind}, read as {found.options.reader}"
    return f"{read}; {speakers}{unknown}{labels}{refused}"


def _with_origin(found: FoundCorpus) -> list[str]:
    """Return the label targets, the first with the files that it is read from."""
    first, *others = found.labels
    return [f"{first} (from {guess.origin(found.options, first)})", *others]


def next_command(found: FoundCorpus, folder: Path) -> str:
    """Return the command that runs the workflow in the project folder: as far as the corpus goes."""
    target = "" if found.voices >= FEWEST_VOICES or not found.options.audio else " pseudo_labels"
    return command(f"snakemake --cores {cores()}{target}", folder)


def _config_text(name: str, found: FoundCorpus, use: list[str], shards: int, model: Path | None, show: str) -> str:
    """Return the configuration of a project, what matters of its corpus, each key with its meaning.

    `model` is the file of the face model, if it is at hand: the project gets a copy. `show` is the command that prints
    all keys.
    """
    lines = [
        f"# yaml-language-server: $schema={checkout.ROOT}/workflow/schemas/config.schema.json",
        "# Made by `avpretext init`. Paths may be relative to this folder. Other keys have their defaults:",
        f"# `{show}` prints all of them, with meaning and unit.",
        f"results: results # {Config.model_fields['results'].description}",
        "",
        "corpora:",
        *_corpora(name, found, use, shards),
    ]
    if model is not None:
        lines += ["", "models:", f"  folder: models # holds a copy of {FACE_MODEL}; null: download it"]
    return "\n".join(lines) + "\n"


def _corpora(name: str, found: FoundCorpus, use: list[str], shards: int) -> list[str]:
    """Return the lines of the corpus: two entries where its test speakers are kept out of pre-training."""
    test = set(guess.test_speakers(found)) if len(use) > 1 else set()
    others = [speaker for speaker in found.speakers if speaker not in test]
    if test and not found.anonymous and FEWEST_VOICES <= len(others) <= MOST_LISTED:
        heard = [f"  # Pre-training hears the same clips without those of the {len(test)} test speakers."]
        heard += _corpus(f"{name}_pretrain", found, ["pretrain"], shards, others)
        return [*_corpus(name, found, ["finetune"], shards), *heard]
    lines = _corpus(name, found, use, shards)
    if len(use) > 1:
        lines.append("    # Pre-training hears the test speakers too, without their labels. Other speakers for it:")
        lines.append("    # use: [finetune] here, and another corpus with use: [pretrain].")
    return lines


def _corpus(name: str, found: FoundCorpus, use: list[str], shards: int, speakers: list[str] | None = None) -> list[str]:
    """Return the lines of one entry, of these speakers alone if they are given."""
    options = found.options
    chosen: dict[str, object] = {"path": options.path, "reader": options.reader, "use": use}
    chosen |= {key: getattr(options, key) for key in _TOLD if getattr(options, key) != getattr(_DEFAULTS, key)}
    chosen |= {"speakers": speakers} if speakers else {}
    chosen |= {"video": options.video} | ({} if options.audio else {"audio": False}) | {"shards": shards}
    lines = [f"  {name}:", *(_line(key, value) for key, value in chosen.items())]
    return lines + (_learnt(found) if "finetune" in use else [])


def _line(key: str, value: object) -> str:
    return f"    {key}: {json.dumps(value, ensure_ascii=False)} # {CorpusOptions.model_fields[key].description}"


def _learnt(found: FoundCorpus) -> list[str]:
    """Return the lines of what is learnt: the target, where its labels come from, the protocol."""
    target, *others = found.labels
    lines = [f"    # Labels {target!r} come from: {guess.origin(found.options, target)}", _line("targets", [target])]
    lines += [f"    # other targets here: {', '.join(others)}"] if others else []
    lines.append("    protocol: # which clips train, choose the epoch and test; docs/protocols.md has all")
    lines += [f"      {key}: {json.dumps(value)}" for key, value in protocol_for(found).items()]
    if problem := found.division.problem:
        lines.append(f"      # not the corpus's own partitions: {' '.join(problem.split())}")
    return lines


def _model_at_hand() -> Path | None:
    """Return the file of the face model if the checkout has it already, whole."""
    file = checkout.ROOT / "results" / "models" / FACE_MODEL
    return file if file.is_file() and sha256(file) == FACE_MODEL_SHA256 else None


def _refuse_to_overwrite(folder: Path) -> None:
    taken = [name for name in ("config.yaml", "Snakefile", "README.md", ".gitignore") if (folder / name).exists()]
    taken += [f"profiles/{name}" for name in PROFILES if (folder / "profiles" / name).exists()]
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a new folder")
    if taken:
        raise UserError(f"{folder}: {taken[0]} is there already, and is not overwritten; name a new folder")


def _write(folder: Path, config: str, readme: str, model: Path | None) -> None:
    """Write the files of a project, from the checkout that the package runs from; the configuration is checked."""
    files = {
        "config.yaml": config,
        "Snakefile": _template("project.smk").format(snakefile=json.dumps(str(checkout.part("workflow/Snakefile")))),
        "README.md": readme,
        ".gitignore": IGNORED,
    }
    for name in PROFILES:
        profile = f"{name}/config.yaml"
        files[f"profiles/{profile}"] = checkout.part(f"workflow/profiles/{profile}").read_text("utf-8")
    _refuse_to_overwrite(folder)
    for name, content in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, "utf-8")
    if model is not None:
        with atomic_path(folder / "models" / FACE_MODEL) as temporary:
            shutil.copyfile(model, temporary)
    Plan(load(folder / "config.yaml"))
