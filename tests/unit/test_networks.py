import pytest
import torch

from sheetlens.networks import build_network

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
