import type { DiffData } from './compareRecipes.ts';
import { diffPage } from './diffPage.ts';
import { reportPage, type ReportData } from './reportPage.ts';

/** The script of a report file: draws the data that the file holds. */
const data = JSON.parse(document.getElementById('data')?.textContent ?? '') as ReportData | DiffData;
const width = Math.max(280, document.documentElement.clientWidth - 32);
document.body.append(data.kind === 'report' ? reportPage(document, data, width) : diffPage(document, data));
