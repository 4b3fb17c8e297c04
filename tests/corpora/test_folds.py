"""Stage `folds`: from targets and audio to a table in which nothing leaks."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import soundfile
from tests.media.voices import voice

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, folds
from avpretext.corpora.reader import Reader
from avpretext.corpora.readers.msp_podcast import EMO_SUPERB
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.media.fingerprint import fingerprint_of


@dataclass(frozen=True)
class Made:
    """A clip: its speaker, label, audio and recording; None for the label or the audio that it has not."""

    clip_id: str
    speaker: str | None
    label: str | None = "x"
    content: str | None = ""
    recording: str | None = None
    fingerprint: list[int] | None = None


def clips_of(speakers: str, each: int = 2) -> list[Made]:
    """Return clips `a1`, `a2` of speaker a, and so on, each with its own audio."""
    return [Made(f"{speaker}{number + 1}", speaker) for speaker in speakers for number in range(each)]


def write_corpus(
    folder: Path,
    clips: Iterable[Made],
    classes: tuple[str, ...] = ("x", "y"),
    kind: str = "hard",
    reader: str | None = None,
) -> None:
    rows = sorted(clips, key=lambda clip: clip.clip_id)
    index = [
        {
            "clip_id": clip.clip_id, "path": f"{clip.recording or clip.clip_id}.wav", "speaker": clip.speaker,
            "label": None, "sentence": None, "level": None, "recording": clip.recording, "start_s": None,
            "end_s": None, "size_bytes": 1,
        }
        for clip in rows
    ]  # fmt: skip
    targets = [
        {
            "clip_id": clip.clip_id,
            "speaker": clip.speaker,
            "label": clip.label,
            "values": [float(name == clip.label) for name in classes] if clip.label else None,
        }
        for clip in rows
    ]
    audio = [
        {
            "clip_id": clip.clip_id, "speaker": clip.speaker, "label": None, "duration_s": 1.0, "samples": 16000,
            "content": clip.content or f"of {folder.name} {clip.clip_id}", "audio": None, "video_frames": 0,
            "fps": 25.0, "fingerprint": clip.fingerprint,
        }
        for clip in rows
        if clip.content is not None
    ]  # fmt: skip
    shards.write_table(folder / "index.parquet", index, schema_of("index"), {})
    facts = {"kind": kind, "classes": list(classes), "target": "acted", "options": {"reader": reader}}
    shards.write_table(folder / "targets.parquet", targets, schema_of("targets"), facts)
    for place in (0, 1):
        shards.write_table(folder / f"audio{place}.parquet", audio[place::2], schema_of("split.audio"), {})


def run(
    folder: Path, protocol: Mapping[str, Any], reader: str = "folder", corpora: Iterable[str] = ("mine",), **more: Any
) -> tuple[pl.DataFrame, Any]:
    """Run the stage on the corpora written below `folder`; the first is tested."""
    names = list(corpora)
    options = CorpusOptions.model_validate(
        {"path": ".", "reader": reader, "use": ["finetune"], "protocol": protocol, **more}
    )
    output = folder / "folds.parquet"
    folds.run(
        names[0],
        options,
        f"acted.{protocol['name']}",
        {name: [folder / name / "index.parquet"] for name in names},
        {name: folder / name / "targets.parquet" for name in names},
        {name: [folder / name / f"audio{place}.parquet" for place in (0, 1)] for name in names},
        1,
        output,
    )
    return shards.read(output), shards.read_provenance(output)


def parts_of(table: pl.DataFrame, fold: int = 0) -> dict[str, list[str]]:
    rows = table.filter(pl.col("fold") == fold)
    return {part: group["clip_id"].to_list() for (part,), group in rows.group_by("part", maintain_order=True)}


def with_partitions(monkeypatch: pytest.MonkeyPatch, **of_clip: str) -> None:
    table = pl.DataFrame({"clip_id": list(of_clip), "partition": list(of_clip.values())})
    of_test = {"emo_superb": EMO_SUPERB}
    reader = Reader(lambda options, files: [], partitions=lambda options: table, partition_protocols=of_test)
    monkeypatch.setitem(cast(dict[str, Reader], READERS), "parted", reader)


def test_only_clips_with_label_and_audio_are_in_a_fold(tmp_path) -> None:
    clips = [*clips_of("abcd"), Made("a3", "a", label=None), Made("a4", "a", content=None)]
    write_corpus(tmp_path / "mine", clips)
    table, made_by = run(tmp_path, {"name": "speaker_kfold", "folds": 4})
    for fold in range(4):
        assert sorted(clip for clips in parts_of(table, fold).values() for clip in clips) == [
            clip.clip_id for clip in clips_of("abcd")
        ]
    assert made_by["protocol"] == "speaker_kfold"
    assert made_by["setting"] == "acted.speaker_kfold"
    assert (made_by["folds"], made_by["speaker_leaks"], made_by["duplicates"]) == (4, False, 0)
    assert made_by["sentence"] == (
        "protocol speaker_kfold: 4 folds, speakers are dealt, each tests once and the next group is dev;"
        " speakers: 2 train, 1 dev, 1 test"
    )


def test_rows_are_sorted_by_fold_part_and_clip(tmp_path) -> None:
    write_corpus(tmp_path / "mine", clips_of("dcba"))
    table, _ = run(tmp_path, {"name": "speakers", "test_speakers": [["b"], ["a"]], "dev_speakers": 1})
    order = {"train": 0, "dev": 1, "test": 2}
    keys = [(row["fold"], order[row["part"]], row["clip_id"]) for row in table.iter_rows(named=True)]
    assert keys == sorted(keys)
    assert table.schema["fold"] == pl.Int32
    assert set(table["corpus"]) == {"mine"}
    assert parts_of(table, 1)["test"] == ["a1", "a2"]


@pytest.mark.parametrize(("name", "has_dev"), [("chou", True), ("emo_superb", True), ("hicmae", False)])
def test_published_sessions_test_each_of_91_actors_once(tmp_path, name, has_dev) -> None:
    actors = [str(actor) for actor in range(1001, 1092)]
    write_corpus(tmp_path / "mine", [Made(f"{actor}_IEO_NEU_XX", actor) for actor in actors])
    table, made_by = run(tmp_path, {"name": name}, "crema_d")
    assert sorted(table.filter(pl.col("part") == "test")["speaker"]) == actors
    assert table.group_by("fold").len()["len"].to_list() == [91] * 5
    assert (pl.Series(["dev"]).is_in(table["part"]).all()) == has_dev
    assert (
        made_by["sentence"]
        == {
            "chou": "protocol chou: 5 folds, as published; speakers: 54 to 55 train, 18 to 19 dev, 18 to 19 test",
            "emo_superb": "protocol emo_superb: 5 folds, as published; speakers: 54 to 55 train, 18 to 19 dev, 18 to 19"
            " test",
            "hicmae": "protocol hicmae: 5 folds, as published; speakers: 72 to 73 train, 0 dev, 18 to 19 test",
        }[name]
    )


def test_a_published_protocol_of_another_corpus_is_refused(tmp_path) -> None:
    write_corpus(tmp_path / "mine", clips_of("abcd"))
    with pytest.raises(UserError, match="'chou' is published for crema_d, not for ravdess; ravdess has emobox: choose"):
        run(tmp_path, {"name": "chou"}, "ravdess")
    with pytest.raises(
        UserError, match=r"'emobox' is published for .*ravdess.*, not for folder: .* or give protocol.lists"
    ):
        run(tmp_path, {"name": "emobox"})


def test_clips_of_unknown_speaker_are_dealt_by_their_file_and_train_where_speakers_are_named(tmp_path, capsys) -> None:
    write_corpus(tmp_path / "mine", [*clips_of("abc"), Made("q1", None), Made("q2", None)])
    table, _ = run(tmp_path, {"name": "speaker_kfold", "folds": 5})
    tested = table.filter(pl.col("part") == "test")
    assert sorted(tested["clip_id"]) == ["a1", "a2", "b1", "b2", "c1", "c2", "q1", "q2"]
    assert table.filter(pl.col("clip_id") == "q1")["speaker"].unique().to_list() == ["q1.wav"]
    assert "speakers unknown: those of 2 of 8 labelled clips" in capsys.readouterr().err
    for protocol in ({"name": "leave_one_speaker_out"}, {"name": "speakers", "test_speakers": [["a"]]}):
        table, _ = run(tmp_path, {**protocol, "dev_speakers": 1})
        assert table.filter(pl.col("clip_id").is_in(["q1", "q2"]))["part"].unique().to_list() == ["train"]


def test_partitions_follow_the_recording_of_a_segment(tmp_path, monkeypatch) -> None:
    with_partitions(monkeypatch, r="train", s="Test1", t="val", a1="test")
    clips = [Made(f"{name}_{n}", name, recording=name) for name in "rst" for n in (1, 2)]
    write_corpus(tmp_path / "mine", clips)
    table, _ = run(tmp_path, {"name": "partitions"}, "parted", segment=True)
    assert parts_of(table) == {"train": ["r_1", "r_2"], "dev": ["t_1", "t_2"], "test": ["s_1", "s_2"]}
    with pytest.raises(UserError, match=r"the reader ravdess knows none; readers with partitions are .*parted"):
        run(tmp_path, {"name": "partitions"}, "ravdess")


def test_emo_superb_of_msp_podcast_tests_its_first_two_test_partitions_together(tmp_path, monkeypatch) -> None:
    with_partitions(monkeypatch, a1="train", a2="train", b1="dev", c1="Test1", c2="Test2", d1="Test3", d2="Test3")
    write_corpus(tmp_path / "mine", clips_of("abcd"))
    table, made_by = run(tmp_path, {"name": "emo_superb"}, "parted")
    assert parts_of(table, 0) == {"train": ["a1", "a2"], "dev": ["b1"], "test": ["c1", "c2"]}
    assert made_by["protocol"] == "emo_superb"
    with_partitions(monkeypatch, a1="train", b1="dev", c1="Test1")
    with pytest.raises(UserError, match="emo_superb: no clip is in Test2; partitions are Test1, dev, train: use a"):
        run(tmp_path, {"name": "emo_superb"}, "parted")
    with pytest.raises(UserError, match="'emo_superb' is published for crema_d, msp_podcast, parted, not for ravdess"):
        run(tmp_path, {"name": "emo_superb"}, "ravdess")


def test_partitions_that_share_a_speaker_are_refused_unless_that_is_wanted(tmp_path, monkeypatch, capsys) -> None:
    with_partitions(monkeypatch, a1="train", a2="test", b1="train", b2="train", c1="dev", c2="dev")
    write_corpus(tmp_path / "mine", clips_of("abc"))
    with pytest.raises(UserError, match=r"fold 0 \(test\): the speaker 'a' is in train and test"):
        run(tmp_path, {"name": "partitions"}, "parted")
    table, made_by = run(tmp_path, {"name": "partitions", "allow_speaker_leaks": True}, "parted")
    assert made_by["speaker_leaks"] is True
    assert "so figures are not of new speakers" in made_by["sentence"]
    assert "the speaker 'a' is in train and test" in capsys.readouterr().err
    assert parts_of(table)["test"] == ["a2"]


def test_copies_of_test_audio_are_dropped_from_training_and_counted(tmp_path, capsys) -> None:
    clips = [*clips_of("abc"), Made("a9", "a", content="same"), Made("b9", "b", content="same")]
    write_corpus(tmp_path / "mine", clips)
    protocol = {"name": "speakers", "test_speakers": [["a"]], "dev_speakers": 1}
    table, made_by = run(tmp_path, protocol)
    assert parts_of(table)["dropped"] == ["b9"]
    assert "a9" in parts_of(table)["test"]
    assert made_by["duplicates"] == 1
    assert made_by["sentence"].endswith("; left out as copies of test or dev audio: 1")
    assert "is 'a9' of test (fold 0): left out" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"'b9' of .* is 'a9' of test"):
        run(tmp_path, {**protocol, "duplicates": "error"})


def test_another_corpus_is_trained_on_and_dropped_where_it_has_the_same_audio(tmp_path) -> None:
    write_corpus(tmp_path / "mine", [*clips_of("ab"), Made("a9", "a", content="same")])
    write_corpus(tmp_path / "one", [*clips_of("ab"), Made("c9", "c", content="same"), Made("q1", None)])
    write_corpus(tmp_path / "two", clips_of("a"), ("x",))
    protocol = {"name": "cross_corpus", "train": ["one", "two"], "dev_speakers": 1}
    table, made_by = run(tmp_path, protocol, corpora=("mine", "one", "two"))
    assert parts_of(table)["test"] == ["a1", "a2", "a9", "b1", "b2"]
    assert parts_of(table)["dropped"] == ["c9"]
    dev = table.filter(pl.col("part") == "dev").select("corpus", "speaker").unique()
    assert len(dev) == 1
    assert set(table.filter(pl.col("part") == "test")["corpus"]) == {"mine"}
    assert set(table.filter(pl.col("part") == "train")["corpus"]) <= {"one", "two"}
    assert set(table["speaker"]) == {"a", "b", "c", "q1.wav"}
    assert "q1" in parts_of(table)["train"]
    assert made_by["sentence"].startswith("protocol cross_corpus: 1 fold, trained on one, two, dev speakers drawn")


def test_corpora_that_cannot_teach_the_tested_one_are_refused(tmp_path) -> None:
    write_corpus(tmp_path / "mine", clips_of("ab"), ("x", "y", "z"))
    write_corpus(tmp_path / "one", clips_of("abcd"), ("w", "x"))
    write_corpus(tmp_path / "number", clips_of("abcd"), ("arousal",), "attribute")
    with pytest.raises(UserError, match=r"mine tests y, z, and one teach w, x; .* corpora.NAME.label_map"):
        run(tmp_path, {"name": "cross_corpus", "train": ["one"]}, corpora=("mine", "one"))
    with pytest.raises(UserError, match=r"labels of mine are hard \(acted\), those of number attribute \(acted\)"):
        run(tmp_path, {"name": "cross_corpus", "train": ["number"]}, corpora=("mine", "number"))
    with pytest.raises(UserError, match="'other' has no targets"):
        run(tmp_path, {"name": "cross_corpus", "train": ["other"]})
    for train in ([], ["mine"]):
        with pytest.raises(UserError, match="names of other corpora to train on are expected"):
            run(tmp_path, {"name": "cross_corpus", "train": train})


def test_a_published_fold_that_is_left_out_is_noted_for_the_tables(tmp_path) -> None:
    write_corpus(tmp_path / "mine", [Made(f"{a}{n}", a) for a in ("01", "04", "08", "10", "11", "20") for n in (1, 2)])
    _, made_by = run(tmp_path, {"name": "emobox"}, "ravdess")
    assert made_by["folds"] == 3
    assert any("fold 5 is left out: none of its test speakers 02, 15, 16, 18" in note for note in made_by["notes"])


def test_lists_of_emobox_make_folds_for_any_corpus(tmp_path) -> None:
    write_corpus(tmp_path / "mine", clips_of("abcd"))
    lists = tmp_path / "lists" / "made"
    for part, names in {"train": "a1 a2 b1 b2 c1 c2", "test": "d1 d2"}.items():
        file = lists / "fold_1" / f"made_{part}_fold_1.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f'{{"key": "made-{n}", "wav": "downloads/{n}.wav"}}\n' for n in names.split()))
    table, made_by = run(tmp_path, {"name": "emobox", "lists": str(lists), "dev_speakers": 1})
    assert parts_of(table)["test"] == ["d1", "d2"]
    assert len(parts_of(table)["dev"]) == 2
    assert made_by["options"]["protocol"]["lists"] == "made"
    assert str(tmp_path) not in str(made_by)


def test_the_same_inputs_give_the_same_bytes(tmp_path) -> None:
    files = []
    for place in ("one", "two"):
        clips = clips_of("abcdef")
        write_corpus(tmp_path / place / "mine", clips if place == "one" else clips[::-1])
        run(tmp_path / place, {"name": "leave_one_speaker_out"})
        files.append((tmp_path / place / "folds.parquet").read_bytes())
    assert files[0] == files[1]


def test_a_corpus_without_any_clip_to_learn_from_is_told_so(tmp_path) -> None:
    write_corpus(tmp_path / "mine", [Made("a1", "a", content=None)])
    with pytest.raises(
        UserError, match="none of its 1 labelled clips is among the 0 clips with audio; see the rejects"
    ):
        run(tmp_path, {"name": "speaker_kfold"})


def test_a_fold_without_dev_is_a_mistake_where_the_protocol_has_one(tmp_path, monkeypatch) -> None:
    with_partitions(monkeypatch, a1="train", b1="test", c1="dev")
    write_corpus(tmp_path / "mine", [Made("a1", "a"), Made("b1", "b"), Made("c1", "c", content="of mine b1")])
    with pytest.raises(UserError, match=r"no clip with label and audio is in dev \(train, dev and test have 1, 0, 1\)"):
        run(tmp_path, {"name": "partitions"}, "parted")


def heard(*sounds: np.ndarray) -> list[list[int]]:
    """Return fingerprints of sounds."""
    prints = []
    for sound in sounds:
        flac = io.BytesIO()
        soundfile.write(flac, sound, SAMPLE_RATE_HZ, "PCM_16", format="FLAC")
        prints.append(fingerprint_of(flac.getvalue()).tolist())
    return prints


def test_a_louder_copy_of_test_sound_does_not_train(tmp_path, capsys) -> None:
    original, louder, other = heard(voice(), 1.5 * voice(), voice(1))
    sounds = [Made("a9", "a", fingerprint=original), Made("b9", "b", fingerprint=louder)]
    write_corpus(tmp_path / "mine", [*clips_of("abcd"), *sounds, Made("c9", "c", fingerprint=other)])
    protocol = {"name": "speakers", "test_speakers": [["a"]], "dev_speakers": 1}
    table, made_by = run(tmp_path, protocol)
    assert parts_of(table)["dropped"] == ["b9"]
    assert table.filter(pl.col("clip_id") == "b9")["copy_of"].to_list() == ["mine/a9"]
    assert made_by["duplicates"] == 1
    assert "re-encoded" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"'b9' of .* is 'a9' of test"):
        run(tmp_path, {**protocol, "duplicates": "error"})
    assert "dropped" not in parts_of(run(tmp_path, {**protocol, "reencoded": False})[0])


def test_copies_of_another_corpus_do_not_train_either(tmp_path) -> None:
    original, louder = heard(voice(), 1.5 * voice())
    write_corpus(tmp_path / "mine", [*clips_of("ab"), Made("a9", "a", fingerprint=original)])
    write_corpus(tmp_path / "one", [*clips_of("cde"), Made("c9", "c", fingerprint=louder)])
    table, _ = run(tmp_path, {"name": "cross_corpus", "train": ["one"], "dev_speakers": 1}, corpora=("mine", "one"))
    assert parts_of(table)["dropped"] == ["c9"]
    assert table.drop_nulls("copy_of")["copy_of"].to_list() == ["mine/a9"]


@pytest.mark.parametrize("readers", [("folder", "folder"), ("folder", "crema_d"), (None, "crema_d")])
def test_equal_names_in_two_corpora_are_told(tmp_path, readers: tuple[str | None, str]) -> None:
    for name, speakers, reader in zip(("mine", "one"), ("abA", "acd"), readers, strict=True):
        write_corpus(tmp_path / name, clips_of(speakers), reader=reader)
    protocol = {"name": "cross_corpus", "train": ["one"], "dev_speakers": 1}
    _, made_by = run(tmp_path, protocol, corpora=("mine", "one"))
    assert [note for note in made_by["warnings"] if "1 speaker of mine and one have the same name, such as 'a'" in note]
    assert not made_by["speaker_leaks"]


def test_names_of_two_published_corpora_are_other_people(tmp_path) -> None:
    for name, reader in (("mine", "ravdess"), ("one", "emodb")):
        write_corpus(tmp_path / name, clips_of("abc"), reader=reader)
    protocol = {"name": "cross_corpus", "train": ["one"], "dev_speakers": 1}
    assert run(tmp_path, protocol, corpora=("mine", "one"))[1]["warnings"] == []


def test_two_copies_of_a_published_corpus_have_the_same_people(tmp_path) -> None:
    for name in ("mine", "copy"):
        write_corpus(tmp_path / name, clips_of("abc"), reader="crema_d")
    protocol = {"name": "cross_corpus", "train": ["copy"], "dev_speakers": 1}
    with pytest.raises(UserError, match=r"speaker 'crema_d/[abc]' is in (train|dev) and test .3 speakers"):
        run(tmp_path, protocol, corpora=("mine", "copy"))
    table, made_by = run(tmp_path, {**protocol, "allow_speaker_leaks": True}, corpora=("mine", "copy"))
    assert made_by["speaker_leaks"]
    assert set(table["speaker"]) == {"a", "b", "c"}
    assert any("3 speakers of mine and copy have the same name" in note for note in made_by["warnings"])


def test_clips_of_one_file_whose_speaker_is_unknown_stay_together(tmp_path) -> None:
    clips = [Made(f"r{file}_{n}", None, recording=f"r{file}") for file in range(6) for n in range(4)]
    write_corpus(tmp_path / "mine", [*clips, Made("a1", "a"), Made("a2", None, recording="a")])
    table, made_by = run(tmp_path, {"name": "speaker_kfold", "folds": 3})
    files = table.with_columns(file=pl.col("clip_id").str.head(2))
    assert files.group_by("fold", "file").agg(pl.col("part").n_unique())["part"].unique().to_list() == [1]
    assert "speakers unknown: those of 25 of 26 labelled clips; clips of one file are kept together" in str(
        made_by["warnings"]
    )


def test_a_clip_of_unknown_speaker_is_of_the_one_person_of_its_file(tmp_path) -> None:
    talks = [Made("t1", "ann", recording="t"), Made("t2", None, recording="t"), *clips_of("bcd")]
    write_corpus(tmp_path / "mine", talks)
    table, _ = run(tmp_path, {"name": "leave_one_speaker_out", "dev_speakers": 1})
    assert set(table.filter(pl.col("clip_id") == "t2")["speaker"]) == {"ann"}
    assert parts_of(table)["test"] == ["t1", "t2"]


def test_a_file_of_unknown_speakers_in_several_partitions_stops_the_run(tmp_path, monkeypatch) -> None:
    with_partitions(monkeypatch, r_1="train", r_2="test", a1="train", b1="train", c1="dev")
    write_corpus(
        tmp_path / "mine", [Made("r_1", None, recording="r"), Made("r_2", None, recording="r"), *clips_of("abc")]
    )
    with pytest.raises(UserError, match=r"clips of the file 'r.wav', of unknown speaker, are in train and test"):
        run(tmp_path, {"name": "partitions"}, "parted")


@pytest.mark.parametrize("other", ["jörg", "Jörg ", "J\u00f6rg\u200b", "J\uff4f\u0308rg"])
def test_a_person_under_two_spellings_stops_the_run_or_is_told(tmp_path, other) -> None:
    clips = [Made("1", "Jörg"), Made("2", other), *clips_of("abc")]
    write_corpus(tmp_path / "mine", clips)
    protocol = {"name": "speakers", "test_speakers": [["Jörg"]], "dev_speakers": 1}
    with pytest.raises(UserError, match=r"the speakers '.*' and '.*', whose names differ only in case.* are in "):
        run(tmp_path, protocol)
    _, made_by = run(tmp_path, {**protocol, "allow_speaker_leaks": True})
    assert made_by["speaker_leaks"] is True
    assert any("names of speakers differ only in case" in said for said in made_by["warnings"])


def test_what_no_training_clip_teaches_and_labels_that_are_alike_are_told(tmp_path, capsys) -> None:
    clips = [Made(f"{s}{n}", s, label) for s in "abcd" for n, label in enumerate(("Happy", "happy", "sad"))]
    write_corpus(tmp_path / "mine", [*clips, Made("a9", "a", "calm")], ("Happy", "calm", "happy", "sad"))
    _, made_by = run(tmp_path, {"name": "speakers", "test_speakers": [["a"]], "dev_speakers": 1})
    assert any("fold 1 'calm'" in said for said in made_by["warnings"])
    assert any("'Happy' and 'happy'; join them by corpora.NAME.label_map" in said for said in made_by["warnings"])
    assert made_by["lacking"] == {"0": {"train": ["calm"], "dev": ["calm"]}}
    assert "none of their training clips has" in capsys.readouterr().err


def test_a_run_stops_where_it_is_not_told_which_folder_is_the_speaker(tmp_path) -> None:
    clips = [Made(f"P{p}/{day}", f"P{p}/{day}", recording=f"P{p}/{day}/1") for p in range(4) for day in ("am", "pm")]
    write_corpus(tmp_path / "mine", clips)
    with pytest.raises(UserError, match=r"corpora.mine: it is not told which folder is the speaker"):
        run(tmp_path, {"name": "speaker_kfold"})
    run(tmp_path, {"name": "speaker_kfold"}, speaker_folder=-1)


def test_clips_of_equal_audio_with_different_labels_are_all_left_out(tmp_path) -> None:
    odd = [Made("a8", "a", "x", "same"), Made("a9", "a", "y", "same"), Made("d8", "d", "x", "same")]
    write_corpus(tmp_path / "mine", [*clips_of("abcd"), Made("b9", "b", "y"), *odd])
    table, made_by = run(tmp_path, {"name": "speaker_kfold"})
    assert {"a8", "a9", "d8"}.isdisjoint(table["clip_id"])
    assert {"a1", "a2", "b9"} <= set(table["clip_id"])
    told = "clips of equal audio with different labels: 3, such as 'a8' (x) = 'a9' (y) = 'd8' (x): all are left out"
    assert told in made_by["notes"]
    with pytest.raises(
        UserError, match=r"equal audio with different labels: 3, .*; take them out of the corpus, or set"
    ):
        run(tmp_path, {"name": "speaker_kfold", "duplicates": "error"})


def test_equal_audio_with_equal_labels_or_with_shares_is_no_contradiction(tmp_path) -> None:
    same = [Made("a8", "a", "x", "same"), Made("a9", "a", "x", "same")]
    write_corpus(tmp_path / "mine", [*clips_of("abcd"), Made("b9", "b", "y"), *same])
    table, made_by = run(tmp_path, {"name": "speaker_kfold"})
    assert {"a8", "a9"} <= set(table["clip_id"])
    assert not [note for note in made_by["notes"] if "equal audio" in note]
    shares = [Made("a8", "a", "x", "same"), Made("a9", "a", "y", "same")]
    write_corpus(tmp_path / "mine", [*clips_of("abcd"), Made("b9", "b", "y"), *shares], kind="distribution")
    assert {"a8", "a9"} <= set(run(tmp_path, {"name": "speaker_kfold"})[0]["clip_id"])


@pytest.mark.parametrize("reader", ["emobox", "audformat"])
def test_people_of_a_reader_of_any_corpus_are_those_of_one_corpus_alone(tmp_path, reader: str) -> None:
    for name in ("mine", "other"):
        write_corpus(tmp_path / name, clips_of("abc"), reader=reader)
    protocol = {"name": "cross_corpus", "train": ["other"], "dev_speakers": 1}
    _, made_by = run(tmp_path, protocol, corpora=("mine", "other"))
    assert not made_by["speaker_leaks"]
    assert any("3 speakers of mine and other have the same name" in note for note in made_by["warnings"])


def test_a_run_on_the_names_of_another_corpus_says_so(tmp_path) -> None:
    names = [f"03-01-0{emotion}-01-01-01-{actor:02}" for emotion in (1, 2) for actor in range(1, 5)]
    write_corpus(tmp_path / "mine", [Made(name, name[-2:], "xy"[name[7] == "2"]) for name in names])
    _, made_by = run(tmp_path, {"name": "speaker_kfold"}, "ravdess")
    assert any(note.startswith("of 8 names, banglaser knows 8 and ravdess 8") for note in made_by["notes"])
