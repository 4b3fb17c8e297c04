"""Small media files, made on the fly."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from avpretext.config import CorpusOptions, MediaOptions
from avpretext.media.decode import Decoded, decode
from avpretext.refusal import Refusal

FLASH = "color=black:s=160x120:r={rate}:d=3,drawbox=c=white:t=fill:enable='between(t,0.999,1.199)'"
BEEP = "aevalsrc='0.8*sin(2*PI*1000*t)*between(t,1,1.2)':s=44100:d=3"
Make = Callable[..., Path]


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, ...], Path]]:
    """Files that were made once of no other file: folder, and by ending and arguments."""
    return tmp_path_factory.mktemp("made"), {}


@pytest.fixture
def make(ffmpeg: str, tmp_path: Path, made: tuple[Path, dict[tuple[str, ...], Path]]) -> Make:
    """Run ffmpeg with these arguments and this file's name, and return the file."""
    folder, known = made

    def encode(file: Path, arguments: tuple[str, ...]) -> None:
        subprocess.run([ffmpeg, "-y", "-nostdin", "-loglevel", "error", *arguments, f"file:{file}"], check=True)

    def run(name: str, *arguments: object) -> Path:
        file, words = tmp_path / "corpus" / name, tuple(map(str, arguments))
        file.parent.mkdir(parents=True, exist_ok=True)
        if "%" in name or any("lavfi" not in words[k - 2 : k] for k, word in enumerate(words) if words[k - 1] == "-i"):
            encode(file, words)
            return file
        key = (file.suffix, *words)
        if key not in known:
            known[key] = folder / f"{len(known)}{file.suffix}"
            encode(known[key], words)
        shutil.copy(known[key], file)
        return file

    return run


@pytest.fixture
def flash_and_beep(make: Make) -> Make:
    """Make a clip of 3 s with a flash and a beep from 1.0 to 1.2 s; each may come `late` by some seconds."""

    def run(name: str, *encoding: object, video_late: float = 0, audio_late: float = 0) -> Path:
        video = ["-itsoffset", video_late, "-f", "lavfi", "-i", FLASH.format(rate=25)]
        audio = ["-itsoffset", audio_late, "-f", "lavfi", "-i", BEEP]
        return make(name, *video, *audio, "-map", "0:v", "-map", "1:a", *encoding)

    return run


@pytest.fixture
def split_file(ffmpeg: str, tmp_path: Path) -> Callable[..., Decoded | Refusal]:
    """Decode one file with these options of `split`."""

    def run(source: Path, video: bool = True, **options: object) -> Decoded | Refusal:
        return decode(source, ffmpeg, MediaOptions(**options), video, tmp_path)

    return run


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusOptions:
    """The folder that `make` fills."""
    return CorpusOptions(path=str(tmp_path / "corpus"), use=["pretrain"])


@pytest.fixture
def options() -> MediaOptions:
    return MediaOptions()
