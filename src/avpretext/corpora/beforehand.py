"""What stops a run before it begins: corpora whose names cannot be what they are meant to be."""

from collections.abc import Sequence

from avpretext.config import CorpusOptions
from avpretext.corpora import speaker_folders
from avpretext.corpora.readers import reader_of
from avpretext.corpora.scan import ClipFile
from avpretext.corpora.transcripts import check_matched
from avpretext.names import nfc


def check_before_run(corpus: str, options: CorpusOptions, files: Sequence[ClipFile]) -> None:
    """Raise where it is not told which folder is the speaker, or transcripts are of no clip.

    Parameters
    ----------
    corpus, options
        The corpus; one that is not tested on may have speakers that are not told.
    files
        What a scan found in it.

    Raises
    ------
    UserError
        Names what is wrong, and the option.
    """
    if "finetune" in options.use:
        paths = [nfc(file.path) for file in files]
        speaker_folders.check(reader_of(options).speaker_folder(options, paths), corpus)
    if options.transcripts and not options.segment:
        check_matched(options, {file.clip_id for file in files if file.clip is not None})
