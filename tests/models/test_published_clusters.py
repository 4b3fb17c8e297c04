"""DeepEmoCluster's published weights give in our network what they give in the published one."""

import re

import pytest
import torch
from tests.models.published_vgg import checkpoint, outputs

from avpretext.errors import UserError
from avpretext.models.published_clusters import load_published


def without_module(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace(".module.", "."): value for name, value in weights.items()}


@pytest.mark.parametrize("clusters", [10, 30])
def test_the_outputs_are_those_of_the_published_network(clusters: int) -> None:
    weights = checkpoint(3, clusters)["state_dict"]
    network = load_published(without_module(weights), "task", "file")
    chunks = torch.randn(22, 62, 128, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
    with torch.no_grad():
        named, attribute = outputs(weights, chunks)
        answer = network.network(chunks)
        of_clips = network(chunks.view(2, 11, 62, 128), torch.ones(2, 11, 62, dtype=torch.bool))["task"]
    assert float(attribute.std()) > 0.01
    torch.testing.assert_close(answer.clusters, named, rtol=0, atol=1e-5)
    torch.testing.assert_close(answer.labels, attribute, rtol=0, atol=1e-5)
    torch.testing.assert_close(of_clips, attribute.view(2, 11, 1).mean(1), rtol=0, atol=1e-5)


def test_weights_that_do_not_fit_are_named() -> None:
    weights = without_module(checkpoint()["state_dict"])
    missing = {name: value for name, value in weights.items() if name != "emo_regressor.0.bias"}
    with pytest.raises(UserError, match=r"^file: not the weights of DeepEmoCluster: .*label_hidden\.bias"):
        load_published(missing, "task", "file")
    with pytest.raises(UserError, match="more"):
        load_published({**weights, "more.weight": torch.zeros(2)}, "task", "file")
    with pytest.raises(UserError, match="label_top") as error:
        load_published({**weights, "top_layer_attri.weight": torch.zeros(4, 256)}, "task", "file")
    assert not re.search(r"\n", str(error.value))


def test_loading_draws_no_random_numbers() -> None:
    torch.manual_seed(4)
    expected = torch.randn(3)
    torch.manual_seed(4)
    load_published(without_module(checkpoint()["state_dict"]), "task", "file")
    assert torch.equal(torch.randn(3), expected)
