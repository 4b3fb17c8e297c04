"""The command `predict`: a model, files, and where to write what it says of them."""

import io
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from avpretext.errors import UserError
from avpretext.predict import standard_input
from avpretext.predict.hub_models import located
from avpretext.predict.inputs import expand, speakers_of
from avpretext.predict.model import Model
from avpretext.predict.output import WRITERS, Format, Writer, format_of, printable
from avpretext.predict.result import Prediction, Refused
from avpretext.predict.submission import SubmissionWriter
from avpretext.predict.windows import AlongTime
from avpretext.programs import command
from avpretext.progress import LINE_EVERY_S, duration, progress, show
from avpretext.shards import atomic_path
from avpretext.training.model_folder import SYNTHETIC, is_synthetic


def run(
    name: str | Path,
    arguments: Sequence[str],
    along_time: str | None,
    speakers: str | None,
    min_speech: float,
    format: Format | None,
    output: Path | None,
    threads: int,
    encoder: Path | None = None,
    live: str | None = None,
) -> int:
    """Write what a model says of files; return how many it can say nothing of.

    Parameters
    ----------
    name
        Folder of the model, or its name on the Hugging Face hub, `user/model` or `user/model@revision`.
    arguments
        Files, folders, patterns; `-` is standard input.
    along_time
        WINDOW,HOP in seconds; None: a row for each file.
    speakers
        `one`, `folder`, `file`, or a CSV table; needed by models that normalise by speaker, ignored by others.
    min_speech
        Rows with a smaller share of speech have no prediction.
    format
        `table`, `json`, `jsonl`, `csv` or `submission`, which has a row for every file whatever `min_speech`; None: by
        the name of `output`.
    output
        The file to write, which appears whole or not at all; None: standard output.
    threads
        Files, or along time minutes of a file, that are worked on at a time.
    encoder
        Folder of the pre-trained encoder that the model hears, see `avpretext.load`.
    live
        WINDOW,HOP in seconds, as of `along_time`: standard input is raw samples that go on, see `standard_input`.
    """
    if live is not None:
        _check_live(arguments, along_time, format)
        windows = AlongTime.parse(live, "--live")
        model = Model(located(name), encoder)
        blocks = standard_input.blocks(standard_input.stream(), windows)
        said = _until_ctrl_c(model.predict_live(blocks, windows, min_speech=min_speech))
        return _report(said, model, [standard_input.NAME], min_speech, format, output)
    along = None if along_time is None else AlongTime.parse(along_time)
    if format == "submission":
        if along is not None:
            raise UserError("--format submission: a row for each file; leave out --along-time")
        min_speech = 0.0
    files = expand(arguments)
    if not files:
        raise UserError("predict: no file is named; give files, folders or patterns")
    model = Model(located(name), encoder)
    who = speakers_of(files, speakers) if speakers is not None and model.by_speaker else None
    with standard_input.as_files(files) as sources:
        said = model.predict_many(sources, along_time=along, speakers=who, min_speech=min_speech, threads=threads)
        names = [standard_input.NAME if file == standard_input.ARGUMENT else file for file in files]
        said = _named(said, dict(zip(sources, names, strict=True)))
        if output is not None or not sys.stdout.isatty():  # else the rows themselves show how far it is
            said = progress(said, total=len(files), unit="files", label="predict") if along is None else _heard(said)
        return _report(said, model, names, min_speech, format, output)


def _check_live(arguments: Sequence[str], along_time: str | None, format: Format | None) -> None:
    if list(arguments) != [standard_input.ARGUMENT]:
        predict = command("avpretext predict MODEL -")
        raise UserError(f"predict --live: hears standard input alone: {standard_input.RECORD} | {predict}")
    if along_time is not None or format == "submission":
        raise UserError("predict --live: leave out --along-time and --format submission")


def _until_ctrl_c(said: Iterator[Prediction | Refused]) -> Iterator[Prediction | Refused]:
    with suppress(KeyboardInterrupt):
        yield from said


def _named(said: Iterator[Prediction | Refused], names: Mapping[str, str]) -> Iterator[Prediction | Refused]:
    """Yield the same under the names that the files were given by: standard input was copied to another."""
    for part in said:
        yield replace(part, source=names[part.source])


def _report(
    said: Iterator[Prediction | Refused],
    model: Model,
    files: Sequence[str],
    min_speech: float,
    format: Format | None,
    output: Path | None,
) -> int:
    """Write everything that is said, and on standard error what is lacking; return how many files were refused."""
    if is_synthetic(model.folder):
        print(f"predict: {SYNTHETIC}", file=sys.stderr)
    writing = SubmissionWriter if format == "submission" else WRITERS[format or format_of(output)]
    with _stream(output) as stream:
        writer = writing(stream, model.description.kind, model.names)
        refused, rows, silent = _write(said, writer, files)
    for text in writer.told():
        print(f"predict: {text}", file=sys.stderr)
    if silent:
        told = f"have less than {min_speech:g} of speech (--min-speech), and so no prediction"
        print(f"predict: {silent} of {rows} rows {told}", file=sys.stderr)
    if refused:
        print(f"predict: nothing can be said of {refused} of {len(files)} files: see their reasons", file=sys.stderr)
    return refused


def _write(said: Iterator[Prediction | Refused], writer: Writer, files: Sequence[str]) -> tuple[int, int, int]:
    """Write everything that is said; return how many files were refused, how many rows there are, and are silent."""
    writer.begin(files)
    writer.stream.flush()
    refused, rows, silent = 0, 0, 0
    for part in said:
        writer.write(part)
        writer.stream.flush()
        if isinstance(part, Refused):
            refused += 1
        else:
            rows, silent = rows + len(part), silent + int((~part.spoken).sum())
    writer.end()
    return refused, rows, silent


@contextmanager
def _stream(output: Path | None) -> Iterator[IO[str]]:
    """Give standard output, or a file that appears whole or not at all."""
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
        return
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name a file in it")
    with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def _heard(said: Iterator[Prediction | Refused]) -> Iterator[Prediction | Refused]:
    """Yield what is said along time, and tell how much of a recording has been heard."""
    live = sys.stderr.isatty()
    source, begin, last = "", 0.0, time.monotonic()
    for part in said:
        yield part
        now = time.monotonic()
        if part.source != source:
            source, begin = part.source, last
        if isinstance(part, Prediction) and now - last >= (0.2 if live else LINE_EVERY_S):
            heard_s = float(part.end_s[-1])
            rate = heard_s / (now - begin)
            show(f"predict {printable(source)}: {duration(heard_s)} heard, {rate:.0f} times real time", live, end="")
            last = now
    if live:
        show("", live, end="")
