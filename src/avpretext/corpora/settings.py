"""What is learnt of a corpus and how it is tested: label target and protocol, their names in results, their checks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from avpretext.config import CorpusOptions
from avpretext.corpora import speaker_folders
from avpretext.corpora.emobox import lists_of
from avpretext.corpora.joint import with_joint
from avpretext.corpora.reader import Reader, Source
from avpretext.corpora.readers import READERS, reader_of
from avpretext.corpora.scan import ClipFile
from avpretext.corpora.transcripts import check_matched
from avpretext.errors import UserError, nearest
from avpretext.names import nfc

Kind = Literal["hard", "multi_label", "distribution", "attribute", "attributes"]
"""`hard`: one class; `multi_label`: any of the classes; `distribution`: a share of each; `attribute`: a number;
`attributes`: several numbers, learnt by one network."""

KINDS: tuple[Kind, ...] = get_args(Kind)
NUMBERS: tuple[Kind, ...] = ("attribute", "attributes")
"""The kinds of labels that are no classes."""
FORMS: Mapping[str, Kind] = {"multi_label": "multi_label", "distribution": "distribution", "smoothed": "distribution"}
"""What votes can be learnt as, other than by their majority, and the kind that each form is."""


@dataclass(frozen=True)
class Setting:
    """One label target of a corpus, as the configuration names it, such as `voice-distribution`, under its protocol.

    `kind` is what a clip's label is; `target_name` has the name of the label map too, such as
    `voice-distribution-four`; `votes` tells whether raters' votes are behind the labels.
    """

    target: str
    kind: Kind
    target_name: str
    protocol: str
    votes: bool = False

    @property
    def name(self) -> str:
        """Return the name that every result of it bears, such as `voice-distribution-four.chou`."""
        return f"{self.target_name}.{self.protocol}"


def settings_of(options: CorpusOptions) -> list[Setting]:
    """Return the settings of a corpus, in the order of its targets; none for a corpus that is not fine-tuned.

    It is an error if the corpus lacks a target, the votes that a target needs, or the protocol.
    """
    if "finetune" not in options.use:
        return []
    check_protocol(options)
    return [_setting(options, target) for target in targets_of(options)]


def _setting(options: CorpusOptions, target: str) -> Setting:
    source = source_of(options, target)
    kind = kind_from(source, target)
    return Setting(target, kind, target_name(options, target, kind), options.protocol.name, source.kind == "votes")


PUBLISHED = ("chou", "hicmae", "emobox", "emo_superb")
"""Protocols that are published for named corpora."""


def check_protocol(options: CorpusOptions) -> None:
    """Raise UserError where a corpus cannot have its protocol: published for others, or without partitions to go by."""
    name, reader = options.protocol.name, reader_of(options)
    if name == "partitions" and reader.partitions is None:
        fitting = sorted(other for other, its in READERS.items() if its.partitions is not None)
        raise UserError(
            f"protocol.name: 'partitions': the reader {options.reader} knows none; readers with partitions are"
            f" {', '.join(fitting) or 'none'}: choose another protocol, such as speaker_kfold"
        )
    listed = name == "emobox" and lists_of(options) is not None
    has = _published_protocols(reader)
    if name not in PUBLISHED or name in has or listed:
        return
    fitting = sorted(other for other, its in READERS.items() if name in _published_protocols(its))
    fix = f"; {options.reader} has {', '.join(sorted(has))}" if has else ""
    lists = ", or give protocol.lists" if name == "emobox" else ""
    raise UserError(
        f"protocol.name: {name!r} is published for {', '.join(fitting) or 'no corpus'}, not for {options.reader}{fix}:"
        f" choose another, such as speaker_kfold{lists}"
    )


def _published_protocols(reader: Reader) -> set[str]:
    return {*reader.protocols, *reader.partition_protocols}


def targets_of(options: CorpusOptions) -> list[str]:
    """Return the label targets as the configuration names them: those chosen, or the reader's first.

    A corpus without labels is an error.
    """
    if options.targets:
        return list(dict.fromkeys(options.targets))
    sources = reader_of(options).sources(options)
    if not sources:
        raise UserError(
            f"{options.path}: the reader {options.reader!r} knows no labels of it, so it cannot be fine-tuned: take"
            " finetune out of its `use`, or give a `table` with a column of labels to the reader folder"
        )
    return [next(iter(sources))]


def split_target(target: str) -> tuple[str, str | None]:
    """Return source and form of a target, one of `FORMS` or None.

    >>> split_target("voice-multi_label"), split_target("acted")
    (('voice', 'multi_label'), ('acted', None))
    """
    form = next((form for form in FORMS if target.endswith(f"-{form}")), None)
    return (target.removesuffix(f"-{form}"), form) if form else (target, None)


def source_of(options: CorpusOptions, target: str) -> Source:
    """Return where a target is read from; see `settings_of` for the errors."""
    name, form = split_target(target)
    sources = with_joint(reader_of(options).sources(options), name)
    if name not in sources:
        known = f"one of {', '.join(sources)}" if sources else "none: the corpus has no labels"
        raise UserError(
            f"targets: {target!r} of the reader {options.reader!r}; expected {known}{nearest(name, sources)}"
        )
    if form is not None and sources[name].kind != "votes":
        voted = [known for known, source in sources.items() if source.kind == "votes"]
        fix = f"votes are known for {', '.join(voted)}" if voted else "the corpus has no votes"
        raise UserError(f"targets: {target!r}: {form} needs votes, and {name!r} has none; {fix}")
    return sources[name]


def kind_of(options: CorpusOptions, target: str) -> Kind:
    """Return what the label of a clip is under a target."""
    return kind_from(source_of(options, target), target)


def kind_from(source: Source, target: str) -> Kind:
    """Return what the label of a clip is under a target that is read from this source."""
    form = split_target(target)[1]
    return FORMS[form] if form else next((kind for kind in NUMBERS if kind == source.kind), "hard")


def target_name(options: CorpusOptions, target: str, kind: Kind | None = None) -> str:
    """Return the target with the name of its label map: `mapped` for one that the configuration spells out."""
    if options.label_map is None or (kind or kind_of(options, target)) in NUMBERS:
        return target
    if not isinstance(options.label_map, str):
        return f"{target}-mapped"
    # A dot parts target and protocol in names of results.
    return f"{target}-{re.sub(r'[^A-Za-z0-9_-]', '_', Path(options.label_map).stem)}"


def check_before_run(corpus: str, options: CorpusOptions, files: Sequence[ClipFile]) -> None:
    """Raise UserError where it is not told which folder is the speaker, or transcripts are of no clip.

    `files` is what a scan found. A corpus that is not tested on may have speakers that are not told.
    """
    if "finetune" in options.use:
        paths = [nfc(file.path) for file in files]
        speaker_folders.check(reader_of(options).speaker_folder(options, paths), corpus)
    if options.transcripts and not options.segment:
        check_matched(options, {file.clip_id for file in files if file.clip is not None})
