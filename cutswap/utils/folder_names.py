"""Names of the files in run, evaluation and study folders, one home for writers and readers.

Nothing is imported here: lists of runs must not wait for what the writers need.
"""

from __future__ import annotations

# A run, see `runs.folder`.
SETTINGS, METRICS, RESULT = "settings.json", "metrics.jsonl", "result.json"
ENVIRONMENT = "environment.json"
CHECKPOINT, WEIGHTS, HEAD = "checkpoint.safetensors", "backbone.safetensors", "head.safetensors"
HEARTBEAT, LOCK = "heartbeat.json", ".lock"
PHOTOS = "photos.json"
VALIDATION = "validation.jsonl"
SEEN = ("seen.png", "seen.json")
SNAPSHOT = "snapshot_{:06d}.safetensors"  # of an update, see `training.snapshots`
OVER_TIME = ("over_time.npz", "over_time.json")  # see `analysis.over_time`; the second is last
LOG = ".log"  # beside the folder, with its name
RUN_FILES = (SETTINGS, METRICS, CHECKPOINT, WEIGHTS)

# An evaluation, see `evaluation.evaluate`; its RESULT is a run's.
SCORES, HEATMAPS, BANK = "scores.csv", "heatmaps.npy", "bank.safetensors"
PADIM_FILE = "padim.safetensors"  # in BANK's place where PaDiM scored
EVALUATION_FILES = (SCORES, HEATMAPS, BANK, PADIM_FILE)
PICTURES = "heatmaps"  # a folder of the maps as pictures
DETECTOR, BY_SCORE = "detector.safetensors", "by_score"  # of a run with a head
UNLABELLED = "unlabelled.json"  # in RESULT's place where nothing says what is good
DECISION = "decision.json"  # of `--false-alarms`: good scores and the threshold they promise

# Where to look: beside a category's train and test, and of an evaluation at the working size.
REGION = "region.png"

# A study, see `studies.folder`.
STUDY, CELLS, RUNS = "study.json", "cells", "runs"

# Any output folder of a command, see `commands.own_outputs`: what was written into it.
WRITTEN = ".cutswap.json"
