"""The page itself: one input, a file or the microphone, and below it what the model makes of it; by gradio."""

import html
import os
import tempfile
from pathlib import Path
from typing import Any

from avpretext.errors import UserError
from avpretext.flow.paths import Layout
from avpretext.predict.model import Model
from avpretext.serve.first_look import first_look
from avpretext.serve.look_page import results, style_sheet
from avpretext.training.model_folder import SYNTHETIC, is_synthetic

ADDRESS = "127.0.0.1"
"""Of this machine alone."""

LARGEST = "500mb"
"""File that the page takes."""

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: data: blob:;"
    " frame-ancestors 'none'"
)
"""Content-Security-Policy: the browser asks no other machine for anything."""

SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What gradio reads when it is imported: it sends nothing about its use."""


def run(folder: Path, port: int, face_model: Path, encoder: Path | None = None) -> None:
    """Serve a page for a model until Ctrl-C; files that it is given are removed at the end.

    Parameters
    ----------
    folder
        Of the model.
    face_model
        The file `face_landmarker.task`, to show faces with.
    encoder
        Folder of the pre-trained encoder that the model hears, see `avpretext.load`.

    Raises
    ------
    UserError
        The port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="avpretext-serve-") as uploads:
        # gradio looks whether its page answers, which no proxy can tell.
        unproxied = ",".join(filter(None, (os.environ.get("no_proxy"), ADDRESS)))
        os.environ.update(SETTINGS, GRADIO_TEMP_DIR=uploads, no_proxy=unproxied)
        blocks = page(folder, Model(folder, encoder), face_model)
        try:
            launch(blocks, port)
        except OSError:
            raise UserError(f"--port {port}: something else uses it; give another, such as {port + 1}") from None
        print(f"http://{ADDRESS}:{port}  (Ctrl-C ends it)", flush=True)
        blocks.block_thread()


def usual_face_model(folder: Path) -> Path:
    """Return where the workflow keeps the face model: in the results that the model lies in, else in those here.

    >>> usual_face_model(Path("elsewhere/best")).as_posix()
    'results/models/face_landmarker.task'
    """
    here = Path(Layout("results").path("models"))
    beside = [results / "models" / here.name for results in folder.absolute().parents[3:4]]
    return next((file for file in beside if file.is_file()), here)


def page(folder: Path, model: Model, face_model: Path) -> Any:
    """Return gradio's blocks of the page."""
    import gradio  # type: ignore[import-not-found, unused-ignore]

    ui: Any = gradio

    def show(file: str | None) -> str:
        return results(first_look(model, Path(file), face_model)) if file else ""

    with ui.Blocks(title="avpretext", analytics_enabled=False) as blocks:
        ui.HTML(head(folder, model))
        with ui.Row():
            given = ui.File(label="Audio or video file", elem_id="file", height=150, min_width=330)
            spoken = ui.Audio(
                label="Microphone", sources=["microphone"], type="filepath", elem_id="microphone", min_width=330
            )
        shown = ui.HTML(elem_id="results")
        for source in (given, spoken):
            # One at a time: the style of a chart is Matplotlib's for the whole process.
            source.change(show, source, shown, api_visibility="private", concurrency_id="look", concurrency_limit=1)
    return blocks


def launch(blocks: Any, port: int) -> None:
    """Serve the page in the background, on this machine alone."""
    import gradio

    ui: Any = gradio
    fonts = ["system-ui", "sans-serif"]
    blocks.launch(
        server_name=ADDRESS, server_port=port, share=False, quiet=True, footer_links=[], ssr_mode=False,
        max_file_size=LARGEST, prevent_thread_lock=True, css=style_sheet(),
        theme=ui.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"]),
        app_kwargs={"middleware": [(_WithPolicy, (), {})]},  # what Starlette's Middleware unpacks to
    )  # fmt: skip


def head(folder: Path, model: Model) -> str:
    """Return the title of the page, which model it is, and whether that has learnt from synthetic speech alone."""
    escaped = html.escape(str(folder))
    names = html.escape(", ".join(model.names))
    notice = f'<p class="notice">{SYNTHETIC}</p>' if is_synthetic(folder) else ""
    return (
        '<div class="head"><h1>What does the model hear?</h1>'
        f"<p>Model <code>{escaped}</code>: {names}. Nothing leaves this machine.</p>{notice}</div>"
    )


class _WithPolicy:
    """ASGI middleware that adds `POLICY` to every answer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self._app(scope, receive, with_policy)
