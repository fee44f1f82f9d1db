"""C functions made at random, with the structs that they take and return."""

from __future__ import annotations

import random

PREAMBLE = """
enum colour { RED, GREEN = -1 };
typedef int v16 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(8)));
#ifdef __x86_64__
typedef __float128 quad;
#else
typedef long double quad;
#endif
"""
_SCALARS = (
    "char", "signed char", "unsigned char", "short", "unsigned short", "int", "unsigned", "long",
    "unsigned long", "long long", "void *", "_Bool", "float", "double", "enum colour",
)  # fmt: skip
_RARE = (
    "__int128", "long double", "_Complex float", "_Complex double", "_Complex long double", "quad",
    "v16", "v8",
)  # fmt: skip
_BITS = {"int": 32, "unsigned": 32, "long": 64, "unsigned long": 64, "char": 8, "short": 16}


class Prototypes:
    """Declares ``count`` functions f0, f1, ... of structs s0, s1, ...; the same for each seed."""

    def __init__(self, seed: int, count: int) -> None:
        self._random = random.Random(seed)
        self._structs: list[str] = []
        self._plain: list[str] = []  # those that no part of wants more than eight bytes' alignment
        self.lines = [self._struct(n) for n in range(count // 3)]
        self.lines += [self._function(n) for n in range(count)]

    def source(self) -> str:
        """All of it, to be compiled."""
        return PREAMBLE + "\n".join(self.lines) + "\n"

    def _struct(self, number: int) -> str:
        rng = self._random
        packed, kind = rng.random() < 0.12, rng.choice(["struct"] * 5 + ["union"])
        wide = not packed and rng.random() < 0.3
        count = rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5])
        members = " ".join(self._member(n, wide=wide) for n in range(count))
        asks = ""
        if packed:
            asks = " __attribute__((packed))"
        elif wide and rng.random() < 0.3:
            asks = f" __attribute__((aligned({rng.choice([8, 16, 32])})))"
        name = f"{kind} s{number}"
        self._structs.append(name)
        if not wide:
            self._plain.append(name)
        return f"{name} {{ {members} }}{asks};"

    def _member(self, number: int, *, wide: bool) -> str:
        rng = self._random
        known = self._structs if wide else self._plain
        ktype, name = rng.choice(_SCALARS), f"m{number}"
        if known and rng.random() < 0.2:
            ktype = rng.choice(known)
        elif wide and rng.random() < 0.2:
            ktype = rng.choice(_RARE)
        form = rng.random()
        if form < 0.12 and ktype in _BITS:
            return f"{ktype} {name} : {rng.randint(1, _BITS[ktype])};"
        if form < 0.2:
            return f"{ktype} {name}[{rng.randint(1, 5)}];"
        if wide and form < 0.25:
            return f"{ktype} {name} __attribute__((aligned({rng.choice([8, 16, 32])})));"
        return f"{ktype} {name};"

    def _function(self, number: int) -> str:
        rng = self._random
        returned = self._type() if rng.random() < 0.5 else "void"
        given = ", ".join(f"{self._type()} p{n}" for n in range(rng.randint(1, 10)))
        body = 'asm volatile("");'
        if returned != "void":
            body += f" extern {returned} *g{number}; return *g{number};"
        return f"__attribute__((noipa)) {returned} f{number}({given}) {{ {body} }}"

    def _type(self) -> str:
        which = self._random.random()
        if which < 0.45:
            return self._random.choice(self._structs)
        return self._random.choice(_RARE if which < 0.5 else _SCALARS)
