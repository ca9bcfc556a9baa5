"""Near-duplicate search on synthetic signatures: 100,000 in a minute and 1 GB, and how it grows with their number.

One sheet in a hundred has a twin that differs in as many bits as photographs of the same demo sheet do (7 % on
average). Each size runs in a process of its own, so that its peak memory is known. The last line is a JSON object; a
ratio below 1 is within the limit. `--most 100000` leaves the largest sizes out.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time

import numpy as np

from sheetlens.duplicates.signatures import BITS, close_pairs, pack_bits

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
LIMITED, SECONDS, GIGABYTES = 100_000, 60, 1.0
FLIPPED = 0.07  # share of bits


def search(n: int) -> tuple[float, float, float, float, int]:
    """Search n signatures; return seconds, those of the processor, peak memory in GB, share of twins found, pairs."""
    random = np.random.default_rng(n)
    twins = n // 100
    bits = random.random((n, BITS), dtype=np.float32) < 0.5
    bits[n - twins :] = bits[:twins] ^ (random.random((twins, BITS)) < FLIPPED)
    signatures = pack_bits(bits)
    del bits
    start, cpu_start = time.perf_counter(), time.process_time()
    pairs, _ = close_pairs(signatures)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    planted = {(row, n - twins + row) for row in range(twins)}
    found = len(planted & set(map(tuple, pairs.tolist())))
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return seconds, cpu_seconds, gigabytes, found / twins, len(pairs)


def main() -> None:
    """Run all sizes and fit the exponent, to the processor's seconds: a busy machine does not bend them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="largest number of signatures")
    sizes = [n for n in SIZES if n <= parser.parse_args().most]
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    print(f"{'signatures':>12}{'seconds':>10}{'CPU s':>8}{'GB':>7}{'twins found':>14}{'pairs':>9}")
    rows = {}
    for n in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows[n] = seconds, cpu_seconds, gigabytes, found, pairs = pool.apply(search, (n,))
        print(f"{n:12,}{seconds:10.1f}{cpu_seconds:8.1f}{gigabytes:7.2f}{100 * found:12.2f} %{pairs:9,}", flush=True)
    exponent = np.polyfit(np.log(sizes), np.log([rows[n][1] for n in sizes]), 1)[0]
    seconds, _, gigabytes, found, _ = rows[LIMITED]
    print(f"CPU seconds grow with the number to the power of {exponent:.2f} (all pairs: 2)")
    facts = {
        "benchmark": "duplicates",
        "ratio": seconds / SECONDS,
        "ratio_memory": gigabytes / GIGABYTES,
        "seconds": seconds,
        "gigabytes": gigabytes,
        "found": found,
        "exponent": exponent,
    }
    print(
        json.dumps({key: value if isinstance(value, str) else round(float(value), 4) for key, value in facts.items()})
    )


if __name__ == "__main__":
    main()
