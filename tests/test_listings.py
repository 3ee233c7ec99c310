"""The PyTorch listings of decks 001 and 004 run with `import thalweg as torch`.

Each listing stands here as its slide has it, in a string, so that nothing but its import lines is
changed; what a slide leaves open (a batch, a target) is defined before it runs. Two slips of deck
001 are corrected, and said so where they stand. The ResNet line of deck 004 waits for convolutions.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

import thalweg


@pytest.fixture(autouse=True)
def seeded() -> None:
    thalweg.manual_seed(0)


def run(listing: str, **known: Any) -> dict[str, Any]:
    """Execute a listing; gives the names it leaves behind."""
    exec(listing, known)
    return known


# -- deck 001 --------------------------------------------------------------------------------------

TENSORS = """
import thalweg as torch
a = torch.Tensor([[1,2],[3,4]])
print(a)
print(a**2)
"""


def test_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    a = run(TENSORS)["a"]
    assert a.dtype is thalweg.float32
    assert (a**2).tolist() == [[1, 4], [9, 16]]
    assert capsys.readouterr().out == (
        "tensor([[1., 2.],\n        [3., 4.]])\ntensor([[ 1.,  4.],\n        [ 9., 16.]])\n"
    )


VARIABLES = """
import thalweg as torch
from thalweg.autograd import Variable
a = Variable(torch.Tensor([[1,2],[3,4]]), requires_grad=True)
print(a)

y = torch.sum(a**2) # 1 + 4 + 9 + 16
print(y)

y.backward() # compute gradients of y wrt a
print(a.grad) # print dy/da_ij = 2*a_ij for a_11, a_12, a21, a22
"""


def test_variables_functions_and_autograd(capsys: pytest.CaptureFixture[str]) -> None:
    left = run(VARIABLES)
    assert left["y"].item() == 30
    assert left["a"].grad.tolist() == [[2, 4], [6, 8]]
    printed = capsys.readouterr().out
    assert "requires_grad=True" in printed
    assert "tensor(30." in printed
    assert "tensor([[2., 4.],\n        [6., 8.]])" in printed


LOSS = """
import thalweg.nn as nn
loss_fn = nn.CrossEntropyLoss()
loss = loss_fn(out, target)
"""

# Two slips of the slide: `outputs[(batch_size), labels]` would take row `batch_size`, which is not
# there; range(batch_size) is meant. And `num_examples` is defined nowhere: it is the batch size.
CUSTOM_LOSS = """
import thalweg as torch
import thalweg.nn.functional as F
def myCrossEntropyLoss(outputs, labels):
    batch_size = outputs.size()[0] # batch_size
    outputs = F.log_softmax(outputs, dim=1) # compute the log of softmax values
    outputs = outputs[range(batch_size), labels] # pick the values corresponding to the labels
    return -torch.sum(outputs)/num_examples
"""


def batch(n: int = 7, classes: int = 4) -> tuple[thalweg.Tensor, thalweg.Tensor]:
    return thalweg.randn(n, classes), thalweg.randint(0, classes, (n,))


def by_hand(outputs: thalweg.Tensor, labels: thalweg.Tensor) -> float:
    """The mean of log sum_j exp(o_j) - o_label, in Python."""
    rows = zip(outputs.double().tolist(), labels.tolist(), strict=True)
    return sum(math.log(sum(map(math.exp, row))) - row[k] for row, k in rows) / len(outputs)


def test_loss() -> None:
    out, target = batch()
    loss = run(LOSS, out=out, target=target)["loss"]
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_hand(out, target), rel=1e-6)


def test_custom_loss() -> None:
    outputs, labels = batch()
    loss = run(CUSTOM_LOSS, num_examples=len(outputs))["myCrossEntropyLoss"]
    assert loss(outputs, labels).item() == pytest.approx(by_hand(outputs, labels), rel=1e-6)


def test_custom_loss_has_the_gradient_of_the_module() -> None:
    outputs, labels = batch()
    ours, builtin = (outputs.clone().requires_grad_() for _ in range(2))
    run(CUSTOM_LOSS, num_examples=7)["myCrossEntropyLoss"](ours, labels).backward()
    run(LOSS, out=builtin, target=labels)["loss"].backward()
    assert ours.grad is not None
    assert builtin.grad is not None
    assert ours.grad.numpy() == pytest.approx(builtin.grad.numpy(), abs=1e-7)


def test_the_slide_as_printed_names_a_row_that_is_not_there() -> None:
    outputs, labels = batch()
    with pytest.raises(IndexError, match="7"):
        outputs[(len(outputs)), labels]


MODEL = """
import thalweg as torch
import thalweg.nn as nn
import thalweg.nn.functional as F
from thalweg.autograd import Variable
class TwoLayerNet(nn.Module):
    def __init__(self, D_in, H, D_out):
        ''' Constructor. Instantiate two nn.Linear modules and assign them as member variables.
        D_in: input dimension, H: dimension of hidden layer, D_out: output dimension
        '''
        super(TwoLayerNet, self).__init__()
        self.linear1 = nn.Linear(D_in, H)
        self.linear2 = nn.Linear(H, D_out)

    def forward(self, x):
        ''' In the forward function we accept a Variable of input data and we must return a
        Variable of output data. We can use Modules defined in the constructor as well as arbitrary
        operators on Variables.
        '''
        h_relu = F.relu(self.linear1(x))
        y_pred = self.linear2(h_relu)
        return y_pred

#N is batch size; D_in is input dimension;
#H is the dimension of the hidden layer; D_out is output dimension.
N, D_in, H, D_out = 32, 100, 50, 10

#Create random Tensors to hold inputs and outputs, and wrap them in Variables
x = Variable(torch.randn(N, D_in)) # dim: 32 x 100

#Construct our model by instantiating the class defined above
model = TwoLayerNet(D_in, H, D_out)

#Forward pass: Compute predicted y by passing x to the model
y_pred = model(x) # dim: 32 x 10
"""


def test_model() -> None:
    left = run(MODEL)
    model, x, y = left["model"], left["x"], left["y_pred"]
    assert y.shape == (32, 10)
    assert list(model.state_dict()) == [
        "linear1.weight",
        "linear1.bias",
        "linear2.weight",
        "linear2.bias",
    ]
    assert sum(p.numel() for p in model.parameters()) == 100 * 50 + 50 + 50 * 10 + 10
    hidden = (x @ model.linear1.weight.T + model.linear1.bias).maximum(0)
    expected = hidden @ model.linear2.weight.T + model.linear2.bias
    assert y.detach().numpy() == pytest.approx(expected.detach().numpy(), abs=1e-6)


OPTIMIZERS = {
    "SGD": """
#pick an SGD optimizer
optimizer = torch.optim.SGD(model.parameters(), lr = 0.01, momentum=0.9)
""",
    "Adam": """
#or pick ADAM
optimizer = torch.optim.Adam(model.parameters(), lr = 0.0001)
""",
}

STEP = """
output_batch = model(train_batch) # compute model output
loss = loss_fn(output_batch, labels_batch) # calculate loss
{optimizer}
optimizer.zero_grad() # clear previous gradients
loss.backward() # compute gradients of all variables wrt loss
optimizer.step() # perform updates using calculated gradients
"""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_core_training_step(name: str) -> None:
    known = run(MODEL)
    model = known["model"]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    labels = thalweg.randint(0, 10, (32,))
    known |= {"loss_fn": known["nn"].CrossEntropyLoss(), "train_batch": known["x"]}
    left = run(STEP.format(optimizer=OPTIMIZERS[name]), **known, labels_batch=labels)
    for key, parameter in model.named_parameters():
        update = (before[key] - parameter).detach()
        if name == "SGD":  # the first step of momentum is -lr g
            expected = 0.01 * parameter.grad
        else:  # Adam's first step is -lr g / (|g| + eps), nearly the sign
            expected = 0.0001 * parameter.grad / (parameter.grad.abs() + 1e-8)
        assert update.numpy() == pytest.approx(expected.numpy(), rel=1e-3, abs=2e-8), key
    assert left["loss_fn"](model(known["x"]), labels).item() < left["loss"].item()


# -- deck 004 --------------------------------------------------------------------------------------

# Without its first lines: resnet18 and its weights wait for convolutions. A linear model stands in.
DIFFERENTIATION = """
import thalweg as torch
# hidden: w = torch.tensor(..., requires_grad=True)

data = torch.rand(1, 3, 64, 64) # example image
labels = torch.rand(1, 1000) # label shape in this example

prediction = model(data) # forward pass

loss = (prediction - labels).sum()
loss.backward() # backward pass

optim = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)

optim.step() # gradient descent
"""


def test_differentiation() -> None:
    nn = thalweg.nn
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 1000))
    bias = model[1].bias.clone().detach()
    left = run(DIFFERENTIATION, model=model)
    assert left["prediction"].shape == (1, 1000)
    assert model[1].bias.grad.tolist() == [1.0] * 1000  # d sum(p - l) / d p
    assert (bias - model[1].bias).detach().numpy() == pytest.approx([0.01] * 1000, rel=1e-4)


AUTOGRAD = """
import thalweg as torch
a = torch.tensor([2., 3.], requires_grad=True)
b = torch.tensor([6., 4.], requires_grad=True)

q = 3*a**3 - b**2

external_grad = torch.tensor([1., 1.])
q.backward(gradient=external_grad)
"""


def test_autograd_of_a_vector() -> None:
    left = run(AUTOGRAD)
    a, b = left["a"], left["b"]
    assert left["q"].tolist() == [-12, 65]
    assert a.grad.tolist() == [36, 81] == (9 * a**2).tolist()
    assert b.grad.tolist() == [-12, -8] == (-2 * b).tolist()
    assert bool((9 * a**2 == a.grad).all())
    assert bool((-2 * b == b.grad).all())
