"""Predicts: loads the network once, then answers one request after another."""

import sys

import numpy as np
import pyarrow as pa
import torch
from network import DEVICE, Network, be_deterministic, read_features, read_table, read_task
from safetensors.torch import load_file


def answer(network, task, data, predictions):
    """Write the predictions for the rows of one table."""
    table = read_table(data)
    with torch.inference_mode():
        rows = read_features(table, task["features"]).to(DEVICE)
        chances = torch.sigmoid(network(rows)).cpu().numpy()
    (no,) = set(task["classes"]) - {task["positive"]}
    answers = pa.table({
        "row": table["row"],
        "prediction": np.where(chances > 0.5, task["positive"], no),
        "probability": chances,
    })
    with pa.ipc.new_file(predictions, answers.schema) as writer:
        writer.write_table(answers)


def main():
    """Answer until there is no more request."""
    task = read_task()
    be_deterministic(0)
    network = Network(len(task["features"]))
    network.load_state_dict(load_file(f"{task['model']}/network.safetensors"))
    network = network.to(DEVICE).eval()
    for line in sys.stdin:
        answer(network, task, *line.split())
        print(line, end="", flush=True)


main()
