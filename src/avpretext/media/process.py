"""A running ffmpeg: its two pipes, its log, and bounds on its time and memory."""

import errno
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from avpretext.config import MediaOptions
from avpretext.errors import FAULT_TEXTS, UserError
from avpretext.media import bounds, effort, ffmpeg
from avpretext.media.clock import Sound
from avpretext.media.filters import Samples
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.progress import MEDIA, progress

_STOPPED = "Exiting normally, received signal "
"""Start of what ffmpeg writes where it is asked to end; it then ends as after a shorter file."""

_MESSAGES = 100
_LACKS_MEMORY = ("get_buffer() failed", "Failed to allocate", "Out of memory")
"""What decoders write of memory that they do not get, and no more."""

_ERRORS = ("error", "fatal", "panic")
_SHELL = 128
"""A shell whose command was ended by signal n ends with status 128 + n."""

Heard = TypeVar("Heard")
Seen = TypeVar("Seen")
Piece = TypeVar("Piece")


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
    out_of_time
        How it has used up its time, in words; empty while it has not.
    is_spent
        Whether that was processor time, which is no matter of a disk that does not answer.
    fault
        The first text of `FAULT_TEXTS` that its log tells; empty for none.
    is_described
        Whether it came to the end of its description of the source.
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
        self.out_of_time = self.fault = ""
        self.is_described = self.is_spent = False
        self.frames: IO[bytes] | None = None
        self.limit_s = bounds.TIME_LIMIT_S
        self._process = self._start(program, video, as_jpeg)
        assert self._process.stdout is not None
        self._audio: IO[bytes] = self._process.stdout
        part = ffmpeg.part_of(stretch, str(source), options)
        self.sound = Sound(self._audio)
        if part is not None:
            self.sound = Sound(self._audio, part.seek_s - part.zero_s, part.start_s - part.seek_s, part.length_s)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        self.header = ffmpeg.parse_header(self._lines_of_header())
        self._declared_s = stretch.length_s(self.header.duration_s if self.header else None)
        longest_s = min(options.max_duration_s, self._declared_s or options.max_duration_s)
        self.limit_s = bounds.limit_s(longest_s)

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
        bounds.bound_memory(process.pid)
        if receiving is not None:
            self.frames = open(receiving, "rb")  # noqa: SIM115
        return process

    def _watch(self) -> None:
        """End ffmpeg once it has used up its time."""
        used = effort.Effort(self._process.pid)
        while not self.out_of_time and not self._ended.wait(effort.POLL_S):
            used.look()
            if used.cpu_s > self.limit_s:
                self.is_spent, self.out_of_time = True, f"more than {self.limit_s:.0f} s of processor time"
            elif used.stalled_s > bounds.STALL_LIMIT_S:
                self.out_of_time = f"nothing for {bounds.STALL_LIMIT_S:.0f} s"
        if self.out_of_time:
            self.kill()

    def _lines_of_header(self) -> list[str]:
        """Read the log up to where ffmpeg has described its input, or has ended."""
        assert self._process.stderr is not None
        lines = []
        for line in self._process.stderr:
            lines.append(line.decode("utf-8", "replace"))
            if self._note(lines[-1]).startswith(ffmpeg.END_OF_HEADER):
                self.is_described = True
                break
        return lines

    def _note(self, line: str) -> str:
        """Keep a line of the log; return its text."""
        level, text = ffmpeg.level_and_text(line)
        self.messages.append((level, text))
        if level in _ERRORS and not self.fault:
            self.fault = next((words for words in FAULT_TEXTS if words in text), "")
            if any(words in text for words in _LACKS_MEMORY):
                self.fault = os.strerror(errno.ENOMEM)
        return text

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

    def followed(self, pieces: Iterable[Piece], piece_s: float) -> Iterator[Piece]:
        """Yield pieces of sound or pictures, each of so many seconds, with progress if the source is a long one."""
        total = None if self._declared_s is None else self._declared_s / 60
        label = f"ffmpeg, {self.source.name}"
        return progress(pieces, total=total, unit=MEDIA, label=label, size=lambda _: piece_s / 60, within=True)

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
            self.jumps += self._note(line.decode("utf-8", "replace")).startswith(ffmpeg.JUMP)

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
        return [text for level, text in self.messages if level in _ERRORS]

    def ended_by(self) -> signal.Signals | None:
        """Return the signal that has ended it, or what it may have been started by; None where it ended by itself."""
        code = self.wait()
        asked = next((text for text in self.log() if text.startswith(_STOPPED)), None)
        number = -code if code < 0 else code - _SHELL if code > _SHELL else 0
        if asked is not None:
            number = int(asked.removeprefix(_STOPPED).split()[0].rstrip("."))
        return signal.Signals(number) if number in set(signal.Signals) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.kill()
        for pipe in (self._audio, self.frames, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()
