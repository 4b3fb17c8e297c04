"""Names of files as corpora have them, in the order and with the codes that their authors describe."""

from collections.abc import Sequence
from itertools import product

from avpretext.corpora.readers import crema_d


def _all(pattern: str, *codes: Sequence[object]) -> list[str]:
    return [pattern.format(*chosen) for chosen in product(*codes)]


def _ravdess() -> list[str]:
    """Return all names of speech: neutral has one intensity."""
    shape = "Actor_{2:02}/03-01-{0}-{1}-{2:02}.wav"
    emotions = ["01-01", *_all("{:02}-{:02}", range(2, 9), (1, 2))]
    return _all(shape, emotions, _all("{:02}-{:02}", (1, 2), (1, 2)), range(1, 25))


def _banglaser() -> list[str]:
    """Return all names: each emotion has one intensity."""
    said = _all("{:02}-{:02}", range(1, 4), range(1, 4))
    return _all("03-01-{}-{}-{:02}.wav", ("01-01", "02-01", "03-02", "04-02", "05-01"), said, range(1, 35))


NAMES: dict[str, list[str]] = {
    "crema_d": _all("AudioWAV/{}_{}_{}_XX.wav", (1001, 1050, 1091), crema_d.SENTENCES, crema_d.EMOTIONS),
    "ravdess": _ravdess(),
    "emodb": _all("wav/{}{}{}a.wav", ("03", "16"), ("a01", "b10"), "WLEAFTN"),
    "savee": ["DC/n30.wav", *_all("AudioData/{}/{}{:02}.wav", ("DC", "KL"), ("a", "h", "sa", "su"), range(1, 16))],
    "tess": _all("{}_{}_{}.wav", ("OAF", "YAF"), ("back", "bar"), ("angry", "fear", "neutral", "ps")),
    "emovo": _all("{1}/{0}-{1}-{2}.wav", ("dis", "gio", "tri"), ("f1", "m3"), ("b1", "l4", "n5")),
    "esd": ["0011/Angry/0011_000351.wav", "0011/Angry/train/0011_000400.wav", "0001/Surprise/0001_001750.wav"],
    "nemo": _all("samples/{}_{}_{}.wav", ("EB0", "WR0"), ("anger", "surprised"), (1, 90)),
    "banglaser": _banglaser(),
    "urdu": ["Angry/SM1_F10_A010.wav", "Neutral/SF11_F2_N0100.wav", "Sad/SM27_F1_S01.wav"],
    "baved": ["0/0-m-21-0-1-105.wav", "6/103-f-22-6-2-8.wav"],
    "shemo": ["female/F02S05.wav", "male/M56N20.wav"],
    "casia": ["wangzhe/neutral/201.wav", "zhaozuoxiang/sad/250.wav"],
    "enterface": ["subject 1/anger/sentence 1/s1_an_1.avi", "subject 44/surprise/sentence 5/s44_su_5.avi"],
    "mead": ["M003/video/front/angry/level_1/001.mp4", "W009/audio/neutral/level_1/040.m4a"],
    "grid": ["s1/bbaf2n.mpg", "s34/lrwp9a.mpg"],
    "iemocap": [
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_M003.wav",
    ],
    "msp_improv": ["session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav", "MSP-IMPROV-S20N-M06-T-MF06.wav"],
    "msp_podcast": ["Audios/MSP-PODCAST_0001_0008.wav"],
    "msp_face": ["MSP-FACE_0001_0002.mp4"],
    "meld": ["train_splits/dia0_utt0.mp4", "output_repeated_splits_test/dia279_utt9.mp4"],
    "cmu_mosei": ["Videos/Full/Combined/--qXJuDtHPw.mp4"],
}  # fmt: skip
"""Reader to names of its corpus."""
