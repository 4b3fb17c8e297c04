"""Heads: what is asked of a chunk vector or of a clip vector."""

from torch import Tensor, nn

CHUNK_TASKS = ("energy", "activation")
"""Pretext tasks with a yes-or-no label per chunk."""


class ChunkHead(nn.Module):
    """One logit per chunk: is the measured value high?"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 1)

    def forward(self, chunks: Tensor) -> Tensor:
        """Map (B, K, D) to logits (B, K)."""
        logits: Tensor = self.fc(chunks).squeeze(-1)
        return logits


class ClipHead(nn.Module):
    """Logits of a clip's classes: a hidden layer with ReLU, then the output (`fc1`, `fc2` of the published code)."""

    def __init__(self, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(width, classes)

    def forward(self, clip: Tensor) -> Tensor:
        """Map (B, D) to logits (B, classes)."""
        logits: Tensor = self.fc2(self.dropout(self.relu(self.fc1(clip))))
        return logits
