"""From the test part to numbers: metrics, intervals, the verdict on the reproduction."""
