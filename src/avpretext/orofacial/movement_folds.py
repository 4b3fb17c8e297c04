"""Who trains, chooses the epoch and tests an orofacial model."""

from collections.abc import Sequence

from avpretext.corpora.protocols import (
    Fold,
    draw_speakers,
    folds_by_test_speakers,
    leave_one_speaker_out,
    speaker_kfold,
)
from avpretext.errors import UserError
from avpretext.options.orofacial import OrofacialOptions

WHOLE = -1
"""Number of the fold without test clips, whose model is kept."""


def divide(names: Sequence[str], speakers: Sequence[str], options: OrofacialOptions, seed: int) -> list[Fold]:
    """Return the folds, of clips.

    speaker_kfold deals the speakers to groups of about equally many clips, each of which tests once; dev speakers are
    drawn from the others. leave_one_clip_out has no dev clips: all epochs are trained.

    Parameters
    ----------
    names, speakers
        Of each clip.
    options
        Read: protocol, folds, dev_speakers.
    seed
        What is drawn is drawn by.

    Raises
    ------
    UserError
        There are too few speakers, or clips.
    """
    if options.protocol == "leave_one_clip_out":
        if len(names) < 3:
            raise UserError(f"orofacial.protocol leave_one_clip_out: {len(names)} clips; 3 is the least")
        return [
            Fold(number, name, tuple(sorted(set(names) - {name})), (), (name,), "clip_id")
            for number, name in enumerate(sorted(names))
        ]
    if options.protocol == "leave_one_speaker_out":
        folds = leave_one_speaker_out(speakers, options.dev_speakers, seed)
    else:
        _check(len(set(speakers)), options)
        dealt = [fold.test for fold in speaker_kfold(speakers, options.folds, seed)]
        folds = folds_by_test_speakers(speakers, dealt, options.dev_speakers, seed)
    return [_of_clips(fold, names, speakers) for fold in folds]


def whole(names: Sequence[str], speakers: Sequence[str], options: OrofacialOptions, seed: int) -> Fold:
    """Return the fold of the model that is kept: all clips train but those of the dev speakers."""
    dev = []
    if options.protocol != "leave_one_clip_out":
        dev = draw_speakers(speakers, options.dev_speakers, [seed, len(names)], "orofacial: the model that is kept")
    train = sorted(set(speakers) - set(dev))
    return _of_clips(Fold(WHOLE, "all", tuple(train), tuple(dev), ()), names, speakers)


def speaker_leaks(folds: Sequence[Fold], names: Sequence[str], speakers: Sequence[str]) -> bool:
    """Tell whether a speaker is in train and test of a fold."""
    speaker_of = dict(zip(names, speakers, strict=True))
    return any({speaker_of[name] for name in fold.train} & {speaker_of[name] for name in fold.test} for fold in folds)


def _check(speakers: int, options: OrofacialOptions) -> None:
    if speakers < max(3, options.folds):
        fix = f"set orofacial.folds to {speakers}" if speakers >= 3 else "set orofacial.protocol to leave_one_clip_out"
        raise UserError(f"orofacial: {speakers} speakers have clips; {options.folds} folds need as many: {fix}")


def _of_clips(fold: Fold, names: Sequence[str], speakers: Sequence[str]) -> Fold:
    """Return a fold of speakers as one of clips."""

    def clips(of: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(name for name, speaker in zip(names, speakers, strict=True) if speaker in set(of)))

    return Fold(fold.number, fold.name, clips(fold.train), clips(fold.dev), clips(fold.test), "clip_id")
