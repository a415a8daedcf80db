"""How the page looks: light and dark, wide and narrow."""

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--text:#1b1f24;--page:#fff;--soft:#57606a;--line:#d0d7de;
--panel:#f6f8fa;--good:#1a7f37;--bad:#b3261e;--even:#7a5200;
--one:#0b62c4;--two:#b4540a;--three:#6f42c1;--four:#57606a;--grid:#8c959f}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--page:#0d1117;--soft:#9da7b3;
--line:#30363d;--panel:#161b22;--good:#4ac26b;--bad:#ff8b80;--even:#e3b341;
--one:#6cb6ff;--two:#f0a35e;--three:#c297ff;--four:#adbac7;--grid:#6e7681}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--page);color:var(--text);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0}
h2{font-size:1.2rem;margin:2rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
.verdict{padding:1rem;border:1px solid var(--line);border-left:.5rem solid var(--even);
background:var(--panel)}
.verdict.better{border-left-color:var(--good)}.verdict.worse{border-left-color:var(--bad)}
td .range{display:inline-block;color:var(--soft)}
@media (min-width:40rem){td .range{white-space:nowrap}}
.soft,figcaption,caption{color:var(--soft)}
.bad{color:var(--bad)}
caption,figcaption{text-align:left;font-size:.9rem;padding:.25rem 0}
.wide{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;min-width:24rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top}
thead th{border-bottom-width:2px}
tbody th{font-weight:600}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;list-style:none}
a{color:var(--one)}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));
gap:1rem}
figure{margin:.5rem 0}
figure svg text{fill:var(--text)}
figure svg{display:block;width:100%;height:auto;max-width:34rem}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem}
.pairs figure{padding:.75rem;border:1px solid var(--line);background:var(--panel);margin:0}
.faces{display:flex;gap:.5rem}
.faces>*{width:7rem;max-width:50%;aspect-ratio:1;object-fit:cover}
.gone{display:flex;align-items:center;justify-content:center;text-align:center;
border:1px dashed var(--line);font-size:.8rem;color:var(--soft)}
@media print{body{max-width:none}.wide{overflow:visible}}
"""
