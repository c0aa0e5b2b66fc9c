"""Text without markup, also for who takes its character references for what they stand for (row 6.2). By the library nh3.

What others read is text, and is to be shown as text. Some client or log viewer will show it as HTML all the same: no text may be
able to do anything there. HTML begins a tag, a comment or the like only where "<" is followed by a letter, "/", "!" or "?" (WHATWG
HTML, 13.2.5.6). So much never remains in a text, nor in what it becomes when its references (`&lt;`) are replaced once or many
times. "a < b && c", "I <3 you" and "Tom & Jerry" stay as they are.

Only what somebody must have meant as HTML is taken out: a whole tag of an element that HTML knows, with attributes as they are
written there. Of "HP<max but MP>0" nothing may get lost: there "<" gets a space behind it, and is no markup either.
"""

from __future__ import annotations

import html
import re

import nh3

ROUNDS = 8  # of references to references; who needs more is up to something
# WHATWG HTML, "Elements", and 16.2, "Non-conforming features"; svg and math.
ELEMENTS = """
a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body br button canvas
caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed fieldset figcaption figure font
footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img input ins isindex kbd keygen label legend
li link listing main map mark marquee math menu menuitem meta meter multicol nav nextid nobr noembed noframes noscript object ol
optgroup option output p param picture plaintext pre progress q rb rp rt rtc ruby s samp script search section select slot small
source spacer span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u
ul var video wbr xmp
"""
# Boolean attributes: the only ones that come without a value. Others are words of a sentence: "a<b and c>d".
FLAGS = """
allowfullscreen async autofocus autoplay checked compact contenteditable controls default defer disabled download formnovalidate
hidden inert ismap itemscope loop multiple muted nohref nomodule noresize noshade novalidate nowrap open playsinline popover
readonly required reversed selected
"""

_OPENING = re.compile(r"<(?=[A-Za-z/!?])")
# Nothing that was matched is given back ("++"): time grows with the text's length alone.
_ATTRIBUTE = (
    r"""[\s/]++(?:[^\s=>"'</]++\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>]++)|(?:"""
    + "|".join(FLAGS.split())
    + r")(?=[\s/>]))"
)
_NAME = r"(?:" + "|".join(ELEMENTS.split()) + r")(?=[\s/>])"
_MARKUP = re.compile(
    rf"<{_NAME}(?:{_ATTRIBUTE})*+[\s/]*+>|</{_NAME}[\s/]*+>|<!(?:doctype\b|\[cdata\[)[^>]*+>|<\?(?:xml|php)\b[^>]*+>",
    re.IGNORECASE | re.ASCII,
)


class TooMuchMarkup(Exception):
    """References to references to references..."""


def without_markup(text: str) -> str:
    """`text`, with tags and comments taken out, and what is in a script; a space behind what could begin one and is none.

    Text without markup stays as it is. The same again changes nothing. Raises TooMuchMarkup.
    """
    for _ in range(ROUNDS):
        unsafe = _unsafe(text)
        if unsafe is None:
            return text
        text = _stripped(unsafe)
    raise TooMuchMarkup


def _unsafe(text: str) -> str | None:
    """What holds the beginning of a tag: the text, or what it becomes when references are replaced. None: nothing does."""
    for _ in range(ROUNDS):
        if _OPENING.search(text):
            return text
        plain = html.unescape(text) if "&" in text else text
        if plain == text:
            return None
        text = plain
    raise TooMuchMarkup


def _stripped(text: str) -> str:
    # To the library anything that opens is a tag, up to the next ">" or to the end of the text.
    text = _OPENING.sub(lambda found: "<" if _is_markup(text, found.start()) else "< ", text)
    # The text's own references are kept: "&" is text for the library, and is text again afterwards.
    return _OPENING.sub("< ", html.unescape(nh3.clean(text.replace("&", "&amp;"), tags=set())))


def _is_markup(text: str, at: int) -> bool:
    """Whether a whole tag, comment or the like begins there."""
    if text.startswith("<!--", at):
        return text.find("-->", at + 4) >= 0
    return _MARKUP.match(text, at) is not None
