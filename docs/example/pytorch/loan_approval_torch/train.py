"""Trains: a small network, whose weights are kept with safetensors, which holds no code."""

import torch
from network import DEVICE, Network, be_deterministic, read_features, read_table, read_task
from safetensors.torch import save_file
from torch import nn

EPOCHS = 300

task = read_task()
be_deterministic(task["seed"])
table = read_table(task["data"])
rows = read_features(table, task["features"]).to(DEVICE)
approved = table[task["label"]].to_numpy() == task["positive"]
wanted = torch.from_numpy(approved).float().to(DEVICE)

network = Network(len(task["features"])).to(DEVICE)
network.learn_scale(rows)
optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=1e-3)
loss_of = nn.BCEWithLogitsLoss()
for _ in range(EPOCHS):
    optimizer.zero_grad()
    loss = loss_of(network(rows), wanted)
    loss.backward()
    optimizer.step()
print(f"trained on {len(rows):,} rows on {DEVICE}: loss {loss.item():.4f}")

weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
save_file(weights, f"{task['model']}/network.safetensors")
