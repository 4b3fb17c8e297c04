"""Phones of spoken sentences: against espeak-ng's own times, from other tools' files, and why clips are refused."""

import io
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from avpretext import shards
from avpretext.config import CorpusOptions, PhoneOptions
from avpretext.demo import voice
from avpretext.demo.corpus import EVERYDAY
from avpretext.demo.speakers import ACCENTS
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.orofacial import phone_scores as scoring
from avpretext.orofacial import phones
from avpretext.orofacial.phone_aligner import SILENT, Dictionary, refuse
from avpretext.orofacial.phone_files import IPA, phones_of
from avpretext.orofacial.visemes import PHONES, Interval, clip_confidence, covering
from avpretext.refusal import Refusal

pytest.importorskip("pocketsphinx", reason="no wheel of pocketsphinx for this Python")

Samples = NDArray[np.int16]
LEAD_S = 0.2
TEXTS = {"one": EVERYDAY[0], "two": EVERYDAY[5], "three": EVERYDAY[15]}


@pytest.fixture(scope="session")
def said() -> dict[str, tuple[Samples, tuple[voice.Phoneme, ...]]]:
    """Three sentences that espeak-ng says in an American voice, in a little noise, with the times of their phonemes."""
    clips = {}
    for clip, text in TEXTS.items():
        spoken = voice.speak(text, voice.Delivery("en-us+m3", 45, 45, 165))
        sound = resample_poly(voice.set_level(spoken.samples, -26), 320, 441)
        padded = np.pad(sound, (round(LEAD_S * 16000), 4800))
        padded += 10 ** (-60 / 20) * np.random.default_rng(1).standard_normal(len(padded))
        phonemes = tuple(voice.Phoneme(p.start_s + LEAD_S, p.end_s + LEAD_S, p.name) for p in spoken.phonemes)
        clips[clip] = ((32767 * np.clip(padded, -1, 1)).astype(np.int16), phonemes)
    return clips


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    """CMUdict."""
    return Dictionary()


def run(
    folder: Path,
    clips: dict[str, Samples],
    texts: dict[str, str | None],
    options: PhoneOptions | None = None,
    truth: Path | None = None,
    paths: dict[str, str] | None = None,
) -> tuple[pl.DataFrame, dict[str, tuple[str, str]]]:
    """Run the stage; return its rows, and reason and detail of each clip refused."""
    rows = []
    for clip, signal in clips.items():
        encoded = io.BytesIO()
        soundfile.write(encoded, signal, 16000, "PCM_16", format="FLAC")
        audio = {"bytes": encoded.getvalue(), "path": None}
        rows.append(
            dict.fromkeys(schema_of("split.audio").names) | {"clip_id": clip, "samples": len(signal), "audio": audio}
        )
    shards.write_table(folder / "x" / "split" / "audio" / "0.parquet", rows, schema_of("split.audio"), {})
    index = [
        dict.fromkeys(schema_of("index").names)
        | {"clip_id": clip, "path": (paths or {}).get(clip, f"{clip}.wav"), "sentence": texts.get(clip)}
        for clip in clips
    ]
    shards.write_table(folder / "index.parquet", index, schema_of("index"), {})
    corpus = CorpusOptions(path=".", reader="folder", use=[], truth=str(truth) if truth else None)
    found, refused = folder / "phones.parquet", folder / "rejects.parquet"
    audio_file = folder / "x" / "split" / "audio" / "0.parquet"
    phones.run(audio_file, folder / "index.parquet", corpus, options or PhoneOptions(), found, refused)
    reasons = shards.read(refused, ["clip_id", "reason", "detail"])
    return shards.read(found), {clip: (reason, detail) for clip, reason, detail in reasons.iter_rows()}


def check_cover(rows: pl.DataFrame, clips: dict[str, Samples]) -> None:
    """Assert that the intervals of each clip follow each other from 0 to its end."""
    for clip in rows["clip_id"].unique():
        mine = rows.filter(pl.col("clip_id") == clip)
        assert mine["start_s"][0] == 0
        assert mine["end_s"][-1] == len(clips[clip]) / 16000
        assert mine["start_s"][1:].to_list() == mine["end_s"][:-1].to_list()
        assert set(mine["phone"]) <= set(PHONES)


def test_alignment_agrees_with_the_times_of_the_synthesiser(said, tmp_path: Path) -> None:
    clips = {clip: signal for clip, (signal, _) in said.items()}
    rows, refused = run(tmp_path, clips, TEXTS)
    assert not refused
    check_cover(rows, clips)
    true = pl.DataFrame(
        [
            {"clip_id": clip, "start_s": p.start_s, "end_s": p.end_s, "phoneme": p.name}
            for clip, (_, phonemes) in said.items()
            for p in phonemes
        ]
    )
    scores = scoring.scores(rows, true, len(clips))
    assert scores["clips_found"] == 1
    assert scores["phones_right"] >= 0.65
    assert scores["visemes_right"] >= 0.68
    assert scores["boundary_median_ms"] <= 18
    assert rows.filter(pl.col("phone") != "SIL")["confidence"].is_between(0, 1).all()


def test_a_clip_aligns_alike_after_whatever_clips(said, tmp_path: Path) -> None:
    clips = {clip: signal for clip, (signal, _) in said.items()}
    (tmp_path / "a").mkdir()
    forwards, _ = run(tmp_path / "a", clips, TEXTS)
    backwards, _ = run(tmp_path / "b", dict(reversed(clips.items())), TEXTS)
    assert forwards.equals(pl.concat([backwards.filter(pl.col("clip_id") == clip) for clip in clips]))
    run(tmp_path / "c", clips, TEXTS)
    assert (tmp_path / "c" / "phones.parquet").read_bytes() == (tmp_path / "a" / "phones.parquet").read_bytes()


def test_clips_that_cannot_be_aligned_say_why(said, tmp_path: Path) -> None:
    speech = said["one"][0]
    clips = {
        "silent": np.full(16000, SILENT - 1, np.int16),
        "no text": speech,
        "nonsense": speech,
        "other": speech,
        "short": speech[3200:4800],
        "noise": (3000 * np.random.default_rng(1).standard_normal(32000)).astype(np.int16),
    }
    texts = dict.fromkeys(clips, TEXTS["one"]) | {
        "no text": None,
        "nonsense": "the qzxv light",
        "other": TEXTS["three"],
    }
    rows, refused = run(tmp_path, clips, texts)
    assert rows.is_empty()
    assert {clip: reason for clip, (reason, _) in refused.items()} == {
        "silent": "silent",
        "no text": "no_text",
        "nonsense": "unknown_word",
        "other": "no_alignment",
        "short": "no_alignment",
        "noise": "no_alignment",
    }
    assert "'qzxv'" in refused["nonsense"][1]


def test_a_clip_too_long_to_be_held_is_refused() -> None:
    refusal = refuse(np.full(121 * 16000, 1000, np.int16))
    assert refusal is not None
    assert refusal.detail.startswith("121 s, at most 120 s")
    assert refuse(np.zeros(0, np.int16)) == refuse(np.zeros(100, np.int16))


def test_words_are_found_as_people_write_them(dictionary: Dictionary) -> None:
    assert dictionary.words_of("Don’t—forget: o'clock, Mr. Smith's T.V.!") == [
        "don't", "forget", "o'clock", "mr", "smith's", "t", "v",
    ]  # fmt: skip
    assert (
        dictionary.words_of(" … ") == dictionary.words_of(None) == Refusal("no_text", dictionary.words_of(None).detail)
    )


def test_own_pronunciations_are_added(tmp_path: Path) -> None:
    own = tmp_path / "own.dict"
    own.write_text(";;; mine\nqzxv K W IH1 Z AH0 V\nqzxv(2) K IH Z\nlight L IY T\n")
    words = Dictionary(str(own))
    assert words.pronunciations("light") == ["L AY T", "L IY T"]
    assert words.pronunciations("qzxv") == ["K W IH Z AH V", "K IH Z"]
    own.write_text("good G UH D\nbad B AE DD\n")
    with pytest.raises(UserError, match=r"own\.dict: line 2: 'DD' is no phone of CMUdict; did you mean"):
        Dictionary(str(own))
    with pytest.raises(UserError, match=r"phones\.dictionary = .*cannot be read"):
        Dictionary(str(tmp_path / "none"))


def test_phones_are_recognised_without_text(said, tmp_path: Path) -> None:
    clips = {"one": said["one"][0], "silent": np.zeros(16000, np.int16)}
    rows, refused = run(tmp_path, clips, {}, PhoneOptions(backend="recognise"))
    check_cover(rows, clips)
    assert rows["phone"].n_unique() > 8
    assert rows["confidence"].is_null().all()
    assert refused["silent"][0] == "silent"


def test_truth_is_read_in_the_names_of_cmudict(said, tmp_path: Path) -> None:
    signal, phonemes = said["one"]
    rows = [
        {"corpus": "x", "clip_id": "one", "start_s": p.start_s, "end_s": p.end_s, "phoneme": p.name} for p in phonemes
    ]
    shards.write_table(tmp_path / "truth" / "phonemes.parquet", rows, schema_of("truth.phonemes"), {})
    options = PhoneOptions(backend="truth")
    found, refused = run(tmp_path, {"one": signal, "two": signal}, {}, options, truth=tmp_path / "truth")
    # The kitchen light is on again.
    spoken = "SIL DH AH K IH CH AH N L AY T IH Z AO N AH G EH N SIL"
    assert " ".join(found["phone"]).replace("AA N", "AO N") == spoken
    assert refused == {"two": ("no_phones", "the clip is not in phonemes.parquet")}
    with pytest.raises(UserError, match=r"only corpora with corpora\.NAME\.truth"):
        run(tmp_path, {"one": signal}, {}, options)


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_phoneme_of_the_demo_has_a_phone(accent: str) -> None:
    for text in EVERYDAY:
        for phoneme in voice.speak(text, voice.Delivery(accent, 45, 45, 170)).phonemes:
            assert phones_of(phoneme.name) is not None, (phoneme.name, text)


def test_labels_of_other_tools_are_understood() -> None:
    expected = {"AH0": "AH", "ae1": "AE", "sh_E": "SH", "": "SIL", "<eps>": "SIL", "axr": "ER", "kcl": "K", "ˈoʊ": "OW"}
    assert {label: phones_of(label) for label in expected} == {label: (phone,) for label, phone in expected.items()}
    assert all(set(phones.split()) <= set(PHONES) for phones in IPA.values())
    assert phones_of("bin") is None


LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1
            text = "a ""b"" 12"
    item [2]:
        class = "IntervalTier"
        name = "speaker - phones"
        xmin = 0
        xmax = 1
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = "AH0"
        intervals [3]:
            xmin = 0.5
            xmax = 1
            text = "spn"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
1
"IntervalTier"
"phones"
0
1
3
0
0.25
"sil"
0.25
0.5
"ʌ"
0.5
1
""
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("clip.TextGrid", LONG.encode()),
        ("clip.TextGrid", LONG.encode("utf-16")),
        ("deep/clip.textgrid", SHORT.encode()),
        ("all.ctm", b";; made elsewhere\nother 1 0 1 AA\nclip 1 0.25 0.25 AH_S 0.9\n"),
    ],
)
def test_files_of_other_tools_are_read(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / "files" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    options = PhoneOptions(backend="import", imports=str(tmp_path / "files"))
    silence = np.zeros(16000, np.int16)
    rows, refused = run(tmp_path, {"clip": silence, "missing": silence}, {}, options)
    assert rows.select("start_s", "end_s", "phone", "viseme").rows() == [
        (0.0, 0.25, "SIL", "SIL"), (0.25, 0.5, "AH", "AH"), (0.5, 1.0, "SIL", "SIL"),
    ]  # fmt: skip
    assert refused == {"missing": ("no_phones", "no file named missing in phones.imports")}


def test_words_of_a_file_keep_their_times_and_phones_are_aligned_within(said, tmp_path: Path) -> None:
    signal, phonemes = said["one"]
    # The kitchen light is on again, in samples at 25 kHz as GRID has it; phonemes 0, 2, 8, 11, 13, 15 begin words.
    starts = [phonemes[k].start_s for k in (0, 2, 8, 11, 13, 15)] + [phonemes[-1].end_s]
    words = ["the", "kitchen", "light", "is", "on", "again"]
    lines = [
        f"{round(25000 * a)} {round(25000 * b)} {word}" for a, b, word in zip(starts, starts[1:], words, strict=False)
    ]
    for speaker in ("s1", "s2"):
        (tmp_path / "files" / speaker).mkdir(parents=True)
    (tmp_path / "files" / "s2" / "bin.align").write_text("0 25000 bin\n")
    (tmp_path / "files" / "s1" / "bin.align").write_text("\n".join(["0 5000 sil", *lines]))
    options = PhoneOptions(backend="import", imports=str(tmp_path / "files"))
    rows, refused = run(tmp_path, {"s1_bin": signal}, {}, options, paths={"s1_bin": "s1/bin.mpg"})
    assert not refused
    check_cover(rows, {"s1_bin": signal})
    found = rows["start_s"].to_numpy()
    assert all(np.abs(found - start).min() < 1e-3 for start in starts)


@pytest.mark.parametrize(
    ("content", "said_so"),
    [
        (
            '"IntervalTier" "a" 0 1 1 0 1 "x" "IntervalTier" "b" 0 1 1 0 1 "y"',
            "no tier 'phones' or 'words' among 'a', 'b'",
        ),
        ('"IntervalTier" "phones" 0 1 2 0 1 "AA"', "the tier 'phones' ends too soon"),
        ('"IntervalTier" "phones" 0 1 1 0 1 "QQ"', "'QQ' at 0 s is no phone that is known"),
        ("\xff\xfe", "no tier"),
    ],
)
def test_files_that_cannot_be_read_refuse_their_clip(tmp_path: Path, content: str, said_so: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "clip.TextGrid").write_text(content)
    options = PhoneOptions(backend="import", imports=str(tmp_path / "files"))
    rows, refused = run(tmp_path, {"clip": np.zeros(16000, np.int16)}, {}, options)
    assert rows.is_empty()
    assert refused["clip"][0] == "no_phones"
    assert said_so in refused["clip"][1]


def test_a_folder_without_files_and_a_wrong_ctm_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    options = PhoneOptions(backend="import", imports=str(tmp_path / "files"))
    with pytest.raises(UserError, match=r"phones\.imports = .*no TextGrid, CTM"):
        run(tmp_path, {}, {}, options)
    (tmp_path / "files" / "all.ctm").write_text("clip 1 zero 1 AA\n")
    with pytest.raises(UserError, match=r"all\.ctm: line 1: 'clip 1 zero 1 AA'; expected clip, channel"):
        run(tmp_path, {}, {}, options)


def test_intervals_cover_a_clip_without_gap_or_overlap() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        edges = rng.uniform(-0.2, 1.3, (8, 2))
        intervals = [Interval(min(a, b), max(a, b), str(rng.choice(PHONES))) for a, b in edges]
        covered = covering(intervals, 1.0)
        assert covered[0].start_s == 0
        assert covered[-1].end_s == 1
        assert all(a.end_s == b.start_s and a.start_s < a.end_s for a, b in itertools.pairwise(covered))
    assert covering([], 0.5) == [Interval(0.0, 0.5, "SIL")]
    assert covering([], 0.0) == []


def test_confidence_of_a_clip_is_the_geometric_mean_over_time() -> None:
    intervals = [Interval(0, 3, "AA", 0.1), Interval(3, 4, "B", 0.9), Interval(4, 9, "SIL", 1.0), Interval(9, 10, "B")]
    assert clip_confidence(intervals) == pytest.approx((0.1**3 * 0.9) ** (1 / 4))
    assert clip_confidence([Interval(0, 1, "SIL", 0.5)]) is None


def test_real_clips_fit_their_sentences_and_no_others(shared_data: Path, dictionary: Dictionary) -> None:
    files = sorted((shared_data / "ravdess-audio").glob("03-01-0[1345]-01-0?-01-0[13].flac"))[:8]
    assert files
    for file in files:
        signal = soundfile.read(file, dtype="int16")[0]
        subject = "kids are talking" if file.name.split("-")[4] == "01" else "dogs are sitting"
        for text, fits in ((f"{subject} by the door", True), ("maybe tomorrow it will be cold", False)):
            clip = phones.Heard(file.stem, signal, file.name, text)
            assert isinstance(phones.aligned(clip, dictionary, 0.04), list) == fits, (file.name, text)
