"""Files that try to make the product open other files or connections, or leave the corpus, get nowhere."""

import contextlib
import io
import json
import pickle
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from avpretext import cli, corpora, shards
from avpretext.config import CorpusOptions, MediaOptions
from avpretext.corpora import index
from avpretext.corpora.checks.headers import read_header
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.media import ffmpeg as ffmpeg_command
from avpretext.media import split
from avpretext.media.decode import Decoded
from avpretext.refusal import Refusal
from avpretext.segment import cut

from .conftest import Make

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
Split = Callable[..., Decoded | Refusal]


class Code:
    """Something that, unpickled, writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


class Trap:
    """A server on this machine that notes every connection."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.05)
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        self.caught = 0
        self._open = True
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                connection, _ = self.server.accept()
            except TimeoutError:
                continue
            self.caught += 1
            connection.close()

    def close(self) -> None:
        """Take in what still waits, and end."""
        self._open = False
        self._thread.join()
        self.server.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    listening = Trap()
    yield listening
    listening.close()


def hls(target: object) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n"


def mpd(target: object) -> str:
    return f"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S" minBufferTime="PT1S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4">
<Representation id="1" bandwidth="1000"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>
"""


def sdp(target: object) -> str:
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nu={target}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n"


PLAYLISTS: dict[str, Callable[[object], str]] = {
    "m3u8": hls,
    "master m3u8": lambda target: f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{target}\n",
    "m3u8 with a key": lambda target: hls(target).replace(
        "#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF'
    ),
    "ffconcat": lambda target: f"ffconcat version 1.0\nfile '{target}'\n",
    "mpd": mpd,
    "sdp": sdp,
    "subtitle": lambda target: f"1\n00:00:00,000 --> 00:00:03,000\n<img src='{target}'/>{target}\n",
    "ass": lambda target: (
        f"[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,0:00:00.00,0:00:03.00,,,,,,,{target}\n"
    ),
    "rtsp": lambda target: f"[Reference]\nRef1={target}\n",
    "asx": lambda target: f"<ASX version='3.0'><Entry><Ref href='{target}'/></Entry></ASX>\n",
    "smil": lambda target: f'<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2" Url="{target}"/>\n',
    "svg": lambda target: f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>\n',
}  # fmt: skip


def gab2(text: bytes) -> bytes:
    """Return an AVI with sound and, as the text of a subtitle within it, a playlist: ffmpeg guesses its format."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    def stream(kind: bytes, rate: int, length: int, size: int, form: bytes) -> bytes:
        header = struct.pack("<4s4sIHHIIIIIIII8x", kind, bytes(4), 0, 0, 0, 0, 1, rate, 0, length, 4096, 0, size)
        return chunk(b"LIST", b"strl" + chunk(b"strh", header) + chunk(b"strf", form))

    sound = stream(b"auds", 16_000, 16_000, 2, struct.pack("<HHIIHHH", 1, 1, 16_000, 32_000, 2, 16, 0))
    titles = stream(b"txts", 1, 1, 0, b"")
    main = chunk(b"avih", struct.pack("<14I", 40_000, 0, 0, 16, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0))
    subtitle = b"GAB2\0" + struct.pack("<HIHHI", 2, 2, 0, 4, len(text)) + text
    content = chunk(b"01tx", subtitle) + b"".join(chunk(b"00wb", b"\x00\x10\x00\xf0" * 800) for _ in range(10))
    body = b"AVI " + chunk(b"LIST", b"hdrl" + main + sound + titles) + chunk(b"LIST", b"movi" + content)
    return chunk(b"RIFF", body)


def test_the_trap_catches_a_program_that_is_not_guarded(trap: Trap, ffmpeg: str, tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text(hls(f"http://{trap.address}/a.ts"))
    unguarded = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,http,tcp",
        "-i",
        str(tmp_path / "a.m3u8"),
    ]
    subprocess.run([*unguarded, "-f", "null", "-"], check=False, capture_output=True, timeout=20)
    trap.close()
    assert trap.caught > 0


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_named_like_a_film_opens_no_connection_and_no_file(
    trap: Trap, make: Make, split_file: Split, kind: str
) -> None:
    good = make("good.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x48:d=2", "-f", "lavfi", "-i", "sine=d=2", *H264)
    targets = [f"http://{trap.address}/a.ts", f"tcp://{trap.address}", good.name, good, f"file://{good}"]
    for name in ("a.mp4", "a.ts", "a.wav", "a.mkv"):
        for number, target in enumerate(targets):
            (good.parent / name).write_text(PLAYLISTS[kind](target))
            refusal = split_file(good.parent / name, number % 2 == 0)
            assert isinstance(refusal, Refusal)
            assert refusal.reason == "not_media"
            header = read_header(good.parent / name)
            assert isinstance(header, Refusal)
    trap.close()
    assert trap.caught == 0


def test_a_playlist_hidden_in_a_film_opens_no_connection(trap: Trap, split_file: Split, tmp_path: Path) -> None:
    for text in (
        hls(f"http://{trap.address}/a.ts"),
        hls(f"file://{tmp_path}/secret.ts"),
        mpd(f"http://{trap.address}/"),
    ):
        (tmp_path / "a.avi").write_bytes(gab2(text.encode()))
        clip = split_file(tmp_path / "a.avi", False)
        assert isinstance(clip, Decoded), clip
        assert clip.samples == 16_000, "the sound of the film itself, and nothing else"
        read_header(tmp_path / "a.avi")
    trap.close()
    assert trap.caught == 0


def test_patterns_and_addresses_as_names_are_names(trap: Trap, make: Make, split_file: Split, tmp_path: Path) -> None:
    picture = make("pic1.png", "-f", "lavfi", "-i", "color=red:s=64x48", "-frames:v", 1)
    folder = picture.parent
    for name in ("pic%d.mp4", "pic%d.png", "pic*.png", "pic1.mp4"):
        (folder / name).write_bytes(picture.read_bytes())
        assert split_file(folder / name) == Refusal("not_media", split_file(folder / name).detail)
    for name in (
        f"http:__{trap.address}",
        "concat:pic1.png|pic1.png",
        "subfile,,start,0,end,9,,:pic1.png",
        "pipe:0",
        "-",
    ):
        refusal = split_file(folder / name)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "unreadable", "there is no such file, and nothing else is meant by it"
    refusal = split_file(Path(f"http://{trap.address}/a.mp4"))
    assert isinstance(refusal, Refusal)
    trap.close()
    assert trap.caught == 0


def test_a_picture_that_would_fill_the_memory_is_not_decoded(
    make: Make, split_file: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = ("-f", "lavfi", "-i", "color=gray:s=1024x520:d=1:r=1,format=gray", "-f", "lavfi", "-i", "sine=d=1")
    source = make("a.mkv", *large, "-c:v", "mjpeg", "-q:v", 31, "-pix_fmt", "yuvj420p", "-c:a", "flac")
    assert isinstance(split_file(source), Decoded)
    assert ffmpeg_command.MAX_PIXELS * 3 < 500e6, "bytes"
    monkeypatch.setattr(ffmpeg_command, "MAX_PIXELS", 1024 * 512)
    refusal = split_file(source)
    assert isinstance(refusal, Refusal)
    assert refusal.reason in ("decode_error", "no_video")


def corpus_with(folder: Path, table: str, **more: object) -> CorpusOptions:
    (folder / "corpus").mkdir(exist_ok=True)
    (folder / "clips.csv").write_text(table)
    options = {"path": str(folder / "corpus"), "use": ["pretrain"], "table": str(folder / "clips.csv"), "video": False}
    return CorpusOptions.model_validate(options | more)


@pytest.mark.parametrize(
    "path", ["../secret.wav", "a/../../secret.wav", "{root}/secret.wav", "./../corpus/../secret.wav"]
)
def test_a_table_reaches_out_of_the_corpus_only_where_that_is_allowed(make: Make, tmp_path: Path, path: str) -> None:
    make("in.wav", "-f", "lavfi", "-i", "sine=d=1:r=16000")
    make("../secret.wav", "-f", "lavfi", "-i", "sine=d=2:r=16000")
    table = f"path,clip_id\nin.wav,in\n{path.format(root=tmp_path)},out\n"
    with pytest.raises(UserError, match=r"row 3: .* is not within the corpus folder.*corpora\.NAME\.outside to true"):
        corpora.scan(corpus_with(tmp_path, table))
    allowed = corpus_with(tmp_path, table, outside=True)
    assert {file.clip_id: file.refusal for file in corpora.scan(allowed)} == {"in": None, "out": None}
    index.run(allowed, 0, tmp_path / "index.parquet", tmp_path / "refused.parquet")
    audio = tmp_path / "audio.parquet"
    split.run(tmp_path / "index.parquet", Path(allowed.path), MediaOptions(), audio, None, tmp_path / "no.parquet")
    assert dict(shards.read(audio).select("clip_id", "samples").iter_rows()) == {"in": 16_000, "out": 32_000}


def test_what_a_table_names_elsewhere_must_be_a_media_file(tmp_path: Path) -> None:
    for name in ("secret.txt", "folder.wav/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    paths = ["../secret.txt", "../folder.wav", "../gone.wav", "/dev/zero", "/etc/passwd"]
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "in.wav").write_bytes(b"x")
    options = corpus_with(tmp_path, "path\nin.wav\n" + "".join(f"{path}\n" for path in paths), outside=True)
    refused = {file.path: file.refusal.reason for file in corpora.scan(options) if file.refusal}
    assert refused == dict.fromkeys(paths, "missing_file")
    with pytest.raises(UserError, match="it has bytes that are 0"):
        corpora.scan(corpus_with(tmp_path, "path\n../a\0.wav\n", outside=True))


def test_a_clip_id_reaches_no_file_out_of_the_folder_of_action_units(tmp_path: Path) -> None:
    from avpretext.action_units.from_files import find_files

    (tmp_path / "csv").mkdir()
    (tmp_path / "secret.csv").write_text("x")
    found = find_files(tmp_path / "csv", ["../secret", str(tmp_path / "secret"), "a/../../secret"])
    assert found.files == {}
    assert len(found.missing) == 3


STRANGE = [
    "-i.wav", "$(touch sprung).wav", "`touch sprung`.wav", "a;touch sprung.wav", "it's \"so\".wav", "a b\nc.wav",
    "--help.wav", "%s%n {corpus} {{}}.wav", "a|touch sprung&.wav", "\\\\x\\n.wav", "*?[a].wav", "~.wav",
]  # fmt: skip


def avpretext(folder: Path, *arguments: object) -> tuple[int, str]:
    """Run the command line in a folder; return its exit status and the last line of its standard error."""
    error = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stderr(error), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["avpretext", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0), (error.getvalue().splitlines() or [""])[-1]


def test_no_name_reaches_a_shell_or_is_taken_for_an_option(make: Make, tmp_path: Path) -> None:
    speaker = 'anna\'s $(touch sprung) "x"\n-v'
    content = make("a.wav", "-f", "lavfi", "-i", "sine=d=1:r=16000").read_bytes()
    folder = tmp_path / "my 'corpus' $(touch sprung)"
    (folder / speaker).mkdir(parents=True)
    for name in STRANGE:
        (folder / speaker / name).write_bytes(content)
    assert avpretext(tmp_path, "corpus", "folder", folder, "--audio")[0] == 0
    config = {"corpora": {"mine": {"path": str(folder), "use": ["pretrain"], "video": False}}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    no = ("--rejects", "-no.parquet")
    for command in (
        ("index", "--corpus", "mine", "--shard", 0, "--output", "index.parquet", *no),
        ("split", "--index", "index.parquet", "--folder", folder, "--audio", "audio.parquet", *no),
        ("speech", "--audio", "audio.parquet", "--output", "speech.parquet", *no),
    ):  # fmt: skip
        status, said = avpretext(tmp_path, *command)
        assert status == 0, said
    audio = shards.read(tmp_path / "audio.parquet")
    assert sorted(audio["clip_id"]) == sorted(f"{speaker}/{name.removesuffix('.wav')}" for name in STRANGE)
    assert set(audio["speaker"]) == {speaker}
    assert shards.read(tmp_path / "speech.parquet")["clip_id"].n_unique() == len(STRANGE)
    assert not list(tmp_path.rglob("sprung"))


@pytest.mark.workflow
def test_the_whole_workflow_quotes_every_name(make: Make, tmp_path: Path) -> None:
    from tests.workflow.project import Project

    content = make("a.wav", "-f", "lavfi", "-i", "sine=d=2:r=16000").read_bytes()
    folder = tmp_path / 'a project\'s $(touch sprung) "files"'
    for speaker in ("anna's; touch sprung", "$(touch sprung)", "-o\nx"):
        (folder / "my $(touch sprung) 'clips'" / speaker).mkdir(parents=True)
        for name in STRANGE[:4]:
            (folder / "my $(touch sprung) 'clips'" / speaker / name).write_bytes(content)
    mine = {"path": "my $(touch sprung) 'clips'", "use": ["pretrain"], "video": False, "shards": 1}
    project = Project(folder, {"results": "my results' $(touch sprung)", "corpora": {"mine": mine}})
    project.snakemake("pseudo_labels")
    labels = sorted((folder / "my results' $(touch sprung)").rglob("labels_energy/*.parquet"))
    assert shards.read(labels)["clip_id"].n_unique() == 12
    assert not list(tmp_path.rglob("sprung"))


@pytest.mark.parametrize("name", ["$(touch sprung)", "a b", "a;b", "../a", "a/b", "-a", "a'b", "a\nb", ""])
def test_a_corpus_is_named_by_letters_and_digits(name: str) -> None:
    from avpretext.config_file import parse

    with pytest.raises(UserError, match="a name has letters, digits, - and _"):
        parse({"corpora": {name: {"path": ".", "use": ["pretrain"]}}})


def test_every_value_in_a_shell_command_of_a_rule_is_quoted_or_constrained() -> None:
    """Bare are what the rules' own helper has quoted, numbers, and the name of the stage; all else is quoted."""
    commands = [
        command
        for file in RULES.glob("*.smk")
        for command in re.findall(r"python -m avpretext.*?2>", file.read_text(), re.S)
    ]
    assert commands
    for command in commands:
        bare = set(re.findall(r"\{([\w.]+)\}", command))
        assert bare <= {"params.stage", "params.arguments", "params.clips", "threads"}, command


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_a_checkpoint_with_code_in_it_is_refused_and_the_code_not_run(tmp_path: Path, name: str) -> None:
    from avpretext.training import checkpoint

    file, sprung = tmp_path / name, tmp_path / "sprung"
    torch.save({"best.head.weight": Code(sprung)}, file)
    with pytest.raises(UserError, match="not a checkpoint of avpretext"):
        checkpoint.read(file)
    file.write_bytes(pickle.dumps(Code(sprung)))
    with pytest.raises(UserError, match="not a checkpoint of avpretext"):
        checkpoint.read(file)
    status, said = avpretext(tmp_path, "convert", file.rename(tmp_path / "b.pth.tar"), "b.safetensors")
    assert status == 2
    assert said.startswith("avpretext: error: ")
    assert not sprung.exists()
    assert not (tmp_path / "b.safetensors").exists()


def test_no_stage_unpickles_what_it_did_not_write_itself() -> None:
    source = RULES.parents[1] / "src" / "avpretext"
    loading = re.compile(r"pickle\.loads?\(|torch\.load\((?![^)]*weights_only=True)|allow_pickle=True|joblib\.load")
    found = [file.name for file in source.rglob("*.py") if loading.search(file.read_text())]
    assert set(found) <= {"run_pool.py"}, "a pipe between a process and those that it started"


def test_a_face_model_that_was_swapped_is_not_loaded(tmp_path: Path) -> None:
    from avpretext.config import LandmarkOptions, SegmentOptions
    from avpretext.face import landmarks

    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"another model")
    outputs = [tmp_path / f"{name}.parquet" for name in ("frames", "landmarks", "rejects", "preview")]
    shards.write_table(outputs[0], [], schema_of("split.frames"), {})
    with pytest.raises(UserError, match=r"its SHA-256 is .*, expected .*run the stage 'models' again"):
        landmarks.run(outputs[0], model, LandmarkOptions(), landmarks.Artefacts(*outputs[1:]))
    with pytest.raises(UserError, match="its SHA-256 is"):
        cut.run(
            outputs[0],
            tmp_path,
            SegmentOptions(),
            MediaOptions(),
            CorpusOptions(path=".", use=[], video=True),
            model,
            *outputs[1:3],
        )
