"""A running ffmpeg: its two pipes, its log, and a time limit."""

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from avpretext.config import MediaOptions
from avpretext.errors import UserError
from avpretext.media import ffmpeg
from avpretext.media.clock import Sound
from avpretext.media.filters import Samples
from avpretext.media.stretches import WHOLE, Stretch

TIME_LIMIT_S = 60.0
TIME_LIMIT_PER_SECOND = 20.0
"""A clip may take 60 s and 20 s for each second that it lasts; then its ffmpeg is ended."""

_MESSAGES = 100

Heard = TypeVar("Heard")
Seen = TypeVar("Seen")


class FfmpegProcess:
    """ffmpeg reading one source; it has described the source when this is made, and ends with the `with` block.

    Attributes
    ----------
    header
        What the file declares of itself; None where ffmpeg could not open it.
    sound, frames
        Sound on the clock, and the pipe to read images from; both at the same time, or ffmpeg waits for ever.
    jumps
        How often the clock of an MPEG stream begins anew, as where files were joined.
    """

    def __init__(
        self,
        source: Path,
        program: str,
        options: MediaOptions,
        video: bool,
        stretch: Stretch = WHOLE,
        as_jpeg: bool = True,
        sound: bool = True,
    ) -> None:
        self.source, self.options, self.stretch, self.wants_sound = source, options, stretch, sound
        self.messages: deque[tuple[str, str]] = deque(maxlen=_MESSAGES)
        self.jumps = 0
        self.out_of_time = False
        self.frames: IO[bytes] | None = None
        self._timer: threading.Timer | None = None
        self._process = self._start(program, video, as_jpeg)
        assert self._process.stdout is not None
        self._audio: IO[bytes] = self._process.stdout
        part = ffmpeg.part_of(stretch, str(source), options)
        self.sound = Sound(self._audio)
        if part is not None:
            self.sound = Sound(self._audio, part.seek_s - part.zero_s, part.start_s - part.seek_s, part.length_s)
        self._allow(TIME_LIMIT_S)
        self.header = ffmpeg.parse_header(self._lines_of_header())
        declared_s = stretch.length_s(self.header.duration_s if self.header else None)
        longest_s = min(options.max_duration_s, declared_s or options.max_duration_s)
        self._allow(TIME_LIMIT_S + TIME_LIMIT_PER_SECOND * longest_s)

    def _start(self, program: str, video: bool, as_jpeg: bool) -> subprocess.Popen[bytes]:
        """Start ffmpeg; frames come through a pipe of their own, beside the three that every process has."""
        receiving, sending = os.pipe() if video else (None, None)
        source = str(self.source)
        arguments = ffmpeg.command(program, source, self.options, sending, self.stretch, as_jpeg, self.wants_sound)
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=() if sending is None else (sending,),
                # A group of its own: split.ffmpeg may name a script, whose ffmpeg must end with it.
                process_group=0,
            )
        except OSError as error:
            if receiving is not None:
                os.close(receiving)
            raise UserError(f"{program}: ffmpeg cannot be started ({error.strerror}); see split.ffmpeg") from None
        finally:
            # Only ffmpeg may hold the sending end, or reading would never come to an end.
            if sending is not None:
                os.close(sending)
        if receiving is not None:
            self.frames = open(receiving, "rb")  # noqa: SIM115
        return process

    def _allow(self, seconds: float) -> None:
        """End ffmpeg after this many seconds from now, in place of the limit set before."""
        if self._timer is not None:
            self._timer.cancel()
        self.limit_s = seconds
        self._timer = threading.Timer(seconds, self._run_out)
        self._timer.daemon = True
        self._timer.start()

    def _run_out(self) -> None:
        self.out_of_time = True
        self.kill()

    def _lines_of_header(self) -> list[str]:
        """Read the log up to where ffmpeg has described its input, or has ended."""
        assert self._process.stderr is not None
        lines = []
        for line in self._process.stderr:
            lines.append(line.decode("utf-8", "replace"))
            self.messages.append(ffmpeg.level_and_text(lines[-1]))
            if self.messages[-1][1].startswith(ffmpeg.END_OF_HEADER):
                break
        return lines

    def read(self, hear: Callable[[Sound], Heard], see: Callable[[IO[bytes] | None], Seen]) -> tuple[Heard, Seen]:
        """Read sound, pictures and log at the same time; return the results of callbacks over sound and frames.

        ffmpeg waits for ever for one that is not read to its end.
        """
        with ThreadPoolExecutor(2) as pool:
            log = pool.submit(self._read_messages)
            heard = pool.submit(hear, self.sound)
            try:
                seen = see(self.frames)
            except BaseException:
                # The two threads wait for ffmpeg, and ffmpeg for its frames to be read.
                self.kill()
                raise
            log.result()
            return heard.result(), seen

    def listen(self, block_samples: int) -> Generator[Samples]:
        """Yield the sound of a process without pictures, block by block; the last block may be shorter."""
        with ThreadPoolExecutor(1) as pool:
            log = pool.submit(self._read_messages)
            try:
                yield from self.sound.blocks(block_samples)
            except BaseException:
                # The thread waits for ffmpeg, and ffmpeg for its sound to be read.
                self.kill()
                raise
            log.result()

    def _read_messages(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            level, text = ffmpeg.level_and_text(line.decode("utf-8", "replace"))
            self.messages.append((level, text))
            self.jumps += text.startswith(ffmpeg.JUMP)

    def kill(self) -> None:
        """End ffmpeg, and what it may have started, at once: all its pipes come to their ends."""
        # Once it has been waited for, its number may be that of another group.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Return the exit status; 0 is success."""
        return self._process.wait()

    def log(self) -> list[str]:
        """Return the last lines of the log."""
        return [text for _, text in self.messages]

    def errors(self) -> list[str]:
        """Return those of the last lines of the log that are errors."""
        return [text for level, text in self.messages if level in ("error", "fatal", "panic")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.kill()
        for pipe in (self._audio, self.frames, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()
