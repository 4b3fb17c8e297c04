"""An exported model: from files or arrays to predictions."""

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext.chunks import FRAME_S
from avpretext.errors import RefusedFile, UserError
from avpretext.models.chunking import Chunks
from avpretext.pool import ordered_map
from avpretext.predict import MIN_SPEECH, standard_input
from avpretext.predict.hearing import Heard, Moments, Source, Spool, open_hearing
from avpretext.predict.inputs import write_sound
from avpretext.predict.result import Prediction, Refused
from avpretext.predict.windows import AlongTime
from avpretext.refusal import Refusal
from avpretext.training import finite, model_folder
from avpretext.training.data import in_deviations, mean_and_deviation
from avpretext.training.model_folder import Description, Normalisation
from avpretext.training.objectives import TASK, outputs_of

Floats = NDArray[np.float32]
Windows = tuple[float, float]
"""Window and hop, in seconds."""


class Model:
    """A trained model; `avpretext.load` makes one of its folder. `description` is the content of `model.json`."""

    def __init__(self, folder: str | os.PathLike[str], encoder: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder)
        trained = model_folder.read(self.folder)
        self.description: Description = trained.description
        self._networks, self._scales, self._normalisation = trained.networks, trained.scales, trained.normalisation
        place = None if encoder is None else Path(encoder)
        self._hearing = open_hearing(self.description, self.folder, place, trained.fronts)
        weakref.finalize(self, self._hearing.close)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, or the attributes, in the order of `Prediction.probabilities`."""
        return tuple(self.description.classes)

    @property
    def by_speaker(self) -> bool:
        """Whether it normalises each speaker by their own clips, so that it must be told who speaks."""
        return self.description.by_speaker

    @property
    def shortest_s(self) -> float:
        """Seconds that a clip or window must have."""
        return self._hearing.shortest_frames * FRAME_S

    def __repr__(self) -> str:
        return f"Model({str(self.folder)!r}: {self.description.setting}, {', '.join(self.names)})"

    def predict(
        self,
        source: Source | NDArray[Any],
        rate: int | None = None,
        *,
        along_time: Windows | None = None,
        speaker: str | None = None,
        min_speech: float = MIN_SPEECH,
    ) -> Prediction:
        """Return the prediction for a clip, or along the time of a recording; see `predict_many`.

        Parameters
        ----------
        source
            A file that ffmpeg can read, or samples: (samples,) or (samples, channels), floating with full scale 1, or
            int16.
        rate
            Samples per second; for samples.
        speaker
            For a model that normalises by speaker: any name, to tell that one person speaks in all of it.

        Raises
        ------
        RefusedFile
            The file cannot be read, or is too short or too long; its `reason` is one of `REASONS`.
        UserError
            The model must be told who speaks, or there are no samples.
        """
        name = os.fspath(source) if not isinstance(source, np.ndarray) else "array"
        with _as_file(source, rate) as file:
            speakers = None if speaker is None else [speaker]
            found = list(self.predict_many([file], along_time=along_time, speakers=speakers, min_speech=min_speech))
        if isinstance(last := found[-1], Refused):
            raise RefusedFile(name, last.reason, last.detail)
        rows = [part for part in found if isinstance(part, Prediction)]
        fields = ("start_s", "end_s", "probabilities", "speech")
        arrays = [np.concatenate([getattr(part, field) for part in rows]) for field in fields]
        return Prediction(name, self.description.kind, self.names, *arrays)

    def frames(self, source: Source | NDArray[Any], rate: int | None = None) -> Floats:
        """Return what the networks read of a clip: feature frames (T, F) every 10 ms, in the units of the features.

        `source` and `rate` are as for `predict`; the features are named in `description.channels`.

        Raises
        ------
        RefusedFile
            As `predict`.
        UserError
            Frames alone give no prediction, see `check_frames`.
        """
        check_frames(self.description, self.folder)
        with _as_file(source, rate) as file:
            found = self._hearing.frames(file)
        if isinstance(found, Refusal):
            name = "array" if isinstance(source, np.ndarray) else os.fspath(source)
            raise RefusedFile(name, found.reason, found.detail)
        return found

    def of_frames(self, frames: Floats) -> Floats:
        """Return probabilities, or values of attributes, (C,) of the feature frames (T, F) of a clip.

        Raises
        ------
        UserError
            As `frames`; or there are too few for `chunks.method: published`.
        """
        check_frames(self.description, self.folder)
        outputs: Floats = self._outputs(self._hearing.cut(frames), self._normalisation)[0]
        return outputs

    @property
    def shortest_frames(self) -> int:
        """The least number of frames that a clip must have."""
        return self._hearing.shortest_frames

    def predict_many(
        self,
        sources: Iterable[Source],
        *,
        along_time: Windows | None = None,
        speakers: Sequence[str] | None = None,
        min_speech: float = MIN_SPEECH,
        threads: int = 1,
    ) -> Iterator[Prediction | Refused]:
        """Yield the prediction for each file, in their order; of a file that cannot be read, the reason.

        Along time a file comes in several predictions, one after another, while it is being read; one that turns out to
        be broken ends with why. The memory held does not grow with the length of a recording.

        Parameters
        ----------
        along_time
            Window and hop, in seconds; None: one row for each file.
        speakers
            For a model that normalises by speaker: who speaks in each file. Predictions then come after all files have
            been read; meanwhile the features wait in a temporary file.
        min_speech
            Rows with a smaller share of speech have no prediction: NaN, and no label.
        threads
            Files, or along time minutes of a file, that are worked on at a time.

        Raises
        ------
        UserError
            The model must be told who speaks, windows are too short for it, or `min_speech` is not within 0..1.
        """
        if not 0 <= min_speech <= 1:
            raise UserError(f"min_speech = {min_speech}: expected the share of a row that must be speech, 0 to 1")
        files = [os.fspath(source) for source in sources]
        along = None if along_time is None else self._checked(AlongTime(*along_time))
        if self.description.as_one:
            return self._say_by_speaker(files, along, [""] * len(files), threads, min_speech)
        if not self.by_speaker:
            return self._say_at_once(files, along, threads, min_speech)
        if speakers is None or len(speakers) != len(files):
            raise UserError(
                f"{self.folder}: this model normalises each speaker by all of their clips: say who speaks in each file,"
                " by --speakers one, folder, file or TABLE.csv, in Python by speaker= or speakers="
            )
        return self._say_by_speaker(files, along, list(speakers), threads, min_speech)

    def predict_live(
        self, blocks: Iterable[NDArray[np.int16]], along_time: Windows, *, min_speech: float = MIN_SPEECH
    ) -> Iterator[Prediction | Refused]:
        """Return an iterator over the windows of sound that goes on: a row as soon as its window is complete.

        Windows are those of `predict`; features and speech of a window are made of it and the five seconds before it.
        The memory held does not grow.

        Parameters
        ----------
        blocks
            (samples,) int16 at 16 kHz, of any length, one after another.
        along_time, min_speech
            See `predict_many`.

        Raises
        ------
        UserError
            The model normalises by all sound of a speaker, or windows are too short for it.
        """
        if self.by_speaker or self.description.as_one:
            raise UserError(f"{self.folder}: this model normalises by whole recordings, and cannot predict live")
        windows = self._hearing.live(blocks, self._checked(AlongTime(*along_time)))
        return (self._say(standard_input.NAME, heard, self._normalisation, min_speech) for heard in windows)

    def _checked(self, along: AlongTime) -> AlongTime:
        if along.checked().window_s < self.shortest_s:
            raise UserError(
                f"windows of {along.window_s:g} s: the model was trained with chunks.method: published, which needs"
                f" {self.shortest_s:g} s at least"
            )
        return along

    def _say_at_once(
        self, files: list[str], along: AlongTime | None, threads: int, least: float
    ) -> Iterator[Prediction | Refused]:
        for place, heard in self._hear(files, along, threads):
            yield self._say(files[place], heard, self._normalisation, least)

    def _say_by_speaker(
        self, files: list[str], along: AlongTime | None, speakers: list[str], threads: int, least: float
    ) -> Iterator[Prediction | Refused]:
        """Read all files first, for each speaker's mean and deviation; then predict, in the order of the files."""
        moments = [self._hearing.no_moments() for _ in files]
        with closing(Spool()) as spool:
            for place, heard in self._hear(files, along, threads, moments):
                spool.put(place, heard)
            known = {speaker: self._hearing.no_moments() for speaker in speakers}
            for speaker, of_file in zip(speakers, moments, strict=True):
                known[speaker] += of_file
            for place, heard in spool.take():
                normalisation = Normalisation(*mean_and_deviation(known[speakers[place]]))
                yield self._say(files[place], heard, normalisation, least)

    def _hear(
        self, files: list[str], along: AlongTime | None, threads: int, moments: Sequence[Moments] | None = None
    ) -> Iterator[tuple[int, Heard | Refusal]]:
        """Yield place and chunks of each file; the moments of its frames are added to those of its place."""

        def clip(place: int) -> Heard | Refusal:
            return self._hearing.clip(files[place], moments[place] if moments else None)

        if along is None:
            yield from enumerate(ordered_map(clip, range(len(files)), threads))
            return
        for place, file in enumerate(files):
            for heard in self._hearing.along(file, along, threads, moments[place] if moments else None):
                yield place, heard

    def _say(
        self, file: str, heard: Heard | Refusal, normalisation: Normalisation | None, least: float
    ) -> Prediction | Refused:
        """Return what the networks say of what was heard, where the share of speech is at least so large."""
        if isinstance(heard, Refusal):
            return Refused(file, heard.reason, heard.detail)
        mean = self._outputs(heard.chunks, normalisation)
        finite.check_values(mean, f"{self.folder}: what it says of {file}", "train the model again")
        said_of = Prediction(file, self.description.kind, self.names, heard.start_s, heard.end_s, mean, heard.speech)
        return said_of.where_spoken(least)

    def _outputs(self, chunks_of_all: Chunks, normalisation: Normalisation | None) -> Floats:
        """Return the mean of what the networks say of chunks, (N, C).

        Without `normalisation` they come normalised already, for each network apart, one beside the other.
        """
        steps, mask = chunks_of_all
        if normalisation is None:
            chunks = list(zip(*(part.chunk(len(self._networks), 2) for part in (steps, mask)), strict=True))
        else:
            steps = in_deviations(steps, normalisation.mean, normalisation.deviation)
            steps *= mask.unsqueeze(-1)
            chunks = [(steps, mask)] * len(self._networks)
        with torch.inference_mode(), _one_thread():
            logits = [network(*of)[TASK] for network, of in zip(self._networks, chunks, strict=True)]
        said = np.stack([outputs_of(self.description.kind, values, self._scales) for values in logits])
        mean: Floats = said.mean(0, dtype=np.float64).astype(np.float32)
        return mean


def check_frames(description: Description, folder: Path) -> None:
    """Raise a UserError for a model whose predictions do not follow from the feature frames of a clip alone."""
    if why := _more_than_frames(description):
        raise UserError(f"{folder}: {why}; its predictions do not follow from feature frames: use `avpretext predict`")


def _more_than_frames(description: Description) -> str:
    """Return what a prediction of a model needs beside feature frames; an empty text: nothing."""
    if description.encoder is not None:
        return f"it hears sound by the pre-trained encoder {description.encoder.name}"
    if description.deepemocluster is not None:
        return "it hears the spectrogram of DeepEmoCluster, which is computed over the whole clip"
    if description.as_one:
        return "it normalises all files together"
    return "it normalises each speaker by all of their clips" if description.by_speaker else ""


@contextmanager
def _as_file(source: Source | NDArray[Any], rate: int | None) -> Iterator[Source]:
    """Give a file as it is, samples as a temporary file."""
    with ExitStack() as stack:
        if isinstance(source, np.ndarray):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            source = write_sound(Path(folder) / "array.wav", source, rate)
        yield source


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread: with networks so small, several only wait for each other, and loudly."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
