# Trains an MLP 784-512-256-10 with PyTorch on one thread. Reads lines
# "KIND BATCH RUNS" and answers each with the seconds of CPU time of so many runs.
import sys, time
import torch

torch.set_num_threads(1)
torch.manual_seed(0)
print(torch.__version__, flush=True)


def make(kind, batch):
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 256), torch.nn.ReLU(),
        torch.nn.Linear(256, 10))
    loss = torch.nn.CrossEntropyLoss()
    x, labels = torch.rand(batch, 784), torch.arange(batch) % 10
    if kind == "forward":
        def run():
            with torch.no_grad():
                model(x)
        return run
    rate = 1e-9
    optimizer = {
        "backward": lambda p: None,
        "SGD": lambda p: torch.optim.SGD(p, lr=rate, momentum=0.9),
        "Adam": lambda p: torch.optim.Adam(p, lr=rate),
        "AdamW": lambda p: torch.optim.AdamW(p, lr=rate),
    }[kind](model.parameters())

    def run():
        model.zero_grad(set_to_none=True)
        loss(model(x), labels).backward()
        if optimizer:
            optimizer.step()
    return run


runs = {}
for line in sys.stdin:
    kind, batch, n = line.split()
    run = runs.setdefault((kind, batch), None) or make(kind, int(batch))
    runs[kind, batch] = run
    start = time.process_time()
    for _ in range(int(n)):
        run()
    print(time.process_time() - start, flush=True)
