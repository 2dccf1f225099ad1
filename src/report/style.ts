import { CHART_STYLE } from './charts/chart.ts';

/** The style sheet of a report: both themes, phone and desktop. */
export const REPORT_STYLE = `${CHART_STYLE}
:root { color-scheme: light dark; --ground: #fbfcfd; --panel: #ffffff; --line: #d5dce4; --text: #1c2530; --soft: #566373; --link: #1d4ed8; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12171e; --panel: #1a212a; --line: #333e4b; --text: #e4e9f0; --soft: #a3b0c0; --link: #93b8ff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1212px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 8px 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 32px 0 8px; }
h4 { font-size: 1rem; margin: 0 0 8px; }
p { margin: 8px 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 8px; margin: 0; }
@media (min-width: 700px) { .facts { grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); } }
.facts div { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 6px 10px; min-width: 0; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.note, .warnings { border-left: 4px solid var(--chart-uniform); padding: 6px 12px; margin: 12px 0; background: var(--panel); }
.warnings { padding-left: 32px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr)); gap: 24px; margin-top: 16px; }
.picture { margin: 0; min-width: 0; }
figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 6px; max-width: 75ch; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--panel); margin: 12px 0; max-height: 80vh; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 0.87rem; }
caption { text-align: left; padding: 6px 8px; color: var(--soft); }
caption span { position: sticky; left: 8px; display: inline-block; max-width: min(75ch, calc(100vw - 56px)); }
.plain :is(th, td) { white-space: normal; overflow-wrap: anywhere; }
code { white-space: nowrap; }
.soft { color: var(--soft); font-size: 0.9rem; }
th, td { padding: 3px 8px; text-align: left; white-space: nowrap; font-weight: normal; border-top: 1px solid var(--line); }
th[scope='row'] { position: sticky; left: 0; background: var(--panel); border-right: 1px solid var(--line); max-width: 45vw; overflow: hidden; text-overflow: ellipsis; }
thead th { position: sticky; top: 0; background: var(--panel); color: var(--soft); z-index: 1; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
thead button { font: inherit; color: inherit; background: none; border: 0; padding: 4px 0; cursor: pointer; }
.arrow { display: inline-block; width: 1.1em; text-align: center; }
[aria-sort='ascending'] .arrow::after { content: '\\25B2'; }
[aria-sort='descending'] .arrow::after { content: '\\25BC'; }
[aria-sort='ascending'] button, [aria-sort='descending'] button { color: var(--text); font-weight: 600; }
.layer { font: inherit; color: var(--link); background: none; border: 0; padding: 2px 0; cursor: pointer; text-decoration: underline; text-underline-offset: 2px; }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 600; margin: 32px 0 8px; }
select { font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 4px 8px; max-width: 100%; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
`;
