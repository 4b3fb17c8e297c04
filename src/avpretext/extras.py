"""Which packages come with which extra of `pip install avpretext[...]`; docs/start.md says what each is for."""

from collections.abc import Iterator
from contextlib import contextmanager

from avpretext import checkout
from avpretext.errors import UserError

OF_MODULE = {
    "accelerate": "encoders", "audformat": "audformat", "cv2": "report", "espeakng_loader": "workflow",
    "gradio": "serve", "huggingface_hub": "hub", "jinja2": "report", "lhotse": "lhotse", "markupsafe": "report",
    "matplotlib": "report", "mediapipe": "workflow", "onnx": "onnx", "onnxruntime": "onnx", "onnxscript": "onnx",
    "peft": "encoders", "PIL": "report", "pocketsphinx": "phones", "skimage": "workflow", "sklearn": "workflow",
    "snakemake": "workflow", "snakemake_interface_logger_plugins": "workflow", "tensorboardX": "workflow",
    "threadpoolctl": "workflow", "transformers": "encoders",
}  # fmt: skip
"""Modules that an installation may lack, by the smallest extra that has them."""


@contextmanager
def told() -> Iterator[None]:
    """Turn the lack of a package of an extra into a user's error with the command that installs it.

    Raises
    ------
    UserError
        A module of `OF_MODULE` is imported and not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in OF_MODULE:
            raise
        raise UserError(
            f"this needs {module}, which is not installed; install it with: {checkout.install(OF_MODULE[module])}"
        ) from error
