"""A check says what a copy of a corpus holds and all that is wrong with it, in numbers counted by hand."""

import io
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import polars as pl
import pytest
import soundfile
from rich.console import Console
from tests.corpora import made

from avpretext.config import CorpusOptions
from avpretext.corpora.checks import check as checking
from avpretext.corpora.checks.check import check
from avpretext.corpora.checks.headers import FileHeader, read_header, refuse_by_header, spread
from avpretext.corpora.checks.overview import CorpusCheck, FoldFacts, Overview
from avpretext.corpora.findings import FIXES, Finding
from avpretext.corpora.reader import Clip, Entry, Published, Reader, Source
from avpretext.corpora.readers import READERS, crema_d
from avpretext.refusal import REASONS, Refusal

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
COLOUR = "color=black:s=64x48:r=25:d=1"
TONE = "sine=frequency=440:sample_rate=16000:duration=1"


def corpus(path: Path, reader: str = "folder", **more: object) -> CorpusOptions:
    return made.corpus(path, reader, **{"video": False, **more})


def sound(root: Path, name: str, seconds: float = 1.0) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.random.default_rng(1).integers(-3000, 3000, int(16_000 * seconds), dtype=np.int16), 16_000)


def ffmpeg(root: Path, name: str, *arguments: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error", *arguments, str(root / name)]
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, check=True)
    return root / name


def read_as(monkeypatch: pytest.MonkeyPatch, reader: Reader, name: str = "table") -> None:
    monkeypatch.setitem(READERS, name, reader)


def finding(found: CorpusCheck, reason: str) -> Finding:
    (one,) = (entry for entry in found.findings if entry.reason == reason)
    return one


def shown(found: CorpusCheck, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(Overview(found))
    return console.file.getvalue()


def small_crema_d(root: Path, monkeypatch: pytest.MonkeyPatch, clips: int = 3) -> CorpusOptions:
    """Make three sound clips of CREMA-D's two first actors, and say that so many are published."""
    for seconds, name in enumerate(("1001_DFA_ANG_XX", "1001_DFA_SAD_XX", "1002_DFA_ANG_XX"), start=1):
        sound(root, f"AudioWAV/{name}.wav", seconds)
    known = Published(
        "CREMA-D", "Cao et al., 2014", "https://example.org", "ODbL", {"": clips}, {"": 6 / 3600}, {"": 2}
    )
    read_as(monkeypatch, replace(crema_d.READER, published=known, checksums=dict), "crema_d")
    return corpus(root, "crema_d")


def test_a_whole_and_sound_copy_is_told_in_full_and_nothing_is_wrong(tmp_path, monkeypatch):
    options = small_crema_d(tmp_path, monkeypatch)
    found = check(options)
    assert (found.clips, found.media, found.read) == (3, {"wav": 3}, {"wav": 3})
    assert found.lengths.hours == pytest.approx((1 + 2 + 3) / 3600)
    assert found.lengths.margin_hours is None
    assert found.speakers == {"1001": Counter(ANG=1, SAD=1), "1002": Counter(ANG=1)}
    assert [entry.words for entry in found.comparisons] == [
        "all 3 published clips",
        "6 s of 6 s published",
        "all 2 published speakers",
    ]
    assert FoldFacts("chou", 3, 2, 5, 91) in found.protocols
    assert (found.wrong, checking.run(options)) == (0, 0)
    assert shown(found).endswith("\nNothing is wrong.\n")


def test_less_or_more_than_is_published_is_wrong(tmp_path, monkeypatch):
    for published, words in ((7442, "3 of 7,442 published clips"), (2, "3 clips, 1 more than the 2 published")):
        options = small_crema_d(tmp_path, monkeypatch, published)
        found = check(options)
        assert finding(found, "incomplete").examples == (words,)
        assert words in shown(found)
        assert checking.run(options) == 1
    chosen = options.model_copy(update={"speakers": ["1001"]})
    assert (check(chosen).comparisons, check(chosen).wrong) == ((), 0)


def test_hours_are_compared_only_where_all_clips_are_there(tmp_path, monkeypatch):
    options = small_crema_d(tmp_path, monkeypatch)
    sound(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", 20)
    assert finding(check(options), "incomplete").examples == ("25 s of 6 s published",)
    (tmp_path / "AudioWAV" / "1001_DFA_SAD_XX.wav").unlink()
    assert finding(check(options), "incomplete").examples == ("2 of 3 published clips",)


def test_clips_that_every_copy_holds_broken_count_as_there_and_are_not_wrong(tmp_path, monkeypatch):
    options = small_crema_d(tmp_path, monkeypatch, clips=4)
    sound(tmp_path, "AudioWAV/1076_MTI_SAD_XX.wav")
    found = check(options)
    assert found.comparisons[0].words == "all 4 published clips"
    assert (finding(found, "known_broken").wrong, finding(found, "known_broken").count) == (False, 1)
    assert (found.clips, found.wrong) == (3, 0)


def test_refused_files_are_told_by_reason_with_examples_and_the_fix(tmp_path, monkeypatch):
    options = small_crema_d(tmp_path, monkeypatch)
    for number in range(1003, 1008):
        (tmp_path / "AudioWAV" / f"{number}_DFA_ANG_XX.wav").write_bytes(POINTER)
    (tmp_path / "AudioWAV" / "1001_ITS_ANG_XX.wav").write_bytes(b"")
    sound(tmp_path, "AudioWAV/holiday.wav")
    sound(tmp_path, "again/AudioWAV/1001_DFA_ANG_XX.wav")
    found = check(options)
    counts = {entry.reason: entry.count for entry in found.findings}
    assert counts == {"lfs_pointer": 5, "duplicate_clip_id": 1, "empty_file": 1, "unknown_name": 1}
    pointers = finding(found, "lfs_pointer")
    assert pointers.examples == tuple(f"AudioWAV/{number}_DFA_ANG_XX.wav" for number in range(1003, 1006))
    assert pointers.meaning == REASONS["lfs_pointer"]
    assert finding(found, "duplicate_clip_id").examples == (
        "again/AudioWAV/1001_DFA_ANG_XX.wav (as AudioWAV/1001_DFA_ANG_XX.wav)",
    )
    text = shown(found)
    assert "5 x lfs_pointer" in text
    assert "and 2 more" in text
    assert "git lfs install" in text
    assert text.endswith("\n4 things are wrong.\n")
    assert checking.run(options) == 1


def test_every_reason_that_can_be_found_has_a_fix():
    of_later_stages = {"decode_error", "too_short", "too_long", "timeout", "no_face", "no_segments"}
    of_later_stages |= {"lost_sound", "no_text", "unknown_word", "silent", "no_alignment", "no_phones"}
    assert set(REASONS) - of_later_stages <= set(FIXES)


def test_streams_that_are_missing_and_headers_that_cannot_be_read_are_wrong(tmp_path):
    good = ffmpeg(tmp_path, "good.mp4", "-f", "lavfi", "-i", COLOUR, "-f", "lavfi", "-i", TONE, "-c:a", "aac")
    ffmpeg(tmp_path, "mute.mp4", "-i", str(good), "-an", "-c", "copy")
    ffmpeg(tmp_path, "blind.mp4", "-i", str(good), "-vn", "-c", "copy")
    (tmp_path / "text.mp4").write_bytes(b"no video at all" * 100)
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:3000])
    reasons = {"mute.mp4": "no_audio", "blind.mp4": "no_video", "text.mp4": "not_media", "cut.mp4": "truncated"}
    found = check(corpus(tmp_path, video=True))
    assert {entry.examples[0].partition(" ")[0]: entry.reason for entry in found.findings if entry.wrong} == reasons
    found = check(corpus(tmp_path))
    assert "no_video" not in {entry.reason for entry in found.findings}
    assert check(corpus(tmp_path, video=True), "none").wrong == 0


def test_a_folder_without_any_sound_is_told_how_it_can_be_used(tmp_path):
    good = ffmpeg(tmp_path, "good.mp4", "-f", "lavfi", "-i", COLOUR, "-f", "lavfi", "-i", TONE, "-c:a", "aac")
    for name in ("a.mp4", "b.mp4"):
        ffmpeg(tmp_path / "mute", name, "-i", str(good), "-an", "-c", "copy")
    found = check(corpus(tmp_path / "mute", video=True))
    assert finding(found, "no_sound").count == found.wrong + 1 == 2
    assert "corpora.NAME.audio to false (here: --silent)" in finding(found, "no_sound").fix
    mixed = finding(check(corpus(tmp_path, video=True)), "no_audio")
    assert (mixed.count, mixed.wrong) == (2, True)
    assert "corpora.NAME.audio: false" in mixed.fix
    silent = check(corpus(tmp_path / "mute", video=True, audio=False, use=["pretrain"]), listened="all")
    assert silent.wrong == 0
    words = " ".join(shown(silent).split())
    assert "read as folder, video alone" in words
    assert "sound not read: audio: false" in words


@pytest.mark.parametrize(
    "name", ["a.wav", "a.flac", "a.mp3", "a.m4a", "a.aac", "a.ogg", "a.aiff", "a.flv", "a.mkv", "a.ts"]
)
def test_files_that_break_off_are_told_before_any_work(tmp_path, name):
    ffmpeg(tmp_path, name, "-f", "lavfi", "-i", "aevalsrc='0.3*sin(2*PI*300*t)+0.05*random(0)':s=44100:d=4")
    content = (tmp_path / name).read_bytes()
    (tmp_path / f"cut.{name}").write_bytes(content[: len(content) // 2 - 1])
    found = check(corpus(tmp_path))
    [finding] = [entry for entry in found.findings if entry.wrong]
    assert (finding.reason, finding.count) == ("truncated", 1)
    assert finding.examples[0].startswith(f"cut.{name}")


def test_a_clip_before_the_break_of_its_recording_is_no_finding(tmp_path):
    sound(tmp_path, "a.wav", 4)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: len(content) * 3 // 4])
    header = read_header(tmp_path / "a.wav")
    for end_s, reason in ((2.0, None), (None, "truncated")):
        refusal = refuse_by_header(header, [Clip("a", None, start_s=1.0, end_s=end_s)], False)
        assert (refusal and refusal.reason) == reason


def test_headers_agree_whoever_reads_them(tmp_path):
    sound(tmp_path, "a.wav", 1.5)
    ffmpeg(tmp_path, "a.mp3", "-i", str(tmp_path / "a.wav"))
    ffmpeg(tmp_path, "law.flv", "-i", str(tmp_path / "a.wav"), "-c:a", "pcm_mulaw", "-ar", "11025")
    (tmp_path / "odd.wav").write_bytes((tmp_path / "a.mp3").read_bytes())
    assert read_header(tmp_path / "a.wav") == FileHeader(1.5, audio=True, video=False)
    for name in ("a.mp3", "odd.wav", "law.flv"):
        header = read_header(tmp_path / name)
        assert (header.audio, header.video) == (True, False)
        assert header.duration_s == pytest.approx(1.5, abs=0.1)


def test_a_length_that_is_not_declared_is_unknown(tmp_path):
    sound(tmp_path, "a.wav", 1.5)
    piped = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(tmp_path / "a.wav"), "-f", "flac", "-"]
    (tmp_path / "b.flac").write_bytes(subprocess.run(piped, check=True, capture_output=True).stdout)
    assert read_header(tmp_path / "b.flac") == FileHeader(None, audio=True, video=False)
    lengths = check(corpus(tmp_path)).lengths
    assert (lengths.hours * 3600, lengths.margin_hours) == (pytest.approx(3.0), 0.0)
    (tmp_path / "a.wav").unlink()
    assert check(corpus(tmp_path)).lengths.hours is None


def test_a_playlist_opens_no_other_file(tmp_path):
    sound(tmp_path, "secret.wav")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile secret.wav\n")
    with av.open(str(tmp_path / "list.mp4")) as opened:  # FFmpeg follows it unless it is told not to
        assert opened.streams.audio
    assert read_header(tmp_path / "list.mp4").reason == "not_media"


def test_hours_of_a_sample_are_an_estimate_with_its_margin(tmp_path, monkeypatch):
    for number, seconds in enumerate((1, 1, 3, 3)):
        sound(tmp_path, f"{number}.wav", seconds)
    monkeypatch.setattr(checking, "SAMPLE", 2)
    lengths = check(corpus(tmp_path)).lengths
    assert (lengths.opened, lengths.files) == (2, 4)
    # Files 0 and 2 are opened: 2 s in the mean, deviation 1.414 s; 1.96 * 1.414 * 4 * sqrt(1/2 - 1/4) = 5.54 s.
    assert lengths.hours * 3600 == pytest.approx(8)
    assert lengths.margin_hours * 3600 == pytest.approx(5.5437, abs=1e-3)
    assert "about 8 s ± 6 s, from the headers of 2 of 4 files" in " ".join(shown(check(corpus(tmp_path)), 120).split())
    assert check(corpus(tmp_path), "all").lengths.margin_hours is None
    assert check(corpus(tmp_path), "none").lengths is None


def test_a_sample_is_spread_over_the_whole_corpus():
    assert spread([str(number) for number in range(10)], 5) == ["0", "2", "4", "6", "8"]
    assert spread(["a", "b"], 5) == ["a", "b"]
    assert spread(["a", "b"], 0) == []


def test_clips_within_files_last_as_long_as_their_table_says(tmp_path, monkeypatch):
    sound(tmp_path, "long.wav", 10)
    first, second = Clip("a", "s", start_s=1.0, end_s=3.0), Clip("b", "s", start_s=4.0, end_s=4.5)
    read_as(monkeypatch, Reader(lambda options, files: [Entry("long.wav", first), Entry("long.wav", second)]))
    found = check(corpus(tmp_path, "table"))
    assert (found.clips, found.lengths.hours * 3600, found.wrong) == (2, pytest.approx(2.5), 0)
    open_end = Clip("c", "s", start_s=4.0)
    read_as(monkeypatch, Reader(lambda options, files: [Entry("long.wav", first), Entry("long.wav", open_end)]))
    assert check(corpus(tmp_path, "table")).lengths.hours * 3600 == pytest.approx(2 + 6)
    beyond = Clip("d", "s", start_s=9.0, end_s=12.0)
    read_as(monkeypatch, Reader(lambda options, files: [Entry("long.wav", beyond)]))
    wrong = finding(check(corpus(tmp_path, "table")), "bad_segment")
    assert wrong.examples == ("long.wav (it ends at 12.00 s, the file at 10.00 s)",)


def test_rows_without_a_file_and_files_without_a_row_are_told(tmp_path, monkeypatch):
    sound(tmp_path, "here.wav")
    sound(tmp_path, "extra.wav")
    entries = [
        Entry("here.wav", Clip("here", "s")),
        Entry("gone.wav", Clip("gone", "s"), Refusal("missing_file")),
        Entry("extra.wav", None, Refusal("unlisted")),
    ]
    read_as(monkeypatch, Reader(lambda options, files: entries))
    found = check(corpus(tmp_path, "table"))
    assert finding(found, "missing_file").examples == ("gone.wav",)
    assert finding(found, "unlisted").examples == ("extra.wav",)
    assert (found.clips, found.read) == (1, {"wav": 2})


def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **sources: Source) -> CorpusOptions:
    """Make a corpus of four clips of two speakers, with these label sources."""
    for name in "abcd":
        sound(tmp_path, f"{name}.wav", 0.1)
    entries = [Entry(f"{name}.wav", Clip(name, "s" if name < "c" else "t")) for name in "abcd"]
    parts = pl.DataFrame({"clip_id": ["a", "b", "c"], "partition": ["train", "test", "test"]})
    reader = Reader(lambda options, files: entries, sources=lambda options: sources, partitions=lambda options: parts)
    read_as(monkeypatch, reader)
    return corpus(tmp_path, "table")


def test_every_target_is_told_with_its_classes_ties_and_numbers(tmp_path, monkeypatch):
    votes = pl.DataFrame({"clip_id": ["a", "b", "c"], "anger": [3, 1, 2], "joy": [1, 1, 0]})
    numbers = pl.DataFrame({"clip_id": ["a", "b", "c", "d"], "value": [1.0, None, 7.0, 4.0]})
    sources = {"voice": Source("votes", lambda options: votes), "arousal": Source("attribute", lambda options: numbers)}
    options = labelled(tmp_path, monkeypatch, **sources)
    voice, arousal = check(options).targets
    assert (voice.clips, voice.counts, voice.ties) == (2, {"anger": 2}, 1)
    assert voice.problem is not None  # all labelled clips are of one class
    assert (arousal.clips, arousal.numbers, arousal.problem) == (3, (1.0, 4.0, 7.0), None)
    assert "1 to 7, mean 4.00" in shown(check(options))
    assert finding(check(options), "target").meaning == "'voice' cannot be learnt"
    assert check(options.model_copy(update={"targets": ["arousal"]})).wrong == 0


def test_a_table_that_lies_in_the_folder_is_named_where_no_labels_are_known(tmp_path: Path) -> None:
    sound(tmp_path, "anna/1.wav")
    assert "none are known\n" in shown(check(corpus(tmp_path)))
    (tmp_path / "clips.csv").write_text("path,emotion\nanna/1.wav,sad\n")
    told = " ".join(shown(check(corpus(tmp_path))).split())
    assert "labels none are known; --table reads a table of the folder: clips.csv" in told
    assert "--table reads" not in shown(check(corpus(tmp_path, table="clips.csv")))


def test_labels_are_told_as_the_label_map_has_them(tmp_path, monkeypatch):
    table = pl.DataFrame({"clip_id": ["a", "b", "c", "d"], "label": ["rage", "anger", "joy", "other"]})
    options = labelled(tmp_path, monkeypatch, emotion=Source("label", lambda options: table))
    mapped = options.model_copy(update={"label_map": {"rage": "anger", "anger": "anger", "joy": "joy", "other": None}})
    found = check(mapped)
    assert found.targets[0].counts == {"anger": 2, "joy": 1}
    assert found.speakers == {"s": Counter(anger=2), "t": Counter({"joy": 1, None: 1})}
    assert "'emotion' cannot be learnt" in shown(check(options.model_copy(update={"label_map": {"rage": "anger"}})))


def test_only_a_target_that_is_to_be_learnt_is_wrong_when_it_cannot_be_read(tmp_path, monkeypatch):
    options = small_crema_d(tmp_path, monkeypatch)
    found = check(options)
    assert [entry.problem is None for entry in found.targets] == [True, False, False, False]
    assert found.wrong == 0
    assert "voice  votes     tabulatedVotes.csv: no such file\n" in shown(found)
    chosen = check(options.model_copy(update={"targets": ["voice-distribution"]}))
    assert "copy it from the corpus" in finding(chosen, "target").examples[0]


def test_partitions_are_told_with_clips_speakers_and_those_in_several(tmp_path, monkeypatch):
    found = check(labelled(tmp_path, monkeypatch))
    assert found.partitions == (FoldFacts("(none)", 1, 1), FoldFacts("test", 2, 2), FoldFacts("train", 1, 1))
    assert found.shared_speakers == ("s",)
    assert "1 speaker is in several partitions, such as s" in " ".join(shown(found).split())


def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speakers: int) -> CorpusCheck:
    """Check a corpus in which speaker number n, of 1 and more, has n clips."""
    sound(tmp_path, "one.wav", 0.1)
    entries = [
        Entry("one.wav", Clip(f"{speaker}-{number}", f"{speaker:04d}", start_s=0.0, end_s=0.1))
        for speaker in range(1, speakers + 1)
        for number in range(speaker)
    ]
    read_as(monkeypatch, Reader(lambda options, files: entries))
    return check(corpus(tmp_path, "table"))


def test_speakers_stand_side_by_side_as_many_as_fit(tmp_path, monkeypatch):
    found = many(tmp_path, monkeypatch, 100)
    for width, lines in ((80, 25), (120, 15)):
        section = shown(found, width).partition("Clips per speaker\n")[2].partition("\n\n")[0].splitlines()[1:]
        words = " ".join(section).split()
        assert sorted(zip(words[::2], words[1::2], strict=True)) == [(f"{n:04d}", str(n)) for n in range(1, 101)]
        assert len(section) <= lines
        assert section[0].split()[:2] == ["0001", "1"]


def test_very_many_speakers_are_summarised(tmp_path, monkeypatch):
    text = shown(many(tmp_path, monkeypatch, 101))
    section = text.partition("Clips per speaker\n")[2].partition("\n\n")[0]
    assert section.splitlines()[1].split() == ["all", "1", "51", "101"]
    assert "fewest: 0001 1, 0002 2, 0003 3" in section
    assert "0010 10" in section
    assert "0011" not in section


def test_clips_without_a_speaker_are_worth_knowing_not_wrong(tmp_path):
    sound(tmp_path, "a.wav")
    found = check(corpus(tmp_path))
    assert (finding(found, "no_speaker").wrong, found.wrong, found.targets) == (False, 0, ())
    assert "Clips per speaker" not in shown(found)


@pytest.mark.parametrize("width", [80, 120])
def test_output_fits_and_names_cannot_break_it(tmp_path, width):
    sound(tmp_path, "anna/[red]x\n\x1b[31m é.wav")
    (tmp_path / "anna" / ("y" * 200 + "[red].wav")).write_bytes(b"")
    (tmp_path / "anna" / "z\n[b].wav").write_bytes(b"")
    text = shown(check(corpus(tmp_path)), width)
    assert "\x1b" not in text
    assert r"z\n[b].wav" in text
    assert all(len(line) <= width and line == line.rstrip() for line in text.splitlines())


def test_nothing_but_refused_files_is_told_too(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    found = check(corpus(tmp_path))
    assert (found.clips, found.lengths.hours, found.wrong) == (0, 0.0, 1)
    assert "1 x empty_file" in shown(found)


def test_real_clips_of_ravdess_are_told_as_they_are(shared_data):
    if not (shared_data / "ravdess-audio").is_dir():
        pytest.skip("RAVDESS's clips are absent")
    found = check(corpus(shared_data / "ravdess-audio", "ravdess"))
    assert (found.clips, len(found.speakers), found.lengths.margin_hours) == (944, 16, None)
    assert found.lengths.hours == pytest.approx(0.977, abs=0.005)
    assert found.targets[0].counts["neutral"] == 64
    assert found.protocols == (FoldFacts("emobox", 944, 16, 6, 24),)
    assert [entry.reason for entry in found.findings] == ["equal_files", "incomplete"]
    # Two repetitions are one recording, in this copy at least.
    assert found.findings[0].examples == ("03-01-03-01-02-01-07.flac = 03-01-03-01-02-02-07.flac",)


def test_real_flash_video_is_read_though_it_declares_no_frames(shared_data):
    if not (shared_data / "crema-d").is_dir():
        pytest.skip("CREMA-D's clips are absent")
    found = check(corpus(shared_data / "crema-d", "crema_d", video=True))
    assert (found.media, found.read) == ({"wav": 12, "flv": 6}, {"flv": 6})
    assert [entry.reason for entry in found.findings] == ["incomplete"]
    assert {entry.name: entry.clips for entry in found.targets} == {"acted": 6, "voice": 6, "face": 6, "both": 6}
