"""What disk, memory or machine did refuses no clip: the job fails, and the next one finds the clip."""

import errno
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from avpretext import corpora, refusal, shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import CorpusOptions, MediaOptions
from avpretext.corpora import index
from avpretext.errors import MachineFault
from avpretext.media import bounds, effort, faults, split
from avpretext.media.decode import Decoded, decode
from avpretext.media.endings import broken_off
from avpretext.media.process import FfmpegProcess
from avpretext.orofacial import phone_files
from avpretext.refusal import Refusal

from .conftest import Make

TONE = ("-f", "lavfi", "-i", "sine=d=1:r=44100")
KILLED = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGBUS]
SAID = [errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENOTCONN]


@pytest.fixture
def clip(make: Make) -> Path:
    return make("a.mp3", *TONE)


@pytest.fixture
def wrapped(tmp_path: Path, ffmpeg: str) -> Callable[..., str]:
    """Return a script in place of ffmpeg that does something else the first few times that it is given a clip."""

    def write(does: str, times: int = 10**6, log: str = "") -> str:
        script = tmp_path / "wrapped"
        script.write_text(
            f"#!{sys.executable}\nimport os, resource, signal, sys, time\nfrom pathlib import Path\n"
            f"arguments = sys.argv[1:]\ncount = Path({str(tmp_path / 'count')!r})\n"
            f"began = int(count.read_text()) if count.exists() else 0\n"
            f"if any(word.startswith('file:') for word in arguments):\n    count.write_text(str(began + 1))\n"
            f"    if began < {times}:\n        {does}\n"
            f"os.execv({ffmpeg!r}, ['ffmpeg', *arguments])\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script)

    return write


def run(program: str, clip: Path, folder: Path) -> Path:
    """Run index and split on the folder of a clip; return the shard of refused clips."""
    options = CorpusOptions(path=str(clip.parent), use=["pretrain"], video=False)
    index.run(options, 0, folder / "index.parquet", folder / "no.parquet")
    media = MediaOptions(ffmpeg=program)
    split.run(folder / "index.parquet", clip.parent, media, folder / "a.parquet", None, folder / "r.parquet")
    return folder / "r.parquet"


@pytest.mark.parametrize("by", KILLED)
def test_a_signal_fails_the_job_and_the_next_one_finds_the_clip(
    clip: Path, wrapped: Callable[..., str], tmp_path: Path, by: signal.Signals
) -> None:
    heeded = "" if by == signal.SIGKILL else f"signal.signal({int(by)}, signal.SIG_DFL); "  # nohup ignores SIGHUP
    program = wrapped(f"{heeded}os.kill(os.getpid(), {int(by)})" if by != signal.SIGINT else "os._exit(130)", times=1)
    with pytest.raises(MachineFault, match=rf"a\.mp3: ffmpeg was ended by {by.name}; .*run the same command again"):
        run(program, clip, tmp_path)
    assert not (tmp_path / "r.parquet").exists()
    assert shards.read(run(program, clip, tmp_path)).is_empty()
    assert shards.read(tmp_path / "a.parquet").height == 1


def test_a_decoder_that_is_asked_to_end_does_not_leave_a_shorter_clip(make: Make, ffmpeg: str) -> None:
    """ffmpeg ends as after a shorter file where it is asked to."""
    long = make("long.wav", "-f", "lavfi", "-i", "sine=d=300:r=48000")
    with FfmpegProcess(long, ffmpeg, MediaOptions(), video=False) as process:
        heard = process.listen(SAMPLE_RATE_HZ)
        next(heard)
        os.kill(process._process.pid, signal.SIGTERM)
        assert sum(map(len, heard)) < 299 * SAMPLE_RATE_HZ
        with pytest.raises(MachineFault, match="SIGTERM"):
            faults.ending(process, None, whole=True)


@pytest.mark.parametrize("code", SAID)
def test_what_ffmpeg_says_of_disk_and_memory_is_tried_again(
    clip: Path, wrapped: Callable[..., str], tmp_path: Path, code: int
) -> None:
    said = f"print('[in#0 @ 0x1] [error] Error opening input: {os.strerror(code)}', file=sys.stderr); os._exit(1)"
    for times in (1, 3):
        (tmp_path / "count").unlink(missing_ok=True)
        program = wrapped(said, times)
        if times == 3:
            # Always the same: the file is at fault, unless ffmpeg has not its memory either.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(faults, "has_memory", lambda program: False)
                with pytest.raises(MachineFault, match=os.strerror(code)):
                    run(program, clip, tmp_path)
        assert shards.read(run(program, clip, tmp_path)).is_empty()


def test_a_decoder_that_crashes_on_a_file_each_time_refuses_it(
    clip: Path, wrapped: Callable[..., str], tmp_path: Path
) -> None:
    crash = f"os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    assert shards.read(run(wrapped(crash, times=1), clip, tmp_path)).is_empty()
    refused = shards.read(run(wrapped(crash), clip, tmp_path))
    assert refused.select("reason", "detail").rows() == [("decode_error", "ffmpeg crashes (SIGSEGV)")]


def test_a_limit_of_memory_is_no_fault_of_the_file(clip: Path, wrapped: Callable[..., str], tmp_path: Path) -> None:
    limited = Path(wrapped("pass"))
    limit = "'-version' in arguments or resource.setrlimit(resource.RLIMIT_AS, (170 << 20,) * 2)\nos.execv"
    limited.write_text(limited.read_text().replace("os.execv", limit))
    with pytest.raises(MachineFault):
        run(str(limited), clip, tmp_path)


def test_a_disk_that_fails_while_it_is_read_refuses_nothing(clip: Path, ffmpeg: str, tmp_path: Path) -> None:
    """Of its own memory at 0, which nothing is mapped at, a process reads an input/output error."""
    (tmp_path / "bad.mp3").symlink_to("/proc/self/mem")
    with pytest.raises(MachineFault, match=os.strerror(errno.EIO)):
        decode(tmp_path / "bad.mp3", ffmpeg, MediaOptions(), False)
    with pytest.raises(MachineFault, match=os.strerror(errno.EIO)):
        broken_off(tmp_path / "bad.mp3")
    with pytest.raises(MachineFault, match=os.strerror(errno.EIO)):
        refusal.check_readable(str(tmp_path / "bad.mp3"))


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE, errno.ENOTCONN])
def test_a_disk_that_fails_while_the_corpus_is_listed_refuses_nothing(
    make: Make, corpus: CorpusOptions, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    make("a/x.wav", *TONE)
    real = os.stat

    def failing(path: object, **more: object) -> os.stat_result:
        if str(path).endswith("x.wav"):
            raise OSError(code, os.strerror(code), path)
        return real(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", failing)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MachineFault, match=os.strerror(code)):
        refusal.refuse_path(str(Path(corpus.path) / "a/x.wav"), 10)
    with pytest.raises(MachineFault, match=os.strerror(code)):
        corpora.scan(corpus.model_copy(update={"video": False}))


def test_labels_of_phones_on_a_disk_that_fails_refuse_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.TextGrid").symlink_to("/proc/self/mem")
    with pytest.raises(MachineFault):
        phone_files._read(tmp_path / "bad.TextGrid")


def test_a_file_that_is_gone_after_it_was_listed_is_no_refused_clip(clip: Path, ffmpeg: str, tmp_path: Path) -> None:
    options = CorpusOptions(path=str(clip.parent), use=["pretrain"], video=False)
    index.run(options, 0, tmp_path / "index.parquet", tmp_path / "no.parquet")
    clip.unlink()
    with pytest.raises(MachineFault, match="was there when the corpus was listed"):
        split.run(tmp_path / "index.parquet", clip.parent, MediaOptions(), tmp_path / "a.parquet", None, tmp_path / "r")


def test_a_job_that_is_suspended_loses_no_clip(
    clip: Path, wrapped: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "STALL_LIMIT_S", 0.5)
    monkeypatch.setattr(effort, "POLL_S", 0.05)
    (tmp_path / "pid").unlink(missing_ok=True)
    program = wrapped(
        f"Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); os.kill(os.getpid(), signal.SIGSTOP)"
    )

    def go_on() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.05)
        time.sleep(2)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGCONT)

    waking = threading.Thread(target=go_on)
    waking.start()
    found = decode(clip, program, MediaOptions(), False)
    waking.join()
    assert isinstance(found, Decoded)


def test_time_in_which_this_process_was_suspended_too_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "_PROC", Path("/nowhere"))
    clock = iter([0.0, 0.5, 115.0])
    monkeypatch.setattr(effort.time, "monotonic", lambda: next(clock))
    used = effort.Effort(1)
    used.look()
    used.look()
    assert used.stalled_s == 0.5 + 2 * effort.POLL_S


def test_what_a_process_and_its_children_do_is_seen(tmp_path: Path) -> None:
    import subprocess

    works = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    for script, works_on in ((works, True), ("import time; time.sleep(60)", False)):
        with subprocess.Popen([sys.executable, "-c", script], process_group=0) as process:
            used = effort.Effort(process.pid)
            time.sleep(0.7)
            used.look()
            time.sleep(0.5)
            used.look()
            before = used.cpu_s
            time.sleep(0.5)
            used.look()
            os.killpg(process.pid, signal.SIGKILL)
        assert (used.cpu_s > before) == works_on
        assert (used.stalled_s > 0.4) != works_on


def test_a_clip_that_does_nothing_twice_is_refused(
    clip: Path, wrapped: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "STALL_LIMIT_S", 0.6)
    monkeypatch.setattr(effort, "POLL_S", 0.1)
    hangs = wrapped("time.sleep(60)", times=1)
    assert isinstance(decode(clip, hangs, MediaOptions(), False), Decoded), "it hung once only"
    found = decode(clip, wrapped("time.sleep(60)"), MediaOptions(), False)
    assert found == Refusal("timeout", "nothing for 1 s")


def test_a_picture_that_needs_more_memory_than_a_decoder_may_have_is_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=1920x1080:d=1:r=25", *TONE)
    source = make("large.mkv", *picture, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac")
    program = str(imageio_ffmpeg.get_ffmpeg_exe())
    assert isinstance(decode(source, program, MediaOptions(), True), Decoded)
    monkeypatch.setattr(bounds, "DECODER_MB", 40)
    monkeypatch.setattr(faults, "has_memory", lambda program: True)
    found = decode(source, program, MediaOptions(), True)
    assert isinstance(found, Refusal)
    assert found.reason in ("decode_error", "no_video", "truncated")
    assert "more than" in found.detail


def test_the_rules_ask_for_what_a_clip_may_take() -> None:
    rules = Path(__file__).resolve().parents[2] / "workflow" / "rules"
    media, common = ((rules / name).read_text("utf-8") for name in ("media.smk", "common.smk"))
    assert media.count("+ DECODER_MB") == media.count("retries: 1") == 3
    assert media.count("+ LONGEST_CLIP_MIN") == 2
    assert "limit_s(CONFIG.split.max_duration_s)" in common
