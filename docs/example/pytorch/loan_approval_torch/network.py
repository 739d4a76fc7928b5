"""The network, and how a table becomes what it reads. Runs on a GPU where there is one."""

import json
import os
import sys

import numpy as np
import pyarrow as pa
import torch
from torch import nn

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_task():
    """Return what this command is asked to do: the JSON file that its only argument names."""
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    if task["format"] != 2 or task["tables"] != "arrow":
        raise SystemExit("these scripts know format 2 with Arrow only")
    return task


def be_deterministic(seed):
    """Make the same seed give the same weights: a version must predict the same again."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what a GPU needs for that
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)


def read_table(path):
    """Return an Arrow table, whose columns are mapped from the file."""
    return pa.ipc.open_file(pa.memory_map(path)).read_all()


def read_features(table, names):
    """Return features as a float32 matrix, NaN where a cell is missing."""
    columns = [table[name].cast(pa.float32()).to_numpy() for name in names]
    rows = np.stack(columns, axis=1)
    if "gdlin" in names:
        guideline = rows[:, names.index("gdlin")]
        guideline[guideline == 666] = np.nan  # which says that nobody knew
    return torch.from_numpy(rows)


class Network(nn.Module):
    """Two layers on standardised features; a missing cell counts as the mean."""

    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.layers = nn.Sequential(nn.Linear(features, 16), nn.ReLU(), nn.Linear(16, 1))

    def learn_scale(self, rows):
        """Take mean and standard deviation from the rows to train on."""
        known = ~rows.isnan()
        count = known.sum(dim=0).clamp(min=1)
        self.mean = rows.nan_to_num(0).sum(dim=0) / count
        centred = torch.where(known, rows - self.mean, 0)
        self.scale = (centred.square().sum(dim=0) / count).sqrt().clamp(min=1e-6)

    def forward(self, rows):
        """Return the log-odds of approval for each row."""
        standardised = ((rows - self.mean) / self.scale).nan_to_num(0)
        return self.layers(standardised).squeeze(1)
