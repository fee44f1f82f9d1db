"""Why a file has no function of a name: another name was meant, or its symbols are elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error

if TYPE_CHECKING:
    from bpfprobe.model.machine import Binary, BinarySymbol, DebugSymbols, OtherSymbol
    from bpfprobe.model.span import Span
    from bpfprobe.target import Target

MOST_SHOWN = 10
"""Of functions that share a name."""


def no_such_function(symbol: str, span: Span, target: Target, binary: Binary) -> SpecError:
    """The refusal of a function that no symbol table has."""
    other = target.other_symbol(binary, symbol)
    if other is not None:
        return spec_error("BAD_PROBE_ADDR", *_no_function(symbol, span, binary, other))
    near = target.similar_binary_symbols(binary, symbol)
    hints = [f"did you mean {' or '.join(near[:3])}?"] if near else []
    message = f"{binary.path} has no function {symbol}"
    symbols = target.debug_symbols(binary)
    if symbols.path:
        message += f", nor has its debug file {symbols.path}"
    elif symbols.is_stripped:
        message = f"{binary.path} is stripped, and {symbol} is none of the names that were left"
        hints.append(_way_to_symbols(symbols, target.binary_package(binary)))
    if not hints:
        hints.append(
            f"bpfprobe list 'uprobe:{binary.path}:*' shows those it has; others were inlined"
        )
    return spec_error("BAD_PROBE_ADDR", message, span, "; ".join(hints))


def _no_function(
    symbol: str, span: Span, binary: Binary, other: OtherSymbol
) -> tuple[str, Span, str]:
    """What a symbol is that is no function of the file, and the way out."""
    if other.kind == "imported":
        return (
            f"{binary.path} calls {symbol}, but it is a function of a library",
            span,
            f"uprobe:LIBRARY:{symbol.partition('@')[0]}, with one of those that ldd(1) lists (c)",
        )
    if other.kind == "data":
        message = f"{symbol} of {binary.path} is data, not a function"
        return message, span, "probe a function that uses it"
    message = f"{symbol} of {binary.path} is a label in the code, and not said to be a function"
    offset = next(o + other.address - at for o, size, at in binary.text
                  if at <= other.address < at + size)  # fmt: skip
    return message, span, f"by its place in the file it can be probed: {offset:#x}"


def several_functions(
    symbol: str, span: Span, target: Target, binary: Binary, found: tuple[BinarySymbol, ...]
) -> SpecError:
    """The refusal of a name that several functions have: overloads, or static ones of files."""
    names = {one.offset: target.source_name(binary, one.name) for one in found}
    if all(names.values()):
        shown = [f"{names[one.offset]} ({one.name})" for one in found]
        hint = "say which: " + "; ".join(shown[:MOST_SHOWN])
    else:
        hint = "name one by its offset: " + ", ".join(f"{o:#x}" for o in [*names][:MOST_SHOWN])
    if len(found) > MOST_SHOWN:
        hint += f", and {len(found) - MOST_SHOWN} more"
    return spec_error(
        "NON_UNIQ_SYMBOL",
        f"{len(found)} functions of {binary.path} are called {symbol}",
        span,
        hint,
    )


def _way_to_symbols(symbols: DebugSymbols, package: str) -> str:
    if symbols.problems:
        return f"{'; '.join(symbols.problems)}, so another has its symbols"
    if package:
        return f"install its debug symbols (Debian: {package}-dbgsym or {package}-dbg)"
    if symbols.wanted:
        return f"{symbols.wanted} would have its symbols"
    return "name the place by its offset in the file, PATH:0xOFFSET"
