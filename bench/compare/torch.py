# Trains networks with PyTorch on so many threads, its argument, and predicts. Reads lines
# "NETWORK KIND BATCH RUNS" and answers each with the seconds of so many runs: of CPU time on
# one thread, else those that passed.
import math, sys, time
import torch
from torch import nn

threads = int(sys.argv[1])
clock = time.process_time if threads == 1 else time.perf_counter
torch.set_num_threads(threads)
torch.manual_seed(0)
print(torch.__version__, flush=True)


def conv(i, o):
    return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]


class Attention(nn.Module):
    def __init__(self, width, heads, tokens):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.heads = heads
        self.register_buffer("mask", torch.full((tokens, tokens), -math.inf).triu(1))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (f(x).view(n, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        p = (q @ k.transpose(2, 3) / math.sqrt(d // self.heads) + self.mask).softmax(3)
        return self.o((p @ v).transpose(1, 2).reshape(n, t, d))


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Positions(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(tokens, width) * 0.02)

    def forward(self, x):
        return x + self.weight


def gpt(vocabulary, tokens, width, heads, blocks):
    layers = [nn.Embedding(vocabulary, width), Positions(tokens, width)]
    for _ in range(blocks):
        layers += [
            Residual(nn.LayerNorm(width), Attention(width, heads, tokens)),
            Residual(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))]
    return nn.Sequential(*layers, nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False))


def mlp(widths):
    layers = []
    for n, out in zip(widths, widths[1:]):
        layers += [nn.Linear(n, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def network(name, batch):
    if name == "cnn":
        model = nn.Sequential(
            *conv(1, 16), *conv(16, 16), nn.MaxPool2d(2), *conv(16, 32), *conv(32, 32),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
        return model, torch.rand(batch, 1, 28, 28), torch.arange(batch) % 10
    if name == "gpt":
        tokens = torch.arange(batch * 64).view(batch, 64) % 91
        return gpt(91, 64, 128, 4, 4), tokens, (tokens + 1) % 91
    if name.startswith("conv"):
        kernel, h, w, i, o = (int(n) for n in name[4:].split("-"))
        return nn.Conv2d(i, o, kernel, padding=1), torch.rand(batch, i, h, w), None
    widths = [784, 512, 256, 10]
    if name.startswith("mlp-"):
        widths = [int(n) for n in name.split("-")[1:]]
    return mlp(widths), torch.rand(batch, widths[0]), torch.arange(batch) % widths[-1]


def make(name, kind, batch):
    model, x, labels = network(name, batch)
    loss = nn.CrossEntropyLoss()
    if kind == "forward":
        def run():
            with torch.no_grad():
                model(x)
        return run
    if kind in ("input", "weights"):
        with torch.no_grad():
            dy = torch.rand_like(model(x))
        want = [kind == "input", kind == "weights", False]

        def run():
            torch.ops.aten.convolution_backward(
                dy, x, model.weight.detach(), None, [1, 1], model.padding, [1, 1], False, [0, 0], 1, want)
        return run
    if kind == "predict":
        model.eval()

        def run():
            with torch.inference_mode():
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
        y = model(x)
        loss(y.reshape(-1, y.shape[-1]), labels.reshape(-1)).backward()
        if optimizer:
            optimizer.step()
    return run


runs = {}
for line in sys.stdin:
    name, kind, batch, n = line.split()
    key = name, kind, int(batch)
    if key not in runs:
        runs[key] = make(*key)
    start = clock()
    for _ in range(int(n)):
        runs[key]()
    print(clock() - start, flush=True)
