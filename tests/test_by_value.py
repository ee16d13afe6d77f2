"""Fifty notebook-style functions, pickled here and run in a separate Python process that knows none of their code."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray.errors import NotShippable
from nbray.functions import FunctionPickler, load_function
from nbray.ids import ObjectId
from nbray.serialization import dumps, encode, loads

ROOT = Path(__file__).parent.parent

CASES: dict[str, tuple[str, Any]] = {
    "plain": ("def f(): return 1", 1),
    "lambda": ("f = lambda: 2", 2),
    "global": ("K = 5\ndef f(): return K", 5),
    "helper": ("def g(x): return x + 1\ndef f(): return g(1)", 2),
    "shared counter": (
        "n = 0\ndef bump():\n    global n\n    n += 1\ndef peek(): return n\ndef f():\n    bump(); bump()\n    return peek()",
        2,
    ),
    "mutual recursion": (
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\ndef f(): return even(10)",
        True,
    ),
    "recursion": ("def f(n=5): return 1 if n == 0 else n * f(n - 1)", 120),
    "defined later": ("def f(): return later()\ndef later(): return 'later'", "later"),
    "enum": (
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\n    def low(self): return self.name.lower()\n"
        "def f(): return Color(1).low(), Color.BLUE.value, Color.RED is Color['RED'], len(Color)",
        ("red", 2, True, 2),
    ),
    "int flag": (
        "import enum\nclass P(enum.IntFlag):\n    R = 4\n    W = 2\ndef f(): return int(P.R | P.W), P.R in P(6)",
        (6, True),
    ),
    "dataclass": (
        "import dataclasses\n@dataclasses.dataclass(order=True)\nclass P:\n    x: int\n    y: list = dataclasses.field(default_factory=list)\n"
        "def f(): return dataclasses.asdict(P(1)), P(1) < P(2), dataclasses.replace(P(1), x=9).x",
        ({"x": 1, "y": []}, True, 9),
    ),
    "frozen dataclass with slots": (
        "import dataclasses\n@dataclasses.dataclass(frozen=True, slots=True)\nclass P:\n    x: int = 3\np = P()\n"
        "def f(): return p.x, hash(p) == hash(P(3)), hasattr(p, '__dict__')",
        (3, True, False),
    ),
    "named tuple": (
        "from typing import NamedTuple\nfrom collections import namedtuple\nclass P(NamedTuple):\n    x: int\n    y: int = 2\n"
        "Q = namedtuple('Q', 'a b')\ndef f(): return P(1)._asdict(), Q(3, 4).b, P(1) == (1, 2)",
        ({"x": 1, "y": 2}, 4, True),
    ),
    "typed dict and protocol": (
        "from typing import TypedDict, Protocol, runtime_checkable\nclass D(TypedDict):\n    a: int\n"
        "@runtime_checkable\nclass HasA(Protocol):\n    def a(self) -> int: ...\nclass X:\n    def a(self): return 1\n"
        "def f(): return D(a=1), isinstance(X(), HasA), isinstance(3, HasA)",
        ({"a": 1}, True, False),
    ),
    "generic": (
        "from typing import Generic, TypeVar\nT = TypeVar('T', bound=int)\nclass Box(Generic[T]):\n    def __init__(self, x: T): self.x = x\n"
        "def first(xs: list[T]) -> T: return xs[0]\ndef f(): return Box[int](3).x, first([4]), T.__bound__ is int",
        (3, 4, True),
    ),
    "new types": (
        "import typing\nP = typing.ParamSpec('P')\nTs = typing.TypeVarTuple('Ts')\nUserId = typing.NewType('UserId', int)\n"
        "def g(x: UserId, *a: P.args) -> 'tuple[*Ts]': return UserId(x)\ndef f(): return g(3), P.__name__, UserId.__supertype__ is int",
        (3, "P", True),
    ),
    "private slots": (
        "class S:\n    __slots__ = ('__x', '__weakref__')\n    def __init__(self): self.__x = 3\n    def get(self): return self.__x\n"
        "class T(S): __slots__ = 'y'\nt = T()\nt.y = 5\ndef f(): return t.get(), t.y, hasattr(t, '__dict__')",
        (3, 5, False),
    ),
    "a closure that holds itself": (
        "def make():\n    def g(n): return 1 if n == 0 else n * g(n - 1)\n    return g\ng3 = make()\ndef f(): return g3(3)",
        6,
    ),
    "an unassigned closure": (
        "def make():\n    def g(): return x\n    if False: x = 1\n    return g\ng = make()\ndef f():\n    try: return g()\n    except NameError: return 'unassigned'",
        "unassigned",
    ),
    "single dispatch": (
        "import functools\n@functools.singledispatch\ndef g(x): return 'any'\n@g.register\ndef _(x: int): return 'int'\n"
        "@g.register(list)\ndef _(x): return 'list'\ndef f(): return g(1), g([]), g('')",
        ("int", "list", "any"),
    ),
    "closure": ("def make(k):\n    def g(x): return x * k\n    return g\nf3 = make(3)\ndef f(): return f3(2)", 6),
    "nonlocal": (
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    def down():\n        nonlocal n\n"
        "        n -= 1\n        return n\n    return up, down\nup, down = make()\ndef f(): return up(), up(), down()",
        (1, 2, 1),
    ),
    "super": (
        "class A:\n    def __init__(self): self.log = ['A']\n    def hi(self): return 'A'\nclass B(A):\n    def __init__(self):\n"
        "        super().__init__()\n        self.log.append('B')\n    def hi(self): return super().hi() + 'B'\nclass C(B): pass\n"
        "def f(): return C().log, C().hi(), [c.__name__ for c in C.__mro__]",
        (["A", "B"], "AB", ["C", "B", "A", "object"]),
    ),
    "property and descriptors": (
        "class Positive:\n    def __set_name__(self, owner, name): self.name = '_' + name\n    def __get__(self, obj, owner): return getattr(obj, self.name)\n"
        "    def __set__(self, obj, value):\n        if value <= 0: raise ValueError(value)\n        setattr(obj, self.name, value)\n"
        "class A:\n    size = Positive()\n    @property\n    def double(self): return self.size * 2\n    @double.setter\n    def double(self, v): self.size = v // 2\n"
        "    @classmethod\n    def make(cls): return cls()\n    @staticmethod\n    def one(): return 1\n"
        "def f():\n    a = A.make()\n    a.double = 8\n    return a.size, a.double, A.one()",
        (4, 8, 1),
    ),
    "slots": ("class S:\n    __slots__ = ('a', 'b')\ns = S()\ns.a = 3\ndef f(): return s.a, hasattr(s, 'b')", (3, False)),
    "metaclass": (
        "class Meta(type):\n    seen = []\n    def __new__(m, name, bases, ns):\n        c = super().__new__(m, name, bases, ns)\n        c.tag = name.lower()\n        return c\n"
        "class A(metaclass=Meta): pass\nclass B(A): pass\ndef f(): return B().tag, type(B).__name__",
        ("b", "Meta"),
    ),
    "abstract class": (
        "import abc\nclass Base(abc.ABC):\n    @abc.abstractmethod\n    def run(self): ...\n    @property\n    @abc.abstractmethod\n    def p(self): ...\n"
        "class Child(Base):\n    def run(self): return 7\n    p = 3\ndef f():\n    try: Base()\n    except TypeError: return Child().run(), isinstance(Child(), Base)",
        (7, True),
    ),
    "init subclass and class getitem": (
        "class Plugin:\n    known = []\n    def __init_subclass__(cls, **kw): Plugin.known.append(cls.__name__)\n    def __class_getitem__(cls, k): return k\n"
        "class One(Plugin): pass\ndef f(): return Plugin.known, Plugin[3]",
        (["One"], 3),
    ),
    "callable object": ("class Add:\n    def __init__(self, k): self.k = k\n    def __call__(self): return self.k\nf = Add(4)", 4),
    "bound method": ("class A:\n    x = 3\n    def m(self): return self.x\nf = A().m", 3),
    "partial": ("import functools\ndef g(a, b, *, c=0): return a, b, c\nf = functools.partial(g, 1, b=2, c=3)", (1, 2, 3)),
    "lru cache": ("import functools\n@functools.lru_cache(maxsize=8)\ndef g(x): return x * 2\ndef f(): return g(2), g.cache_info().misses", (4, 1)),
    "recursive lru cache": ("import functools\n@functools.cache\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\ndef f(): return fib(50)", 12586269025),
    "cached property": (
        "import functools\nclass A:\n    @functools.cached_property\n    def v(self): return [1]\ndef f():\n    a = A()\n    return a.v, a.v is a.v",
        ([1], True),
    ),
    "wraps": (
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def inner(*a, **k): return g(*a, **k) * 2\n    return inner\n"
        "@twice\ndef f():\n    'doc'\n    return 4, f.__name__, f.__doc__, f.__wrapped__()[0] if False else 0",
        (4, "f", "doc", 0, 4, "f", "doc", 0),
    ),
    "decorator with state": (
        "class Count:\n    def __init__(self, g): self.g, self.n = g, 0\n    def __call__(self):\n        self.n += 1\n        return self.g(), self.n\n@Count\ndef f(): return 'x'",
        ("x", 1),
    ),
    "async": ("import asyncio\nasync def g(x):\n    await asyncio.sleep(0)\n    return x\nasync def f(): return await asyncio.gather(g(1), g(2))", [1, 2]),
    "generators": (
        "def gen(n):\n    got = yield n\n    yield got\n    yield from range(2)\ndef f():\n    g = gen(3)\n    return next(g), g.send('s'), list(g)",
        (3, "s", [0, 1]),
    ),
    "async generator": ("async def gen():\n    for i in range(3): yield i\nasync def f(): return [x async for x in gen()]", [0, 1, 2]),
    "lambdas in a dict": ("ops = {'add': lambda a, b: a + b, 'neg': lambda a: -a}\ndef f(): return ops['add'](1, 2), ops['neg'](3)", (3, -3)),
    "defaults": ("def g(a, b=[1], /, c=2, *, d={'k': 3}): return a, b, c, d\ndef f(): return g(0)", (0, [1], 2, {"k": 3})),
    "context manager": (
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef cm(x):\n    log.append('in')\n    try: yield x\n    finally: log.append('out')\n"
        "def f():\n    with cm(3) as x: log.append(x)\n    return log",
        ["in", 3, "out"],
    ),
    "submodules": (
        "import xml.dom.minidom\nimport os.path as p\nimport concurrent.futures\nimport importlib.metadata\n"
        "def f(): return xml.dom.minidom.parseString('<a b=\"1\"/>').documentElement.getAttribute('b'), p.join('a', 'b'), concurrent.futures.ThreadPoolExecutor.__name__",
        ("1", "a/b", "ThreadPoolExecutor"),
    ),
    "import inside": ("def f():\n    import json\n    from collections import Counter as C\n    return json.dumps(C('aab'))", '{"a": 2, "b": 1}'),
    "names in a nested class": (
        "BASE = 10\nclass P: pass\ndef f():\n    class Q(P):\n        limit = BASE * 2\n        def m(self): return BASE\n    return Q.limit, Q().m(), issubclass(Q, P)",
        (20, 10, True),
    ),
    "comprehensions": ("K = 2\ndef f(): return [x * K for x in range(3)], {k: K for k in 'ab'}, sum(K for _ in range(3))", ([0, 2, 4], {"a": 2, "b": 2}, 6)),
    "exceptions": (
        "class Two(Exception):\n    def __init__(self, code, why):\n        super().__init__(f'{code} {why}')\n        self.code = code\n"
        "def f():\n    try: raise Two(3, 'no')\n    except Two as e: return e.code, str(e)",
        (3, "3 no"),
    ),
    "operator overloads": (
        "class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return V(self.x + o.x)\n    def __eq__(self, o): return self.x == o.x\n    __hash__ = None\n"
        "    def __repr__(self): return f'V({self.x})'\n    def __iter__(self): return iter((self.x,))\ndef f(): return repr(V(1) + V(2)), V(1) == V(1), [*V(5)]",
        ("V(3)", True, [5]),
    ),
    "numpy": (
        "import numpy as np\na = np.arange(4.0)\nsq = np.square\nrng = np.random.default_rng(7)\nu = np.frompyfunc(lambda x: x + 1, 1, 1)\n"
        "def f(): return sq(a).sum().item(), np.add.reduce(a).item(), int(rng.integers(5) < 5), a.flags.writeable, np.float32(2).dtype.name",
        (14.0, 6.0, 1, False, "float32"),
    ),
    "vectorize": ("import numpy as np\ng = np.vectorize(lambda x: x * 2)\ndef f(): return g([1, 2]).tolist()", [2, 4]),
    "pandas": (
        "import pandas as pd\ndf = pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1, 2, 3]}, index=pd.Index([5, 6, 7], name='i'))\ns = pd.Series(pd.Categorical(['x', 'y']))\n"
        "def f(): return df.groupby('k').v.sum().to_dict(), df.assign(w=df.v * 2).w.sum().item(), s.cat.categories.tolist(), pd.Timestamp('2026-01-02').day",
        ({"a": 4, "b": 2}, 12, ["x", "y"], 2),
    ),
    "C extension objects": (
        "import re, collections, zlib, hashlib, array, random, uuid, fractions\npattern = re.compile('(?P<k>a+)')\nrng = range(3, 9, 2)\n"
        "dq = collections.deque([1, 2], 3)\nod = collections.OrderedDict(a=1)\ndd = collections.defaultdict(list, k=[1])\narr = array.array('i', [1, 2])\nrnd = random.Random(1)\n"
        "half = fractions.Fraction(1, 2)\nu = uuid.UUID(int=1)\nCRC = zlib.crc32\n"
        "def f(): return pattern.match('aab')['k'], rng[0], list(dq), dq.maxlen, list(od), dd['z'], arr.tolist(), rnd.random() < 1, half * 2 == 1, u.int, CRC(b''), hashlib.md5(b'').hexdigest()[:2]",
        ("aa", 3, [1, 2], 3, ["a"], [], [1, 2], True, True, 1, 0, "d4"),
    ),
    "logger": ("import logging\nlog = logging.getLogger('a.b')\ndef f():\n    log.debug('x')\n    return log.name", "a.b"),
    "values with types": (
        "import pathlib, decimal, datetime, zoneinfo\np = pathlib.Path('/a') / 'b.txt'\nd = decimal.Decimal('1.10')\n"
        "t = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))\nz = datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('UTC'))\n"
        "def f(): return p.suffix, d + 1, t, z.tzname()",
        (".txt", decimal.Decimal("2.10"), datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))), "UTC"),
    ),
    "views and proxies": (
        "import types, weakref\nd = {'a': 1}\nkeys, items, values = d.keys(), d.items(), d.values()\nproxy = types.MappingProxyType(d)\nns = types.SimpleNamespace(q=1)\nsl = slice(1, 3)\n"
        "def f(): return list(keys), list(items), list(values), proxy['a'], ns.q, 'abcd'[sl]",
        (["a"], [("a", 1)], [1], 1, 1, "bc"),
    ),
    "builtins and methods": (
        "lower, extend = str.lower, [].extend\nfrom operator import itemgetter, attrgetter, methodcaller\nget = itemgetter(1)\nup = methodcaller('upper')\n"
        "def f(): return lower('A'), get('xyz'), up('q'), type(extend).__name__",
        ("a", "y", "Q", "builtin_function_or_method"),
    ),
    "IPython's names stay here": (
        "import threading\nlock = threading.Lock()\nIn, Out, _, __, _i, exit = [lock], {1: lock}, lock, lock, lock, lock\nunused = lock\n"
        "def f(): return [_ for _ in range(3)]",
        [0, 1, 2],
    ),
    "a module made by hand": (
        "import types, sys\nmade = types.ModuleType('made_by_hand')\nexec('K = 3\\ndef g(): return K', made.__dict__)\nsys.modules['made_by_hand'] = made\n"
        "def f(): return made.g(), made.K",
        (3, 3),
    ),
    "exec'd code": ("ns = {}\nexec('def g(): return 11', ns)\ng = ns['g']\ndef f(): return g()", 11),
    "large text and bytes": (
        "text, data, buf = 'ü' * 100_000, bytes(100_000), bytearray(b'x' * 100_000)\nsame = text\n"
        "def f():\n    buf[0] = 0\n    return len(text), len(data), type(buf).__name__, same is text",
        (100_000, 100_000, "bytearray", True),
    ),
    "a large dictionary": ("table = {n: str(n) for n in range(20_000)}\ndef f(): return len(table), table[777]", (20_000, "777")),
    "match statement": (
        "class P:\n    __match_args__ = ('x', 'y')\n    def __init__(self, x, y): self.x, self.y = x, y\ndef f():\n    match P(1, 2):\n        case P(1, y): return y",
        2,
    ),
    "star imports and walrus": ("from math import *\ndef f(): return (n := floor(pi)), n", (3, 3)),
    "function attributes": ("def f():\n    f.calls += 1\n    return f.calls\nf.calls = 4", 5),
}  # fmt: skip

SCRIPT = """
import asyncio, inspect, pickle, sys
from nbray.errors import NotShippable
from nbray.functions import load_function
from nbray.serialization import dumps, encode, loads
from nbray.exceptions_shipping import dump_exception
blobs, store = pickle.load(sys.stdin.buffer)
results = {}
for name, blob in blobs.items():
    try:
        result = load_function(blob, lambda object_id: loads(store[object_id]))()
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        results[name] = encode(dumps(result))
    except Exception as error:
        results[name] = dump_exception(error)
pickle.dump({name: tuple(value) if isinstance(value, tuple) else value for name, value in results.items()}, sys.stdout.buffer)
"""

WITH_CLASSES = """
import enum
class Point:
    def __init__(self, x): self.x = x
    def norm(self): return scale * self.x
class Color(enum.Enum):
    RED = 1
class Gone(Exception):
    def __init__(self, code, why):
        super().__init__(why)
        self.code = code
scale = 2
def f(): return Point(3), Color.RED, Point
def raises(): raise Gone(4, "no more")
"""


class Store:
    """What `lift` puts, by content, as the engine does it."""

    def __init__(self) -> None:
        self.frames: dict[int, bytes] = {}
        self.known: dict[bytes, ObjectId] = {}

    def lift(self, data: bytes | memoryview) -> ObjectId:
        content = bytes(data)
        if content not in self.known:
            self.known[content] = ObjectId(len(self.frames) + 1)
            self.frames[self.known[content]] = encode(dumps(pickle.PickleBuffer(data)))
        return self.known[content]


def notebook(source: str) -> dict[str, Any]:
    """Run a cell as `__main__`: from then on that is the module of this name, as in a kernel."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(source, "cell", "exec"), module.__dict__)
    return vars(module)


@pytest.fixture(scope="module", autouse=True)
def _main_module() -> Iterator[None]:
    kept = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = kept


@pytest.fixture(scope="module")
def classes() -> dict[str, Any]:
    return notebook(WITH_CLASSES)


@pytest.fixture(scope="module")
def results(classes: dict[str, Any]) -> dict[str, Any]:
    store = Store()
    pickler = FunctionPickler(store.lift)
    refused: dict[str, Any] = {}
    blobs = {}
    for name, (source, _) in CASES.items():
        try:
            blobs[name] = pickler.pickle(notebook(source)["f"]).blob
        except NotShippable as error:
            refused[name] = error
    blobs["with classes"] = pickler.pickle(classes["f"]).blob
    blobs["raises"] = pickler.pickle(classes["raises"]).blob
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=pickle.dumps((blobs, store.frames)), capture_output=True, cwd=ROOT
    )
    assert not done.stderr, done.stderr.decode()
    found: dict[str, Any] = pickle.loads(done.stdout)
    return found | refused


@pytest.mark.local
@pytest.mark.parametrize("name", CASES)
def test_a_notebook_function_runs_elsewhere(results: dict[str, Any], name: str) -> None:
    result = results[name]
    assert isinstance(result, bytes), result
    assert loads(result) == CASES[name][1]


@pytest.mark.local
def test_instances_come_home_to_the_notebook_s_own_classes(
    results: dict[str, Any], classes: dict[str, Any]
) -> None:
    method = classes["Point"].norm
    point, color, cls = loads(results["with classes"])
    assert type(point) is classes["Point"] is cls
    assert color is classes["Color"].RED
    assert classes["Point"].norm is method, "the copy that came back must not replace the notebook's class"
    classes["scale"] = 10
    assert point.norm() == 30


@pytest.mark.local
def test_an_exception_comes_home_as_the_notebook_s_own_class(
    results: dict[str, Any], classes: dict[str, Any]
) -> None:
    from nbray.exceptions_shipping import load_exception

    error = load_exception(*results["raises"])
    assert type(error) is classes["Gone"]
    assert (str(error), error.code) == ("no more", 4)  # type: ignore[attr-defined]


def test_an_edited_class_reaches_a_worker_that_has_the_old_one() -> None:
    # The worker side is played by a copy of the class under its identity, as if it had been built from a pickle.
    from nbray import by_value

    namespace = notebook("class A:\n    x = 1\ndef f(): return A.x")
    pickler = FunctionPickler(Store().lift)
    by_value._guests.add(namespace["A"])
    old = pickler.pickle(namespace["f"]).blob
    namespace["A"].x = 2
    pickler.new_cell()
    new = pickler.pickle(namespace["f"]).blob
    assert load_function(old, Store().lift)() == 1  # type: ignore[arg-type]
    assert load_function(new, Store().lift)() == 2  # type: ignore[arg-type]


def run(function: Callable[[], Any]) -> Any:
    result = function()
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize("name", [name for name in CASES if name != "numpy"])
def test_the_table_is_right_about_plain_python(name: str) -> None:
    assert run(notebook(CASES[name][0])["f"]) == CASES[name][1]
