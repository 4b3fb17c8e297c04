"""The command `onnx`: a trained model as one ONNX file, checked against the model before it is written."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext import __version__
from avpretext.chunks import FRAME_S, SAMPLE_RATE_HZ
from avpretext.corpora.settings import NUMBERS
from avpretext.errors import UserError
from avpretext.predict.hub_models import located
from avpretext.predict.model import Model, check_frames
from avpretext.predict.onnx_graph import ClipGraph
from avpretext.shards import atomic_path
from avpretext.training import model_folder
from avpretext.training.data import chunk_grid
from avpretext.training.model_folder import Description, TrainedModel

INPUT = "frames"
"""Name of the input, (T, F)."""

TOLERANCE = 1e-5
"""How far outputs may be from the model's; of attributes, in shares of their value if that is above 1."""

Floats = NDArray[np.float32]


def run(name: str | Path, output: Path) -> str:
    """Export a model, and return what the file takes and gives.

    Parameters
    ----------
    name
        Folder of the model, or its name on the hub.
    output
        The file to write, whole or not at all.

    Raises
    ------
    UserError
        Feature frames alone give no prediction, its own encoder or aggregator cannot be exported, or the graph gives
        other values than the model.
    """
    if output.is_dir():
        raise UserError(f"{output}: is a folder; name a file in it, such as {output / 'model.onnx'}")
    folder = located(name)
    check_frames(model_folder.read_description(folder), folder)
    model, trained = Model(folder), model_folder.read(folder)
    content = as_onnx(model, trained)
    furthest = largest_difference(content, model, trained)
    if not furthest <= TOLERANCE:
        raise UserError(
            f"{model.folder}: its graph gives other values than the model (difference {furthest:.1g}, at most"
            f" {TOLERANCE:g} is accepted); an encoder of your own must ignore what its mask hides"
        )
    with atomic_path(output) as temporary:
        temporary.write_bytes(content)
    return (
        f"{output}: {INPUT} (T, {len(model.description.channels)}) float32, every {1000 * FRAME_S:g} ms ->"
        f" {output_name(model.description)} ({len(model.names)},): {', '.join(model.names)}\n"
        f"largest difference from the model: {furthest:.1g}"
    )


def as_onnx(model: Model, trained: TrainedModel) -> bytes:
    """Return a model, whose folder holds `trained`, as an ONNX file with metadata.

    Raises
    ------
    UserError
        A part of it cannot be exported.
    """
    import onnx
    import onnxruntime  # type: ignore[import-untyped]  # noqa: F401
    import onnxscript  # noqa: F401  # both are needed later; a lack of them is told before the work

    graph = ClipGraph(trained).eval()
    outputs = [output_name(model.description)]
    # An example of more than a chunk; length 1 would be taken for a fixed length.
    example = torch.zeros(graph.grid.length + 2, len(model.description.channels))
    length = {"frames": {0: torch.export.Dim.DYNAMIC}}
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(graph, (example,), dynamic_shapes=length)
            made: Any = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=[INPUT], output_names=outputs
            )
    except Exception as error:  # of torch and of an encoder of somebody's own, of any kind
        what = " ".join(str(error).split())[:200]
        raise UserError(f"{model.folder}: cannot be exported as ONNX ({type(error).__name__}: {what})") from None
    proto = made.model_proto
    _without_traces(proto)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "T"
    onnx.helper.set_model_props(proto, metadata(model))
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def metadata(model: Model) -> dict[str, str]:
    """Return what a program needs to use the file; lists and settings are JSON."""
    said = model.description
    return {
        "avpretext_version": __version__,
        "weights_sha256": said.weights_sha256,
        "setting": said.setting,
        "target": said.target,
        "kind": said.kind,
        "classes": json.dumps(said.classes),
        "feature_names": json.dumps(said.channels),
        "frame_rate_hz": f"{1 / FRAME_S:g}",
        "shortest_frames": str(model.shortest_frames),
        "sample_rate_hz": str(SAMPLE_RATE_HZ),
        **{name: json.dumps(of.model_dump()) for name in ("media", "speech", "log_mel") if (of := getattr(said, name))},
    }


def output_name(description: Description) -> str:
    """Return the name of the output."""
    return "values" if description.kind in NUMBERS else "probabilities"


def largest_difference(content: bytes, model: Model, trained: TrainedModel) -> float:
    """Return the largest difference of an ONNX file from its model, over clips of many lengths."""
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    differences = []
    for frames in _trials(trained, model.shortest_frames):
        expected = model.of_frames(frames)
        found = session.run(None, {INPUT: frames})[0]
        differences.append(np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected))))
    return float(np.max(differences))


def _trials(trained: TrainedModel, shortest_frames: int) -> Iterator[Floats]:
    """Yield feature frames of clips around every length at which the chunks change; one number is not measured."""
    if (known := trained.normalisation) is None:
        return
    grid = chunk_grid(trained.description.chunks, trained.description.model.step_frames)
    all_chunks, rng = grid.length * grid.chunks, np.random.default_rng(1)
    lengths = {1, 2, grid.length // 2, grid.length - 1, grid.length, grid.length + 1}
    lengths |= {all_chunks - 1, all_chunks, all_chunks + 1, 2 * all_chunks + 7}
    for length in sorted(length for length in lengths if length >= shortest_frames):
        frames = known.mean + known.deviation * rng.normal(size=(length, len(known.mean)))
        frames[length // 2, 0] = np.nan
        yield frames.astype(np.float32)


def _without_traces(proto: Any) -> None:
    """Remove what the exporter notes of its own work: paths of this machine, and lengths of the example."""
    del proto.graph.value_info[:]
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the notes of the exporter from the terminal, and let attention be computed by operations it knows."""
    logs, fast = logging.root.manager.disable, torch.backends.mha.get_fastpath_enabled()
    logging.disable(logging.ERROR)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        logging.disable(logs)
