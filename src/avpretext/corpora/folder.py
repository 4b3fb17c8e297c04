"""Any tree of media files: the speaker is the folder that a file lies in, and no emotion is known."""

from avpretext.corpora.reader import Clip, Reader, by_kind, without_extension


def read(path: str) -> Clip:
    """Read any name; the clip_id is the path without its extension.

    >>> read("anna/take 1.mp4")
    Clip(clip_id='anna/take 1', speaker='anna', label=None, sentence=None, level=None)
    """
    folder = path.rpartition("/")[0]
    return Clip(without_extension(path), folder.rpartition("/")[2] or None)


READER = Reader(read=read, select=by_kind)
