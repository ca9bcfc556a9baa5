"""Around Snakemake and DVC: product hashes, stored products, signals."""
