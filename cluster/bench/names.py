"""Names for simulated players: nice to read on a screen, no two alike (PROTOCOL.md: 2-24 letters, spaces, ' and -)."""

from __future__ import annotations

FIRST = (
    "Alder", "Anwen", "Arlo", "Bram", "Bryn", "Cato", "Ceri", "Dara", "Edda", "Eira", "Elin", "Emrys", "Fenn", "Finn",
    "Gwen", "Hale", "Idris", "Ilse", "Ines", "Isla", "Iver", "Jory", "Juno", "Kade", "Kaia", "Lark", "Leif", "Lira",
    "Lowen", "Mabel", "Maren", "Mirek", "Nell", "Nico", "Odile", "Orla", "Otis", "Pia", "Quill", "Ravn", "Rhea",
    "Rowan", "Sable", "Senna", "Soren", "Tamsin", "Tove", "Vesper",
)  # fmt: skip
LAST = (
    "Ashdown", "Barrow", "Birch", "Bracken", "Calder", "Clay", "Cooper", "Dale", "Drift", "Ember", "Fairwind",
    "Fell", "Finch", "Flint", "Foxglove", "Frost", "Garrick", "Hawthorn", "Heath", "Holm", "Ironwood", "Kestrel",
    "Lake", "Larkspur", "Marsh", "Mead", "Moor", "Nettle", "Northway", "Oakley", "Pike", "Quarry", "Reed", "Ridge",
    "Sedge", "Shore", "Slate", "Sparrow", "Stone", "Tarn", "Thistle", "Thorne", "Underhill", "Vale", "Wells",
    "Wilder", "Windle", "Wolfe", "Yarrow", "Yew",
)  # fmt: skip
_ORDINALS = ("", " II", " III", " IV", " V", " VI", " VII", " VIII", " IX", " X")
_STRIDE = 1_009  # no common factor with the number of pairs: neighbours in the list differ in both parts
CAPACITY = len(FIRST) * len(LAST) * len(_ORDINALS)


def character_name(number: int) -> str:
    """The name with this number, a different one for each of CAPACITY numbers in a row."""
    generation, place = divmod(number % CAPACITY, len(FIRST) * len(LAST))
    last, first = divmod(place * _STRIDE % (len(FIRST) * len(LAST)), len(FIRST))
    return f"{FIRST[first]} {LAST[last]}{_ORDINALS[generation]}"
