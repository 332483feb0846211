"""Fills a cache slowly, and prints a line for every batch; run by tests, which end it."""

import sys
import time

from graphcolumns.data.features import ModuleBackbone, cache_files, cached_features
from tests.data.features.support.networks import pictures, vision_transformer


def backbone():
    return ModuleBackbone(vision_transformer(), ["blocks.0", "blocks.2"], prefix=("cls",))


def main(folder):
    slow = backbone()
    features = slow.features

    def delayed(images):
        print("batch", len(images), flush=True)
        time.sleep(0.3)
        return features(images)

    slow.features = delayed
    cache_files.NOTE_EVERY = 0
    cached_features(slow, pictures(20), folder, batch_size=2, progress=False)


if __name__ == "__main__":
    main(sys.argv[1])
