import pytest
import torch

from sheetlens.config import Network
from sheetlens.train.cpu_layers import Dropout, NormalisedMaxima
from sheetlens.train.networks import TABLES, build_network, for_training, fuse_batchnorm

# Tables 1 and 2 of the paper: the output of every layer for one sheet. The tables rectify before they
# pool; the code pools first (see networks.py), so the rectified shape is the pooled one.
TABLE1 = [
    ("convolution1", (16, 252, 252)),
    ("normalisation1", (16, 252, 252)),
    ("pool1", (16, 126, 126)),
    ("convolution2", (32, 122, 122)),
    ("normalisation2", (32, 122, 122)),
    ("pool2", (32, 61, 61)),
    ("convolution3", (64, 57, 57)),
    ("normalisation3", (64, 57, 57)),
    ("pool3", (64, 28, 28)),
    ("convolution4", (48, 26, 26)),
    ("normalisation4", (48, 26, 26)),
    ("pool4", (48, 13, 13)),
    ("flatten", (8112,)),
    ("dropout", (8112,)),
    ("hidden", (500,)),
    ("output", (2,)),
]
TABLE2 = [
    ("convolution1", (10, 252, 252)),
    ("normalisation1", (10, 252, 252)),
    ("pool1", (10, 126, 126)),
    ("convolution2", (40, 122, 122)),
    ("normalisation2", (40, 122, 122)),
    ("pool2", (40, 61, 61)),
    ("flatten", (148_840,)),
    ("dropout", (148_840,)),
    ("hidden", (500,)),
    ("output", (2,)),
]


@pytest.mark.parametrize(("name", "table"), [("table1", TABLE1), ("table2", TABLE2)])
def test_every_shape_is_the_papers(name, table):
    network = build_network(name, 2).eval()
    features, shapes = torch.zeros(1, 3, 256, 256), []
    for layer, module in network.named_children():
        features = module(features)
        if not layer.startswith("relu"):
            shapes.append((layer, tuple(features.shape[1:])))
    assert shapes == table


@pytest.mark.parametrize(("name", "count"), [("table1", 4_150_830), ("table2", 74_432_402)])
def test_trainable_parameters_are_the_papers(name, count):
    assert sum(tensor.numel() for tensor in build_network(name, 2).parameters() if tensor.requires_grad) == count


def test_pooling_before_rectifying_changes_nothing():
    features = torch.randn(2, 4, 57, 57)
    pool = torch.nn.MaxPool2d(2)
    assert torch.equal(pool(features.relu()), pool(features).relu())


def test_dropout_is_mathematicas_default():
    assert build_network("table1", 2).dropout.p == 0.5


def test_more_classes():
    assert build_network("table1", 5).eval()(torch.zeros(1, 3, 256, 256)).shape == (1, 5)


@pytest.mark.parametrize("count", [1_000_000, 999_999])
def test_half_of_the_features_are_dropped_independently_and_the_rest_doubled(count):
    torch.manual_seed(0)
    layer = Dropout(0.5)
    first, second = layer(torch.ones(count)), layer(torch.ones(count))
    assert set(first.tolist()) == {0.0, 2.0}
    for product in (first, first * second, first * first.roll(1), first * first.roll(8), first * first.roll(64)):
        assert abs(product.mean() - 1) < 0.011  # six standard deviations of a product
    features = torch.ones(9, requires_grad=True)
    dropped = layer(features)
    dropped.sum().backward()
    assert torch.equal(features.grad, dropped)
    assert torch.equal(layer.eval()(first), first)


def test_other_shares_are_dropped_as_torch_does():
    assert Dropout(0.2)(torch.ones(100_000)).eq(0).float().mean() == pytest.approx(0.2, abs=0.01)


def test_a_folded_network_gives_the_same_logits_and_leaves_the_network_as_it_was():
    network = build_network("table1", 2)
    network(torch.rand(4, 3, 256, 256))  # batch normalisation has seen something
    with torch.no_grad():
        network.normalisation1.weight.uniform_(-2, 2)
    names, images = list(network.state_dict()), torch.rand(2, 3, 256, 256)
    folded = fuse_batchnorm(network)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded)
    assert torch.allclose(folded(images), network.eval()(images), atol=1e-5)
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("name", TABLES)
def test_lightened_a_network_learns_the_same(name):
    """Against torch's layers in double precision; a pixel that is the largest by a rounding alone moves a gradient."""
    images = torch.rand(3, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    learnt = []
    for change, dtype in ((for_training, torch.float32), (lambda network: network, torch.float64)):
        torch.manual_seed(4)
        network = build_network(name, 2, dropout=0).to(dtype, memory_format=torch.channels_last)
        changed = change(network)
        changed(images.to(dtype)).square().sum().backward()
        learnt.append(network.state_dict())
        learnt[-1] |= {f"{key} gradient": tensor.grad for key, tensor in network.named_parameters()}
        first = sum(isinstance(layer, NormalisedMaxima) for layer in changed)
        assert first == (change is for_training) * len(TABLES[name])
    assert list(learnt[0]) == list(learnt[1])
    for key, found in learnt[0].items():
        expected, bias = learnt[1][key], key.startswith("convolution") and key.endswith("bias gradient")
        assert (found is None) == bias
        if bias:  # normalising takes the bias away: what there is of a gradient is rounding
            assert expected.norm() <= 1e-9 * learnt[1][key.replace("bias", "weight")].norm()
        else:
            assert (found - expected).double().norm() <= 0.01 * expected.double().norm() + 1e-6, key


@pytest.mark.parametrize("name", TABLES)
def test_the_papers_layers_given_as_a_definition_are_the_papers_network(name):
    weights = []
    for network in (name, Network(groups=TABLES[name])):
        torch.manual_seed(3)
        weights.append(build_network(network, 2).state_dict())
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize(("pooling", "order"), [("max", ["pool1", "relu1"]), ("average", ["relu1", "pool1"])])
def test_a_network_of_other_groups(pooling, order):
    network = build_network(Network(groups=[(4, 7), (6, 3)], pooling=pooling, hidden=20), 3).eval()
    assert [name for name, _ in network.named_children()][2:4] == order
    assert network.hidden.weight.shape == (20, 6 * 61 * 61)  # 256 to 250 to 125, to 123 to 61
    images = torch.rand(2, 3, 256, 256)
    assert network(images).shape == (2, 3)
    features = torch.randn(1, 4, 6, 6)
    pooled = network[3](network[2](features.clone()))
    expected = features.relu().unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert torch.allclose(pooled, expected.amax(4) if pooling == "max" else expected.mean(4), atol=1e-6)


def test_the_last_pixel_is_enough_for_a_network():
    groups = [(2, 3)] * 6  # 256, 127, 62, 30, 14, 6, 2
    assert build_network(Network(groups=[*groups, (2, 1)]), 2).hidden.in_features == 2
