"""Small real trainings, with each naive number noted beside."""

import random

import numpy as np
import torch

import onlooker as ol

WHAT = ("weights", "gradients", "updates", "activations", "activation_gradients")


class Sink(ol.Callback):
    """Keeps all records."""

    def __init__(self):
        self.records = []

    def keep(self, record):
        self.records.append(record)

    def of(self, kind):
        return [record for record in self.records if type(record).__name__ == kind]

    def scalars(self, name):
        return [record.values[name] for record in self.of("Scalars") if name in record.values]


def mlp(width=8):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, width),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(width, 1),
    )


class Block(torch.nn.Module):
    """One block of a transformer, with a causal mask."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.attention = torch.nn.LayerNorm(width), torch.nn.MultiheadAttention(width, 2, batch_first=True)
        self.feed = torch.nn.Sequential(torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Dropout(0.1))
        self.back = torch.nn.Linear(2 * width, width)

    def forward(self, x):
        mask = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        normal = self.norm(x)
        x = x + self.attention(normal, normal, normal, attn_mask=mask, need_weights=False)[0]
        return x + self.back(self.feed(x))


class Gpt(torch.nn.Module):
    """A language model with two blocks, whose embedding is also its head."""

    def __init__(self, words=11, width=8):
        super().__init__()
        torch.manual_seed(0)
        self.embed = torch.nn.Embedding(words, width)
        self.blocks = torch.nn.ModuleList([Block(width), Block(width)])
        self.head = torch.nn.Linear(width, words, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def cnn():
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(
        nn.Unflatten(1, (1, 6, 6)),
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(64, 1),
    )


def inputs(kind, count=6):
    generator = torch.Generator().manual_seed(1)
    if kind == "gpt":
        return list(torch.randint(0, 11, (count, 3, 7), generator=generator))
    return list(torch.randn(count, 5, 36 if kind == "cnn" else 4, generator=generator))


def loss_of(kind, model, x):
    if kind == "gpt":
        return torch.nn.functional.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


MODELS = {"mlp": mlp, "cnn": cnn, "gpt": Gpt}


def train(
    kind,
    callbacks,
    *,
    make=torch.optim.Adam,
    accumulate=1,
    clip=None,
    autocast=False,
    wrap=lambda model: model,
    epochs=2,
):
    """Train, and return the model and, for each step, the gradients and updates as they were, by naive means."""
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    model = MODELS[kind]()
    torch.manual_seed(4)
    optimizer = make(model.parameters(), lr=0.01)
    called, seen = wrap(model), Seen()
    with ol.Loop(called, optimizer, callbacks=callbacks) as loop:
        for _ in loop.epochs(epochs):
            for number, x in enumerate(loop.train(inputs(kind))):
                if number % accumulate == 0:
                    optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    loss = loss_of(kind, called, x) / accumulate
                loss.backward()
                loop.log(loss=loss)
                seen.losses.append(loss.detach().clone())
                if (number + 1) % accumulate == 0:
                    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
                    before = {name: p.detach().clone() for name, p in model.named_parameters()}
                    if clip is not None:
                        clip(model.parameters())
                    seen.clipped.append(norm([p.grad for p in model.parameters() if p.grad is not None]))
                    optimizer.step()
                    seen.gradients.append(gradients)
                    seen.updates.append({name: p.detach() - before[name] for name, p in model.named_parameters()})
    return model, seen


class Seen:
    def __init__(self):
        self.gradients, self.updates, self.losses, self.clipped = [], [], [], []


def norm(tensors):
    return sum(float(one.double().square().sum()) for one in tensors) ** 0.5


def end_of(model):
    """Return weights and buffers, and what each random generator gives next."""
    return [
        *model.state_dict().values(),
        torch.rand(2),
        torch.tensor(random.random()),
        torch.tensor(np.random.random()),
    ]


def same(one, other):
    return len(one) == len(other) and all(map(torch.equal, one, other))


def hooks_of(*modules):
    """Count the hooks on modules and their parameters, and say what stands in `torch.nn.utils`."""
    count = sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
        for module in modules
        for part in module.modules()
    )
    clips = [
        getattr(place, name)
        for place in (torch.nn.utils, torch.nn.utils.clip_grad)
        for name in dir(place)
        if "clip" in name
    ]
    return count, clips


def hooks_of_optimizer(optimizer):
    return len(optimizer._optimizer_step_pre_hooks), len(optimizer._optimizer_step_post_hooks)
