"""Speed of small trainings: the loop, several runs at a time, several seeds in one network, mixed precision.

    python benchmarks/training_grid.py [--device cuda] [--only PART ...] [--repeats 5]

Networks and options are the defaults, input is random, in the sizes of the demo: 72 clips are learnt from, 54 choose
the epoch, 54 test; 5 chunks of 25 steps, 67 features. On the CPU every process has one thread and times are processor
time, so that other work on the machine disturbs little; on a GPU they are wall-clock time after the GPU is done. The
ways of a part take turns; a time is the best of the repeats.
"""

import argparse
import copy
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from avpretext.config import Config, FinetuneOptions, LoopOptions
from avpretext.config_file import parse
from avpretext.models.network import make_network
from avpretext.training.data import SpeechChunks
from avpretext.training.finetune import run_once
from avpretext.training.fold_parts import Fold
from avpretext.training.labelled_clips import LabelledClips
from avpretext.training.loop import (
    ClipSet,
    Target,
    epochs,
    keep_freed_memory,
    learning_rate,
    predict,
    shuffled_batches,
    start,
)
from avpretext.training.run_pool import grid_map

PARTS = {"train": 72, "dev": 54, "test": 54}
CHUNKS, STEPS, FEATURES, CLASSES = 5, 25, 67, 6
ENCODERS = ("blstm", "conv", "transformer")
Ways = Mapping[str, Callable[[], object]]


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parts = {"memory": print_memory, "loop": print_loop, "seeds": print_seeds, "grid": print_grid, "mixed": print_mixed}
    parser.add_argument("--only", nargs="*", choices=parts, default=list(parts))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} processors"
    print(f"{platform.machine()}, {name}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    for part in arguments.only:
        parts[part](device, arguments.repeats)


def best_times(ways: Ways, device: torch.device, repeats: int) -> dict[str, float]:
    """Return the seconds of each way, best of the repeats, after one turn to warm up."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            begin = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(clock() - begin)
    return {name: min(values[1:]) for name, values in times.items()}


def print_rows(title: str, what: str, rows: Mapping[str, tuple[float, float]]) -> None:
    """Print seconds of two ways and their ratio."""
    print(f"\n{title}\n\n| {what} | first, ms | second, ms | first / second |\n|---|---|---|---|")
    for name, (first, second) in rows.items():
        print(f"| {name} | {1e3 * first:.2f} | {1e3 * second:.2f} | {first / second:.2f} |", flush=True)


def config_of(encoder: str, **changes: object) -> Config:
    """Return the defaults with another encoder."""
    layers = 2 if encoder == "conv" else 1
    finetune = {"patience": 99, **changes}
    model = {"encoder": encoder, "layers": layers}
    return parse({"corpora": {"any": {"path": ".", "use": []}}, "model": model, "finetune": finetune})


def random_clips(count: int, seed: int = 0) -> ClipSet:
    """Return clips whose labels cannot be heard."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(count, CHUNKS, STEPS, FEATURES, generator=generator).clamp_(-3, 3)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    mask = torch.ones(count, CHUNKS, STEPS, dtype=torch.bool)
    return ClipSet(steps, mask, {"ser": Target(labels, torch.ones(count))})


def cross_entropy(logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
    """Return the loss of a batch."""
    return functional.cross_entropy(logits["ser"], targets["ser"].labels)


def accuracy(logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
    """Return the share of clips whose class is found."""
    return {"score": float((logits["ser"].argmax(1) == targets["ser"].labels).double().mean())}


def print_memory(device: torch.device, repeats: int) -> None:
    """Compare the plain loop with memory as glibc has it and with freed memory kept, each in a new process."""
    context = multiprocessing.get_context("spawn")
    rows = {}
    for encoder in ENCODERS:
        with context.Pool(1, maxtasksperchild=1) as pool:
            work = [(encoder, kept, device.type, repeats) for kept in (False, True)]
            before, after = (pool.apply(plain_seconds, arguments) for arguments in work)
            rows[encoder] = (before, after)
    print_rows("10 epochs of the plain loop: memory as glibc has it, and kept", "encoder", rows)


def plain_seconds(encoder: str, kept: bool, device: str, repeats: int) -> float:
    """Return what the plain loop takes in this process."""
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory()
    way = ready(plain_epochs, config_of(encoder, epochs=10, device=device))
    return best_times({"plain": way}, torch.device(device), repeats)["plain"]


def print_loop(device: torch.device, repeats: int) -> None:
    """Compare a training with one written as PyTorch offers its functions, and see what the network alone takes."""
    rows = {}
    for encoder in ENCODERS:
        config = config_of(encoder, epochs=10, device=device.type)
        ways = {name: ready(way, config) for name, way in (("plain", plain_epochs), ("ours", our_epochs))}
        alone = {"network": ready(network_alone, config)}
        times = best_times({**ways, **alone}, device, repeats)
        rows[f"{encoder}: plain loop, the loop"] = times["plain"], times["ours"]
        rows[f"{encoder}: the loop, network alone"] = times["ours"], times["network"]
    print_rows("10 epochs of training and dev", "encoder: first, second", rows)


def ready(way: Callable[[nn.Module, ClipSet, ClipSet, FinetuneOptions], None], config: Config) -> Callable[[], None]:
    """Return a way with its clips and a new network each time."""
    clips, dev = random_clips(PARTS["train"]), random_clips(PARTS["dev"], 1)
    return lambda: way(make_network(FEATURES, config.model, {"ser": CLASSES}, 0), clips, dev, config.finetune)


def our_epochs(network: nn.Module, clips: ClipSet, dev: ClipSet, options: FinetuneOptions) -> None:
    """Train with the loop of the package."""
    state = start(network, options, 0)  # type: ignore[arg-type]
    for _ in epochs(state, clips, dev, cross_entropy, accuracy, options):
        pass


def network_alone(network: nn.Module, clips: ClipSet, dev: ClipSet, options: FinetuneOptions) -> None:
    """Go forward and back as often, and do nothing else."""
    device = torch.device(options.device)
    network, clips, dev = network.to(device), clips.to(device), dev.to(device)
    for _ in range(options.epochs):
        network.train()
        for place in range(0, len(clips.steps), len(clips.steps) // 3):
            rows = slice(place, place + len(clips.steps) // 3)
            network(clips.steps[rows], clips.mask[rows])["ser"].sum().backward()  # type: ignore[no-untyped-call]
        predict(network, dev, options)


def plain_epochs(network: nn.Module, clips: ClipSet, dev: ClipSet, options: FinetuneOptions) -> None:
    """Train as one would write it: same steps, same options, not a word about speed."""
    device = torch.device(options.device)
    network, clips, dev_input = network.to(device), clips.to(device), dev.to(device)
    optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    torch.manual_seed(0)

    def average(mean: Tensor, value: Tensor, steps: Tensor | int) -> Tensor:
        kept = min(options.averaging, (1 + int(steps)) / (10 + int(steps)))
        return kept * mean + (1 - kept) * value

    averaged = AveragedModel(network, avg_fn=average)
    for epoch in range(1, options.epochs + 1):
        optimiser.param_groups[0]["lr"] = learning_rate(epoch, options)
        network.train()
        for rows in shuffled_batches(len(clips.steps), options.batch_size, torch.Generator()):
            loss = plain_loss(network, clips, rows.to(device), options)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            averaged.update_parameters(network)
            loss.item()
        accuracy(predict(averaged, dev_input, options), dev.targets)
        copy.deepcopy(averaged.module.state_dict())


def plain_loss(network: nn.Module, clips: ClipSet, rows: Tensor, options: LoopOptions) -> Tensor:
    """Augment and mix a batch, formula by formula."""
    steps, mask, labels = clips.steps[rows], clips.mask[rows], clips.targets["ser"].labels[rows]
    heard = (steps != 0).any(2, keepdim=True).any(1, keepdim=True)
    noisy = steps + options.noise * torch.randn_like(steps)
    noisy = noisy * (torch.rand(len(steps), 1, 1, FEATURES, device=steps.device) >= options.channel_dropout)
    width = torch.rand(*mask.shape[:2], 1, device=steps.device) * options.time_mask * STEPS
    begin = torch.rand(*mask.shape[:2], 1, device=steps.device) * (STEPS - width)
    place = torch.arange(STEPS, device=steps.device)
    noisy = noisy * ((place < begin) | (place >= begin + width)).unsqueeze(-1) * mask.unsqueeze(-1) * heard
    share = torch.distributions.Beta(options.mixup, options.mixup).sample().item()
    other = torch.randperm(len(steps)).to(steps.device)
    logits = network(share * noisy + (1 - share) * noisy[other], mask | mask[other])["ser"]
    first, second = (functional.cross_entropy(logits, values) for values in (labels, labels[other]))
    return share * first + (1 - share) * second


def print_seeds(device: torch.device, repeats: int) -> None:
    """Compare training steps of S networks one after another with one step of all of them stacked."""
    rows = {}
    for seeds in (3, 12):
        for encoder in ENCODERS[1:]:
            networks = [make_network(FEATURES, config_of(encoder).model, {"ser": CLASSES}, s) for s in range(seeds)]
            networks = [network.to(device) for network in networks]
            ways = {"single": single_steps(networks, device), "stacked": stacked_steps(networks, device)}
            times = best_times(ways, device, repeats)
            rows[f"{encoder}, {seeds} networks"] = times["single"], times["stacked"]
        times = best_times(
            {"single": single_lstms(seeds, device), "stacked": stacked_lstms(seeds, device)}, device, repeats
        )
        rows[f"the LSTM of blstm alone, {seeds} of them"] = times["single"], times["stacked"]
    print_rows("10 steps of training of several seeds: one after another, and stacked", "networks", rows)


def single_steps(networks: Sequence[nn.Module], device: torch.device) -> Callable[[], None]:
    """Return 10 training steps of each network."""
    batch = random_clips(24).to(device)
    optimisers = [torch.optim.AdamW(network.parameters(), fused=True) for network in networks]

    def steps() -> None:
        for network, optimiser in zip(networks, optimisers, strict=True):
            network.train()
            for _ in range(10):
                cross_entropy(network(batch.steps, batch.mask), batch.targets).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                optimiser.zero_grad()

    return steps


def stacked_steps(networks: Sequence[nn.Module], device: torch.device) -> Callable[[], None]:
    """Return 10 training steps of all networks as one, each with a batch of its own."""
    weights, buffers = stack_module_state(networks)
    shape = copy.deepcopy(networks[0]).train()
    mask = random_clips(24).to(device).mask
    sets = [random_clips(24, seed).to(device) for seed in range(len(networks))]
    batch, labels = torch.stack([clips.steps for clips in sets]), torch.stack([c.targets["ser"].labels for c in sets])
    optimiser = torch.optim.AdamW(weights.values(), fused=True)

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], steps: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(shape, (weights, buffers), (steps, mask))["ser"], labels)

    losses = vmap(loss, randomness="different")

    def steps() -> None:
        for _ in range(10):
            losses(weights, buffers, batch, labels).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()

    return steps


def single_lstms(count: int, device: torch.device) -> Callable[[], None]:
    """Return 10 times forward and back of several LSTMs of the default sizes, one after another."""
    layers = [nn.LSTM(FEATURES, 32, batch_first=True, bidirectional=True).to(device) for _ in range(count)]
    steps = random_clips(24).steps.flatten(0, 1).to(device)

    def run() -> None:
        for layer in layers:
            for _ in range(10):
                layer(steps)[0].sum().backward()

    return run


def stacked_lstms(count: int, device: torch.device) -> Callable[[], None]:
    """Return the same by products of stacks of matrices: both directions of all LSTMs at once, step by step."""
    ways, width = 2 * count, 32
    batch = random_clips(24).steps.flatten(0, 1).to(device)
    steps = torch.stack([batch, batch.flip(1)]).repeat(count, 1, 1, 1).flatten(1, 2)  # (2 S, N m, F)
    inward = (0.1 * torch.randn(ways, FEATURES, 4 * width, device=device)).requires_grad_()
    across = (0.1 * torch.randn(ways, width, 4 * width, device=device)).requires_grad_()
    bias = torch.zeros(ways, 1, 4 * width, device=device, requires_grad=True)

    def run() -> None:
        for _ in range(10):
            inputs = torch.baddbmm(bias, steps, inward).unflatten(1, (-1, STEPS)).unbind(2)  # type: ignore[no-untyped-call]
            hidden = cell = torch.zeros(ways, len(batch), width, device=device)
            outputs = []
            for step in inputs:
                gates = torch.baddbmm(step, hidden, across)
                enter, forget, leave = gates[..., : 3 * width].sigmoid().chunk(3, -1)
                cell = forget * cell + enter * gates[..., 3 * width :].tanh()
                hidden = leave * cell.tanh()
                outputs.append(hidden)
            torch.stack(outputs, 2).sum().backward()  # type: ignore[no-untyped-call]

    return run


def labelled_clips() -> tuple[LabelledClips, Fold]:
    """Return clips of one fold."""
    count = sum(PARTS.values())
    clips = random_clips(count)
    names = [f"any/{row:03d}" for row in range(count)]
    channels = [str(channel) for channel in range(FEATURES)]
    chunks = SpeechChunks(names, names, channels, clips.steps, clips.mask, np.zeros((3, count, FEATURES)))
    values = np.eye(CLASSES, dtype=np.float32)[clips.targets["ser"].labels.numpy()]
    places = np.cumsum([0, *PARTS.values()])
    parts = {name: frozenset(names[places[i] : places[i + 1]]) for i, name in enumerate(PARTS)}
    return LabelledClips(chunks, values, "hard", [str(number) for number in range(CLASSES)]), Fold(0, parts)


def print_grid(device: torch.device, repeats: int) -> None:
    """Compare 12 runs one after another, with one and two threads in each operation, and two at a time; wall clock."""
    clips, fold = labelled_clips()
    config = config_of("blstm", epochs=5, device=device.type)

    def runs(threads: int) -> Callable[[], list[object]]:
        return lambda: list(
            grid_map(lambda seed: run_once(clips, fold, seed, None, config), range(12), threads, device)
        )

    def within() -> None:
        torch.set_num_threads(2)
        run_once(clips, fold, 0, None, config)

    # Forked before any operation has several threads: last, the way that has.
    ways = {"one": runs(1), "two": runs(2)}
    times = {name: min(wall(way) for _ in range(repeats)) for name, way in ways.items()}
    times["within"] = 12 * wall(within)  # one run, once: on a busy machine its threads wait for each other
    torch.set_num_threads(1)
    rows = {
        "one at a time, two at a time": (times["one"], times["two"]),
        "one at a time with 2 threads in an operation, two at a time": (times["within"], times["two"]),
    }
    print_rows(f"12 runs of 5 epochs, wall clock, load {os.getloadavg()[0]:.1f}", "first, second", rows)


def wall(way: Callable[[], object]) -> float:
    """Return the seconds by the clock on the wall."""
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def print_mixed(device: torch.device, repeats: int) -> None:
    """Compare 10 epochs in float32 with 10 in mixed precision, also of a network of the published width; GPU alone."""
    if device.type != "cuda":
        print("\nmixed precision: on a GPU alone; --device cuda")
        return
    rows = {}
    for encoder, batch_size in [(encoder, size) for encoder in ENCODERS for size in (32, 128)]:
        ways = {}
        for precision in ("float32", "mixed"):
            options = {"epochs": 10, "device": "cuda", "batch_size": batch_size, "precision": precision}
            ways[precision] = ready(our_epochs, config_of(encoder, **options))
        times = best_times(ways, device, repeats)
        rows[f"{encoder}, batches of {batch_size}"] = times["float32"], times["mixed"]
    print_rows("10 epochs of training and dev: float32, and mixed precision", "encoder", rows)


if __name__ == "__main__":
    main()
