"""Functions that run on the cluster: the decorator `remote`, and calls of functions by name."""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, overload

from nbray import actor_options, call_options, session
from nbray.actors import ActorClass
from nbray.engine import task_context
from nbray.errors import UsageError, WrongType
from nbray.functions import name_of
from nbray.objects import ObjectRef
from nbray.scheduler.messages import DYNAMIC, STREAMING
from nbray.streams import ObjectRefGenerator, yields

if TYPE_CHECKING:
    from nbray.cached_calls import CachedCalls

Function = Callable[..., Any]


class RemoteFunction:
    """A function whose `.remote(...)` runs it as a task; made by `nbray.remote`."""

    __name__: str
    __wrapped__: Function

    def __init__(self, function: Function, options: call_options.Options) -> None:
        self._set_up(function, options)

    def _set_up(self, function: Function, options: call_options.Options) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.given = options
        self._options = call_options.build(_for_engine(_with_default_returns(function, options)))
        self._cached_calls = _cached_calls(function, options, self._options.num_returns)
        self._task = self._options.name or name_of(function)
        self._arity = _arity(function)

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a call and return at once: an ObjectRef, a list of them, None, or an ObjectRefGenerator, by `num_returns`.

        Arguments that are ObjectRefs are replaced by their values before the function starts; refs inside lists and
        other containers stay refs. Raises TypeError for arguments that the function does not take, NotShippable,
        InfeasibleRequest and StoreFull.
        """
        if kwargs or len(args) not in self._arity:
            self._check(args, kwargs)
        current = session.current
        backend = current.backend
        if backend is None or backend.lost:
            backend = session.current_backend()
        context = task_context.current()
        cell_run = session.submits_for.get() or (current.cell_run if context is None else context.cell_run)
        if self._cached_calls is None:
            ids = backend.submit(self.function, args, kwargs, self._options, cell_run)
        else:
            ids = self._cached_calls.submit(backend, args, kwargs, self._options, cell_run)
        if len(ids) == 1:
            return ObjectRef(ids[0], backend.epoch, self._task)
        if self._options.num_returns == STREAMING:
            return ObjectRefGenerator(ids[0], ids[1], backend, self._task)
        return [ObjectRef(each, backend.epoch, self._task) for each in ids] or None

    def options(self, **options: Any) -> RemoteFunction:
        """The same function with other options.

        `num_cpus` (1), `num_gpus`, `memory` and `resources` are reserved while it runs; `num_returns` (1) is how many values
        it returns; `max_retries` how often it is run again when its worker died; `retry_exceptions` True or the types
        of exceptions after which it is, too; `timeout` the seconds after which it is ended; `name` how it is shown.

        `runtime_env` is what its worker is started with (`env_vars`, `working_dir`, `py_modules`); `scheduling_strategy` a
        placement group to run in; tasks of a higher `priority` go first within this notebook; after `max_calls` calls of the
        function a worker is replaced by a fresh one.

        With `cache=True` results are kept on disk (4 GB for all of them, the least recently used go first), and a call of the
        same code with the same inputs returns the kept one at once, also in another kernel, and says so. Tracked are the
        function, its defaults, closure and globals, the functions, classes and local modules that it uses, versions of
        packages, and its arguments: numbers, containers, arrays, frames, objects, refs. Not tracked are files, time,
        environment variables, randomness, the network, and state that is kept between calls. A call with something that
        cannot be tracked runs as usual, with a warning.
        """
        return RemoteFunction(self.function, {**self.given, **options})

    def local(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function here, as if it were not remote."""
        return self.function(*args, **kwargs)

    def _check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        try:
            signature = inspect.signature(self.function)
        except ValueError:  # some functions written in C do not tell
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._task}{signature} cannot be called like this: {error}") from None
        self._arity = _arity(self.function)  # a function that was unpickled in a cycle got its defaults after `_set_up`

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise WrongType(
            f"{self._task} is a remote function: call {self._task}.remote(...) to run it on the cluster, which returns an "
            f"ObjectRef, or {self._task}.local(...) to run it here"
        )

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"RemoteFunction({', '.join(filter(None, [name_of(self.function), options]))})"

    # State, not arguments: a function that calls itself meets this object again while it is being pickled.
    def __getstate__(self) -> tuple[Function, call_options.Options]:
        return self.function, self.given

    def __setstate__(self, state: tuple[Function, call_options.Options]) -> None:
        self._set_up(*state)


def _for_engine(options: call_options.Options) -> call_options.Options:
    """The options without `cache`, which the engine does not know."""
    cache = options.get("cache")
    if cache is not None and not isinstance(cache, bool):
        raise WrongType(f"cache={cache!r}: expected True, to keep results on disk, or False")
    return {name: value for name, value in options.items() if name != "cache"}


def _cached_calls(function: Function, options: call_options.Options, num_returns: int) -> CachedCalls | None:
    if not options.get("cache"):
        return None
    if num_returns != 1:
        raise UsageError(
            f"cache=True keeps one result of each call, and {name_of(function)} has "
            f"num_returns={_num_returns_text(num_returns)}: return one value, such as a list or tuple"
        )
    # Loaded at first need: few functions ask for it, and importing the package stays cheap.
    from nbray.cached_calls import CachedCalls

    return CachedCalls(function)


def _num_returns_text(num_returns: int) -> str:
    return {STREAMING: '"streaming"', DYNAMIC: '"dynamic"'}.get(num_returns, str(num_returns))


def _arity(function: Function) -> range:
    """How many plain positional arguments are fine without a closer look; none where that is not clear."""
    code = getattr(function, "__code__", None)
    if code is None or not inspect.isfunction(function):
        return range(0)
    needs_keywords = code.co_kwonlyargcount > len(function.__kwdefaults__ or {})
    if needs_keywords:
        return range(0)
    most = sys.maxsize - 1 if code.co_flags & inspect.CO_VARARGS else code.co_argcount
    return range(code.co_argcount - len(function.__defaults__ or ()), most + 1)


@overload
def remote(function: type, /, **options: Any) -> ActorClass: ...
@overload
def remote(function: Function, /, **options: Any) -> RemoteFunction: ...
@overload
def remote(**options: Any) -> Callable[[Any], Any]: ...
def remote(function: Function | None = None, /, **options: Any) -> Any:
    """Make a function remote: as `@nbray.remote`, with options as `@nbray.remote(num_cpus=2)`, or `nbray.remote(f)`.

    Of a class it makes actors. The options are those of `RemoteFunction.options`, and of `ActorClass.options`.

    >>> import nbray
    >>> @nbray.remote
    ... def square(x):
    ...     return x * x
    >>> nbray.get(square.remote(7))
    49
    """
    if function is None:
        _check_early(options)
        return lambda decorated: _decorate(decorated, options)
    return _decorate(function, options)


def _decorate(decorated: Any, options: call_options.Options) -> RemoteFunction | ActorClass:
    if isinstance(decorated, ActorClass):
        raise WrongType(f"{decorated!r} is remote already: write {decorated.__name__}.options(...) for other options")
    if isinstance(decorated, type):
        return ActorClass(decorated, options)
    return RemoteFunction(_checked(decorated), options)


def _check_early(options: call_options.Options) -> None:
    """Refuse wrong options where they stand, before it is known whether a function or a class follows."""
    checked = _for_engine(options)
    strange = next((name for name in checked if name not in call_options.NAMES), None)
    near = strange and difflib.get_close_matches(strange, {*call_options.NAMES, *actor_options.NAMES}, 1)
    if near and near[0] in actor_options.NAMES:
        actor_options.build(options)
    else:
        call_options.build(checked)


def _checked(function: Any) -> Function:
    if isinstance(function, RemoteFunction):
        raise WrongType(f"{function!r} is remote already: write {name_of(function.function)}.options(...) for other options")
    if isinstance(function, type):
        raise WrongType(f"class {function.__name__}: expected a function here; nbray.remote makes actors of classes")
    if not callable(function):
        raise WrongType(f"nbray.remote({function!r}): expected a function, and options by name: @nbray.remote(num_cpus=2)")
    check_function(function)
    return function  # type: ignore[no-any-return]


def check_function(function: Function) -> None:
    """Refuse what a task cannot run: coroutines."""
    name = name_of(function)
    if inspect.iscoroutinefunction(function):
        raise WrongType(f"async def {name}: a task is a plain function. Write def {name}, and asyncio.run(...) inside it")


def check_gives_one_value(function: Function) -> None:
    """Refuse generators where each call must have one result."""
    check_function(function)
    if yields(function):
        raise WrongType(f"{name_of(function)} is a generator, and one result is expected of each call: return a list instead")


def _with_default_returns(function: Function, options: call_options.Options) -> call_options.Options:
    """A function that yields gives a stream unless it is asked for something else."""
    if not yields(function) or options.get("num_returns") is None:
        return {**options, "num_returns": "streaming"} if yields(function) else options
    if options["num_returns"] == 1:
        raise UsageError(
            f"{name_of(function)} is a generator, so num_returns=1 leaves open which item is meant: write "
            'num_returns="streaming" for an iterator of refs, "dynamic" for one ref of them all, or return one value'
        )
    return options


# -------------------------------------------------------------------- by name

_registered: dict[str, RemoteFunction] = {}


def register_remote_function(name: str, function: Function | RemoteFunction, **options: Any) -> RemoteFunction:
    """Make a function callable by name through `apply_async`; a name that is taken means the new function from now on."""
    if not isinstance(name, str) or not name:
        raise WrongType(f'register_remote_function({name!r}, ...): expected a name first, for example "train"')
    _registered[name] = _as_remote(function, {"name": name, **options})
    return _registered[name]


def apply_async(
    function: str | Function | RemoteFunction, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:  # fmt: skip
    """Submit a call of a function, or of the name under which it was registered; returns what `.remote` returns.

    >>> import nbray
    >>> nbray.get(nbray.apply_async(pow, (2, 10)))
    1024
    """
    if isinstance(args, str) or not isinstance(args, Sequence):
        raise WrongType(f"args={args!r}: expected a tuple or list of the arguments, for example args=({args!r},)")
    target = registered_function(function) if isinstance(function, str) else function
    return _as_remote(target, options).remote(*args, **(kwargs or {}))


def _as_remote(function: Function | RemoteFunction, options: call_options.Options) -> RemoteFunction:
    if isinstance(function, RemoteFunction):
        return function.options(**options) if options else function
    return RemoteFunction(_checked(function), options)


def registered_function(name: str) -> RemoteFunction:
    """The function that was registered under a name. Raises UsageError for a name that nobody registered."""
    if name in _registered:
        return _registered[name]
    near = difflib.get_close_matches(name, _registered, 1)
    known = f"did you mean {near[0]!r}?" if near else f"registered are {', '.join(sorted(_registered)) or 'none'}."
    raise UsageError(
        f"no function is registered under {name!r}: {known} Register it in this process: "
        f"nbray.register_remote_function({name!r}, function)"
    )
