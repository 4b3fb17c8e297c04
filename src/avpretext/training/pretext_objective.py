"""What pre-training makes small, and what it measures on the speakers that are held out."""

from collections.abc import Mapping

from torch import Tensor

from avpretext.config import PretrainOptions
from avpretext.flow.tasks import CHUNK_TASKS, CLUSTERS
from avpretext.models.losses import balanced_class_weights, masked_binary_loss, masked_class_loss, total_loss
from avpretext.training.loop import Target
from avpretext.training.objectives import dev_measures


class Objective:
    """The weighted sum of the tasks' losses; with `keep: best`, the dev epoch is chosen by that sum."""

    def __init__(self, train: Mapping[str, Target], classes: Mapping[str, list[str]], options: PretrainOptions) -> None:
        self.classes = {task: len(names) for task, names in classes.items()}
        self.class_weights = {
            task: balanced_class_weights(train[task].labels, count, train[task].weights)
            for task, count in self.classes.items()
            if task not in (*CHUNK_TASKS, CLUSTERS)
        }
        self.task_weights = {str(task): weight for task, weight in options.task_weights.items()}

    def losses(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, Tensor]:
        """Return the loss of each task."""
        return {task: self._loss(task, logits[task], target) for task, target in targets.items()}

    def _loss(self, task: str, logits: Tensor, target: Target) -> Tensor:
        if task in CHUNK_TASKS:
            return masked_binary_loss(logits, *target)
        if task == CLUSTERS:
            return masked_class_loss(logits.flatten(0, 1), target.labels.flatten(), target.weights.flatten())
        return masked_class_loss(logits, *target, self.class_weights[task].to(logits.device))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        return total_loss(self.losses(logits, targets), self.task_weights)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips: the loss, and loss, UAR and macro-F1 of each task."""
        losses = self.losses(logits, targets)
        measures = {"loss": float(total_loss(losses, self.task_weights))}
        for task, target in targets.items():
            binary = task in CHUNK_TASKS
            predicted = (logits[task] > 0).long() if binary else logits[task].argmax(-1)
            of_task = dev_measures(target.labels, predicted, 2 if binary else self.classes[task])
            measures |= {f"{task}_{name}": value for name, value in of_task.items()}
            measures[f"{task}_loss"] = float(losses[task])
        return {**measures, "score": -measures["loss"]}
