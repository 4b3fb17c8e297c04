"""The files that are media: formats that ffmpeg may read, and the endings of their names. No other list is kept."""

import mimetypes
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Endings(NamedTuple):
    """Endings of the names of a format: of films, of sound alone, of pictures without sound."""

    films: str = ""
    sound: str = ""
    silent: str = ""


FORMATS: Mapping[str, Endings] = {
    "aac": Endings(sound="aac"),
    "ac3": Endings(sound="ac3"),
    "aiff": Endings(sound="aiff aif aifc"),
    "amr": Endings(sound="amr awb"),
    "ape": Endings(sound="ape"),
    "asf": Endings("wmv asf", "wma"),
    "au": Endings(sound="au snd"),
    "avi": Endings("avi divx"),
    "caf": Endings(sound="caf"),
    "dsf": Endings(sound="dsf"),
    "dts": Endings(sound="dts"),
    "dv": Endings("dv dif"),
    "eac3": Endings(sound="eac3 ec3"),
    "flac": Endings(sound="flac"),
    "flv": Endings("flv"),
    "gif": Endings(silent="gif"),
    "ircam": Endings(sound="sf ircam"),
    "ivf": Endings(silent="ivf"),
    "matroska": Endings("mkv webm mk3d", "mka"),
    "mov": Endings("mp4 m4v mov qt 3gp 3g2 f4v ismv", "m4a m4b isma"),
    "mp3": Endings(sound="mp3 mp2 m2a mpa"),
    "mpc": Endings(sound="mpc"),
    "mpc8": Endings(sound="mpc"),
    "mpeg": Endings("mpg mpeg vob m2p"),
    "mpegts": Endings("ts mts m2ts m2t"),
    "mpegvideo": Endings(silent="m1v m2v"),
    "mxf": Endings("mxf"),
    "nistsphere": Endings(sound="sph nist"),
    "nut": Endings("nut"),
    "ogg": Endings("ogv ogm", "ogg oga opus spx"),
    "qcp": Endings(sound="qcp"),
    "rm": Endings("rm rmvb", "ra"),
    "shn": Endings(sound="shn"),
    "tak": Endings(sound="tak"),
    "tta": Endings(sound="tta"),
    "voc": Endings(sound="voc"),
    "w64": Endings(sound="w64"),
    "wav": Endings(sound="wav rf64 bwf"),
    "webp_anim": Endings(silent="webp"),
    "wtv": Endings("wtv"),
    "wv": Endings(sound="wv"),
    "xwma": Endings(sound="xwma"),
    "yuv4mpegpipe": Endings(silent="y4m"),
}
"""By the name of ffmpeg's demuxer, which goes by content: no playlists, scripts, subtitles or patterns of names."""

NOT_MEANT = frozenset({"apl", "mac", "avif", "heic", "heif", "ism", "mj2", "mks", "psp"})
"""Endings that ffmpeg's demuxers of `FORMATS` name, of files that are stills, subtitles, lists or out of use."""


def _all(kind: str) -> frozenset[str]:
    return frozenset(f".{ending}" for endings in FORMATS.values() for ending in getattr(endings, kind).split())


VIDEO_EXTENSIONS = _all("films")
AUDIO_EXTENSIONS = _all("sound")
SILENT_EXTENSIONS = _all("silent")
"""Of pictures without sound: clips of a corpus with `audio: false`."""

_OTHER_MEDIA = frozenset(
    {".gsm", ".mid", ".midi", ".swf", ".h264", ".264", ".h265", ".hevc", ".aa3", ".oma", ".thd", ".mlp", ".mod", ".tod"}
)


_DOCUMENTS = frozenset(
    {
        ".csv", ".tsv", ".txt", ".md", ".rst", ".html", ".htm", ".xml", ".json", ".jsonl", ".yaml", ".yml", ".toml",
        ".parquet", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".rtf", ".pdf", ".bib", ".textgrid", ".lab", ".srt",
        ".vtt", ".rttm", ".py", ".ipynb", ".m", ".r", ".sh",
    }
)  # fmt: skip
"""Endings of labels and descriptions, which lie in most corpora and are no clips."""


def is_document(ending: str) -> bool:
    """Tell whether an ending is one of labels or descriptions, of which nothing need be told."""
    return ending in _DOCUMENTS


def is_media_elsewhere(ending: str) -> bool:
    """Tell whether an ending that is not among these is one of sound or film all the same."""
    kind = mimetypes.guess_type(f"a{ending}")[0] or ""
    return kind.startswith(("audio/", "video/")) or ending in _OTHER_MEDIA


def in_words(endings: Iterable[str]) -> str:
    """Return how many files there are of each ending, the most frequent first.

    >>> in_words([".txt", ".caf", ".txt", ""])
    '.txt 2, .caf 1, without ending 1'
    """
    counts = Counter(endings)
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0] or "~"))
    return ", ".join(f"{ending or 'without ending'} {count}" for ending, count in ordered)
