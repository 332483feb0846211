"""No function, method or value of the library has more parameters than a reader can hold."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import geometries
import graphcolumns

MOST = 15
LEFT_OUT = (
    # Kernels take tensors and flags one by one; their callers are the ops, not people.
    "graphcolumns.ops.",
    "graphcolumns.configs.",
    # Says where the package of that name went.
    "graphcolumns.train.",
)
EXCEPTIONS = {
    "graphcolumns.nn.column_conv.ColumnConv": "the options of PyG's TransformerConv, flat as there",
    "graphcolumns.training.options.TrainOptions": "the keys of a configuration, one line each",
}


def modules() -> Iterator[str]:
    for package in (graphcolumns, geometries):
        yield package.__name__
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            runs = module.name.endswith("__main__")
            if not runs and not f"{module.name}.".startswith(LEFT_OUT):
                yield module.name


def callables() -> Iterator[tuple[str, object]]:
    """Everything that is defined in the library and can be called, private functions too."""
    for module in modules():
        for name, thing in vars(import_module(module)).items():
            if getattr(thing, "__module__", None) != module:
                continue
            if inspect.isfunction(thing):
                yield f"{module}.{name}", thing
            elif inspect.isclass(thing):
                if "__init__" in vars(thing):
                    yield f"{module}.{name}", thing.__init__
                for part, method in vars(thing).items():
                    inner = getattr(method, "__func__", method)
                    if inspect.isfunction(inner) and not part.startswith("__"):
                        yield f"{module}.{name}.{part}", inner


def parameters(function: object) -> int:
    names = inspect.signature(function).parameters  # type: ignore[arg-type]
    return len([name for name in names if name not in ("self", "cls")])


def test_signatures_are_short():
    found = {name: parameters(function) for name, function in callables()}
    assert len(found) > 1000, "the walk finds too little"
    long = {name: count for name, count in found.items() if count > MOST}
    assert long.keys() == EXCEPTIONS.keys(), long
