"""What is said in each clip, in words."""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.readers import reader_of
from avpretext.errors import UserError


def transcripts_of(options: CorpusOptions, clips: pl.DataFrame) -> dict[str, str]:
    """Return {clip_id: text} of the clips whose words are known.

    They are those of `corpora.NAME.transcripts`, else of the corpus's table, else of the sentence. `clips` has
    `clip_id` and `sentence` of `index`; clips cut out of recordings have no sentence.
    """
    reader = reader_of(options)
    named = clips.drop_nulls("sentence").select("clip_id", "sentence")
    said = {clip_id: words for clip_id, sentence in named.iter_rows() if (words := reader.words(sentence))}
    written = [reader.transcripts(options)] if reader.transcripts is not None else []
    written += [_read(Path(options.transcripts))] if options.transcripts else []
    for texts in written:
        here = texts.join(clips.select("clip_id"), on="clip_id", how="semi", maintain_order="left")
        said |= dict(here.drop_nulls("text").select("clip_id", "text").iter_rows())
    return said


def transcript_files(options: CorpusOptions) -> list[str]:
    """Return the files that words are read from, beside the clips' names."""
    reader = reader_of(options)
    own = [options.transcripts] if options.transcripts else []
    return [*(reader.tables(options) if reader.transcripts is not None else []), *own]


def check_matched(options: CorpusOptions, clip_ids: Collection[str]) -> None:
    """Raise UserError where none of the transcripts in a file is of a clip."""
    if not options.transcripts:
        return
    rows = _read(Path(options.transcripts))
    named = rows["clip_id"].drop_nulls().to_list()
    if named and clip_ids and set(named).isdisjoint(clip_ids):
        raise UserError(
            f"{options.transcripts}: none of its clips, such as {named[0]!r}, is one of the corpus, such as"
            f" {min(clip_ids)!r}; correct corpora.NAME.transcripts, or the column clip_id"
        )


def _read(file: Path) -> pl.DataFrame:
    rows = sheets.read(file, "transcripts")
    sheets.need(rows.columns, ["clip_id", "text"], file, "a file of transcripts has the columns clip_id and text")
    return rows
