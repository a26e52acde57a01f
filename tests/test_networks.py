"""Every network can be built, and the folded decoder answers as the one that was trained."""

import pytest
import torch

from covid_core import networks, registry


@pytest.mark.parametrize("spec", [s for s in registry.SPECS if not s.members], ids=lambda spec: spec.name)
def test_every_network_is_built_also_one_that_nobody_has_trained(spec: registry.ModelSpec) -> None:
    network, size = networks.build(spec), max(spec.sizes.values())
    with torch.inference_mode():
        found = network(torch.zeros(1, 1, size, size))
    if isinstance(network, networks.Backbone):
        assert found.shape[:2] == (1, network.channels) and 2 <= found.shape[2] == found.shape[3] <= 8
    else:
        assert found.shape == (1, len(spec.channels), size, size)


def test_the_folded_decoder_gives_the_same_answers() -> None:
    torch.manual_seed(0)
    network = networks.UNet("mobilenetv2_100", 2).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # fresh norms do nothing
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
    image = torch.randn(2, 1, 96, 64)
    with torch.inference_mode():
        trained = network(image)
        network.fold()
        folded = network(image)
    assert trained.std() > 0.1
    torch.testing.assert_close(folded, trained, atol=1e-4 * float(trained.abs().max()), rtol=0)
