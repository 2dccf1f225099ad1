/**
 * The claims of calibration on whole models and all real photos: accuracy at every width over seeds, a model with massive outliers,
 * the paper's ablation, presets and ranges side by side, other images, no images, speed. `npm run acceptance` builds and runs
 * this after bench/integerAcceptance.ts. Tables go to stdout as Markdown, progress to stderr.
 */
import { parseArgs } from 'node:util';
import { PRESET_NAMES, type PresetName } from '../src/calibrate/options.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { ablationSection } from './calibration/ablation.ts';
import { accuracySection, outliersSection } from './calibration/accuracy.ts';
import { dataFreeSection } from './calibration/dataFree.ts';
import { presetsSection } from './calibration/presets.ts';
import { note } from './calibration/progressLines.ts';
import { robustnessSection } from './calibration/robustness.ts';
import type { Section, Setting } from './calibration/section.ts';
import { speedSection } from './calibration/speed.ts';
import { loadSubject, type Subject } from './calibration/subject.ts';
import { trialsOn } from './calibration/trials.ts';
import { realData } from './support/data.ts';
import { printClaims, yes } from './support/table.ts';

/** In the order of a whole run: what `speed` timed without anything before it, later sections use again. */
const SECTIONS: Readonly<Record<string, Section>> = {
  speed: speedSection,
  accuracy: accuracySection,
  outliers: outliersSection,
  datafree: dataFreeSection,
  presets: presetsSection,
  robustness: robustnessSection,
  ablation: ablationSection,
};

const USAGE = `usage: node dist/bench/calibrationAcceptance.js [options] [${Object.keys(SECTIONS).join('|')} ...]
  --seeds 0,1,2            seeds of accuracy and outliers; the others run with the first
  --eval 468               evaluation photos
  --count 32               calibration photos
  --widths W8A8,W6A6       widths of accuracy, outliers, datafree and presets; all when absent
  --ablation-preset paper  what the ablation switches on and off`;

interface Arguments {
  readonly sections: readonly string[];
  readonly seeds: readonly number[];
  readonly evaluation: number;
  readonly count: number;
  readonly ablationPreset: PresetName;
  readonly widths: readonly string[] | undefined;
}

/** What was asked for, or undefined when it cannot be understood. */
function argumentsOf(args: readonly string[]): Arguments | undefined {
  const text = { type: 'string' } as const;
  let parsed;
  try {
    const options = { seeds: text, eval: text, count: text, 'ablation-preset': text, widths: text };
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch {
    return undefined;
  }
  const { values, positionals } = parsed;
  const seeds = (values.seeds ?? '0,1,2').split(',').map(Number);
  const [evaluation, count] = [Number(values.eval ?? 468), Number(values.count ?? 32)];
  const ablationPreset = PRESET_NAMES.find((name) => name === (values['ablation-preset'] ?? 'paper'));
  const isWhole = (least: number) => (value: number) => Number.isInteger(value) && value >= least;
  const understood =
    seeds.every(isWhole(0)) && [evaluation, count].every(isWhole(1)) && positionals.every((name) => name in SECTIONS);
  if (!understood || !ablationPreset) return undefined;
  const sections = positionals.length > 0 ? positionals : Object.keys(SECTIONS);
  return { sections, seeds, evaluation, count, ablationPreset, widths: values.widths?.split(',') };
}

async function main(args: readonly string[]): Promise<number> {
  const asked = argumentsOf(args);
  const data = realData();
  if (asked === undefined || data === undefined) {
    console.error(asked ? 'set TWINSHIFT_DATA to the folder of the real models and photos' : USAGE);
    return 2;
  }
  const { gpu, close } = await openNodeGpu();
  try {
    console.log(`\n# Calibration on ${gpu.adapter.description}`);
    const subject = (folder: string, name: string) => once(() => loadSubject(data, folder, name, asked));
    const setting: Setting = {
      gpu,
      trials: trialsOn(gpu),
      tiny: subject('deit-tiny-patch16-224', 'DeiT-Tiny'),
      hard: subject('vit-tiny-augreg', 'ViT-Tiny'),
      ...{ seeds: asked.seeds, count: asked.count, ablationPreset: asked.ablationPreset, widths: asked.widths },
    };
    let failed = 0;
    for (const name of asked.sections) failed += await runSection(name, setting);
    console.log(failed === 0 ? '\nEvery claim holds.' : `\n${failed} claims do not hold.`);
    return failed === 0 ? 0 : 1;
  } finally {
    close();
  }
}

/** A section that ends with an error is a claim that fails: the sections after it still run. */
async function runSection(name: string, setting: Setting): Promise<number> {
  const started = performance.now();
  try {
    return await (SECTIONS[name] as Section)(setting);
  } catch (error) {
    console.error(error);
    return printClaims(name, [yes('runs to its end', false, error instanceof Error ? error.message : String(error))]);
  } finally {
    note(`${name} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}

function once(load: () => Promise<Subject>): () => Promise<Subject> {
  let loaded: Promise<Subject> | undefined;
  return () => (loaded ??= load());
}

process.exitCode = await main(process.argv.slice(2));
