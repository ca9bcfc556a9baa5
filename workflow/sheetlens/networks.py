"""The two networks of Schuettpelz et al. 2017, built from the paper's layer tables."""

from collections import OrderedDict

from torch import nn

INPUT_SIZE = 256  # pixels on a side, Tables 1 and 2
HIDDEN = 500  # width of the linear layer before the output, Tables 1 and 2

# One pair for each group "convolution, batch normalisation, ReLU, 2x2 pooling": output channels and
# kernel width. The kernels follow from the output shapes the tables print (no padding, stride 1).
TABLES: dict[str, tuple[tuple[int, int], ...]] = {
    "table1": ((16, 5), (32, 5), (64, 5), (48, 3)),
    "table2": ((10, 5), (40, 5)),
}


def build_network(name: str, classes: int, dropout: float = 0.5) -> nn.Sequential:
    """Build one network of the paper with fresh weights from torch's global random state.

    Takes float images in [0, 1], shape (N, 3, 256, 256), and returns logits, shape (N, classes).
    The softmax of the tables belongs to the loss and to the reader of the logits.
    Raises KeyError for a name that is not in TABLES.
    Source: Tables 1 and 2; dropout 0.5 is the default of Mathematica, which the paper used.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, size = 3, INPUT_SIZE
    for number, (width, kernel) in enumerate(TABLES[name], start=1):
        layers[f"convolution{number}"] = nn.Conv2d(channels, width, kernel)
        layers[f"normalisation{number}"] = nn.BatchNorm2d(width)
        # The tables pool after the ReLU. Both orders give the same numbers (the maximum of
        # rectified values is the rectified maximum); this one rectifies a quarter as many.
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        channels, size = width, (size - kernel + 1) // 2
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(dropout)
    layers["hidden"] = nn.Linear(channels * size * size, HIDDEN)
    layers["relu"] = nn.ReLU(inplace=True)
    layers["output"] = nn.Linear(HIDDEN, classes)
    return nn.Sequential(layers)
